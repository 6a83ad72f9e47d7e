"""The map-cache: what mapping systems told, as far as it is not about an EID of our own.

Of several nodes of one mapping system, what one told last is valid until it takes that back; then it is what another
told. So an EID is gone when no node knows it.

What was told about an own EID is kept too, out of sight: it says who else serves the EID, and it is what to
forward by from the moment the EID is detached here.

A locator may want packets encapsulated with another instance-ID than that of their EID (an extranet, by policy of the
mapping system). All locators of an entry have one and the same; if this xTR is one of them, the EID of the other
instance-ID may be attached here, and is then delivered to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from controller.lisp import Action, Eid, EidRecord, IPAddress, RlocRecord
from controller.lisp.constants import PRIORITY_UNUSABLE, TTL_RECEIVER_DECIDES
from controller.mapping.machine import EidTable, TimerQueue
from controller.xtr.entries import Kind, Locator, MapCacheEntry, Source
from controller.xtr.outputs import MapCacheChange

_SECONDS_PER_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A record from a mapping system: `link`, how it came, its nonce if published, and when it expires."""

    record: EidRecord
    link: str
    source: Source
    nonce: int
    expires: float


class MapCache:
    """Entries by EID with longest-prefix match; every change of an entry is returned for the data plane."""

    def __init__(self, rlocs: tuple[IPAddress, ...], default_ttl: int, *, extranets: bool = False) -> None:
        self._extranets = extranets
        self._rlocs = frozenset(rlocs)
        self._default_ttl = default_ttl
        self._learned: EidTable[dict[str, Learned]] = EidTable()
        self._own: dict[Eid, MapCacheEntry | None] = {}
        self._entries: EidTable[MapCacheEntry] = EidTable()
        self._subscribers: dict[int, set[int]] = {}  # instance-IDs that were told of locators in another one
        self._expiry: TimerQueue[tuple[Eid, str]] = TimerQueue()

    def lifetime(self, record: EidRecord) -> float:
        """How long a record is valid, in seconds."""
        ttl = self._default_ttl if record.ttl == TTL_RECEIVER_DECIDES else record.ttl
        return ttl * _SECONDS_PER_MINUTE

    def learn(
        self, record: EidRecord, link: str, source: Source, now: float, *, nonce: int = 0, lifetime: float | None = None
    ) -> list[MapCacheChange]:
        """Take over a record, for `lifetime` seconds if that is shorter than its TTL."""
        eid = record.key
        seconds = self.lifetime(record)
        expires = now + (seconds if lifetime is None else min(seconds, lifetime))
        told = self._learned.get(eid) or {}
        told.pop(link, None)
        told[link] = Learned(record, link, source, nonce, expires)
        self._learned[eid] = told
        self._expiry.set((eid, link), expires)
        for provider in _foreign_iids(record):
            self._subscribers.setdefault(provider, set()).add(eid.iid)
        return self._refresh(eid)

    def forget(self, eid: Eid, link: str) -> list[MapCacheChange]:
        """Remove what one mapping system, or node of it, told about `eid`."""
        told = self._learned.get(eid)
        if told is not None and told.pop(link, None) is not None and not told:
            self._learned.pop(eid)
        self._expiry.cancel((eid, link))
        return self._refresh(eid)

    def own(self, eid: Eid, entry: MapCacheEntry | None) -> list[MapCacheChange]:
        """Put a local entry, or none, in place of whatever is learned about an own EID."""
        self._own[eid] = entry
        return self._refresh(eid) + self._refresh_subscribers(eid)

    def disown(self, eid: Eid) -> list[MapCacheChange]:
        """`eid` is not local any more: what is learned about it counts again."""
        self._own.pop(eid, None)
        return self._refresh(eid) + self._refresh_subscribers(eid)

    def is_own(self, eid: Eid) -> bool:
        """Whether `eid` is in the local database and attached."""
        return eid in self._own

    def lookup(self, eid: Eid) -> MapCacheEntry | None:
        """The entry for a packet to `eid`: the longest match."""
        found = self._entries.longest_match(eid)
        return found[1] if found else None

    def learned(self, eid: Eid, link: str | None = None) -> Learned | None:
        """What was told about exactly `eid`: by one link, or last by any."""
        told = self._learned.get(eid)
        if not told:
            return None
        return told.get(link) if link is not None else told[next(reversed(told))]

    def learned_inside(self, eid: Eid) -> Iterator[tuple[Eid, Learned]]:
        """What every link told about EIDs that `eid` covers. Do not change the map-cache while iterating."""
        for inside, told in self._learned.inside(eid):
            for learned in told.values():
                yield inside, learned

    def entries(self) -> list[MapCacheEntry]:
        """All entries in the order of their EIDs."""
        return [self._entries[eid] for eid in sorted(self._entries)]

    def expired(self, now: float) -> Iterator[tuple[Eid, str, list[MapCacheChange]]]:
        """Remove and yield what has reached the end of its TTL, and which link had told it."""
        for eid, link in self._expiry.pop_due(now):
            yield eid, link, self.forget(eid, link)

    def next_deadline(self) -> float | None:
        """When the next entry expires."""
        return self._expiry.next_deadline()

    def usable(self, record: EidRecord) -> tuple[Locator, ...]:
        """The locators to encapsulate to: not ourselves, and none that must not be used (RFC 9300 §12).

        All with the instance-ID of the best of them, for a packet's tunnel can have but one.
        """
        iid = record.key.iid
        found = [
            Locator(rloc, locator.priority, locator.weight, locator.metadata, iid=foreign_iid(locator, iid))
            for locator in record.locators
            if (rloc := locator.rloc) is not None
            and rloc not in self._rlocs
            and locator.priority != PRIORITY_UNUSABLE
            and locator.reachable
            and (self._may_cross(record.key) or foreign_iid(locator, iid) is None)
        ]
        best = min(found, key=lambda locator: locator.priority, default=None)
        return tuple(locator for locator in found if best is not None and locator.iid == best.iid)

    def refused(self, record: EidRecord) -> list[int]:
        """The instance-IDs that locators want packets encapsulated with although that cannot be."""
        foreign = _foreign_iids(record)
        if foreign and self._may_cross(record.key):
            used = {locator.iid for locator in self.usable(record)}
            foreign = foreign - used if used else set()
        return sorted(foreign)

    def _may_cross(self, eid: Eid) -> bool:
        """Whether packets to an EID may be encapsulated with another instance-ID; the data plane can do it for IP."""
        return self._extranets and isinstance(eid.target, (IPv4Network, IPv6Network))

    def _refresh(self, eid: Eid) -> list[MapCacheChange]:
        before = self._entries.get(eid)
        after = self._effective(eid)
        if after is None:
            self._entries.pop(eid)
            return [MapCacheChange(eid, None)] if before is not None else []
        self._entries[eid] = after
        return [] if after.forwards_like(before) else [MapCacheChange(eid, after)]

    def _effective(self, eid: Eid) -> MapCacheEntry | None:
        if eid in self._own:
            return self._own[eid]
        learned = self.learned(eid)
        if learned is None:
            return None
        record = learned.record
        attached = self._attached_in_another(record)
        if attached is not None:
            return replace(
                attached, eid=eid, ttl=record.ttl, expires=learned.expires, source=learned.source, link=learned.link
            )
        locators = self.usable(record)
        kind = Kind.FORWARD if locators else Kind.NEGATIVE
        # A mapping whose locators are all out of use leaves no way to go; asking again would not help.
        action = Action.NO_ACTION if locators else Action.DROP if record.locators else record.action
        return MapCacheEntry(eid, kind, locators, action, record.ttl, learned.expires, learned.source, learned.link)

    def _attached_in_another(self, record: EidRecord) -> MapCacheEntry | None:
        """The local entry of the EID that a record of an extranet speaks of; its locators name the instance-ID."""
        for locator in record.locators if self._may_cross(record.key) else ():
            iid = foreign_iid(locator, record.key.iid)
            if iid is not None and locator.rloc in self._rlocs:
                entry = self._own.get(Eid(iid, record.key.target))
                if entry is not None:
                    return replace(entry, locators=tuple(replace(one, iid=iid) for one in entry.locators))
        return None

    def _refresh_subscribers(self, eid: Eid) -> list[MapCacheChange]:
        """An own EID has changed: so may have what other instance-IDs know as theirs."""
        changes = []
        for iid in sorted(self._subscribers.get(eid.iid, ())):
            changes += self._refresh(Eid(iid, eid.target))
        return changes


def _foreign_iids(record: EidRecord) -> set[int]:
    found = {foreign_iid(locator, record.key.iid) for locator in record.locators}
    return {iid for iid in found if iid is not None}


def foreign_iid(locator: RlocRecord, iid: int) -> int | None:
    """The instance-ID that a locator wants packets encapsulated with, if it is not `iid`, that of their EIDs."""
    return locator.iid if locator.iid != iid else None
