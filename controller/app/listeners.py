"""Who wants which group by report, and for how long: a membership that is not renewed ends (RFC 3376 section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from controller.app.membership import Change
from controller.lisp import Eid, group_eid
from controller.lisp.replication import any_source
from controller.mapping.machine import TimerQueue

# Group Membership Interval of RFC 3376 section 8.4 and RFC 3810 section 9.4 with their default values, seconds.
MEMBERSHIP_INTERVAL: Final = 260.0
# How many lists one accelerator can be in by its own word: nobody fills the tables of all.
MOST_MEMBERSHIPS: Final = 256


class Membership(NamedTuple):
    """The EIDs of an accelerator and of an (S,G) or (*,G)."""

    receiver: Eid
    group: Eid


class Listeners:
    """The memberships at one router. Times are in seconds of the caller's clock.

    What is configured stays: no report, and no silence, takes it back.
    """

    def __init__(self, interval: float = MEMBERSHIP_INTERVAL, most: int = MOST_MEMBERSHIPS) -> None:
        """`interval`: seconds that a report counts; `most`: memberships of one accelerator."""
        self._interval = interval
        self._most = most
        self._configured: set[Membership] = set()
        self._reported: dict[Eid, set[Eid]] = {}
        self._timers: TimerQueue[Membership] = TimerQueue()

    def configure(self, membership: Membership) -> None:
        """A membership that does not depend on reports."""
        self._configured.add(membership)

    def release(self, membership: Membership) -> bool:
        """It does from now on; returns whether it ends, because there is no report."""
        self._configured.discard(membership)
        return membership.group not in self._reported.get(membership.receiver, ())

    def report(
        self, iid: int, changes: Iterable[Change], receiver_of: Callable[[Eid], Eid], now: float
    ) -> Iterator[tuple[Membership, bool]]:
        """An accelerator of an Instance-ID has reported: which memberships begin (True), or end.

        `receiver_of`: who is to receive a group. Raises ValueError, after what came before it, when there is nobody
        or there are too many memberships.
        """
        for joins, address, source in changes:
            group = group_eid(iid, address, source)
            receiver = receiver_of(group)
            held = self._reported.get(receiver, set())
            if source is None:  # the whole group, or not even one source
                ended = [one for one in sorted(held) if any_source(one) == group and not (joins and one == group)]
            else:
                ended = [] if joins or group not in held else [group]
            for one in ended:
                yield from self._end(Membership(receiver, one))
            if joins:
                yield from self._begin(Membership(receiver, group), now)

    def forget(self, receiver: Eid) -> Iterator[tuple[Membership, bool]]:
        """An accelerator is gone, and what it reported with it."""
        for group in sorted(self._reported.get(receiver, ())):
            yield from self._end(Membership(receiver, group))

    def expired(self, now: float) -> Iterator[tuple[Membership, bool]]:
        """The memberships that end because they have not been renewed."""
        for membership in self._timers.pop_due(now):
            yield from self._end(membership)

    def next_deadline(self) -> float | None:
        """When the next membership ends unless it is renewed."""
        return self._timers.next_deadline()

    def _begin(self, membership: Membership, now: float) -> Iterator[tuple[Membership, bool]]:
        held = self._reported.setdefault(membership.receiver, set())
        begins = membership.group not in held
        if begins and len(held) >= self._most:
            raise ValueError(f"{membership.receiver}: {membership.group} is one more than {self._most} memberships")
        held.add(membership.group)
        self._timers.set(membership, now + self._interval)
        if begins and membership not in self._configured:
            yield membership, True

    def _end(self, membership: Membership) -> Iterator[tuple[Membership, bool]]:
        held = self._reported[membership.receiver]
        held.discard(membership.group)
        if not held:
            del self._reported[membership.receiver]
        self._timers.cancel(membership)
        if membership not in self._configured:
            yield membership, False
