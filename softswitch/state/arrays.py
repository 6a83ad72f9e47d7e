"""Counter and register arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from softswitch.state.errors import InvalidEntry, OutOfRange
from softswitch.state.memory import Memory

_M64: Final = (1 << 64) - 1
_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


class CounterValue(NamedTuple):
    """Packets and bytes counted."""

    packets: int
    bytes: int


class CounterArray:
    """Counters of packets and bytes, of 64 bits; a pair of words each."""

    __slots__ = ("_words", "memory", "name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.memory = Memory(16 * size)
        self._words = self.memory.view

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"counter {self.name}: index {index} not in 0..{self.size - 1}")

    def read(self, index: int) -> CounterValue:
        """OutOfRange."""
        self._check(index)
        return CounterValue(self._words[2 * index], self._words[2 * index + 1])

    def write(self, index: int, packets: int, bytes: int) -> None:
        """OutOfRange; InvalidEntry on negative values, or ones of more than 64 bits."""
        self._check(index)
        if not (0 <= packets <= _M64 and 0 <= bytes <= _M64):
            what = "negative value" if min(packets, bytes) < 0 else "value of more than 64 bits"
            raise InvalidEntry(f"counter {self.name}[{index}]: {what} ({packets}, {bytes})")
        self._words[2 * index], self._words[2 * index + 1] = packets, bytes

    def count(self, index: int, packet_bytes: int) -> None:
        """For the data plane: account a packet; beyond the end nothing happens."""
        if 0 <= index < self.size:
            self._words[2 * index] = self._words[2 * index] + 1 & _M64
            self._words[2 * index + 1] = self._words[2 * index + 1] + packet_bytes & _M64

    def clear(self) -> None:
        """All back to zero."""
        self.memory.clear()


def cell_octets(width: int) -> int:
    """Size in memory of a register cell of that many bits: 1, 2, 4, or whole words."""
    return next((octets for octets in (1, 2, 4) if width <= 8 * octets), (width + 63) // 64 * 8)


class RegisterArray:
    """Cells of ``width`` bits. A written value is cut to the width."""

    __slots__ = ("_cells", "_mask", "_words", "memory", "name", "size", "width")

    def __init__(self, name: str, size: int, width: int) -> None:
        self.name = name
        self.size = size
        self.width = width
        self._mask = (1 << width) - 1
        octets = cell_octets(width)
        self._words = octets // 8 if width > 64 else 0  # of a cell that is no element of the view
        self.memory = Memory(octets * size, _CODES[min(octets, 8)])  # type: ignore[arg-type]
        self._cells = self.memory.view

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"register {self.name}: index {index} not in 0..{self.size - 1}")

    def read(self, index: int) -> int:
        """OutOfRange."""
        self._check(index)
        return self.get(index)

    def write(self, index: int, value: int) -> None:
        """OutOfRange."""
        self._check(index)
        self.put(index, value)

    def get(self, index: int) -> int:
        """For the data plane: a cell, 0 beyond the end."""
        if not 0 <= index < self.size:
            return 0
        if not self._words:
            return self._cells[index]
        at = index * self._words
        return sum(word << 64 * i for i, word in enumerate(self._cells[at : at + self._words]))

    def put(self, index: int, value: int) -> None:
        """For the data plane: beyond the end nothing happens."""
        if not 0 <= index < self.size:
            return
        value &= self._mask
        if not self._words:
            self._cells[index] = value
            return
        for i in range(self._words):
            self._cells[index * self._words + i] = value >> 64 * i & _M64

    def __iter__(self) -> Iterator[int]:
        return (self.get(index) for index in range(self.size))

    def clear(self) -> None:
        """All back to zero."""
        self.memory.clear()
