"""Deadlines of a machine: one per key, handed out when they are due."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TimerQueue(Generic[K]):
    """A set of keys, each with the time (seconds) at which it is due.

    Moving or cancelling a deadline leaves its old heap entry behind; entries that no longer agree with the
    dictionary are skipped when they surface, and thrown out together when they are the majority.
    """

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, due: float) -> None:
        """Make `key` due at that time, in place of any earlier deadline it had."""
        if self._due.get(key) == due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(when, next(self._order), k) for k, when in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Forget the deadline of `key`, if it has one."""
        self._due.pop(key, None)

    def due(self, key: K) -> float | None:
        """When `key` is due; None if it has no deadline."""
        return self._due.get(key)

    def next_deadline(self) -> float | None:
        """The earliest deadline; None if there is none."""
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Iterator[K]:
        """Yield and forget each key that is due at `now`, earliest first.

        The caller may set and cancel deadlines between two keys; one set to `now` or before comes too.
        """
        while (due := self.next_deadline()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            yield key
