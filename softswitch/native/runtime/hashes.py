"""Hash algorithms over octets in memory; the same numbers as :mod:`softswitch.reference.hashes`."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    CRC_FINAL,
    CRC_INITIAL,
    CRC_REFLECT_IN,
    CRC_REFLECT_OUT,
    CRC_TABLE,
    CRC_WIDTH,
    SW_RANDOM,
)
from softswitch.native.words import inline, swap, u8, u16, u32, u64, word

_M32 = 0xFFFFFFFF
_P1 = 0x9E3779B185EBCA87
_P2 = 0xC2B2AE3D27D4EB4F
_P3 = 0x165667B19E3779F9
_P4 = 0x85EBCA77C2B2AE63
_P5 = 0x27D4EB2F165667C5


@word
def crc(parameters: int, data: int, octets: int) -> int:
    """A table-driven CRC. Its initial value is kept as the loop needs it, reflected if octets are."""
    table = parameters + CRC_TABLE
    width = u64[parameters + CRC_WIDTH]
    remainder = u64[parameters + CRC_INITIAL]
    if u64[parameters + CRC_REFLECT_IN] != 0:
        for i in range(octets):
            remainder = u64[table + 8 * ((remainder ^ u8[data + i]) & 0xFF)] ^ remainder >> 8
    else:
        ones = _ones(width)
        for i in range(octets):
            remainder = u64[table + 8 * (remainder >> (width - 8) ^ u8[data + i])] ^ (remainder << 8 & ones)
    if u64[parameters + CRC_REFLECT_IN] != u64[parameters + CRC_REFLECT_OUT]:
        remainder = _reflected(remainder, width)
    return remainder ^ u64[parameters + CRC_FINAL]


@inline
def _ones(width: int) -> int:
    return (1 << (width & 63)) - 1 if width < 64 else -1


@word
def _reflected(value: int, width: int) -> int:
    result = 0
    for i in range(width):
        result = result << 1 | (value >> i & 1)
    return result


@word
def internet_checksum(data: int, octets: int) -> int:
    """RFC 1071."""
    total = 0
    while octets >= 4:
        total += u32[data]
        data += 4
        octets -= 4
    if octets >= 2:
        total += u16[data]
        data += 2
        octets -= 2
    if octets != 0:
        total += u8[data]
    total = (total & _M32) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16 & 0xFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return swap(total, 16) ^ 0xFFFF


@word
def xor16(data: int, octets: int) -> int:
    """Exclusive or of 16-bit words."""
    result = 0
    while octets >= 2:
        result ^= u16[data]
        data += 2
        octets -= 2
    if octets != 0:
        result ^= u8[data]
    return swap(result, 16)


@word
def xor32(data: int, octets: int) -> int:
    """Exclusive or of 32-bit words."""
    result = 0
    while octets >= 4:
        result ^= u32[data]
        data += 4
        octets -= 4
    at = 0
    while at < octets:
        result ^= u8[data + at] << 8 * at
        at += 1
    return swap(result, 32)


@word
def identity(data: int, octets: int) -> int:
    """The first eight octets."""
    result = 0
    for i in range(min(octets, 8)):
        result = result << 8 | u8[data + i]
    return result


@word
def hash_ex(data: int, octets: int) -> int:
    """FNV-like; octets are signed, as bmv2's are on the machines it runs on."""
    result = 2166136261
    for i in range(octets):
        octet = u8[data + i]
        if octet & 0x80:
            octet |= 0xFFFFFF00
        result = (result ^ octet) * 16777619 & _M32
    result = result + (result << 13) & _M32
    result ^= result >> 7
    result = result + (result << 3) & _M32
    result ^= result >> 17
    return result + (result << 5) & _M32


@inline
def _rotated(value: int, bits: int) -> int:
    return value << bits | value >> (64 - bits)


@inline
def _round(accumulator: int, lane: int) -> int:
    return _rotated(accumulator + lane * _P2, 31) * _P1


@inline
def _merged(result: int, accumulator: int) -> int:
    return (result ^ _round(0, accumulator)) * _P1 + _P4


@word
def xxh64(data: int, octets: int) -> int:
    """XXH64 with seed 0."""
    left = octets
    result = _P5
    if left >= 32:
        a = _P1 + _P2
        b = _P2
        c = 0
        d = 0 - _P1
        while left >= 32:
            a = _round(a, u64[data])
            b = _round(b, u64[data + 8])
            c = _round(c, u64[data + 16])
            d = _round(d, u64[data + 24])
            data += 32
            left -= 32
        result = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        result = _merged(_merged(_merged(_merged(result, a), b), c), d)
    result += octets
    while left >= 8:
        result = _rotated(result ^ _round(0, u64[data]), 27) * _P1 + _P4
        data += 8
        left -= 8
    if left >= 4:
        result = _rotated(result ^ u32[data] * _P1, 23) * _P2 + _P3
        data += 4
        left -= 4
    while left > 0:
        result = _rotated(result ^ u8[data] * _P5, 11) * _P1
        data += 1
        left -= 1
    result = (result ^ result >> 33) * _P2
    result = (result ^ result >> 29) * _P3
    return result ^ result >> 32


@word
def random_word(switch: int) -> int:
    """xorshift64*."""
    state = u64[switch + SW_RANDOM]
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    u64[switch + SW_RANDOM] = state
    return state * 0x2545F4914F6CDD1D


@word
def put_bits(target: int, position: int, value: int, bits: int) -> int:
    """Append the low bits of a word to a string of bits, whose rest of the last octet is zero; its new length."""
    left = bits
    while left > 0:
        used = position & 7
        if used == 0:
            u8[target + (position >> 3)] = 0
        taken = min(8 - used, left)
        part = value >> (left - taken) & ((1 << taken) - 1)
        u8[target + (position >> 3)] |= part << (8 - used - taken)
        position += taken
        left -= taken
    return position
