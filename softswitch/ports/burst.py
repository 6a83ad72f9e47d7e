"""Packets that came together are processed together: the cost of waking a switch is paid once for a burst."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Burst:
    """A context manager for whoever hands over several packets, one after the other; may be nested.

    What would process each at once asks `put_off` first, and is called when the outermost burst ends.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._waiting: dict[Callable[[], None], None] = {}

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        while not self._depth and self._waiting:
            waiting, self._waiting = self._waiting, {}
            for work in waiting:
                work()

    def put_off(self, work: Callable[[], None]) -> bool:
        """Whether a burst is under way, at whose end `work` will be called, once."""
        if self._depth:
            self._waiting[work] = None
        return self._depth > 0


burst: Final = Burst()
"""Of the event loop's thread."""
