"""The mappings: what each xTR registered, merged per EID, and when it expires (RFC 9301 §8.2, choice C4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.lisp import Address, Eid, EidRecord, RlocRecord
from controller.mapping.leases import Lease, LeaseQueue
from controller.mapping.machine import EidTable
from controller.mapping.replication import merged_replication
from controller.mapping.store import Contribution, XtrKey


@dataclass(slots=True)
class Mapping:
    """A registered EID: contributions by xTR, the `view` of them that is published, and their leases."""

    contributions: dict[XtrKey, Contribution]
    view: EidRecord
    leases: dict[XtrKey, Lease]

    @property
    def proxy_reply(self) -> bool:
        """Whether any xTR asked the Map-Server to answer on its behalf; for an imported mapping nobody else can."""
        return not self.contributions or any(part.proxy_reply for part in self.contributions.values())


@dataclass(frozen=True, slots=True)
class MappingChange:
    """A mapping that is published differently from before; `None` stands for "not registered".

    `xtrs` registered it before or do so now.
    """

    eid: Eid
    before: EidRecord | None
    after: EidRecord | None
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

    def contribution(self, eid: Eid, xtr: XtrKey) -> Contribution | None:
        """What `xtr` registered for `eid`."""
        mapping = self.table.get(eid)
        return mapping.contributions.get(xtr) if mapping else None

    def import_(self, eid: Eid, view: EidRecord | None) -> MappingChange | None:
        """Show what another instance-ID has, or has no more, as the mapping of `eid`."""
        before = self.view(eid)
        if before == view:
            return None
        self.population += (before is None) != (view is None)
        if view is None:
            self.table.pop(eid)
        else:
            self.table[eid] = Mapping({}, view, {})
        return MappingChange(eid, before, view, frozenset())

    def put(self, part: Contribution, lease: Lease) -> MappingChange | None:
        """Insert or replace a contribution, held by `lease`; returns the change of the mapping."""
        mapping = self.table.get(part.eid)
        parts = dict(mapping.contributions) if mapping else {}
        if part.xtr not in parts:
            self._registered[part.xtr] = self.registered_by(part.xtr) + 1
        parts[part.xtr] = part
        change = self._update(part.eid, parts)
        self.hold(part.eid, lease)
        return change

    def hold(self, eid: Eid, lease: Lease) -> None:
        """Let another lease hold what its xTR registered for `eid`."""
        leases = self.table[eid].leases
        held = leases.get(lease.xtr)
        if held is not lease:
            if held is not None:
                self._leases.release(held, eid)
            leases[lease.xtr] = lease
            self._leases.hold(lease, eid)

    def withdraw(self, eid: Eid, xtr: XtrKey) -> MappingChange | None:
        """Remove the contribution of one xTR; returns the change of the mapping."""
        mapping = self.table.get(eid)
        if mapping is None or xtr not in mapping.contributions:
            return None
        self._leases.release(mapping.leases.pop(xtr), eid)
        self._registered[xtr] -= 1
        return self._update(eid, {k: v for k, v in mapping.contributions.items() if k != xtr})

    def expire(self, now: float) -> Iterator[tuple[Eid, XtrKey]]:
        """Yield each contribution whose lease has run out; the caller withdraws it."""
        return self._leases.pop_due(now)

    def expires(self, eid: Eid, xtr: XtrKey) -> float | None:
        """When the lease of a contribution runs out."""
        mapping = self.table.get(eid)
        lease = mapping.leases.get(xtr) if mapping else None
        return lease.due if lease else None

    def next_deadline(self) -> float | None:
        """When the first lease runs out."""
        return self._leases.next_deadline()

    def _update(self, eid: Eid, parts: dict[XtrKey, Contribution]) -> MappingChange | None:
        mapping = self.table.get(eid)
        before = mapping.view if mapping else None
        after = merged_view(eid, parts) if parts else None
        xtrs = frozenset(parts) | frozenset(mapping.contributions if mapping else ())
        self._index(before, after)
        if mapping is None or after is None:
            self.population += 1
        if after is None:
            self.table.pop(eid)
        elif mapping is None:
            self.table[eid] = Mapping(parts, after, {})
        else:
            mapping.contributions = parts
            for lease in mapping.leases.values():
                lease.intact = False
            if after == before:
                return None
            mapping.view = after
        return MappingChange(eid, before, after, xtrs)

    def _index(self, before: EidRecord | None, after: EidRecord | None) -> None:
        for record in (before, after):
            for locator in record.locators if record is not None else ():
                metadata = locator.metadata
                if record is None or metadata is None or metadata.acc_id is None:
                    continue
                if record is after:
                    self._by_acc_id[record.key.iid, metadata.acc_id] = record.key
                else:
                    self._by_acc_id.pop((record.key.iid, metadata.acc_id), None)


def merged_view(eid: Eid, parts: dict[XtrKey, Contribution]) -> EidRecord:
    """Merge contributions into the record that is published (choice C4).

    Every RLOC is listed once, as its owner describes it if the owner registered; TTL is the smallest. All
    replication lists become one. The Map-Server answers by proxy: no locator is local, none probed, the
    record is not authoritative (RFC 9301 §5.4, requirement PR-REP-1).
    """
    chosen: dict[Address, tuple[bool, int, RlocRecord]] = {}
    for part in parts.values():
        for locator in part.locators:
            rank = (locator.local, part.serial)
            held = chosen.get(locator.rloc or locator.address)
            if held is None or rank > held[:2]:
                chosen[locator.rloc or locator.address] = (*rank, locator)
    locators = merged_replication(_as_told_by_proxy(locator) for _, _, locator in chosen.values())
    return EidRecord.for_eid(eid, min(part.ttl for part in parts.values()), locators)


def _as_told_by_proxy(locator: RlocRecord) -> RlocRecord:
    if not locator.local and not locator.probed:
        return locator
    return RlocRecord(
        locator.address,
        locator.priority,
        locator.weight,
        locator.mpriority,
        locator.mweight,
        reachable=locator.reachable,
    )
