"""Values of keys, action parameters and packet metadata: between bytestrings and data-plane integers.

A user-defined type annotated `@p4runtime_translation` looks different to the control plane: a number of another width,
or a string (specification section "User-defined types"). Numbers translate to themselves. A string that spells a
decimal number which fits the data-plane type is that number; any other string is given a free number, the highest
first, when a client first writes it, and keeps it as long as the pipeline lives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from softswitch.p4runtime.bytestring import decode_unsigned, encode_unsigned
from softswitch.p4runtime.errors import out_of_range, resource_exhausted

_MAX_DECIMAL_DIGITS: Final = 40


class ValueType(Protocol):
    """How a value travels."""

    @property
    def width(self) -> int:
        """Bits in the data plane."""

    @property
    def numeric(self) -> bool:
        """Whether the control plane sees the same bits, so that masks, prefixes and bounds make sense."""

    def decode(self, data: bytes, where: str) -> int:
        """The data-plane value of a bytestring.

        Raises:
            P4RuntimeError: OUT_OF_RANGE (or RESOURCE_EXHAUSTED for a string, when no number is free), naming `where`.
        """

    def encode(self, value: int) -> bytes:
        """The canonical bytestring of a data-plane value."""


@dataclass(frozen=True, slots=True)
class Bits:
    """An unsigned number, `sdn_width` bits for the control plane and `width` bits in the data plane."""

    width: int
    sdn_width: int

    @property
    def numeric(self) -> bool:
        """Whether the control plane sees the same bits."""
        return self.width == self.sdn_width

    def decode(self, data: bytes, where: str) -> int:
        """The data-plane value of a bytestring; see ValueType."""
        value = decode_unsigned(data, self.sdn_width, where)
        if value.bit_length() > self.width:
            raise out_of_range(f"{where}: the value 0x{value:x} does not fit in the data plane's bit<{self.width}>")
        return value

    def encode(self, value: int) -> bytes:
        """The canonical bytestring of a data-plane value."""
        return encode_unsigned(value)


@dataclass(slots=True)
class Names:
    """The strings of one translated type, and the `width`-bit numbers that stand for them in the data plane."""

    width: int
    _values: dict[str, int] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def value(self, name: str, where: str) -> int:
        """The number of a string, given now if it has none.

        Raises:
            P4RuntimeError: RESOURCE_EXHAUSTED, naming `where`, when every number is taken.
        """
        known = self._values.get(name)
        if known is None:
            known = self._decimal(name)
            if known is None or known in self._names:
                known = self._free(name, where)
            self._values[name], self._names[known] = known, name
        return known

    def name(self, value: int) -> str:
        """The string of a number; its decimal digits if no client ever named it."""
        return self._names.get(value, str(value))

    def _decimal(self, name: str) -> int | None:
        if not (name.isascii() and name.isdigit()) or len(name) > _MAX_DECIMAL_DIGITS or str(int(name)) != name:
            return None
        value = int(name)
        return value if value.bit_length() <= self.width else None

    def _free(self, name: str, where: str) -> int:
        top = (1 << self.width) - 1
        # At most len(_names) numbers are taken, so a free one is among the first len(_names) + 1.
        for value in range(top, max(top - len(self._names), 0) - 1, -1):
            if value not in self._names:
                return value
        raise resource_exhausted(f"{where}: no bit<{self.width}> value is left for the string {name!r}")


@dataclass(frozen=True, slots=True)
class SdnString:
    """A string for the control plane, a number in the data plane."""

    names: Names

    @property
    def width(self) -> int:
        """Bits in the data plane."""
        return self.names.width

    @property
    def numeric(self) -> bool:
        """Whether the control plane sees the same bits."""
        return False

    def decode(self, data: bytes, where: str) -> int:
        """The data-plane value of a bytestring; see ValueType."""
        try:
            name = data.decode()
        except UnicodeDecodeError:
            raise out_of_range(f"{where}: the value 0x{data.hex()} is not a UTF-8 string") from None
        if not name:
            raise out_of_range(f"{where}: the value is an empty string")
        return self.names.value(name, where)

    def encode(self, value: int) -> bytes:
        """The canonical bytestring of a data-plane value."""
        return self.names.name(value).encode()
