"""Map-cache and local database together: every change of one that shows in the other."""

from __future__ import annotations

from controller.lisp import Action, Eid, EidRecord
from controller.mapping.machine import Event
from controller.xtr.config import LocalEid
from controller.xtr.entries import DatabaseEntry, Kind, Locator, MapCacheEntry, Source
from controller.xtr.etr import Etr
from controller.xtr.links import Links
from controller.xtr.map_cache import MapCache
from controller.xtr.outputs import DatabaseChange, Output, Replay
from controller.xtr.resolver import Resolver


class Tables:
    """Changes the tables, reports what changed, and lets packets go that waited for it."""

    def __init__(self, links: Links, cache: MapCache, etr: Etr, resolver: Resolver) -> None:
        self.cache = cache
        self._links = links
        self._etr = etr
        self._resolver = resolver
        self._told: dict[Eid, DatabaseEntry] = {}
        self.touched: set[Eid] = set()
        """EIDs about which something changed, for whoever follows; it empties the set."""

    def authority(self, eid: Eid) -> str | None:
        """The mapping system that has the say about `eid`; None if any has.

        That is the one responsible for it. An own EID may be registered elsewhere only, as the gateway for
        unknown destinations is: then it is the first of those.
        """
        responsible = self._links.system_for(eid)
        mapping = self._etr.get(eid)
        if mapping is not None and self.cache.is_own(eid):
            systems = [self._links.named(name).of for name in mapping.registrations]
            if responsible not in systems:
                return systems[0] if systems else None
        return responsible

    def learn(
        self,
        record: EidRecord,
        link: str,
        source: Source,
        now: float,
        *,
        nonce: int = 0,
        lifetime: float | None = None,
    ) -> list[Output]:
        """Take over a record of a mapping system; packets that waited for it are replayed."""
        eid = record.key
        changes = self.cache.learn(record, link, source, now, nonce=nonce, lifetime=lifetime)
        outputs: list[Output] = [*changes, *self.sync_database(eid)]
        refused = self.cache.refused(record)
        if refused:
            fields = {"eid": str(eid), "link": link, "iids": " ".join(map(str, refused))}
            outputs.append(Event("extranet-locators-refused", fields))
        return outputs + self._release_inside(eid, now)

    def forget(self, eid: Eid, link: str) -> list[Output]:
        """Remove what one link told about `eid`."""
        return [*self.cache.forget(eid, link), *self.sync_database(eid)]

    def keep(self, link: str, eid: Eid, nonce: int, now: float) -> list[Output]:
        """Give what one mapping system published about EIDs in `eid` after `nonce` its full lifetime."""
        outputs: list[Output] = []
        for inside in self.learned_from(link, eid):
            learned = self.cache.learned(inside, link)
            if learned is not None and learned.nonce > nonce:
                outputs += self.learn(learned.record, link, learned.source, now, nonce=learned.nonce)
        return outputs

    def learned_from(self, link: str, eid: Eid) -> list[Eid]:
        """What one mapping system published about EIDs that `eid` covers."""
        return [
            inside
            for inside, learned in self.cache.learned_inside(eid)
            if learned.link == link and learned.source is Source.PUBLICATION
        ]

    def attached(self, local: LocalEid, now: float) -> list[Output]:
        """The ETR has a database entry that is new or changed."""
        entry = self._etr.get(local.eid)
        assert entry is not None
        shown = None
        if local.deliver:
            locators = tuple(
                Locator(rloc, locator.priority, locator.weight, locator.metadata)
                for locator in entry.locators
                if (rloc := locator.rloc) is not None
            )
            shown = MapCacheEntry(local.eid, Kind.LOCAL, locators, Action.NO_ACTION, 0, None, Source.DATABASE, "")
        outputs: list[Output] = [*self.sync_database(local.eid), *self.cache.own(local.eid, shown)]
        return outputs + self._release_inside(local.eid, now)

    def detached(self, eid: Eid, now: float, lifetime: float | None) -> list[Output]:
        """The ETR has withdrawn a database entry: its peers, if there are any, serve the EID from now on.

        If nobody will tell of changes, what is known of them is good for `lifetime` seconds; None: a
        subscription keeps it up to date.
        """
        responsible = self._links.system_for(eid)
        for learned in [learned for found, learned in self.cache.learned_inside(eid) if found == eid]:
            foreign = responsible not in (None, self._links.named(learned.link).of)
            if foreign or (lifetime is not None and not self.cache.usable(learned.record)):
                self.cache.forget(eid, learned.link)
            elif lifetime is not None:
                self.cache.learn(
                    learned.record, learned.link, learned.source, now, nonce=learned.nonce, lifetime=lifetime
                )
        return [*self.sync_database(eid), *self.cache.disown(eid)]

    def has_peers(self, eid: Eid) -> bool:
        """Whether another xTR is known to serve an own EID."""
        learned = self.cache.learned(eid)
        return learned is not None and bool(self.cache.usable(learned.record))

    def sync_database(self, eid: Eid) -> list[Output]:
        """Report the database entry of `eid` if it is not as reported last."""
        self.touched.add(eid)
        entry = self.database_entry(eid)
        if entry == self._told.get(eid):
            return []
        if entry is None:
            del self._told[eid]
        else:
            self._told[eid] = entry
        return [DatabaseChange(eid, entry)]

    def database_entry(self, eid: Eid) -> DatabaseEntry | None:
        """The database entry of exactly `eid` as it is now."""
        mapping = self._etr.get(eid)
        if mapping is None:
            return None
        learned = self.cache.learned(eid)
        locators = learned.record.locators if learned is not None else ()
        peers = tuple(rloc for locator in locators if (rloc := locator.rloc) is not None)
        links = tuple(mapping.registrations)
        return DatabaseEntry(eid, mapping.state, mapping.locators, peers, links, mapping.local.deliver)

    def release(self, eid: Eid, packets: tuple[bytes, ...]) -> list[Output]:
        """Replay packets that waited for `eid`, if there is a way to it now."""
        entry = self.cache.lookup(eid)
        passable = entry is not None and entry.kind is not Kind.NEGATIVE
        return [Replay(eid, packets)] if packets and passable else []

    def _release_inside(self, eid: Eid, now: float) -> list[Output]:
        outputs: list[Output] = []
        for request in self._resolver.waiting_inside(eid):
            entry = self.cache.lookup(request.key.eid)
            if request.lasting or request.ends or entry is None or entry.kind is Kind.NEGATIVE:
                continue
            outputs += self.release(request.key.eid, self._resolver.finish(request, now))
        return outputs
