"""What an xTR subscribed to, and when each subscription needs attention (RFC 9437 §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

from controller.lisp import Eid
from controller.mapping.machine import EidTable, TimerQueue
from controller.xtr.config import XtrConfig
from controller.xtr.ledger import Ledger
from controller.xtr.nonces import NonceKeeper


@dataclass(slots=True)
class Subscription:
    """A subscription that a mapping system confirmed.

    `base`: nonce of the latest confirmation that was nothing else for certain; whatever was published before
    is settled by it. `confirmed`: nonce of the latest confirmation. They differ after a renewal whose nonce
    the mapping system may have used for a publication at the same time (choice C19). `renew`: when to
    subscribe again; never for one that the mapping system has by configuration. `lasting`: from ours.
    `lost`: it ended; only its nonce still counts.
    """

    link: str
    eid: Eid
    base: int
    confirmed: int
    renew: float
    lasting: bool
    lost: bool = False

    @property
    def certain(self) -> bool:
        """Whether the latest confirmation was one for certain."""
        return self.base == self.confirmed


class Duty(Enum):
    """What falls due for a subscription."""

    RENEW = auto()
    SWEEP = auto()


class Subscriptions:
    """Subscriptions by mapping system and EID-prefix."""

    def __init__(self, config: XtrConfig, nonces: NonceKeeper, ledger: Ledger) -> None:
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

    def successor(self, link: str, eid: Eid) -> int | None:
        """The nonce after the last one known of a subscription (RFC 9437 §5); None without a subscription."""
        held = self._tables[link].get(eid)
        if held is None or held.lost:
            return None
        nonce = max(self._ledger.highest(link, eid), held.confirmed) + 1
        self._nonces.used(link, nonce)
        return nonce

    def fresh_nonce(self, link: str, eid: Eid, now: float) -> int:
        """A nonce greater than all known about `eid` that no publication can have had or will have."""
        return self._nonces.subscription(link, self._ledger.highest(link, eid), now)

    def confirm(self, link: str, eid: Eid, nonce: int, now: float, *, certain: bool, lasting: bool) -> None:
        """A mapping system confirmed a subscription for `eid` with that nonce."""
        held = self._tables[link].get(eid)
        renew = now + self._config.resubscribe_after
        base = nonce if certain or held is None else held.base
        self._tables[link][eid] = Subscription(link, eid, base, nonce, renew, lasting)
        self._timers.set((link, eid, Duty.RENEW), renew)
        if self._config.sweep_after is not None:
            self._timers.set((link, eid, Duty.SWEEP), now + self._config.sweep_after)

    def configure(self, link: str, eid: Eid, nonce: int) -> None:
        """The mapping system has a subscription for `eid` with that initial nonce, without being asked."""
        self._tables[link][eid] = Subscription(link, eid, nonce, nonce, inf, lasting=True)

    def renew_within(self, subscription: Subscription, lifetime: float, now: float) -> None:
        """Renew before a record that it brought, valid for `lifetime` seconds, runs out."""
        renew = now + lifetime * self._config.resubscribe_share
        if renew < subscription.renew < inf:
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
