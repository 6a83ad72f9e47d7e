"""Hash algorithms over octet strings; every result is an unsigned integer of at most 64 bits."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from functools import cache

from softswitch.program.algorithms import CrcParameters, crc_parameters

Hash = Callable[[bytes], int]

_M32, _M64 = (1 << 32) - 1, (1 << 64) - 1


def make_hash(name: str) -> Hash:
    """The function of an algorithm the loader has accepted; the round robin ones begin anew."""
    parameters = crc_parameters(name)
    if name == "crc32":
        return zlib.crc32
    if parameters is not None:
        return crc(parameters)
    if name == "round_robin":
        return _RoundRobin()
    if name == "round_robin_consistent":
        return _ConsistentRoundRobin()
    return _PLAIN[name]


@cache
def crc(parameters: CrcParameters) -> Hash:
    """A table-driven CRC of 8 to 64 bits."""
    table = crc_table(parameters)
    width, ones = parameters.width, (1 << parameters.width) - 1
    final = parameters.final_xor
    initial = parameters.initial
    if parameters.reflect_in:
        initial = reflect(initial, width)

    def reflected(data: bytes) -> int:
        remainder = initial
        for octet in data:
            remainder = table[(remainder ^ octet) & 0xFF] ^ remainder >> 8
        return remainder

    def straight(data: bytes) -> int:
        remainder = initial
        for octet in data:
            remainder = table[remainder >> width - 8 ^ octet] ^ (remainder << 8 & ones)
        return remainder

    run = reflected if parameters.reflect_in else straight
    if parameters.reflect_in == parameters.reflect_out:
        return lambda data: run(data) ^ final
    return lambda data: reflect(run(data), width) ^ final


def reflect(value: int, width: int) -> int:
    """The bits of a value in the opposite order."""
    return int(f"{value:0{width}b}"[::-1], 2)


def crc_table(parameters: CrcParameters) -> list[int]:
    """The remainder for each octet."""
    width, ones = parameters.width, (1 << parameters.width) - 1
    table = []
    for octet in range(256):
        dividend = reflect(octet, 8) if parameters.reflect_in else octet
        remainder = dividend << width - 8
        for _ in range(8):
            carry = remainder >> width - 1
            remainder = remainder << 1 & ones
            if carry:
                remainder ^= parameters.polynomial
        table.append(reflect(remainder, width) if parameters.reflect_in else remainder)
    return table


def internet_checksum(data: bytes) -> int:
    """RFC 1071, the data padded with a zero octet to whole words."""
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data)
    folded = total % 0xFFFF  # a carry out of 16 bits is worth one, so words add up modulo 2^16 - 1
    if folded == 0 and total:
        folded = 0xFFFF
    return folded ^ 0xFFFF


def _xor_words(data: bytes, octets: int) -> int:
    result = 0
    for start in range(0, len(data), octets):
        result ^= int.from_bytes(data[start : start + octets].ljust(octets, b"\0"))
    return result


def _identity(data: bytes) -> int:
    return int.from_bytes(data[:8])


def _hash_ex(data: bytes) -> int:
    """FNV-like; octets are signed, as bmv2's are on the machines it runs on."""
    result = 2166136261
    for octet in data:
        signed = octet | 0xFFFFFF00 if octet & 0x80 else octet
        result = (result ^ signed) * 16777619 & _M32
    result = result + (result << 13) & _M32
    result ^= result >> 7
    result = result + (result << 3) & _M32
    result ^= result >> 17
    return result + (result << 5) & _M32


_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _M64


def _round(accumulator: int, lane: int) -> int:
    return _rotate(accumulator + lane * _P2 & _M64, 31) * _P1 & _M64


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0, as its specification describes it."""
    position, end = 0, len(data)

    def lane(octets: int) -> int:
        return int.from_bytes(data[position : position + octets], "little")

    if end >= 32:
        lanes = [_P1 + _P2 & _M64, _P2, 0, -_P1 & _M64]
        while position + 32 <= end:
            for i in range(4):
                lanes[i] = _round(lanes[i], lane(8))
                position += 8
        result = sum(map(_rotate, lanes, (1, 7, 12, 18))) & _M64
        for accumulator in lanes:
            result = (result ^ _round(0, accumulator)) * _P1 + _P4 & _M64
    else:
        result = _P5
    result = result + end & _M64
    while position + 8 <= end:
        result = _rotate(result ^ _round(0, lane(8)), 27) * _P1 + _P4 & _M64
        position += 8
    if position + 4 <= end:
        result = _rotate(result ^ lane(4) * _P1 & _M64, 23) * _P2 + _P3 & _M64
        position += 4
    while position < end:
        result = _rotate(result ^ lane(1) * _P5 & _M64, 11) * _P1 & _M64
        position += 1
    for shift, factor in ((33, _P2), (29, _P3)):
        result = (result ^ result >> shift) * factor & _M64
    return result ^ result >> 32


class _RoundRobin:
    """Counts its calls."""

    def __init__(self) -> None:
        self._count = -1

    def __call__(self, _data: bytes) -> int:
        self._count = self._count + 1 & _M64
        return self._count


class _ConsistentRoundRobin:
    """Counts the different inputs it has seen, and gives each always the same number."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def __call__(self, data: bytes) -> int:
        return self._seen.setdefault(data, len(self._seen))


_PLAIN: dict[str, Hash] = {
    "bmv2_hash": xxh64,
    "cksum16": internet_checksum,
    "csum16": internet_checksum,
    "hash_ex": _hash_ex,
    "identity": _identity,
    "random": lambda _data: random.getrandbits(64),
    "toeplitz": lambda _data: 0,  # the key is all zeros and cannot be set
    "xor16": lambda data: _xor_words(data, 2),
    "xor32": lambda data: _xor_words(data, 4),
    "xxh64": xxh64,
}
