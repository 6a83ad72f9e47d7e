"""Replication lists as the mapping systems tell them. Each has its own: one of the PoD, one of the fabric."""

from __future__ import annotations

from dataclasses import dataclass

from controller.lisp import Eid, EidRecord, IPAddress, replicas
from controller.mapping.machine import EidTable, TimerQueue
from controller.xtr.entries import Source


@dataclass(frozen=True, slots=True)
class Listed:
    """A replication list: its RLOCs, how it came, the nonce with which it was published, and the end of its TTL."""

    rlocs: frozenset[IPAddress]
    source: Source
    nonce: int
    valid: float


class ReplicationLists:
    """Lists by mapping system and group. `changed`: groups whose lists are others since it was last emptied."""

    def __init__(self, links: tuple[str, ...]) -> None:
        self._tables: dict[str, EidTable[Listed]] = {link: EidTable() for link in links}
        self._expiry: TimerQueue[tuple[str, Eid]] = TimerQueue()
        self.changed: set[Eid] = set()

    def learn(self, link: str, record: EidRecord, source: Source, nonce: int, valid: float, expires: float) -> None:
        """Take over what a mapping system says about a group, valid until `valid`; it is kept until `expires`."""
        group, rlocs = record.key, frozenset(replicas(record))
        if rlocs != self.listed(link, group):
            self.changed.add(group)
        self._tables[link][group] = Listed(rlocs, source, nonce, valid)
        self._expiry.set((link, group), expires)

    def keep(self, link: str, eid: Eid, nonce: int) -> None:
        """Keep the lists of groups in `eid` that were published after `nonce` as long as they are valid."""
        for group, held in self._tables[link].inside(eid):
            if held.source is Source.PUBLICATION and held.nonce > nonce:
                self._expiry.set((link, group), held.valid)

    def forget(self, link: str, group: Eid) -> None:
        """Nothing is known about a group any more."""
        self._expiry.cancel((link, group))
        held = self._tables[link].pop(group)
        if held is not None and held.rlocs:
            self.changed.add(group)

    def listed(self, link: str, group: Eid) -> frozenset[IPAddress]:
        """The list of exactly `group`."""
        held = self._tables[link].get(group) if link else None
        return held.rlocs if held is not None else frozenset()

    def published(self, link: str, eid: Eid) -> list[tuple[Eid, int]]:
        """The groups that `eid` covers and that were published, with their nonces."""
        inside = self._tables[link].inside(eid)
        return [(group, held.nonce) for group, held in inside if held.source is Source.PUBLICATION]

    def expire(self, now: float) -> None:
        """Forget what has run out."""
        for link, group in self._expiry.pop_due(now):
            self.forget(link, group)

    def next_deadline(self) -> float | None:
        """When the next list runs out."""
        return self._expiry.next_deadline()
