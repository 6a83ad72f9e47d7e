"""Groups at one xTR: what it is designated for, which lists it joins, and what follows for the data plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from controller.lisp import DistinguishedName, Eid, EidRecord, IPAddress
from controller.lisp.constants import PRIORITY_UNUSABLE, TTL_RECEIVER_DECIDES
from controller.lisp.replication import can_receive
from controller.mapping.machine import EidTable, Event, Send, TimerQueue
from controller.xtr.config import XtrConfig
from controller.xtr.entries import Source
from controller.xtr.etr import Etr
from controller.xtr.links import Links
from controller.xtr.multicast.claims import ClaimKey, Claims
from controller.xtr.multicast.election import Proof, Unit, rank
from controller.xtr.multicast.entries import Designation, Replication, ReplicationChange
from controller.xtr.multicast.lists import ReplicationLists
from controller.xtr.nonces import NonceKeeper
from controller.xtr.tables import Tables

Change: TypeAlias = Send | Event | ReplicationChange

_SECONDS_PER_MINUTE: Final = 60.0


class UnitKey(NamedTuple):
    """One reason to be in a list: a receiver that is to be served, or None for the Site at its border."""

    link: str
    group: Eid
    receiver: Eid | None


class View(NamedTuple):
    """The xTRs of a receiver as notifications have it, and since when."""

    rlocs: frozenset[IPAddress]
    at: float


class Multicast:
    """Receivers, elections and replication of one xTR. After every input, `review` says what changed."""

    def __init__(self, config: XtrConfig, links: Links, nonces: NonceKeeper, etr: Etr, tables: Tables) -> None:
        settings = config.multicast
        self._config = config
        self._settings = settings
        self._etr = etr
        self._tables = tables
        self._pod = settings.pod_link or config.links[0].name
        self._own = config.rlocs[0]
        self.lists = ReplicationLists(tuple(link.name for link in config.links))
        self.claims = Claims(config, links, nonces)
        self._joined: dict[Eid, set[Eid]] = {}
        self._groups_of: dict[Eid, set[Eid]] = {}
        self._attached: dict[int, set[Eid]] = {}
        self._registered: dict[Eid, Proof] = {}
        self._views: dict[Eid, View] = {}
        self._units: dict[UnitKey, Unit] = {}
        self._told: EidTable[Replication | None] = EidTable()
        """Every group about which there is something to say or to do, and its entry as last reported."""
        self._dirty: set[Eid] = set()
        self._timers: TimerQueue[Eid] = TimerQueue()

    def join(self, receiver: Eid, group: Eid) -> bool:
        """An accelerator wants to receive a group; False if that was known."""
        if receiver in self._joined.setdefault(group, set()):
            return False
        self._joined[group].add(receiver)
        self._groups_of.setdefault(receiver, set()).add(group)
        self._dirty.add(group)
        return True

    def leave(self, receiver: Eid, group: Eid) -> bool:
        """An accelerator does not want a group any more; False if it did not before."""
        if receiver not in self._joined.get(group, ()):
            return False
        self._joined[group].discard(receiver)
        self._groups_of[receiver].discard(group)
        self._dirty.add(group)
        return True

    def joined(self, group: Eid) -> frozenset[Eid]:
        """The accelerators that asked for a group, attached or not."""
        return frozenset(self._joined.get(group, ()))

    def learn(
        self, record: EidRecord, link: str, source: Source, now: float, *, nonce: int = 0, lifetime: float | None = None
    ) -> None:
        """A mapping system says who receives a group; for `lifetime` seconds if its TTL is not shorter."""
        ttl = self._config.default_ttl if record.ttl == TTL_RECEIVER_DECIDES else record.ttl
        valid = now + ttl * _SECONDS_PER_MINUTE
        expires = valid if lifetime is None else min(valid, now + lifetime)
        self.lists.learn(link, record, source, nonce, valid, expires)

    def acknowledged(self, link: str, nonce: int, records: tuple[EidRecord, ...], now: float) -> Eid | None:
        """A mapping system acknowledged a Map-Register for a group; None if that nonce is no such."""
        group = self.claims.acknowledged(link, nonce, records, now)
        if group is not None:
            self._dirty.add(group)
        return group

    def registered(self, link: str, record: EidRecord, sent: float) -> None:
        """A mapping system acknowledged the registration of an own EID, at the earliest one from `sent`."""
        if link == self._pod:
            self._registered[record.key] = Proof(sent, self._usable(record))
            self._tables.touched.add(record.key)

    def tick(self, now: float) -> list[Change]:
        """Do what is due; `review` has to follow."""
        self.lists.expire(now)
        self._dirty.update(self._timers.pop_due(now))
        return list(self.claims.tick(now))

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = (self.lists.next_deadline(), self.claims.next_deadline(), self._timers.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def review(self, now: float) -> list[Change]:
        """Bring everything in line with what changed since the last time."""
        news = frozenset(self.lists.changed)
        self.lists.changed.clear()
        dirty = self._dirty | news
        self._dirty = set()
        for eid in self._tables.touched:
            dirty |= self._touched(eid, now)
        self._tables.touched.clear()
        for group in dirty:
            if group not in self._told:
                self._told[group] = None
        affected = {inside for group in dirty for inside, _ in self._told.inside(group)}
        outputs: list[Change] = []
        for group in sorted(dirty):
            outputs += self._elect(group, group in news, now)
        changes: list[Change] = []
        for group in sorted(affected):
            changes += self._report(group)
        return [*changes, *outputs]  # who leaves a list stops forwarding first

    def entries(self) -> list[Replication]:
        """What is to be done with packets to groups, in the order of the groups."""
        found = (self._told[group] for group in sorted(self._told))
        return [entry for entry in found if entry is not None]

    def designations(self) -> list[Designation]:
        """What this xTR is designated for, or claims to be, in the order of the groups."""
        claimed = (key for key, unit in self._units.items() if unit.wanted is not None)
        ordered = sorted(claimed, key=lambda key: (key.group, key.link, str(key.receiver)))
        return [Designation(*key, self._units[key].granted) for key in ordered]

    def _touched(self, eid: Eid, now: float) -> set[Eid]:
        """The groups that a change of an EID's RLOC-set or database entry concerns."""
        mapping = self._etr.get(eid)
        here = self._attached.setdefault(eid.iid, set())
        if mapping is not None and not mapping.withdrawn and mapping.local.deliver:
            here.add(eid)
            view = self._told_of(eid)
            if eid not in self._views or self._views[eid].rlocs != view:
                self._views[eid] = View(view, now)
        else:
            here.discard(eid)
            self._registered.pop(eid, None)
            self._views.pop(eid, None)
        groups = set(self._groups_of.get(eid, ()))
        groups |= {group for group in self._settings.broadcast if can_receive(eid, group)}
        if self._settings.fabric_link and eid == self._common(eid.iid):
            groups |= {group for group in self._told if group.iid == eid.iid}
        return groups

    def _receivers(self, group: Eid) -> set[Eid]:
        """The attached accelerators that receive exactly this group."""
        here = self._attached.get(group.iid, set())
        if group in self._settings.broadcast:
            return {eid for eid in here if can_receive(eid, group)}
        return self._joined.get(group, set()) & here

    def _elect(self, group: Eid, news: bool, now: float) -> list[Change]:
        """See what this xTR is to be found for, and join or leave lists accordingly."""
        before = {key for key in self._units if key.group == group and self._units[key].granted}
        deadlines: list[float | None] = []
        outputs: list[Change] = []
        reasons = {self._pod: self._access(group, now, deadlines, outputs)}
        if self._settings.fabric_link:
            for link, keys in self._border(group, now, deadlines).items():
                reasons[link] = reasons.get(link, []) + keys
        kept = {key for keys in reasons.values() for key in keys}
        for key in [key for key in self._units if key.group == group and key not in kept]:
            del self._units[key]
        for link, keys in reasons.items():
            outputs += self._settle(ClaimKey(link, group), keys, news, now, deadlines)
        after = {key for key in kept if self._units[key].granted}
        due = min((deadline for deadline in deadlines if deadline is not None), default=None)
        if due is None:
            self._timers.cancel(group)
        else:
            self._timers.set(group, due)
        return [*self._events(before, after), *outputs]

    def _access(self, group: Eid, now: float, deadlines: list[float | None], outputs: list[Change]) -> list[UnitKey]:
        """A unit for each attached receiver."""
        listed = self.lists.listed(self._pod, group)
        keys: list[UnitKey] = []
        for receiver in self._receivers(group):
            key = UnitKey(self._pod, group, receiver)
            unit = self._units.setdefault(key, Unit())
            keys.append(key)
            self._claim(unit, group, self._candidates(receiver), listed, now, deadlines)
            if self._unsure(receiver):
                outputs += self._etr.refresh(receiver, self._pod, now)
        return keys

    def _border(self, group: Eid, now: float, deadlines: list[float | None]) -> dict[str, list[UnitKey]]:
        """Units of the Site: in the PoD's list if others want what the PoD sends, and the other way round."""
        settings = self._settings
        outside = self.lists.listed(settings.fabric_link, group) - settings.site_rlocs - {self._own}
        inside = self.lists.listed(self._pod, group) - settings.borders - {self._own}
        common = self._common(group.iid)
        mapping = self._etr.get(common)
        candidates = self._told_of(common) if mapping is not None and not mapping.withdrawn else frozenset()
        if settings.borders:
            candidates &= settings.borders
        found: dict[str, list[UnitKey]] = {self._pod: [], settings.fabric_link: []}
        for link, wanted in ((self._pod, outside), (settings.fabric_link, inside)):
            if wanted:
                key = UnitKey(link, group, None)
                unit = self._units.setdefault(key, Unit())
                found[link].append(key)
                self._claim(unit, group, candidates, self.lists.listed(link, group), now, deadlines)
        return found

    def _claim(
        self,
        unit: Unit,
        group: Eid,
        candidates: frozenset[IPAddress],
        listed: frozenset[IPAddress],
        now: float,
        deadlines: list[float | None],
    ) -> None:
        if self._own not in candidates:
            unit.renounce()
            return
        order = rank(group, candidates)
        deadlines.append(unit.claim(order[: order.index(self._own)], listed, self._settings.patience, now))

    def _settle(
        self, key: ClaimKey, units: list[UnitKey], news: bool, now: float, deadlines: list[float | None]
    ) -> list[Send]:
        """Be in a list if there is a reason, and see which reasons the mapping system has granted."""
        claimed = [name for name in units if self._units[name].wanted is not None]
        if not claimed:
            # Said by news only: once a withdrawal is acknowledged, what was told before is out of date.
            left_behind = news and self._own in self.lists.listed(*key) and not self.claims.waits(key)
            return self.claims.leave(key, now) if self.claims.joined(key) or left_behind else []
        sends = self.claims.join(key, now)
        for name in claimed:
            if name.receiver is None:
                self._grant_site(key, self._units[name], now, deadlines)
            else:
                sends += self._grant_receiver(key, name.receiver, self._units[name], now, deadlines)
        waiting = [unit for name in claimed if not (unit := self._units[name]).granted and unit.wanted is not None]
        proof = self.claims.proof(key)
        if waiting and proof is not None:
            ask_again = proof.sent + self._settings.poll
            if (
                now >= ask_again
                or news
                or any(unit.wanted is not None and proof.sent < unit.wanted for unit in waiting)
            ):
                sends += self.claims.renew(key, now)
            else:
                deadlines.append(ask_again)
        return sends

    def _grant_site(self, key: ClaimKey, unit: Unit, now: float, deadlines: list[float | None]) -> None:
        """A border may forward for its Site when no other border is in the list."""
        proof = self.claims.proof(key)
        if proof is None or unit.wanted is None:
            return
        leased_until = proof.sent + self._settings.registration_timeout
        if now >= leased_until:
            unit.lapse(now)
        elif unit.granted or proof.sent >= unit.wanted:
            borders = self._settings.borders or self._told_of(self._common(key.group.iid))
            deadlines.append(unit.grant(proof.rlocs & borders - {self._own}, leased_until, None, now))

    def _grant_receiver(
        self, key: ClaimKey, receiver: Eid, unit: Unit, now: float, deadlines: list[float | None]
    ) -> list[Send]:
        """An xTR may forward to a receiver when nobody is in the list that the receiver is attached to as well.

        Both have to be read after both have been written: the list and the receiver's RLOC-set.
        """
        proof, attached = self.claims.proof(key), self._registered.get(receiver)
        if proof is None or attached is None or unit.wanted is None:
            return []
        leased_until = min(proof.sent, attached.sent) + self._settings.registration_timeout
        if now >= leased_until:
            unit.lapse(now)
            return []
        # Somebody better who has both: seen here even if no notification arrives.
        best = rank(key.group, (attached.rlocs & proof.rlocs) | {self._own})[0] == self._own
        if unit.granted and best:
            deadlines.append(leased_until)
            return []
        if unit.granted:
            unit.renounce()
            return []
        if proof.sent < unit.wanted:
            return []
        mapping = self._etr.get(receiver)
        known = self._candidates(receiver).union(mapping.local.cabled if mapping is not None else ())
        rivals = (known | attached.rlocs) & proof.rlocs - {self._own}
        written = max(unit.wanted, self.claims.since(key))
        if rivals and attached.sent < written:
            return self._etr.refresh(receiver, self._pod, now)
        hold = self._settings.hold if best else None
        deadlines.append(unit.grant(rivals & attached.rlocs, leased_until, hold, now))
        return [] if unit.granted else self._ask_again(receiver, attached, now, deadlines)

    def _ask_again(self, receiver: Eid, attached: Proof, now: float, deadlines: list[float | None]) -> list[Send]:
        """See every now and then whether a rival has left the receiver's RLOC-set."""
        due = attached.sent + self._settings.poll
        if now >= due:
            return self._etr.refresh(receiver, self._pod, now)
        deadlines.append(due)
        return []

    def _candidates(self, receiver: Eid) -> frozenset[IPAddress]:
        """The xTRs that serve an attached receiver, by notification or acknowledgement, whichever is newer.

        Nobody, as long as its registration here is not acknowledged.
        """
        attached, view = self._registered.get(receiver), self._views.get(receiver)
        if attached is None or view is None:
            return frozenset()
        return view.rlocs if view.at > attached.sent else attached.rlocs

    def _unsure(self, receiver: Eid) -> bool:
        """Whether a notification may be older than the acknowledgement: only another one can tell."""
        attached, view = self._registered.get(receiver), self._views.get(receiver)
        return attached is not None and view is not None and view.at > attached.sent and view.rlocs != attached.rlocs

    def _told_of(self, eid: Eid) -> frozenset[IPAddress]:
        """The xTRs that serve an EID, as the mapping system last notified (requirement MH-MRG-9)."""
        learned = self._tables.cache.learned(eid)
        return self._usable(learned.record) if learned is not None else frozenset()

    def _usable(self, record: EidRecord) -> frozenset[IPAddress]:
        """Those of an RLOC-set that can take part: each xTR with one RLOC, and none that must not be used."""
        found = frozenset(
            rloc
            for locator in record.locators
            if (rloc := locator.rloc) is not None
            and locator.reachable
            and locator.priority != PRIORITY_UNUSABLE
            and rloc.version == self._own.version
        )
        return found & self._settings.site_rlocs if self._settings.site_rlocs else found

    def _report(self, group: Eid) -> list[Change]:
        """Report the entry of a group if it is not as reported last; forget a group that nothing is left of."""
        before = self._told[group]
        entry = self._entry(group) or None
        listed = any(self.lists.listed(link.name, group) for link in self._config.links)
        if entry is None and not self._joined.get(group) and not listed and not self._receivers(group):
            self._told.pop(group)
            self._joined.pop(group, None)
        else:
            self._told[group] = entry
        return [] if entry == before else [ReplicationChange(group, entry)]

    def _entry(self, group: Eid) -> Replication:
        settings, lists, own = self._settings, self.lists, self._own
        receivers: set[Eid] = set()
        fabric: set[IPAddress] = set()
        pod: set[IPAddress] = set()
        for covering, _ in self._told.covering(group):
            receivers |= {one for one in self._receivers(covering) if self._granted(self._pod, covering, one)}
            if not settings.fabric_link:
                pod |= lists.listed(self._pod, covering)
                continue
            if self._granted(self._pod, covering, None):
                fabric |= lists.listed(settings.fabric_link, covering) - settings.site_rlocs
            if self._granted(settings.fabric_link, covering, None):
                pod |= lists.listed(self._pod, covering) - settings.borders
        return Replication(group, tuple(sorted(receivers)), _in_order(pod - {own}), _in_order(fabric - {own}))

    def _granted(self, link: str, group: Eid, receiver: Eid | None) -> bool:
        unit = self._units.get(UnitKey(link, group, receiver))
        return unit is not None and unit.granted

    def _common(self, iid: int) -> Eid:
        return Eid(iid, DistinguishedName(self._settings.common_name))

    @staticmethod
    def _events(before: set[UnitKey], after: set[UnitKey]) -> Iterator[Event]:
        for name, keys in (("designation-lost", before - after), ("designation-won", after - before)):
            for key in sorted(keys, key=str):
                who = str(key.receiver) if key.receiver is not None else "site"
                yield Event(name, {"group": str(key.group), "for": who, "link": key.link})


def _in_order(rlocs: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
    return tuple(sorted(rlocs, key=lambda rloc: (rloc.version, int(rloc))))
