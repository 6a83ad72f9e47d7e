"""The leases of registrations: what came in one Map-Register lives as long as the next one renews it.

All EIDs of a message that have the same timeout share one lease. Leases of one timeout stand in a line: a renewed one
goes to its end, whatever the number of EIDs and of leases.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

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

    __slots__ = ("_line", "due", "held", "intact", "timeout")

    def __init__(self, timeout: float, now: float) -> None:
        self.timeout = timeout
        self.due = now + timeout
        self.held: list[Registration] = []
        self.intact = False
        self._line: OrderedDict[Lease, None] = _NOWHERE

    def enter(self, line: OrderedDict[Lease, None]) -> None:
        """Stand at the end of a line."""
        self._line = line
        line[self] = None

    def leave(self) -> None:
        """Stand nowhere."""
        del self._line[self]
        self._line = _NOWHERE

    def renew(self, now: float) -> None:
        """Start one that holds something anew."""
        self.due = now + self.timeout
        self._line.move_to_end(self)


_NOWHERE: Final[OrderedDict[Lease, None]] = OrderedDict()


class LeaseQueue:
    """All leases that hold something, in the order of their ends. Time does not go backwards."""

    def __init__(self) -> None:
        self._lines: dict[float, OrderedDict[Lease, None]] = {}  # by timeout
        self._heap: list[tuple[float, float]] = []  # of each line a time before which none ends, and its timeout
        self._live = 0  # lines that are not empty

    def hold(self, lease: Lease, part: Registration) -> None:
        """`part` belongs to `lease` from now on."""
        lease.held.append(part)
        if len(lease.held) > 1:
            return
        line = self._lines.get(lease.timeout)
        if line is None:
            line = self._lines[lease.timeout] = OrderedDict()
            heapq.heappush(self._heap, (lease.due, lease.timeout))
        self._live += not line
        lease.enter(line)

    def release(self, lease: Lease, part: Registration) -> None:
        """`part` does not belong to `lease` any more."""
        lease.intact = False
        lease.held.remove(part)
        if lease.held:
            return
        lease.leave()
        if not self._lines[lease.timeout]:
            self._live -= 1
            if len(self._heap) > 2 * self._live + 64:
                self._lines = {timeout: line for timeout, line in self._lines.items() if line}
                self._heap = [(next(iter(line)).due, timeout) for timeout, line in self._lines.items()]
                heapq.heapify(self._heap)

    def next_deadline(self) -> float | None:
        """When the first lease ends; None if there is none."""
        heap = self._heap
        while heap:
            earliest, timeout = heap[0]
            line = self._lines[timeout]
            if not line:
                heapq.heappop(heap)
                del self._lines[timeout]
            elif (due := next(iter(line)).due) != earliest:
                heapq.heapreplace(heap, (due, timeout))
            else:
                return due
        return None

    def pop_due(self, now: float) -> Iterator[tuple[Eid, XtrKey]]:
        """Yield what each lease held that has ended, the earliest first. The caller releases each of it."""
        while (due := self.next_deadline()) is not None and due <= now:
            lease = next(iter(self._lines[self._heap[0][1]]))
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
