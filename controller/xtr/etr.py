"""The ETR: the local database, and keeping it registered (RFC 9301 §8.2; wire reference 4.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from controller.lisp import Eid, EidRecord, MapRegister, RlocRecord, XtrIdentity, with_metadata
from controller.lisp.constants import PRIORITY_UNUSABLE, TTL_REMOVE
from controller.mapping.machine import Event, Packing, Send, TimerQueue, record_size
from controller.xtr.config import LocalEid, XtrConfig
from controller.xtr.entries import DatabaseState
from controller.xtr.links import Links
from controller.xtr.nonces import NonceKeeper

_REMEMBERED_NONCES: Final = 16
SILENT_AFTER: Final = 3
"""As many unanswered messages in a row make a node of a mapping system count as silent."""


@dataclass(slots=True)
class Registration:
    """One EID at one mapping system.

    `nonces` of the Map-Registers sent since the content last changed or was acknowledged: a Map-Notify with
    any of them acknowledges the present content. `since`: when the first of them was sent. `retry`: seconds
    until the next repetition. `quick_until`: until then it is refreshed more often.
    """

    nonces: set[int] = field(default_factory=set)
    since: float = 0.0
    retry: float = 0.0
    quick_until: float = 0.0
    acknowledged: bool = False


@dataclass(slots=True)
class LocalMapping:
    """An entry of the local database; `record` is what its Map-Registers say.

    `room`: octets that it takes there, and as much again for its locators: the acknowledgement has those of
    another xTR too, and shall need no fragments either.
    """

    local: LocalEid
    locators: tuple[RlocRecord, ...]
    record: EidRecord
    room: int
    withdrawn: bool = False
    registrations: dict[str, Registration] = field(default_factory=dict)

    @property
    def state(self) -> DatabaseState:
        """Where it is in its life."""
        if self.withdrawn:
            return DatabaseState.WITHDRAWN
        done = all(registration.acknowledged for registration in self.registrations.values())
        return DatabaseState.REGISTERED if done else DatabaseState.REGISTERING


class Etr:
    """Registers the local database and withdraws what leaves it.

    What is due at the same time in one instance-ID for the same mapping system shares Map-Registers, as many as fit.
    """

    def __init__(self, config: XtrConfig, links: Links, nonces: NonceKeeper) -> None:
        self._config = config
        self._links = links
        self._identity = XtrIdentity(config.xtr_id, config.site_id)
        self._nonces = nonces
        self._packings = {
            link.name: Packing(link.address.version, config.path_mtu, identified=True) for link in config.links
        }
        self._database: dict[Eid, LocalMapping] = {}
        self._outstanding: dict[tuple[str, int], set[Eid]] = {}
        self._timers: TimerQueue[tuple[Eid, str]] = TimerQueue()
        self.silent: set[str] = set()
        """Links that have left several Map-Registers in a row unanswered."""

    def get(self, eid: Eid) -> LocalMapping | None:
        """The database entry of exactly `eid`."""
        return self._database.get(eid)

    def eids(self) -> list[Eid]:
        """The EIDs of the database in their order."""
        return sorted(self._database)

    def put(self, local: LocalEid, now: float) -> bool:
        """Insert or change a database entry, not yet registered; False if it is there and does not change.

        A mapping system that a changed entry names no more forgets it when the registration times out.
        """
        responsible = self._links.responsible(local.eid)
        named = local.links or ((responsible.name,) if responsible is not None else ())
        links = tuple(dict.fromkeys(node for name in named for node in self._links.nodes(name)))
        locators = local.locators or self._own_locators(local)
        held = self._database.get(local.eid)
        if held is not None and not held.withdrawn and (held.local, held.locators) == (local, locators):
            return False
        for name in held.registrations if held else ():
            self._settle(local.eid, name)
        record = self._record(local.eid, locators)
        room = 2 * record_size(record) - record_size(replace(record, locators=()))
        entry = LocalMapping(local, locators, record, room)
        entry.registrations = {name: self._registration(now) for name in links}
        self._database[local.eid] = entry
        return True

    def withdraw(self, eid: Eid, now: float) -> bool:
        """Mark an entry as withdrawn; False if there is none that could be."""
        entry = self._database.get(eid)
        if entry is None or entry.withdrawn:
            return False
        entry.withdrawn = True
        entry.record = self._record(eid, entry.locators, withdrawn=True)
        for name in entry.registrations:
            self._settle(eid, name)
            entry.registrations[name] = self._registration(now)
        if not entry.registrations:
            del self._database[eid]
        return True

    def announce(self, eids: Iterable[Eid], now: float) -> list[Send]:
        """Send the entries' present content, registration or withdrawal, to all their mapping systems at once."""
        by_link: dict[str, list[Eid]] = {}
        for eid in eids:
            entry = self._database.get(eid)
            for name in entry.registrations if entry else ():
                by_link.setdefault(name, []).append(eid)
        return [send for name, due in by_link.items() for send in self._register(name, due, now)]

    def refresh(self, eid: Eid, link: str, now: float) -> list[Send]:
        """Register an EID ahead of time, for the sake of the acknowledgement; not while one is waited for."""
        entry = self._database.get(eid)
        registration = entry.registrations.get(link) if entry is not None and not entry.withdrawn else None
        if entry is None or registration is None or registration.nonces:
            return []
        return self._register(link, [eid], now)

    def acknowledged(self, link: str, nonce: int, eids: Iterable[Eid], now: float) -> list[tuple[Eid, float]]:
        """A mapping system took a Map-Register as far as it has `eids`; returns them with the time of asking.

        Empty if nothing waits for that nonce. An entry that is withdrawn everywhere leaves the database.
        """
        waiting = self._outstanding.get((link, nonce), set())
        done = [eid for eid in dict.fromkeys(eids) if eid in waiting]
        found: list[tuple[Eid, float]] = []
        for eid in done:
            entry = self._database[eid]
            registration = entry.registrations[link]
            self._settle(eid, link)
            registration.acknowledged = True
            if not entry.withdrawn:
                self._timers.set((eid, link), now + self._refresh_after(registration, now))
            else:
                self._leave(eid)
            found.append((eid, registration.since))
        return found

    def outstanding(self, link: str, nonce: int) -> list[Eid]:
        """What a Map-Register had that is still not acknowledged."""
        return sorted(self._outstanding.get((link, nonce), ()))

    def tick(self, now: float) -> list[Send | Event]:
        """Refresh what is acknowledged, repeat what is not."""
        outputs: list[Send | Event] = []
        by_link: dict[str, list[Eid]] = {}
        for eid, name in self._timers.pop_due(now):
            unanswered = self._database[eid].registrations[name].nonces
            if len(unanswered) >= SILENT_AFTER:
                self.silent.add(name)
            if unanswered:
                outputs.append(Event("map-register-unanswered", {"eid": str(eid), "link": name}))
            by_link.setdefault(name, []).append(eid)
        for name, due in by_link.items():
            outputs += self._register(name, due, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When the next Map-Register is due."""
        return self._timers.next_deadline()

    def due(self, eid: Eid, link: str) -> float | None:
        """When the next Map-Register of an EID for a mapping system is due."""
        return self._timers.due((eid, link))

    def unanswered(self) -> list[tuple[Eid, str]]:
        """What waits for an acknowledgement: EID and link."""
        return [
            (eid, name)
            for eid, entry in sorted(self._database.items())
            for name, registration in entry.registrations.items()
            if registration.nonces
        ]

    def heard(self, link: str) -> None:
        """A mapping system has answered."""
        self.silent.discard(link)

    def leave_all(self) -> list[Eid]:
        """Let go of the withdrawn entries for which only silent nodes have not answered; returns them."""
        gone = [eid for eid, entry in self._database.items() if entry.withdrawn]
        return [eid for eid in gone if self._leave(eid)]

    def _leave(self, eid: Eid) -> bool:
        """Drop a withdrawn entry if each of its mapping systems has agreed, or one node of it for a silent one."""
        registrations = self._database[eid].registrations
        agreed = {name for name, registration in registrations.items() if registration.acknowledged}
        for name in registrations.keys() - agreed:
            if name not in self.silent or not agreed.intersection(self._links.nodes(name)):
                return False
        for name in registrations:
            self._settle(eid, name)
        del self._database[eid]
        return True

    def _own_locators(self, local: LocalEid) -> tuple[RlocRecord, ...]:
        config = self._config
        return tuple(
            RlocRecord(
                rloc if local.metadata is None else with_metadata(rloc, local.metadata, config.oui),
                config.priority,
                config.weight,
            )
            for rloc in config.rlocs
        )

    def _registration(self, now: float) -> Registration:
        return Registration(quick_until=now + self._config.quick_register_for)

    def _refresh_after(self, registration: Registration, now: float) -> float:
        quick = now < registration.quick_until
        return self._config.quick_register_interval if quick else self._config.register_interval

    def _record(self, eid: Eid, locators: tuple[RlocRecord, ...], *, withdrawn: bool = False) -> EidRecord:
        if withdrawn:
            gone = [
                replace(locator, priority=PRIORITY_UNUSABLE, weight=0, local=True, reachable=False)
                for locator in locators
            ]
            return EidRecord.for_eid(eid, TTL_REMOVE, gone, authoritative=True)
        here = [replace(locator, local=True) for locator in locators]
        return EidRecord.for_eid(eid, self._config.record_ttl, here, authoritative=True)

    def _register(self, name: str, eids: list[Eid], now: float) -> list[Send]:
        """Send Map-Registers, each with a nonce of its own (choice C3), and set the times of the next ones.

        None has two instance-IDs: a mapping system may keep them apart in processes that share nothing.
        """
        by_iid: dict[int, list[Eid]] = {}
        for eid in eids:
            by_iid.setdefault(eid.iid, []).append(eid)
        sends: list[Send] = []
        for due in by_iid.values():
            while due:
                fitting = self._packings[name].filling(due, lambda eid: self._database[eid].room)
                sends.append(self._register_one(name, due[:fitting], now))
                due = due[fitting:]
        return sends

    def _register_one(self, name: str, eids: list[Eid], now: float) -> Send:
        nonce = self._nonces.registration(name)
        self._outstanding[name, nonce] = set(eids)
        for eid in eids:
            self._expect(eid, name, nonce, now)
        config, link = self._config, self._links.named(name)
        register = MapRegister(
            nonce,
            tuple(self._database[eid].record for eid in eids),
            proxy_reply=True,
            use_ttl=config.use_ttl,
            merge=True,
            want_notify=True,
            xtr=self._identity if link.profile.identity else None,
        )
        payload = link.profile.sign(register, self._links.signing_key(link), config)
        return self._links.send(link, payload)

    def _expect(self, eid: Eid, name: str, nonce: int, now: float) -> None:
        """An acknowledgement with that nonce is waited for, and the next repetition set."""
        config, registration = self._config, self._database[eid].registrations[name]
        if registration.nonces:
            registration.retry = min(2 * registration.retry, config.register_retry_max)
        else:
            registration.since, registration.retry = now, config.register_retry_first
        registration.nonces.add(nonce)
        if len(registration.nonces) > _REMEMBERED_NONCES:
            oldest = min(registration.nonces)
            registration.nonces.discard(oldest)
            self._forget(eid, name, oldest)
        self._timers.set((eid, name), now + registration.retry)

    def _settle(self, eid: Eid, name: str) -> None:
        """Nothing is waited for any more from one mapping system about one EID."""
        registration = self._database[eid].registrations[name]
        for nonce in registration.nonces:
            self._forget(eid, name, nonce)
        registration.nonces.clear()
        self._timers.cancel((eid, name))

    def _forget(self, eid: Eid, name: str, nonce: int) -> None:
        waiting = self._outstanding[name, nonce]
        waiting.discard(eid)
        if not waiting:
            del self._outstanding[name, nonce]
