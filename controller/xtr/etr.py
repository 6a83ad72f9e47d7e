"""The ETR: the local database, and keeping it registered (RFC 9301 §8.2; wire reference 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controller.lisp import Eid, EidRecord, MapRegister, RlocRecord, XtrIdentity, sign
from controller.lisp.constants import PRIORITY_UNUSABLE, TTL_REMOVE
from controller.mapping.machine import Event, NonceSource, NonceUse, Send, TimerQueue
from controller.xtr.config import LocalEid, MappingSystemLink, XtrConfig
from controller.xtr.entries import DatabaseState
from controller.xtr.links import Links

_REMEMBERED_NONCES: Final = 16


@dataclass(slots=True)
class Registration:
    """One EID at one mapping system.

    `nonces` of the Map-Registers sent since the content last changed or was acknowledged: a Map-Notify with
    any of them acknowledges the present content. `since`: when the first of them was sent. `retry`: seconds
    until the next repetition.
    """

    nonces: set[int] = field(default_factory=set)
    since: float = 0.0
    retry: float = 0.0
    acknowledged: bool = False


@dataclass(slots=True)
class LocalMapping:
    """An entry of the local database."""

    local: LocalEid
    locators: tuple[RlocRecord, ...]
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
    """Registers the local database and withdraws what leaves it."""

    def __init__(self, config: XtrConfig, links: Links, nonces: NonceSource, now: float) -> None:
        self._config = config
        self._links = links
        self._identity = XtrIdentity(config.xtr_id, config.site_id)
        self._first_nonce = {link.name: nonces.first(NonceUse.REGISTRATION, now) for link in config.links}
        self._next_nonce = dict(self._first_nonce)
        self._database: dict[Eid, LocalMapping] = {}
        self._outstanding: dict[tuple[str, int], Eid] = {}
        self._timers: TimerQueue[tuple[Eid, str]] = TimerQueue()

    def get(self, eid: Eid) -> LocalMapping | None:
        """The database entry of exactly `eid`."""
        return self._database.get(eid)

    def eids(self) -> list[Eid]:
        """The EIDs of the database in their order."""
        return sorted(self._database)

    def put(self, local: LocalEid) -> bool:
        """Insert or change a database entry, not yet registered; False if it is there and does not change.

        A mapping system that a changed entry names no more forgets it when the registration times out.
        """
        links = local.links or tuple(link.name for link in (self._links.responsible(local.eid),) if link is not None)
        locators = local.locators or self._own_locators()
        held = self._database.get(local.eid)
        if held is not None and not held.withdrawn and (held.local, held.locators) == (local, locators):
            return False
        for name in held.registrations if held else ():
            self._settle(local.eid, name)
        entry = LocalMapping(local, locators)
        entry.registrations = {name: Registration() for name in links}
        self._database[local.eid] = entry
        return True

    def withdraw(self, eid: Eid) -> bool:
        """Mark an entry as withdrawn; False if there is none that could be."""
        entry = self._database.get(eid)
        if entry is None or entry.withdrawn:
            return False
        entry.withdrawn = True
        for name in entry.registrations:
            self._settle(eid, name)
            entry.registrations[name] = Registration()
        if not entry.registrations:
            del self._database[eid]
        return True

    def announce(self, eid: Eid, now: float) -> list[Send]:
        """Send the entry's present content, registration or withdrawal, to all its mapping systems at once."""
        entry = self._database.get(eid)
        return [self._register(entry, name, now) for name in entry.registrations] if entry else []

    def issued(self, link: str, nonce: int) -> bool:
        """Whether a Map-Register with that nonce was sent to a mapping system, ever since the start."""
        return self._first_nonce[link] <= nonce < self._next_nonce[link]

    def acknowledged(self, link: str, nonce: int, now: float) -> tuple[Eid, float] | None:
        """A mapping system took a Map-Register: returns its EID, and since when that was asked for.

        None if nothing waits for that nonce. An entry that is withdrawn everywhere leaves the database.
        """
        eid = self._outstanding.get((link, nonce))
        if eid is None:
            return None
        entry = self._database[eid]
        registration = entry.registrations[link]
        self._settle(eid, link)
        registration.acknowledged = True
        if not entry.withdrawn:
            self._timers.set((eid, link), now + self._config.register_interval)
        elif all(other.acknowledged for other in entry.registrations.values()):
            del self._database[eid]
        return eid, registration.since

    def tick(self, now: float) -> list[Send | Event]:
        """Refresh what is acknowledged, repeat what is not."""
        outputs: list[Send | Event] = []
        for eid, name in self._timers.pop_due(now):
            entry = self._database[eid]
            if entry.registrations[name].nonces:
                outputs.append(Event("map-register-unanswered", {"eid": str(eid), "link": name}))
            outputs.append(self._register(entry, name, now))
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

    def _own_locators(self) -> tuple[RlocRecord, ...]:
        config = self._config
        return tuple(RlocRecord(rloc, config.priority, config.weight) for rloc in config.rlocs)

    def _register(self, entry: LocalMapping, name: str, now: float) -> Send:
        """Send a Map-Register, each with a nonce of its own (choice C3), and set the time of the next one."""
        config, eid = self._config, entry.local.eid
        registration = entry.registrations[name]
        if registration.nonces:
            registration.retry = min(2 * registration.retry, config.register_retry_max)
        else:
            registration.since, registration.retry = now, config.register_retry_first
        nonce = self._next_nonce[name]
        self._next_nonce[name] = nonce + 1
        registration.nonces.add(nonce)
        if len(registration.nonces) > _REMEMBERED_NONCES:
            oldest = min(registration.nonces)
            registration.nonces.discard(oldest)
            del self._outstanding[name, oldest]
        self._outstanding[name, nonce] = eid
        self._timers.set((eid, name), now + registration.retry)
        return self._links.send(self._links.named(name), self._encode(entry, self._links.named(name), nonce))

    def _encode(self, entry: LocalMapping, link: MappingSystemLink, nonce: int) -> bytes:
        config = self._config
        if entry.withdrawn:
            ttl = TTL_REMOVE
            locators = [
                replace(locator, priority=PRIORITY_UNUSABLE, weight=0, local=True, reachable=False)
                for locator in entry.locators
            ]
        else:
            ttl = config.record_ttl
            locators = [replace(locator, local=True) for locator in entry.locators]
        record = EidRecord.for_eid(entry.local.eid, ttl, locators, authoritative=True)
        register = MapRegister(nonce, (record,), proxy_reply=True, merge=True, want_notify=True, xtr=self._identity)
        return sign(register, link.keys[0], mac_scope=config.mac_scope, full_length=config.full_mac)

    def _settle(self, eid: Eid, name: str) -> None:
        """Nothing is waited for any more from one mapping system about one EID."""
        registration = self._database[eid].registrations[name]
        for nonce in registration.nonces:
            del self._outstanding[name, nonce]
        registration.nonces.clear()
        self._timers.cancel((eid, name))
