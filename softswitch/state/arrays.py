"""Counter and register arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from softswitch.state.errors import InvalidEntry, OutOfRange


class CounterValue(NamedTuple):
    """Packets and bytes counted."""

    packets: int
    bytes: int


class CounterArray:
    """Counters of packets and bytes."""

    __slots__ = ("_bytes", "_packets", "name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.clear()

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"counter {self.name}: index {index} not in 0..{self.size - 1}")

    def read(self, index: int) -> CounterValue:
        """OutOfRange."""
        self._check(index)
        return CounterValue(self._packets[index], self._bytes[index])

    def write(self, index: int, packets: int, bytes: int) -> None:
        """OutOfRange; InvalidEntry on negative values."""
        self._check(index)
        if packets < 0 or bytes < 0:
            raise InvalidEntry(f"counter {self.name}[{index}]: negative value ({packets}, {bytes})")
        self._packets[index], self._bytes[index] = packets, bytes

    def count(self, index: int, packet_bytes: int) -> None:
        """For the data plane: account a packet; beyond the end nothing happens."""
        if 0 <= index < self.size:
            self._packets[index] += 1
            self._bytes[index] += packet_bytes

    def clear(self) -> None:
        """All back to zero."""
        self._packets = [0] * self.size
        self._bytes = [0] * self.size


class RegisterArray:
    """Cells of ``width`` bits. A written value is cut to the width."""

    __slots__ = ("_cells", "_mask", "name", "size", "width")

    def __init__(self, name: str, size: int, width: int) -> None:
        self.name = name
        self.size = size
        self.width = width
        self._mask = (1 << width) - 1
        self.clear()

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"register {self.name}: index {index} not in 0..{self.size - 1}")

    def read(self, index: int) -> int:
        """OutOfRange."""
        self._check(index)
        return self._cells[index]

    def write(self, index: int, value: int) -> None:
        """OutOfRange."""
        self._check(index)
        self._cells[index] = value & self._mask

    def get(self, index: int) -> int:
        """For the data plane: a cell, 0 beyond the end."""
        return self._cells[index] if 0 <= index < self.size else 0

    def put(self, index: int, value: int) -> None:
        """For the data plane: beyond the end nothing happens."""
        if 0 <= index < self.size:
            self._cells[index] = value & self._mask

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    def clear(self) -> None:
        """All back to zero."""
        self._cells = [0] * self.size
