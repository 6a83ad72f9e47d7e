"""What a Map-Server must still know after a restart, and the interface of whatever keeps it.

The machine works on its own memory. Every change that an answer depends on is first handed to the store, and
the answer leaves only after `commit` returned: nonces, registrations and subscriptions are then durable
before a peer can rely on them (RFC 9301 §5.6, RFC 9437 §5). Leases are not stored: refreshing one changes
nothing, and after a restart each begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

from controller.lisp import Eid, Endpoint, IPAddress
from controller.mapping.content import Terms
from controller.mapping.machine.checks import StoreError

__all__ = [
    "Change",
    "Contribution",
    "Contributions",
    "Forgotten",
    "Gone",
    "MemoryStore",
    "NonceFloor",
    "Receipt",
    "Refresh",
    "Snapshot",
    "Store",
    "StoreError",
    "Subscription",
    "SubscriptionKind",
    "Withdrawn",
    "XtrKey",
]


class XtrKey(NamedTuple):
    """Who an xTR is to the mapping system: its site, and its xTR-ID (16 octets).

    A registration without identity (I=0) is known by its source RLOC instead (choice C3).
    """

    site_id: int
    identity: bytes | IPAddress

    def __str__(self) -> str:
        who = self.identity.hex() if isinstance(self.identity, bytes) else str(self.identity)
        return f"{self.site_id}/{who}"


class Contribution(NamedTuple):
    """What one xTR registered for one EID; contributions are merged into the mapping (choice C4).

    `serial` grows with every message that registers something: of two xTRs that list the same RLOC, neither as its
    own, the later one is believed.
    """

    eid: Eid
    xtr: XtrKey
    terms: Terms
    serial: int


class Contributions(NamedTuple):
    """What one xTR registered in one message for several EIDs alike: a contribution for each of them."""

    eids: tuple[Eid, ...]
    xtr: XtrKey
    terms: Terms
    serial: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A contribution that is gone."""

    eid: Eid
    xtr: XtrKey


class Receipt(NamedTuple):
    """The last Map-Register accepted from an xTR under one key (RFC 9301 §5.6).

    `register` (its octets) and `reply` (the Map-Notify sent, if one was asked for) let a repeated datagram be
    answered alike (choice C3). `source` is where the xTR can be notified.
    """

    xtr: XtrKey
    key_id: int
    nonce: int
    register: bytes
    reply: bytes | None
    source: Endpoint


class Refresh(NamedTuple):
    """A receipt of a Map-Register that differs from others in nonce and MAC alone, and so does its reply.

    `like` is the same object for all of them, `own` has the differences: nonce, MAC, and MAC of the reply.
    """

    receipt: Receipt
    like: object
    own: bytes


class SubscriptionKind(Enum):
    """What a subscription follows."""

    MAPPING = "mapping"
    """A registered EID-prefix and its more-specifics."""
    TABLE = "table"
    """Everything registered inside a prefix of the configuration, whether or not the prefix itself is."""
    HOLE = "hole"
    """A range in which nothing is registered: follows the pETR set (choice C17)."""
    TEMPORARY = "temporary"
    """An EID that nobody has registered yet (choice C8b); ends unless that happens or it is renewed."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscriber of an EID-prefix: RFC 9437 §5.

    `nonce` is the last one used in either direction; it stays when the subscription ends (`active` False).
    `muted`: more-specifics that the subscriber asked not to be told of (RFC 9437 §5, unsubscribe).
    """

    eid: Eid
    xtr: XtrKey
    kind: SubscriptionKind
    itr_rlocs: tuple[IPAddress, ...]
    nonce: int
    active: bool = True
    muted: frozenset[Eid] = frozenset()

    def at(self, nonce: int) -> Subscription:
        """The same with another nonce."""
        return Subscription(self.eid, self.xtr, self.kind, self.itr_rlocs, nonce, self.active, self.muted)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An ended subscription that is not remembered any more."""

    eid: Eid
    xtr: XtrKey


@dataclass(frozen=True, slots=True)
class NonceFloor:
    """No subscription that an xTR had and that was forgotten used a nonce above this one."""

    xtr: XtrKey
    nonce: int


@dataclass(frozen=True, slots=True)
class Gone:
    """An EID that nobody registers any more; unless `settled`, subscribers may not know that yet."""

    eid: Eid
    settled: bool = False


Change: TypeAlias = (
    Contribution | Contributions | Withdrawn | Receipt | Refresh | Subscription | Forgotten | NonceFloor | Gone
)
"""One thing to store. Each replaces the one of its kind with the same key, or removes it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is stored."""

    contributions: tuple[Contribution, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    floors: tuple[NonceFloor, ...] = ()
    gone: tuple[Eid, ...] = ()


class Store(Protocol):
    """Keeps the state of one mapping system."""

    def load(self) -> Snapshot:
        """Everything stored so far. Raises StoreError."""

    def commit(self, changes: Iterable[Change]) -> None:
        """Make all `changes`, in their order, durable, or none of them. Raises StoreError."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._contributions: dict[tuple[Eid, XtrKey], Contribution] = {}
        self._receipts: dict[tuple[XtrKey, int], Receipt] = {}
        self._subscriptions: dict[tuple[Eid, XtrKey], Subscription] = {}
        self._floors: dict[XtrKey, NonceFloor] = {}
        self._gone: dict[Eid, None] = {}

    def load(self) -> Snapshot:
        """Everything stored so far."""
        return Snapshot(
            tuple(self._contributions.values()),
            tuple(self._receipts.values()),
            tuple(self._subscriptions.values()),
            tuple(self._floors.values()),
            tuple(self._gone),
        )

    def commit(self, changes: Iterable[Change]) -> None:
        """Take over all `changes`."""
        for change in changes:
            match change:
                case Contribution():
                    self._contributions[change.eid, change.xtr] = change
                case Contributions(eids, xtr, terms, serial):
                    self._contributions |= {(eid, xtr): Contribution(eid, xtr, terms, serial) for eid in eids}
                case Withdrawn():
                    self._contributions.pop((change.eid, change.xtr), None)
                case Receipt():
                    self._receipts[change.xtr, change.key_id] = change
                case Refresh(receipt):
                    self._receipts[receipt.xtr, receipt.key_id] = receipt
                case Subscription():
                    self._subscriptions[change.eid, change.xtr] = change
                case Forgotten():
                    self._subscriptions.pop((change.eid, change.xtr), None)
                case NonceFloor():
                    self._floors[change.xtr] = change
                case Gone(eid, settled):
                    self._gone.pop(eid, None)
                    if not settled:
                        self._gone[eid] = None
