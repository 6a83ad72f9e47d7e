"""A set of numbers in ascending order, into which one is inserted at a cost that hardly grows with their count."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

_LONGEST_BLOCK: Final = 1024


class SortedNumbers:
    """Distinct numbers, kept as sorted blocks: inserting into one list of a million would move half of it."""

    __slots__ = ("_blocks", "_firsts")

    def __init__(self) -> None:
        self._blocks: list[list[int]] = []
        self._firsts: list[int] = []  # the first of each block

    def add(self, number: int) -> None:
        """Insert a number that is not there."""
        if not self._blocks:
            self._blocks.append([number])
            self._firsts.append(number)
            return
        place = self._block_of(number)
        block = self._blocks[place]
        insort(block, number)
        self._firsts[place] = block[0]
        if len(block) > _LONGEST_BLOCK:
            # Numbers often come in ascending order: blocks that are left full need the least memory.
            half = _LONGEST_BLOCK if block[-1] == number else _LONGEST_BLOCK // 2
            self._blocks.insert(place + 1, block[half:])
            self._firsts.insert(place + 1, block[half])
            self._blocks[place] = block[:half]

    def remove(self, number: int) -> None:
        """Take out a number that is there."""
        place = self._block_of(number)
        block = self._blocks[place]
        del block[bisect_left(block, number)]
        if block:
            self._firsts[place] = block[0]
        else:
            del self._blocks[place], self._firsts[place]

    def between(self, low: int, high: int) -> Iterator[int]:
        """All above `low` and up to `high`, ascending. The set must not change meanwhile."""
        place = self._block_of(low)
        while place < len(self._blocks) and self._firsts[place] <= high:
            block = self._blocks[place]
            yield from block[bisect_right(block, low) : bisect_right(block, high)]
            place += 1

    def around(self, number: int) -> list[int]:
        """The nearest number that is not above `number`, and the nearest above it, as far as there are any."""
        if not self._blocks:
            return []
        place = self._block_of(number)
        block = self._blocks[place]
        at = bisect_right(block, number)
        found = block[max(at - 1, 0) : at + 1]
        if at == len(block):
            found += self._firsts[place + 1 : place + 2]
        return found

    def _block_of(self, number: int) -> int:
        return max(bisect_right(self._firsts, number) - 1, 0)
