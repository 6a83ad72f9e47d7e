"""The desired entries of one router, kept as its map-cache, database, ports and routes change.

Every change returns exactly what it changes on the switch, in an order in which nothing refers to what is not there:
an RLOC-set is there before an EID uses it, and goes after the last one has left it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_network

from controller.dataplane import entries
from controller.dataplane.addresses import AccId, Eid, IPAddress, IPNetwork
from controller.dataplane.changes import Changes, DesiredState
from controller.dataplane.codepoints import Domain, DropReason, Encapsulation, Spray
from controller.dataplane.collective_tables import CollectiveTables
from controller.dataplane.entries import NextHop, Rloc
from controller.dataplane.replication import ListKey, ReplicationList, home_eid
from controller.dataplane.replication_tables import ReplicationTables
from controller.p4rt.entities import MeterConfig, State

# The locators of an RLOC-set: those that take the traffic, then those that take it when none of them can, and so on.
RlocSet = tuple[tuple[Rloc, ...], ...]
EidKey = tuple[int, Eid]

# rloc_set_id_t is 16 bits wide; 0 is never given out.
MAX_RLOC_SET_ID = 0xFFFF

__all__ = ["Changes", "RouterTables", "TablesFullError"]


class TablesFullError(Exception):
    """More distinct RLOC-sets than the program has identifiers for."""


class RouterTables:
    """All that one router has to have in its tables.

    EIDs with the same RLOC-set share one entry of `rloc_set`. A set keeps its identifier for as long as anything uses
    it, so that a reconciliation finds the same entries again. It also keeps it while locators of it are unreachable:
    a router that fails is one write for each set that it is in, however many EIDs are behind it.

    Attributes:
        collectives: the groups whose collectives this switch takes part in.
    """

    def __init__(self, source_rloc: IPAddress | None = None, *more_rlocs: IPAddress) -> None:
        """`source_rloc` and `more_rlocs`: where this router's tunnels start, at most one RLOC of each IP version.

        None for a router that is no xTR.
        """
        self._source_rlocs = () if source_rloc is None else (source_rloc, *more_rlocs)
        self._desired = DesiredState()
        self._set_ids: dict[RlocSet, int] = {}
        self._users: dict[RlocSet, set[EidKey]] = {}
        self._set_of: dict[EidKey, RlocSet] = {}
        self._unreachable: set[IPAddress] = set()
        self._routes: dict[IPAddress, tuple[NextHop, ...]] = {}
        self._replication = ReplicationTables(
            self._desired, self._source_rlocs, lambda rloc: self._routes.get(rloc, ())
        )
        self.collectives = CollectiveTables(self._desired, self._source_rlocs)
        for rloc in self._source_rlocs:
            self._desired.put(entries.local_rloc(rloc))

    def desired(self) -> list[State]:
        """Everything that has to be on the switch."""
        return self._desired.all()

    def configure(self, hash_rotation: int, *, site: int = 0, punt_window_ms: float = 0) -> Changes:
        """Properties of the switch as a whole; as `entries.switch_context`."""
        return self._desired.put(entries.switch_context(hash_rotation, site, punt_window_ms))

    def add_local_address(self, address: IPAddress) -> Changes:
        """Packets to `address` that are no tunnel's go to the controller, as those to the own RLOCs do."""
        return self._desired.put(entries.local_rloc(address))

    def add_access_port(
        self, port: int, site: int, iid: int, *, scale_up_iid: int = 0, acc_id: AccId | int = 0
    ) -> Changes:
        """An accelerator is attached to `port`; as `entries.access_port`."""
        return self._desired.put(entries.access_port(port, site, iid, scale_up_iid=scale_up_iid, acc_id=acc_id))

    def add_core_port(self, port: int) -> Changes:
        """Another switch is plugged into `port`."""
        return self._desired.put(entries.core_port(port))

    def add_instance(
        self,
        iid: int,
        encapsulation: Encapsulation,
        punt_unknown: bool,
        *,
        domain: Domain = Domain.SCALE_OUT,
        spray: Spray = Spray.FLOW,
        sample_share: int = 0,
        limit: MeterConfig = entries.UNLIMITED,
    ) -> Changes:
        """Packets of an Instance-ID are served; as `entries.instance`."""
        entry = entries.instance(
            iid, encapsulation, punt_unknown, domain=domain, spray=spray, sample_share=sample_share, limit=limit
        )
        return self._desired.put(entry)

    def add_scale_up_prefix(self, iid: int, prefix: IPNetwork) -> Changes:
        """IP packets to a subnet of the own PoD go by a Scale-Up Instance-ID (draft section 5.5.5)."""
        return self._desired.put(entries.scale_up_prefix(iid, prefix))

    def add_home_prefix(self, iid: int, prefix: IPNetwork) -> Changes:
        """EIDs of `prefix` are in the own PoD: their multicast never comes in from the fabric (draft section 6.3)."""
        return self._desired.put(home_eid(iid, prefix))

    def add_pod_rloc(self, rloc: IPAddress, site: int) -> Changes:
        """Another router of the own PoD, whose Site is `site`."""
        return self._desired.put(entries.site_of_rloc(rloc, site))

    def set_punt_limit(self, port: int, packets_per_second: int, burst: int) -> Changes:
        """At most so many packets from `port` go to the controller."""
        return self._desired.put(entries.punt_limit(port, packets_per_second, burst))

    def mirror_samples(self, octets: int = 0) -> Changes:
        """Sampled copies go to the controller; as `entries.sample_session`."""
        return self._desired.put(entries.sample_session(octets))

    def set_route(self, rloc: IPAddress, next_hops: Iterable[NextHop]) -> Changes:
        """The equal-cost ways to an RLOC; none of them: there is no way."""
        hops = tuple(next_hops)
        self._routes[rloc] = hops
        route = entries.underlay_route(ip_network(rloc), hops)
        changes = self._desired.put(route) if hops else self._desired.remove(route)
        return changes + self._replication.route_changed(rloc)

    def routed(self) -> set[IPAddress]:
        """The RLOCs that have a route."""
        return {rloc for rloc, hops in self._routes.items() if hops}

    def cut_off(self, ports: Collection[int]) -> set[IPAddress]:
        """The RLOCs that have a route, but none without one of these ports."""
        return {rloc for rloc, hops in self._routes.items() if hops and all(hop.port in ports for hop in hops)}

    def set_reachable(self, rloc: IPAddress, reachable: bool) -> Changes:
        """An RLOC takes part in the RLOC-sets that it is in, or not: one change for each of them."""
        (self._unreachable.discard if reachable else self._unreachable.add)(rloc)
        changes = Changes()
        for wanted in self._set_ids:
            if any(rloc == member.address for tier in wanted for member in tier):
                changes += self._put_set(wanted)
        return changes

    def set_replication(self, wanted: ReplicationList) -> Changes:
        """Who gets copies of a group's packets, or of broadcasts, from now on.

        Raises ValueError for a router in it that this one has no RLOC of the same IP version for.
        """
        return self._replication.put(wanted)

    def remove_replication(self, key: ListKey) -> Changes:
        """There is no such list any more; `key` as in `ReplicationList.key`."""
        return self._replication.remove(key)

    def set_forward(self, iid: int, eid: Eid, *tiers: Iterable[Rloc], provider: int | None = None) -> Changes:
        """EIDs of a prefix, or an AccID, are behind the RLOCs of the first tier that has a reachable one.

        One tier for each priority, the best first. No RLOC: packets to them are dropped. `provider`: the Instance-ID
        that tunnels to them have, where it is not `iid`: an extranet. Raises ValueError for an AccID in one.
        """
        if provider is not None and isinstance(eid, int):
            raise ValueError(f"AccID {eid} of Instance-ID {iid}: extranets are for IP, not for Scale-Up")
        wanted = tuple(members for tier in tiers if (members := tuple(sorted(tier))))
        if not wanted:
            return self.set_negative(iid, eid, DropReason.NO_RLOC)
        changes = Changes()
        if wanted not in self._set_ids:
            changes += self._add_set(wanted)
        identifier = self._set_ids[wanted]
        if provider is None or isinstance(eid, int):
            changes += self._desired.put(entries.eid_rloc_set(iid, eid, identifier))
        else:
            changes += self._desired.put(entries.eid_extranet(iid, eid, identifier, provider))
        return changes + self._use((iid, eid), wanted)

    def set_local(self, iid: int, eid: Eid, next_hop: NextHop) -> Changes:
        """EIDs of a prefix, or an AccID, are attached to a port of this router."""
        changes = self._desired.put(entries.eid_local(iid, eid, next_hop))
        return changes + self._use((iid, eid), None)

    def set_negative(self, iid: int, eid: Eid, reason: DropReason) -> Changes:
        """The mapping system wants packets to `eid` dropped."""
        changes = self._desired.put(entries.eid_negative(iid, eid, reason))
        return changes + self._use((iid, eid), None)

    def set_unknown(self, iid: int, eid: Eid) -> Changes:
        """EIDs of a prefix without an entry of their own are to be asked for."""
        changes = self._desired.put(entries.eid_unknown(iid, eid))
        return changes + self._use((iid, eid), None)

    def remove(self, iid: int, eid: Eid) -> Changes:
        """Nothing is said about `eid` any more."""
        changes = self._desired.remove(entries.eid_unknown(iid, eid))
        return changes + self._use((iid, eid), None)

    def _add_set(self, wanted: RlocSet) -> Changes:
        taken = set(self._set_ids.values())
        identifier = next((number for number in range(1, MAX_RLOC_SET_ID + 1) if number not in taken), None)
        if identifier is None:
            raise TablesFullError(f"all {MAX_RLOC_SET_ID} RLOC-set identifiers are in use")
        for rloc in (member.address for tier in wanted for member in tier):
            entries.source_for(rloc, self._source_rlocs)
        self._set_ids[wanted] = identifier
        self._users[wanted] = set()
        return self._put_set(wanted)

    def _put_set(self, wanted: RlocSet) -> Changes:
        """The set as the reachable locators make it; without any there is no entry, and its packets are dropped."""
        usable = ([member for member in tier if member.address not in self._unreachable] for tier in wanted)
        members = next((tier for tier in usable if tier), [])
        entry = entries.rloc_set(self._set_ids[wanted], members, *self._source_rlocs)
        return self._desired.put(entry) if members else self._desired.remove(entry)

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
        return self._desired.remove(entries.rloc_set(identifier, (), *self._source_rlocs))
