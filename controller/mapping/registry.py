"""The mappings: what each xTR registered, merged per EID, and when it expires (RFC 9301 §8.2, choice C4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from controller.lisp import Eid, EidRecord
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
            change = self.replace(mapping, held, part.terms, part.serial)
            self.hold(held, lease)
            return change
        self._registered[part.xtr] = self.registered_by(part.xtr) + 1
        new = Registration(part.eid if mapping is None else mapping.eid, part.xtr, part.terms, part.serial, lease)
        self._leases.hold(lease, new)
        if mapping is None:
            mapping = self.table[part.eid] = Mapping(part.eid, (new,), part.terms.alone)
            self.population += 1
            self._index(mapping.eid, None, mapping.content)
            return MappingChange(mapping.eid, None, mapping.content, frozenset((part.xtr,)))
        mapping.parts += (new,)
        return self._republish(mapping)

    def replace(self, mapping: Mapping, held: Registration, terms: Terms, serial: int) -> MappingChange | None:
        """Give one of the registrations of a mapping other terms; returns the change of the mapping."""
        held.terms = terms
        held.serial = serial
        return self._republish(mapping)

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

    def _republish(self, mapping: Mapping, xtrs: frozenset[XtrKey] | None = None) -> MappingChange | None:
        """Work out what is to be published after a registration changed."""
        before, parts = mapping.content, mapping.parts
        for part in parts:
            part.lease.intact = False
        after = mapping.content = parts[0].terms.alone if len(parts) == 1 else _merged(parts)
        if after is before or after.wire == before.wire:  # comparing objects takes longer
            return None
        if before.acc_ids or after.acc_ids:
            self._index(mapping.eid, before, after)
        if xtrs is None:
            xtrs = frozenset((parts[0].xtr,)) if len(parts) == 1 else frozenset(mapping.xtrs)
        return MappingChange(mapping.eid, before, after, xtrs)

    def _index(self, eid: Eid, before: Content | None, after: Content | None) -> None:
        for acc_id in before.acc_ids if before is not None else ():
            self._by_acc_id.pop((eid.iid, acc_id), None)
        for acc_id in after.acc_ids if after is not None else ():
            self._by_acc_id[eid.iid, acc_id] = eid


def _merged(parts: tuple[Registration, ...]) -> Content:
    """What is published of several registrations: the same object while they and their order are the same."""
    by_serial = sorted(range(len(parts)), key=lambda index: parts[index].serial)
    return _merged_terms(tuple(part.terms for part in parts), tuple(by_serial))


@lru_cache(maxsize=1 << 14)
def _merged_terms(terms: tuple[Terms, ...], by_serial: tuple[int, ...]) -> Content:
    return merged_content((one, by_serial.index(index)) for index, one in enumerate(terms))
