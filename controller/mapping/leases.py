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
from controller.mapping.content import Terms
from controller.mapping.store import XtrKey


class Registration:
    """What one xTR registered for one EID, and the `lease` that holds it. `serial`: see `Contribution`."""

    __slots__ = ("eid", "lease", "serial", "terms", "xtr")

    def __init__(self, eid: Eid, xtr: XtrKey, terms: Terms, serial: int, lease: Lease) -> None:
        self.eid = eid
        self.xtr = xtr
        self.terms = terms
        self.serial = serial
        self.lease = lease


class Lease:
    """What one xTR registered together.

    Attributes:
        timeout: seconds from one renewal to the end.
        due: when it ends, seconds of the machine's clock.
        held: the registrations that it holds; none when it is over.
        intact: whether it holds exactly the EIDs of the Map-Register that it was learned from, and their mappings
            are what they were then. See `refresh`.
    """

    __slots__ = ("due", "held", "intact", "timeout")

    def __init__(self, timeout: float, now: float) -> None:
        self.timeout = timeout
        self.due = now + timeout
        self.held: list[Registration] = []
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

    def hold(self, lease: Lease, part: Registration) -> None:
        """`part` belongs to `lease` from now on."""
        lease.held.append(part)
        if len(lease.held) == 1:
            self._live += 1
            heapq.heappush(self._heap, (lease.due, next(self._order), lease))
            if len(self._heap) > 2 * self._live + 64:
                self._heap = [entry for entry in self._heap if entry[2].held]
                heapq.heapify(self._heap)

    def release(self, lease: Lease, part: Registration) -> None:
        """`part` does not belong to `lease` any more."""
        lease.intact = False
        lease.held.remove(part)
        if not lease.held:
            self._live -= 1

    def next_deadline(self) -> float | None:
        """When the first lease ends; None if there is none."""
        heap = self._heap
        while heap:
            due, order, lease = heap[0]
            if not lease.held:
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
            for part in tuple(lease.held):
                yield part.eid, part.xtr


class MessageLeases:
    """The new leases of one Map-Register: one for each timeout in it."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._by_timeout: dict[float, Lease] = {}

    def of(self, timeout: float) -> Lease:
        """The lease for registrations that last so many seconds."""
        lease = self._by_timeout.get(timeout)
        if lease is None:
            lease = self._by_timeout[timeout] = Lease(timeout, self._now)
        return lease

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._by_timeout.values())
