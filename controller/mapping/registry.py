"""The mappings: what each xTR registered, merged per EID, and when it expires (RFC 9301 §8.2, choice C4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from controller.lisp import Eid, EidRecord, is_group
from controller.mapping.content import Content, Terms, merged_content
from controller.mapping.leases import Lease, LeaseQueue, Registration
from controller.mapping.machine import EidTable
from controller.mapping.store import Contribution, XtrKey


class Mapping:
    """A registered EID: who registered it, in `parts`, and the `content` that is published of it."""

    __slots__ = ("_view", "content", "eid", "parts")

    def __init__(self, eid: Eid, parts: tuple[Registration, ...], content: Content) -> None:
        self.eid = eid
        self.parts = parts
        self.content = content
        self._view: EidRecord | None = None

    @property
    def view(self) -> EidRecord:
        """The record that is published; it is made when somebody asks."""
        view = self._view
        if view is None or view.locators is not self.content.locators:
            view = self._view = EidRecord(*self.eid.to_wire(), self.content.ttl, self.content.locators)
        return view

    @property
    def xtrs(self) -> tuple[XtrKey, ...]:
        """Who registered it, in the order in which they came."""
        return tuple(part.xtr for part in self.parts)

    @property
    def proxy_reply(self) -> bool:
        """Whether any xTR asked the Map-Server to answer on its behalf; for an imported mapping nobody else can."""
        return not self.parts or any(part.terms.proxy_reply for part in self.parts)

    def part_of(self, xtr: XtrKey) -> Registration | None:
        """What an xTR registered."""
        for part in self.parts:
            if part.xtr == xtr:
                return part
        return None


class MappingChange(NamedTuple):
    """A mapping that is published differently from before; `None` stands for "not registered".

    `xtrs` registered it before or do so now.
    """

    eid: Eid
    before: Content | None
    after: Content | None
    xtrs: frozenset[XtrKey]


class JointChange(NamedTuple):
    """A `MappingChange` for each of several EIDs that are no groups, all alike, or for one EID."""

    eids: list[Eid]
    before: Content | None
    after: Content | None
    xtrs: frozenset[XtrKey]

    def each(self) -> Iterator[MappingChange]:
        """One after the other."""
        _, before, after, xtrs = self
        return (MappingChange(eid, before, after, xtrs) for eid in self.eids)


def joined(changes: Iterable[MappingChange]) -> list[JointChange]:
    """The same, with neighbours that are alike as one."""
    found: list[JointChange] = []
    for eid, before, after, xtrs in changes:
        last = found[-1] if found else None
        alike = last is not None and before is last.before and after is last.after and xtrs == last.xtrs
        if last is not None and alike and not is_group(eid) and not is_group(last.eids[0]):
            last.eids.append(eid)
        else:
            found.append(JointChange([eid], before, after, xtrs))
    return found


class Registry:
    """All mappings of a mapping system.

    Attributes:
        population: a number that changes whenever an EID comes or goes.
    """

    def __init__(self) -> None:
        self.population = 0
        self.table: EidTable[Mapping] = EidTable()
        self._leases = LeaseQueue()
        self._by_acc_id: dict[tuple[int, int], Eid] = {}
        self._registered: dict[XtrKey, int] = {}

    def registered_by(self, xtr: XtrKey) -> int:
        """How many EIDs an xTR has registered."""
        return self._registered.get(xtr, 0)

    def named(self, iid: int, acc_id: int) -> Eid | None:
        """The EID that is registered with a binary accelerator id: a switch tells accelerators apart by it."""
        return self._by_acc_id.get((iid, acc_id))

    def view(self, eid: Eid) -> EidRecord | None:
        """What is published for exactly `eid`."""
        mapping = self.table.get(eid)
        return mapping.view if mapping else None

    def registration(self, eid: Eid, xtr: XtrKey) -> Registration | None:
        """What `xtr` registered for `eid`."""
        mapping = self.table.get(eid)
        return mapping.part_of(xtr) if mapping else None

    def import_(self, eid: Eid, content: Content | None) -> MappingChange | None:
        """Show what another instance-ID has, or has no more, as the mapping of `eid`."""
        held = self.table.get(eid)
        before = held.content if held is not None else None
        if before == content:
            return None
        self.population += (before is None) != (content is None)
        if content is None:
            self.table.pop(eid)
        else:
            self.table[eid] = Mapping(eid, (), content)
        return MappingChange(eid, before, content, frozenset())

    def put(self, part: Contribution, lease: Lease) -> MappingChange | None:
        """Insert or replace a contribution, held by `lease`; returns the change of the mapping."""
        mapping = self.table.get(part.eid)
        held = mapping.part_of(part.xtr) if mapping is not None else None
        if mapping is not None and held is not None:
            changes = self.replace([(mapping, held, part.terms, frozenset(mapping.xtrs))], part.serial)
            self.hold(held, lease)
            return next(changes[0].each()) if changes else None
        self._registered[part.xtr] = self.registered_by(part.xtr) + 1
        new = Registration(part.eid if mapping is None else mapping.eid, part.xtr, part.terms, part.serial, lease)
        self._leases.hold(lease, new)
        if mapping is None:
            mapping = self.table[part.eid] = Mapping(part.eid, (new,), part.terms.alone)
            self.population += 1
            self._index(mapping.eid, None, mapping.content)
            return MappingChange(mapping.eid, None, mapping.content, frozenset((part.xtr,)))
        mapping.parts += (new,)
        return self._republish(mapping, frozenset(mapping.xtrs))

    def replace(
        self, those: Iterable[tuple[Mapping, Registration, Terms, frozenset[XtrKey]]], serial: int
    ) -> list[JointChange]:
        """Give registrations other terms; returns how mappings change by that, neighbours that change alike as one.

        Each comes with its mapping, and with who registered that: the same object for neighbours that are alike.
        """
        changes: list[JointChange] = []
        before: Content | None = None
        after: Content | None = None
        xtrs: frozenset[XtrKey] | None = None
        eids: list[Eid] = []
        for mapping, held, terms, everybody in those:
            held.terms = terms
            held.serial = serial
            old = mapping.content
            new = self._renew(mapping)
            if old is before and new is after and everybody is xtrs:
                eids.append(mapping.eid)
            elif _differ(old, new):
                before, after, xtrs, eids = old, new, everybody, [mapping.eid]
                changes.append(JointChange(eids, old, new, everybody))
        for change in changes:
            if (change.before and change.before.acc_ids) or (change.after and change.after.acc_ids):
                for eid in change.eids:
                    self._index(eid, change.before, change.after)
        return changes

    def hold(self, held: Registration, lease: Lease) -> None:
        """Let another lease hold a registration."""
        if held.lease is not lease:
            self._leases.release(held.lease, held)
            held.lease = lease
            self._leases.hold(lease, held)

    def withdraw(self, eid: Eid, xtr: XtrKey) -> MappingChange | None:
        """Remove the contribution of one xTR; returns the change of the mapping."""
        mapping = self.table.get(eid)
        gone = mapping.part_of(xtr) if mapping is not None else None
        if mapping is None or gone is None:
            return None
        self._leases.release(gone.lease, gone)
        self._registered[xtr] -= 1
        xtrs = frozenset(mapping.xtrs)
        mapping.parts = tuple(part for part in mapping.parts if part is not gone)
        if mapping.parts:
            return self._republish(mapping, xtrs)
        self.table.pop(eid)
        self.population += 1
        self._index(eid, mapping.content, None)
        return MappingChange(eid, mapping.content, None, xtrs)

    def expire(self, now: float) -> Iterator[tuple[Eid, XtrKey]]:
        """Yield each contribution whose lease has run out; the caller withdraws it."""
        return self._leases.pop_due(now)

    def next_deadline(self) -> float | None:
        """When the first lease runs out."""
        return self._leases.next_deadline()

    def _republish(self, mapping: Mapping, xtrs: frozenset[XtrKey]) -> MappingChange | None:
        """Work out what is to be published after a registration came or went."""
        before = mapping.content
        after = self._renew(mapping)
        if not _differ(before, after):
            return None
        self._index(mapping.eid, before, after)
        return MappingChange(mapping.eid, before, after, xtrs)

    @staticmethod
    def _renew(mapping: Mapping) -> Content:
        """Merge anew what was registered."""
        parts = mapping.parts
        for part in parts:
            part.lease.intact = False
        content = mapping.content = parts[0].terms.alone if len(parts) == 1 else _merged(parts)
        return content

    def _index(self, eid: Eid, before: Content | None, after: Content | None) -> None:
        for acc_id in before.acc_ids if before is not None else ():
            self._by_acc_id.pop((eid.iid, acc_id), None)
        for acc_id in after.acc_ids if after is not None else ():
            self._by_acc_id[eid.iid, acc_id] = eid


def _differ(before: Content, after: Content) -> bool:
    return after is not before and after.wire != before.wire  # comparing objects takes longer


def _merged(parts: tuple[Registration, ...]) -> Content:
    """What is published of several registrations: the same object while they and their order are the same."""
    by_serial = sorted(range(len(parts)), key=lambda index: parts[index].serial)
    return _merged_terms(tuple(part.terms for part in parts), tuple(by_serial))


@lru_cache(maxsize=1 << 14)
def _merged_terms(terms: tuple[Terms, ...], by_serial: tuple[int, ...]) -> Content:
    return merged_content((one, by_serial.index(index)) for index, one in enumerate(terms))
