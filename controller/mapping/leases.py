"""The leases of registrations: what came in one Map-Register lives as long as the next one renews it.

All EIDs of a message that have the same timeout share one lease. Renewing it moves one number, whatever the number
of EIDs, and the queue of deadlines learns of it only when the old deadline surfaces: each lease is moved in the
queue at most once per timeout, however often it is renewed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from controller.lisp import Eid
from controller.mapping.store import XtrKey


class Lease:
    """What one xTR registered together.

    Attributes:
        xtr: whose registrations they are.
        timeout: seconds from one renewal to the end.
        due: when it ends, seconds of the machine's clock.
        eids: the EIDs that it holds; none when it is over.
        intact: whether it holds exactly the EIDs of the Map-Register that it was learned from, and their mappings
            are what they were then. See `refresh`.
    """

    __slots__ = ("due", "eids", "intact", "timeout", "xtr")

    def __init__(self, xtr: XtrKey, timeout: float, now: float) -> None:
        self.xtr = xtr
        self.timeout = timeout
        self.due = now + timeout
        self.eids: list[Eid] = []
        self.intact = False

    def renew(self, now: float) -> None:
        """Start it anew."""
        self.due = now + self.timeout


class LeaseQueue:
    """All leases that hold something, in the order of their ends."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Lease]] = []
        self._order = count()
        self._live = 0

    def hold(self, lease: Lease, eid: Eid) -> None:
        """`eid` belongs to `lease` from now on."""
        lease.eids.append(eid)
        if len(lease.eids) == 1:
            self._live += 1
            heapq.heappush(self._heap, (lease.due, next(self._order), lease))
            if len(self._heap) > 2 * self._live + 64:
                self._heap = [entry for entry in self._heap if entry[2].eids]
                heapq.heapify(self._heap)

    def release(self, lease: Lease, eid: Eid) -> None:
        """`eid` does not belong to `lease` any more."""
        lease.intact = False
        lease.eids.remove(eid)
        if not lease.eids:
            self._live -= 1

    def next_deadline(self) -> float | None:
        """When the first lease ends; None if there is none."""
        heap = self._heap
        while heap:
            due, order, lease = heap[0]
            if not lease.eids:
                heapq.heappop(heap)
            elif lease.due != due:
                heapq.heapreplace(heap, (lease.due, order, lease))
            else:
                return due
        return None

    def pop_due(self, now: float) -> Iterator[tuple[Eid, XtrKey]]:
        """Yield what each lease held that has ended, the earliest first. The caller releases each of it."""
        while (due := self.next_deadline()) is not None and due <= now:
            lease = self._heap[0][2]
            for eid in tuple(lease.eids):
                yield eid, lease.xtr


class MessageLeases:
    """The new leases of one Map-Register of `xtr`: one for each timeout in it."""

    def __init__(self, xtr: XtrKey, now: float) -> None:
        self.xtr = xtr
        self._now = now
        self._by_timeout: dict[float, Lease] = {}

    def of(self, timeout: float) -> Lease:
        """The lease for registrations that last so many seconds."""
        lease = self._by_timeout.get(timeout)
        if lease is None:
            lease = self._by_timeout[timeout] = Lease(self.xtr, timeout, self._now)
        return lease

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._by_timeout.values())
