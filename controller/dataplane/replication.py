"""Replication lists: who gets the copies of a multicast or broadcast packet, and the entries that make them.

The lists come from the mapping system (RFC 8378: the merged replication list of a group) and from the configuration
(broadcast). What a list holds follows from what the router is:

* access xTR: as receivers the accelerators here for which it is the designated xTR; as routers the other xTRs of the
  replication list, the designated border among them.
* border pxTR, designated: the PoD's xTRs of the list, with the PoD's own Site, and the other PoDs' designated borders.
* border pxTR, not designated: no list, or one without routers.

The data plane adds split horizon (draft section 6.3), so that one list serves packets from every side: no copy goes
back to the port, accelerator or Site that the packet came from, and none that came from the fabric goes there again.

    ReplicationList(iid=4097, group=IPv4Address("239.1.1.1"), receivers={Receiver(hop, IPv4Address("10.0.0.2"))},
                    routers={ReplicaRouter(IPv4Address("192.0.2.3"), site=13)})

`RouterTables.set_replication` takes it. Multicast groups of the switch are numbered below `GROUP_LIMIT`; numbers from
there to 32767 are left to the collectives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.dataplane.addresses import Endpoint, IPAddress, IPNetwork
from controller.dataplane.entries import DEFAULT_MTU, NextHop, mac, match_prefix, source_for
from controller.p4rt.actions import Action
from controller.p4rt.entities import MulticastGroup, Replica, TableEntry
from controller.p4rt.matches import Exact

# Multicast groups of the replication engine, and copies that it tells apart, that are used here: 1 up to these.
GROUP_LIMIT = 16384
REPLICA_LIMIT = 32768


@dataclass(frozen=True, slots=True)
class Receiver:
    """An accelerator that gets a copy.

    Attributes:
        next_hop: where it is; the address at the other end may be a group's.
        eid: its own EID in the list's Instance-ID, so that it does not hear itself over another of its links; None:
            not compared.
    """

    next_hop: NextHop
    eid: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class ReplicaRouter:
    """A router that gets a copy through a tunnel.

    Attributes:
        site: low 32 bits of its Site-ID where that is the own PoD's; 0 for the border of any other.
        mtu: octets of the largest packet to it.
    """

    rloc: IPAddress
    site: int = 0
    mtu: int = DEFAULT_MTU


@dataclass(frozen=True, slots=True)
class ReplicationList:
    """Who gets a copy of what is sent to a group: by one source, or by all that have no list of their own.

    Attributes:
        group: the group's address; None: everybody (255.255.255.255 and the AccID of all ones).
        source: of a group's packets; None: any. Broadcast has no list by source.
    """

    iid: int
    group: Endpoint | None
    source: Endpoint | None = None
    receivers: frozenset[Receiver] = frozenset()
    routers: frozenset[ReplicaRouter] = frozenset()

    def __post_init__(self) -> None:
        if self.group is None and self.source is not None:
            raise ValueError(f"[{self.iid}] source {self.source}: a broadcast list is for all sources")

    @property
    def key(self) -> ListKey:
        """Which list it is."""
        return self.iid, self.source, self.group


ListKey = tuple[int, Endpoint | None, Endpoint | None]
"""Instance-ID, source, group."""


def list_entry(key: ListKey, group_id: int) -> TableEntry:
    """Packets of a list go to a multicast group of the switch."""
    iid, source, group = key
    action = Action("replicate", {"group": group_id})
    if group is None:
        return TableEntry("broadcast", {"iid": Exact(iid)}, action)
    match = {"iid": Exact(iid), "group": Exact(group)}
    if source is None:
        return TableEntry("multicast_group", match, action)
    return TableEntry("multicast_source", match | {"source": Exact(source)}, action)


def home_eid(iid: int, prefix: IPNetwork) -> TableEntry:
    """EIDs of `prefix` are in the own PoD: what they send to a group never comes from the fabric."""
    return TableEntry("home_eid", match_prefix(iid, prefix), Action("from_home"))


def receiver_copy(replica: int, receiver: Receiver) -> TableEntry:
    """Copy number `replica` is for an accelerator here."""
    hop = receiver.next_hop
    params = {
        "port_mac": mac(hop.port_mac),
        "next_hop_mac": mac(hop.next_hop_mac),
        "receiver_eid": 0 if receiver.eid is None else receiver.eid,
    }
    return TableEntry("replica", {"replica": Exact(replica)}, Action("deliver_copy", params))


def router_copy(replica: int, router: ReplicaRouter, hop: NextHop, *source_rlocs: IPAddress) -> TableEntry:
    """Copy number `replica` is for another router, over `hop`; its tunnel starts at the RLOC of the same IP version.

    Raises ValueError when there is none.
    """
    name = "tunnel_copy" if router.rloc.version == 4 else "tunnel_copy_ipv6"
    params = {
        "rloc": router.rloc,
        "source_rloc": source_for(router.rloc, source_rlocs),
        "mtu": router.mtu,
        "remote_site": router.site,
        "port_mac": mac(hop.port_mac),
        "next_hop_mac": mac(hop.next_hop_mac),
    }
    return TableEntry("replica", {"replica": Exact(replica)}, Action(name, params))


def multicast_group(group_id: int, copies: Iterable[tuple[int, int]]) -> MulticastGroup:
    """Group `group_id` makes these copies, each a port and a replica number."""
    return MulticastGroup(group_id, [Replica(port, replica) for port, replica in copies])
