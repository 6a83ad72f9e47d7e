"""Small integers handed out lowest first.

The order matters: among equally good ternary entries, and for the members of a selector group, the lower
handle comes first.
"""

from __future__ import annotations

from heapq import heappop, heappush


class Handles:
    """Allocates the lowest free non-negative integer."""

    __slots__ = ("_freed", "_next")

    def __init__(self) -> None:
        self._freed: list[int] = []
        self._next = 0

    def allocate(self) -> int:
        """The lowest integer not in use."""
        if self._freed:
            return heappop(self._freed)
        self._next += 1
        return self._next - 1

    def release(self, handle: int) -> None:
        """Give back an integer that allocate() returned."""
        heappush(self._freed, handle)
