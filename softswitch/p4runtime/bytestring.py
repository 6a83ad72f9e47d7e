"""P4Runtime bytestrings: integers of any width, big endian (specification section "Bytestrings").

A receiver takes any length as long as the value fits the width; a sender writes the shortest string. Zero takes one
octet; an empty string is always wrong.
"""

from __future__ import annotations

from softswitch.p4runtime.errors import out_of_range


def decode_unsigned(data: bytes, width: int, where: str) -> int:
    """The value of a `bit<width>`.

    Raises:
        P4RuntimeError: OUT_OF_RANGE, naming `where`, if the string is empty or the value needs more than `width` bits.
    """
    if not data:
        raise out_of_range(f"{where}: the value is an empty bytestring")
    value = int.from_bytes(data, "big")
    if value.bit_length() > width:
        raise out_of_range(f"{where}: the value 0x{value:x} does not fit in bit<{width}>")
    return value


def encode_unsigned(value: int) -> bytes:
    """The shortest string of a non-negative value."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def decode_signed(data: bytes, width: int, where: str) -> int:
    """The value of an `int<width>`, two's complement, sign-extended to whole octets.

    Raises:
        P4RuntimeError: OUT_OF_RANGE, naming `where`, if the string is empty or the value needs more than `width` bits.
    """
    if not data:
        raise out_of_range(f"{where}: the value is an empty bytestring")
    value = int.from_bytes(data, "big", signed=True)
    if _signed_width(value) > width:
        raise out_of_range(f"{where}: the value {value} does not fit in int<{width}>")
    return value


def encode_signed(value: int) -> bytes:
    """The shortest two's complement string of a value."""
    return value.to_bytes((_signed_width(value) + 7) // 8, "big", signed=True)


def _signed_width(value: int) -> int:
    """Bits of the narrowest two's complement number that holds the value."""
    return (value if value >= 0 else ~value).bit_length() + 1
