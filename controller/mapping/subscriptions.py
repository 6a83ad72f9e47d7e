"""Who is told of which changes."""

from __future__ import annotations

from collections.abc import Iterator

from controller.lisp import Eid
from controller.mapping.machine import EidTable
from controller.mapping.store import Subscription, SubscriptionKind, XtrKey


class Subscriptions:
    """All subscriptions, the ended ones too: their nonces still protect against replays (RFC 9437 §5)."""

    def __init__(self) -> None:
        self._table: EidTable[dict[XtrKey, Subscription]] = EidTable()
        self._active: dict[XtrKey, int] = {}
        self._ended: dict[XtrKey, dict[Eid, None]] = {}
        self.active = 0
        """How many of all are active."""

    def get(self, eid: Eid, xtr: XtrKey) -> Subscription | None:
        """The subscription of `xtr` for exactly `eid`, ended or not."""
        return (self._table.get(eid) or {}).get(xtr)

    def put(self, subscription: Subscription) -> None:
        """Insert or replace."""
        eid, xtr = subscription.eid, subscription.xtr
        held = self.get(eid, xtr)
        self._count(xtr, subscription.active - (held is not None and held.active))
        ended = self._ended.setdefault(xtr, {})
        ended.pop(eid, None)
        if not subscription.active:
            ended[eid] = None
        at = self._table.get(eid)
        if at is None:
            self._table[eid] = {xtr: subscription}
        else:
            at[xtr] = subscription

    def active_of(self, xtr: XtrKey) -> int:
        """How many active subscriptions an xTR has."""
        return self._active.get(xtr, 0)

    def forget_oldest(self, xtr: XtrKey, keep: int) -> Subscription | None:
        """Remove and return the subscription of `xtr` that ended first, if more than `keep` have ended."""
        ended = self._ended.get(xtr, {})
        if len(ended) <= keep:
            return None
        eid = next(iter(ended))
        del ended[eid]
        at = self._table[eid]
        gone = at.pop(xtr)
        if not at:
            self._table.pop(eid)
        return gone

    def _count(self, xtr: XtrKey, change: int) -> None:
        self.active += change
        self._active[xtr] = self._active.get(xtr, 0) + change

    def __iter__(self) -> Iterator[Subscription]:
        for _, at in self._table.items():
            yield from at.values()

    def around(self, eid: Eid, xtr: XtrKey) -> Iterator[Subscription]:
        """The active subscriptions of `xtr` that cover `eid`, the most specific first."""
        for _, at in self._table.covering(eid):
            found = at.get(xtr)
            if found is not None and found.active:
                yield found

    def inside(self, eid: Eid, xtr: XtrKey) -> list[Subscription]:
        """The active subscriptions of `xtr` that `eid` covers."""
        held = (at.get(xtr) for _, at in self._table.inside(eid))
        return [found for found in held if found is not None and found.active]

    def following(self, eid: Eid) -> list[Subscription]:
        """One active subscription, the most specific, of each xTR that follows `eid`.

        A subscriber that muted `eid` is left out.
        """
        best: dict[XtrKey, Subscription] = {}
        for _, at in self._table.covering(eid):
            for xtr, subscription in at.items():
                if subscription.active:
                    best.setdefault(xtr, subscription)
        return [found for found in best.values() if eid not in found.muted]

    def holes(self, iid: int) -> list[Subscription]:
        """The active subscriptions to unregistered ranges of an instance-ID."""
        return [
            found for found in self if found.active and found.kind is SubscriptionKind.HOLE and found.eid.iid == iid
        ]
