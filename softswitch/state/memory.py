"""Memory with a fixed address: what the data plane counts and keeps is there, for every engine the same.

Packets and bytes, registers, meters and times of last hits exist once. The objects of this package are views of that
memory for the control plane and the reference engine; machine code reads and writes it by address.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Final, Literal

_MAPPED: Final = 1 << 16  # octets from which memory comes from the kernel, which gives pages only when they are used
_CHUNK: Final = 256  # cells

CELL_WORDS: Final = 3  # packets, bytes, last hit
METER_WORDS: Final = 10


class Memory:
    """Zeros at first. The view's elements are unsigned, of the size of the code of the array module."""

    __slots__ = ("address", "octets", "view")

    def __init__(self, octets: int, code: Literal["B", "H", "I", "Q"] = "Q") -> None:
        self.octets = max((octets + 7) // 8 * 8, 8)
        raw = mmap.mmap(-1, self.octets) if self.octets >= _MAPPED else bytearray(self.octets)
        self.view: memoryview[int] = memoryview(raw).cast(code)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(raw))

    def clear(self) -> None:
        """All zeros again."""
        ctypes.memset(self.address, 0, self.octets)


class Cell:
    """Some words of a memory: of an entry, or of a meter."""

    __slots__ = ("_at", "_memory")

    def __init__(self, memory: Memory, at: int) -> None:
        self._memory = memory
        self._at = at

    @property
    def address(self) -> int:
        """Where the words begin."""
        return self._memory.address + 8 * self._at

    def __getitem__(self, index: int) -> int:
        return self._memory.view[self._at + index]

    def __setitem__(self, index: int, value: int) -> None:
        self._memory.view[self._at + index] = value

    def part(self, index: int) -> Cell:
        """The words from an index on."""
        return Cell(self._memory, self._at + index)

    def words(self, count: int) -> list[int]:
        """The first words."""
        return self._memory.view[self._at : self._at + count].tolist()

    def fill(self, words: list[int]) -> None:
        """Write the first words."""
        for index, value in enumerate(words):
            self[index] = value


class CellPool:
    """Cells of equal size by small numbers; they never move."""

    def __init__(self, words: int) -> None:
        self.words = words
        self._chunks: list[Memory] = []

    def cell(self, number: int) -> Cell:
        """A cell, zero at first; the same number gives the same words again."""
        chunk, at = divmod(number, _CHUNK)
        while len(self._chunks) <= chunk:
            self._chunks.append(Memory(8 * self.words * _CHUNK))
        return Cell(self._chunks[chunk], at * self.words)


def detached(words: list[int]) -> Cell:
    """A cell of its own with a copy of words."""
    cell = Cell(Memory(8 * len(words)), 0)
    cell.fill(words)
    return cell
