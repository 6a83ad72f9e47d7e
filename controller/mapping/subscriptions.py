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

    def get(self, eid: Eid, xtr: XtrKey) -> Subscription | None:
        """The subscription of `xtr` for exactly `eid`, ended or not."""
        return (self._table.get(eid) or {}).get(xtr)

    def put(self, subscription: Subscription) -> None:
        """Insert or replace."""
        at = self._table.get(subscription.eid)
        if at is None:
            self._table[subscription.eid] = {subscription.xtr: subscription}
        else:
            at[subscription.xtr] = subscription

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
