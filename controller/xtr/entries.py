"""The entries of an xTR's tables, as the data plane and operators see them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controller.lisp import Action, Eid, IPAddress, Metadata, RlocRecord


class Kind(Enum):
    """What a map-cache entry does with a packet."""

    FORWARD = "forward"
    """Encapsulate to one of the locators."""
    NEGATIVE = "negative"
    """Do what `action` says."""
    LOCAL = "local"
    """Deliver here: the EID is attached, in its own instance-ID or in that of its locators (an extranet)."""


class Source(Enum):
    """Where an entry comes from."""

    REPLY = "reply"
    PUBLICATION = "publication"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Locator:
    """An RLOC to encapsulate to: of those with the lowest `priority`, in proportion to `weight` (RFC 9300 §12).

    `reachable`: False while probes of it go unanswered or the underlay has no way to it. `iid`: the instance-ID
    to encapsulate with, None for that of the EID (an extranet has another).
    """

    rloc: IPAddress
    priority: int
    weight: int
    metadata: Metadata | None = None
    reachable: bool = True
    iid: int | None = None


@dataclass(frozen=True, slots=True)
class MapCacheEntry:
    """A map-cache entry.

    `locators`: the usable ones, sorted by address, and only for FORWARD; LOCAL has the own ones. `action`
    counts for NEGATIVE. `ttl` in minutes; `expires` in seconds of the machine's clock, None for an own EID.
    `link`: the mapping system it comes from, empty for an own EID.
    """

    eid: Eid
    kind: Kind
    locators: tuple[Locator, ...]
    action: Action | int
    ttl: int
    expires: float | None
    source: Source
    link: str

    @property
    def acc_id(self) -> int | None:
        """The binary accelerator id, 32 bits, that Scale-Up frames to this EID carry; None if not told alike."""
        found = {locator.metadata.acc_id for locator in self.locators if locator.metadata is not None}
        return found.pop() if len(found) == 1 else None

    @property
    def provider(self) -> int | None:
        """The instance-ID in which the EID is reached, where it is another than its own (an extranet)."""
        return self.locators[0].iid if self.locators else None

    def forwards_like(self, other: MapCacheEntry | None) -> bool:
        """Whether both do the same with a packet, whatever their lifetime and origin."""
        return other is not None and (self.kind, self.locators, self.action) == (
            other.kind,
            other.locators,
            other.action,
        )


class DatabaseState(Enum):
    """Life of a database entry."""

    REGISTERING = "registering"
    """A mapping system has not acknowledged it yet."""
    REGISTERED = "registered"
    """Every mapping system has acknowledged it."""
    WITHDRAWN = "withdrawn"
    """Detached; stays until every mapping system has acknowledged that (requirement SO-PATH-7)."""


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """A local EID: how it is registered, and with whom it is shared.

    `locators`: what this xTR registers. `peers`: the whole RLOC-set as the mapping system last told it, own
    RLOCs included; the view that multihoming xTRs share (requirement MH-MRG-9).
    """

    eid: Eid
    state: DatabaseState
    locators: tuple[RlocRecord, ...]
    peers: tuple[IPAddress, ...]
    links: tuple[str, ...]
    deliver: bool
