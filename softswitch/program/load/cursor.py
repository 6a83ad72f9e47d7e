"""A place in the JSON document, with typed access. Whatever is not as expected raises ProgramError."""

from __future__ import annotations

import re
from collections.abc import Iterator

from softswitch.program.errors import ProgramError

_HEX = re.compile(r"-?(0x)?[0-9a-fA-F]+")
MAX_WIDTH = 1 << 16  # bits of a field or constant
_MAX_ID = 1 << 32


class Cursor:
    """A value and the path that leads to it."""

    __slots__ = ("place", "value")

    def __init__(self, value: object, place: str = "") -> None:
        self.value = value
        self.place = place

    def error(self, reason: str) -> ProgramError:
        """An error about this place."""
        return ProgramError(self.place, self.value, reason)

    def has(self, key: str) -> bool:
        """Whether this object has a key with a value that is not null."""
        return self._object().get(key) is not None

    def get(self, key: str) -> Cursor:
        """A required attribute, which may be null."""
        members = self._object()
        if key not in members:
            raise self.error(f"has no {key!r}")
        return Cursor(members[key], f"{self.place}.{key}" if self.place else key)

    def find(self, key: str) -> Cursor | None:
        """An optional attribute; None when absent or null."""
        return self.get(key) if self.has(key) else None

    def items(self, key: str | None = None) -> list[Cursor]:
        """The elements of this array, or of the array under key, which may be absent."""
        if key is not None:
            found = self.find(key)
            return found.items() if found else []
        if not isinstance(self.value, list):
            raise self.error("is not an array")
        return [Cursor(item, f"{self.place}[{i}]") for i, item in enumerate(self.value)]

    def exactly(self, length: int) -> list[Cursor]:
        """The elements of this array, which must have exactly that many."""
        elements = self.items()
        if len(elements) != length:
            raise self.error(f"is not an array of {length} elements")
        return elements

    def members(self) -> Iterator[tuple[str, Cursor]]:
        """Keys and values of this object."""
        for key in self._object():
            yield key, self.get(key)

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.error("is not a string")
        return self.value

    def name(self) -> str:
        """A string that is not empty."""
        if not self.text():
            raise self.error("is empty")
        return self.text()

    def flag(self) -> bool:
        """A boolean; p4c writes some of them as 0 and 1."""
        if type(self.value) not in (bool, int) or self.value not in (0, 1):
            raise self.error("is not a boolean")
        return bool(self.value)

    def integer(self, low: int = 0, high: int = _MAX_ID) -> int:
        """An integer in a range, by default what serves as an id."""
        if type(self.value) is not int:
            raise self.error("is not an integer")
        if not low <= self.value <= high:
            raise self.error(f"is not in {low}..{high}")
        return self.value

    def hex(self) -> int:
        """A hexadecimal string, ``-`` and ``0x`` optional."""
        text = self.text()
        if not _HEX.fullmatch(text) or len(text) > MAX_WIDTH // 4:
            raise self.error("is not a hexadecimal number")
        return int(text, 16)

    def unsigned_hex(self, width: int) -> int:
        """A hexadecimal string that fits that many bits."""
        value = self.hex()
        if not 0 <= value < 1 << width:
            raise self.error(f"does not fit {width} bits")
        return value

    def octets(self) -> bytes:
        """A hexadecimal string as the octets it spells."""
        text = self.text()
        if not _HEX.fullmatch(text) or text.startswith("-") or len(text) > MAX_WIDTH // 4:
            raise self.error("is not a hexadecimal string")
        digits = text.removeprefix("0x")
        return bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")

    def typed(self) -> tuple[str, Cursor]:
        """The two halves of a type-value object."""
        return self.get("type").text(), self.get("value")

    def _object(self) -> dict[str, object]:
        if not isinstance(self.value, dict):
            raise self.error("is not an object")
        return self.value
