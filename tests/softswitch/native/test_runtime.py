"""The runtime's own functions: hashes against the reference's, and strings of bits."""

from __future__ import annotations

import ctypes
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from softswitch.native.compiler import Code, compile_object, core, load
from softswitch.native.runtime import hashes
from softswitch.native.translate.hashing import _PLAIN, crc_words
from softswitch.native.words import Linker, word
from softswitch.program.algorithms import CRCS, crc_parameters
from softswitch.reference.hashes import make_hash
from softswitch.state.memory import Memory


@cache
def code() -> Code:
    """The functions under test."""
    module = ir.Module("test")
    Linker(module).export(hashes.crc, *set(_PLAIN.values()), hashes.put_bits)
    return load(compile_object(str(module)))


def address(octets: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(octets), ctypes.c_void_p).value or 0


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(_PLAIN)), data=st.binary(max_size=100))
def test_hashes_are_the_reference_s(name: str, data: bytes) -> None:
    function = code().function(_PLAIN[name].__name__, 2)
    padded = data + bytes(64)
    assert function(address(padded), len(data)) == make_hash(name)(data)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from([*sorted(CRCS), "poly_0x18005_init_0x1_not_rev", "poly_0x107_xout_0x5"]), data=st.binary())
def test_crcs_are_the_reference_s(name: str, data: bytes) -> None:
    parameters = crc_parameters(name)
    assert parameters is not None
    memory = Memory(8 * (5 + 256))
    memory.view[:] = memoryview(bytearray(b"".join(w.to_bytes(8, "little") for w in crc_words(parameters)))).cast("Q")
    assert code().function("crc", 3)(memory.address, address(data), len(data)) == make_hash(name)(data)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(1, 64), st.integers(0, (1 << 64) - 1)), max_size=12))
def test_bits_are_appended_in_network_order(pieces: list[tuple[int, int]]) -> None:
    target = ctypes.create_string_buffer(200)
    position = joined = 0
    for bits, value in pieces:
        position = code().function("put_bits", 4)(ctypes.addressof(target), position, value, bits)
        joined = joined << bits | value & (1 << bits) - 1
    total = sum(bits for bits, _ in pieces)
    assert position == total
    octets = (joined << -total % 8).to_bytes((total + 7) // 8)
    assert target.raw[: len(octets)] == octets


def test_the_core_is_there() -> None:
    assert core().address("run")
    with pytest.raises(AssertionError, match="is not of the language"):
        Linker(ir.Module("bad")).export(not_of_the_language)


@word
def not_of_the_language(a: int) -> int:
    """Has a list."""
    return [a][0]
