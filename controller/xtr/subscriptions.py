"""What an xTR subscribed to, and when each subscription needs attention (RFC 9437 §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from controller.lisp import Eid
from controller.mapping.machine import EidTable, NonceSource, NonceUse, TimerQueue
from controller.xtr.config import XtrConfig
from controller.xtr.ledger import Ledger


@dataclass(slots=True)
class Subscription:
    """A subscription that a mapping system confirmed.

    `base`: nonce of the latest confirmation; whatever was published before is settled by it. `renew`: when
    to subscribe again. `lasting`: from the configuration. `lost`: it ended; only its nonce still counts.
    """

    link: str
    eid: Eid
    base: int
    renew: float
    lasting: bool
    lost: bool = False


class Duty(Enum):
    """What falls due for a subscription."""

    RENEW = auto()
    SWEEP = auto()


class Subscriptions:
    """Subscriptions by mapping system and EID-prefix."""

    def __init__(self, config: XtrConfig, nonces: NonceSource, ledger: Ledger) -> None:
        self._config = config
        self._nonces = nonces
        self._ledger = ledger
        self._tables: dict[str, EidTable[Subscription]] = {link.name: EidTable() for link in config.links}
        self._timers: TimerQueue[tuple[str, Eid, Duty]] = TimerQueue()

    def get(self, link: str, eid: Eid) -> Subscription | None:
        """The subscription for exactly `eid`."""
        return self._tables[link].get(eid)

    def covering(self, link: str, eid: Eid) -> Subscription | None:
        """The most specific subscription that covers `eid` and is not lost."""
        return next((found for _, found in self._tables[link].covering(eid) if not found.lost), None)

    def active(self) -> list[Subscription]:
        """All subscriptions that are not lost."""
        return [found for table in self._tables.values() for _, found in table.items() if not found.lost]

    def next_nonce(self, link: str, eid: Eid, now: float) -> int:
        """The nonce of the next subscription request for `eid`: one more than the last known about it.

        Without a subscription it begins anew at the clock: the mapping system may remember more than we do.
        """
        known = self._ledger.highest(link, eid)
        held = self._tables[link].get(eid)
        if held is not None and not held.lost:
            return max(known, held.base) + 1
        return max(known + 1, self._nonces.first(NonceUse.SUBSCRIPTION, now))

    def confirm(self, link: str, eid: Eid, nonce: int, lasting: bool, now: float) -> None:
        """A mapping system confirmed a subscription for `eid` with that nonce."""
        held = self._tables[link].get(eid)
        renew = now + self._config.resubscribe_after
        lasting = lasting or (held is not None and held.lasting)
        self._tables[link][eid] = Subscription(link, eid, nonce, renew, lasting)
        self._timers.set((link, eid, Duty.RENEW), renew)
        if self._config.sweep_after is not None:
            self._timers.set((link, eid, Duty.SWEEP), now + self._config.sweep_after)

    def renew_within(self, subscription: Subscription, lifetime: float, now: float) -> None:
        """Renew before a record that it brought, valid for `lifetime` seconds, runs out."""
        renew = now + lifetime * self._config.resubscribe_share
        if renew < subscription.renew:
            subscription.renew = renew
            self._timers.set((subscription.link, subscription.eid, Duty.RENEW), renew)

    def lose(self, subscription: Subscription) -> None:
        """A subscription ended; its nonces stay known."""
        subscription.lost = True
        for duty in Duty:
            self._timers.cancel((subscription.link, subscription.eid, duty))

    def floor(self, link: str, eid: Eid) -> int:
        """The nonce of the confirmation that settles `eid`; -1 if nothing was ever subscribed to around it.

        That of an ended subscription counts only if no other covers the EID.
        """
        bases = [(not found.lost, found.base) for _, found in self._tables[link].covering(eid)]
        return next((base for active, base in bases if active), bases[0][1] if bases else -1)

    def due(self, now: float) -> Iterator[tuple[Subscription, Duty]]:
        """Yield each duty that is due."""
        for link, eid, duty in self._timers.pop_due(now):
            yield self._tables[link][eid], duty

    def next_deadline(self) -> float | None:
        """When the next duty is due."""
        return self._timers.next_deadline()
