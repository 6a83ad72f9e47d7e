"""Values of P4's ``bit<W>`` and ``int<W>`` as P4Runtime carries them (specification, section "Bytestrings").

The canonical form is the shortest big-endian string that holds the value. A receiver accepts leading zeros
(sign copies for ``int<W>``) and refuses the empty string and whatever exceeds the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar

from controller.p4rt.errors import DecodingError, EncodingError

T = TypeVar("T")

Value = int | str
"""A field's value: an unsigned integer, or the string of a type translated to ``sdn_string``."""

ValueLike = Value | bytes | IPv4Address | IPv6Address
"""What is accepted for a value; bytes are big-endian."""


def as_value(value: ValueLike) -> Value:
    """The integer (or translated string) that `value` stands for.

    Raises:
        TypeError: for anything but an integer, string, bytes or IP address.
    """
    if isinstance(value, int | IPv4Address | IPv6Address):
        return int(value)
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    if isinstance(value, str):
        return value
    raise TypeError(f"a P4 value is an int, IP address, bytes or str, not {type(value).__name__}")


def as_int(value: ValueLike) -> int:
    """The integer that `value` stands for; raises TypeError for whatever has none, strings included."""
    number = as_value(value)
    if isinstance(number, str):
        raise TypeError(f"a number, IP address or bytes is needed, not the string {value!r}")
    return number


def show(value: Value) -> str:
    """`value` for messages."""
    return hex(value) if isinstance(value, int) and value > 9 else str(value)


def encode_unsigned(value: int, width: int) -> bytes:
    """Canonical string of a ``bit<width>``; raises EncodingError if the value does not fit."""
    bits = value.bit_length()
    if value < 0 or bits > width:
        raise EncodingError(f"{value:#x} does not fit bit<{width}>")
    return value.to_bytes((bits + 7) // 8 or 1, "big")


def decode_unsigned(data: bytes, width: int) -> int:
    """Value of a ``bit<width>``; raises DecodingError for an empty or too large string."""
    value = int.from_bytes(data, "big")
    if not data or value.bit_length() > width:
        raise DecodingError(f"string {data.hex() or '(empty)'} is no bit<{width}>")
    return value


def encode_signed(value: int, width: int) -> bytes:
    """Canonical two's complement string of an ``int<width>``; raises EncodingError if it does not fit."""
    bits = (value if value >= 0 else ~value).bit_length() + 1
    if bits > width:
        raise EncodingError(f"{value} does not fit int<{width}>")
    return value.to_bytes((bits + 7) // 8, "big", signed=True)


def decode_signed(data: bytes, width: int) -> int:
    """Value of an ``int<width>``; raises DecodingError for an empty or too large string."""
    value = int.from_bytes(data, "big", signed=True)
    if not data or (value if value >= 0 else ~value).bit_length() >= width:
        raise DecodingError(f"string {data.hex() or '(empty)'} is no int<{width}>")
    return value


class FrozenMap(Mapping[str, T], Generic[T]):
    """An immutable, hashable mapping; iterates in the order of its names."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[str, T] | None = None) -> None:
        self._items: dict[str, T] = dict(sorted(items.items())) if items else {}
        self._hash: int | None = None

    def __getitem__(self, name: str) -> T:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return bool(self._items == other._items)
        return Mapping.__eq__(self, other)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __repr__(self) -> str:
        return repr(self._items)
