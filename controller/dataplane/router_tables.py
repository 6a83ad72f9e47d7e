"""The desired entries of one router, kept as its map-cache, database, ports and routes change.

Every change returns exactly what it changes on the switch, in an order in which nothing refers to what is not there:
an RLOC-set is there before an EID uses it, and goes after the last one has left it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from controller.dataplane import entries
from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import NextHop, Rloc
from controller.p4rt.entities import Key, State, TableEntry

# The locators of an RLOC-set: those that take the traffic, then those that take it when none of them can, and so on.
RlocSet = tuple[tuple[Rloc, ...], ...]
EidKey = tuple[int, IPv4Network]

# rloc_set_id_t is 16 bits wide; 0 is never given out.
MAX_RLOC_SET_ID = 0xFFFF


class TablesFullError(Exception):
    """More distinct RLOC-sets than the program has identifiers for."""


@dataclass(slots=True)
class Changes:
    """Entities to insert or modify, and entities to delete afterwards."""

    put: list[State] = field(default_factory=list)
    remove: list[State] = field(default_factory=list)

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.put + other.put, self.remove + other.remove)

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


class RouterTables:
    """All that one router has to have in its tables.

    EIDs with the same RLOC-set share one entry of `rloc_set`. A set keeps its identifier for as long as anything uses
    it, so that a reconciliation finds the same entries again. It also keeps it while locators of it are unreachable:
    a router that fails is one write for each set that it is in, however many EIDs are behind it.
    """

    def __init__(self, source_rloc: IPv4Address | None = None) -> None:
        """`source_rloc`: where this router's tunnels start; None for a router that is no xTR."""
        self._source_rloc = source_rloc
        self._desired: dict[Key, State] = {}
        self._set_ids: dict[RlocSet, int] = {}
        self._users: dict[RlocSet, set[EidKey]] = {}
        self._set_of: dict[EidKey, RlocSet] = {}
        self._unreachable: set[IPv4Address] = set()
        self._routes: dict[IPv4Address, tuple[NextHop, ...]] = {}
        if source_rloc is not None:
            self._put(entries.local_rloc(source_rloc))

    def desired(self) -> list[State]:
        """Everything that has to be on the switch."""
        return list(self._desired.values())

    def configure(self, hash_rotation: int) -> Changes:
        """Properties of the switch as a whole; `hash_rotation` 0 to 31 bits."""
        return self._put(entries.switch_context(hash_rotation))

    def add_access_port(self, port: int, site: int, iid: int) -> Changes:
        """An accelerator is attached to `port`."""
        return self._put(entries.access_port(port, site, iid))

    def add_core_port(self, port: int) -> Changes:
        """Another switch is plugged into `port`."""
        return self._put(entries.core_port(port))

    def add_instance(self, iid: int, encapsulation: Encapsulation, punt_unknown: bool) -> Changes:
        """Packets of an Instance-ID are served."""
        return self._put(entries.instance(iid, encapsulation, punt_unknown))

    def set_route(self, rloc: IPv4Address, next_hops: Iterable[NextHop]) -> Changes:
        """The equal-cost ways to an RLOC; none of them: there is no way."""
        hops = tuple(next_hops)
        self._routes[rloc] = hops
        route = entries.underlay_route(IPv4Network(rloc), hops)
        return self._put(route) if hops else self._remove(route)

    def cut_off(self, ports: Collection[int]) -> set[IPv4Address]:
        """The RLOCs that have a route, but none without one of these ports."""
        return {rloc for rloc, hops in self._routes.items() if hops and all(hop.port in ports for hop in hops)}

    def set_reachable(self, rloc: IPv4Address, reachable: bool) -> Changes:
        """An RLOC takes part in the RLOC-sets that it is in, or not: one change for each of them."""
        (self._unreachable.discard if reachable else self._unreachable.add)(rloc)
        changes = Changes()
        for wanted in self._set_ids:
            if any(rloc == member.address for tier in wanted for member in tier):
                changes += self._put_set(wanted)
        return changes

    def set_forward(self, iid: int, prefix: IPv4Network, *tiers: Iterable[Rloc]) -> Changes:
        """EIDs of `prefix` are behind the RLOCs of the first tier that has a reachable one. No RLOC: they are dropped.

        One tier for each priority, the best first.
        """
        key = (iid, prefix)
        wanted = tuple(members for tier in tiers if (members := tuple(sorted(tier))))
        if not wanted:
            return self.set_negative(iid, prefix, DropReason.NO_RLOC)
        changes = Changes()
        if wanted not in self._set_ids:
            changes += self._add_set(wanted)
        identifier = self._set_ids[wanted]
        changes += self._put(entries.scale_out_rloc_set(iid, prefix, identifier))
        return changes + self._use(key, wanted)

    def set_local(self, iid: int, prefix: IPv4Network, next_hop: NextHop) -> Changes:
        """EIDs of `prefix` are attached to a port of this router."""
        changes = self._put(entries.scale_out_local(iid, prefix, next_hop))
        return changes + self._use((iid, prefix), None)

    def set_negative(self, iid: int, prefix: IPv4Network, reason: DropReason) -> Changes:
        """The mapping system wants packets to `prefix` dropped."""
        changes = self._put(entries.scale_out_negative(iid, prefix, reason))
        return changes + self._use((iid, prefix), None)

    def set_unknown(self, iid: int, prefix: IPv4Network) -> Changes:
        """EIDs of `prefix` without an entry of their own are to be asked for."""
        changes = self._put(entries.scale_out_unknown(iid, prefix))
        return changes + self._use((iid, prefix), None)

    def remove(self, iid: int, prefix: IPv4Network) -> Changes:
        """Nothing is said about `prefix` any more."""
        changes = self._remove(entries.scale_out_unknown(iid, prefix))
        return changes + self._use((iid, prefix), None)

    def _put(self, entity: State) -> Changes:
        if self._desired.get(entity.key()) == entity:
            return Changes()
        self._desired[entity.key()] = entity
        return Changes(put=[entity])

    def _remove(self, entity: TableEntry) -> Changes:
        present = self._desired.pop(entity.key(), None)
        return Changes(remove=[present]) if present is not None else Changes()

    def _add_set(self, wanted: RlocSet) -> Changes:
        if self._source_rloc is None:
            raise ValueError("a router without an RLOC cannot encapsulate")
        taken = set(self._set_ids.values())
        identifier = next((number for number in range(1, MAX_RLOC_SET_ID + 1) if number not in taken), None)
        if identifier is None:
            raise TablesFullError(f"all {MAX_RLOC_SET_ID} RLOC-set identifiers are in use")
        self._set_ids[wanted] = identifier
        self._users[wanted] = set()
        return self._put_set(wanted)

    def _put_set(self, wanted: RlocSet) -> Changes:
        """The set as the reachable locators make it; without any there is no entry, and its packets are dropped."""
        assert self._source_rloc is not None
        usable = ([member for member in tier if member.address not in self._unreachable] for tier in wanted)
        members = next((tier for tier in usable if tier), [])
        entry = entries.rloc_set(self._set_ids[wanted], members, self._source_rloc)
        return self._put(entry) if members else self._remove(entry)

    def _use(self, key: EidKey, wanted: RlocSet | None) -> Changes:
        """Notes which RLOC-set an EID uses from now on; drops the one it left if nothing else uses it."""
        left = self._set_of.pop(key, None)
        if wanted is not None:
            self._set_of[key] = wanted
            self._users[wanted].add(key)
        if left is None or left == wanted:
            return Changes()
        self._users[left].discard(key)
        if self._users[left]:
            return Changes()
        del self._users[left]
        identifier = self._set_ids.pop(left)
        assert self._source_rloc is not None
        return self._remove(entries.rloc_set(identifier, (), self._source_rloc))
