"""Hash algorithms against published check values and plain definitions."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.program.algorithms import CRCS, OTHERS, CrcParameters, crc_parameters, is_known
from softswitch.reference.hashes import crc, internet_checksum, make_hash, xxh64

CHECK = b"123456789"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crc16", 0xBB3D),
        ("crc32", 0xCBF43926),
        ("crcCCITT", 0x29B1),
        ("crc_8", 0xF4),
        ("crc_8_itu", 0xA1),
        ("crc_8_rohc", 0xD0),
        ("crc_16_buypass", 0xFEE8),
        ("crc_16_usb", 0xB4C8),
        ("crc_16_genibus", 0xD64E),
        ("crc_16_dnp", 0xEA82),
        ("x_25", 0x906E),
        ("xmodem", 0x31C3),
        ("modbus", 0x4B37),
        ("kermit", 0x2189),
        ("crc_32_bzip2", 0xFC891918),
        ("crc_32c", 0xE3069283),
        ("crc_32d", 0x87315576),
        ("crc_32_mpeg", 0x0376E6E7),
        ("posix", 0x765E7680),
        ("jamcrc", 0x340BC6D9),
        ("crc_64_we", 0x62EC59E3F1A4F00A),
        ("poly_0x104c11db7_init_0xffffffff_xout_0xffffffff", 0xCBF43926),
        ("poly_0x11021_not_rev", 0x31C3),
    ],
)
def test_crc_check_values(name: str, value: int) -> None:
    assert make_hash(name)(CHECK) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_xxh64(data: bytes, value: int) -> None:
    assert xxh64(data) == value
    assert make_hash("bmv2_hash")(data) == value


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=80), name=st.sampled_from(sorted(CRCS)))
def test_crcs_are_remainders(data: bytes, name: str) -> None:
    """Bit by bit, as in a textbook."""
    p = CRCS[name]
    top, ones = 1 << p.width - 1, (1 << p.width) - 1
    remainder = p.initial
    for octet in data:
        bits = f"{octet:08b}"
        for bit in reversed(bits) if p.reflect_in else bits:
            carry = bool(remainder & top) != (bit == "1")
            remainder = remainder << 1 & ones ^ (p.polynomial if carry else 0)
    if p.reflect_out:
        remainder = int(f"{remainder:0{p.width}b}"[::-1], 2)
    assert make_hash(name)(data) == remainder ^ p.final_xor


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=80))
def test_the_internet_checksum_adds_up(data: bytes) -> None:
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert internet_checksum(data) == total ^ 0xFFFF


def test_input_and_output_may_be_reflected_apart() -> None:
    straight = CrcParameters(16, 0x8005, 0, 0, False, False)
    mixed = CrcParameters(16, 0x8005, 0, 0, False, True)
    assert crc(mixed)(CHECK) == int(f"{crc(straight)(CHECK):016b}"[::-1], 2)


def test_round_robin_counts_calls_or_inputs() -> None:
    plain, consistent = make_hash("round_robin"), make_hash("round_robin_consistent")
    assert [plain(data) for data in (b"x", b"x", b"y")] == [0, 1, 2]
    assert [consistent(data) for data in (b"x", b"y", b"x", b"z", b"y")] == [0, 1, 0, 2, 1]


def test_every_known_name_makes_a_hash_of_at_most_64_bits() -> None:
    for name in (*CRCS, *OTHERS):
        assert is_known(name)
        assert 0 <= make_hash(name)(CHECK) < 1 << 64


@pytest.mark.parametrize(
    "name", ["", "crc33", "poly", "poly_0x8005", "poly_0x1123_not_rev", "poly_0x18005_lsb", "poly_0x18005_init"]
)
def test_other_names_are_unknown(name: str) -> None:
    assert crc_parameters(name) is None
    assert not is_known(name)


def test_crc32_is_what_everybody_means_by_it() -> None:
    assert crc(CRCS["crc32"])(CHECK) == zlib.crc32(CHECK)
