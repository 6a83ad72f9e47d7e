"""Collectives of a topology: its INCC domains and groups, and the network as the group manager needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

from controller.dataplane.collective_limits import CollectiveLimits
from controller.incc import Accelerator, Carrier, Domain, EidPool, GroupManager, Network, Way, Xtr
from controller.incc.domains import GroupEid
from topologies.plan import SwitchPlan
from topologies.schema import CollectiveDomainConfig, Topology


def domains_of(topology: Topology) -> list[Domain]:
    """The INCC domains."""
    return [_domain(topology, config) for config in topology.collectives.domains]


def _domain(topology: Topology, config: CollectiveDomainConfig) -> Domain:
    slots = config.slots or topology.collectives.slots
    dedicated = config.segment == "dedicated"
    if config.acc_ids is not None:
        pools: tuple[EidPool, ...] = (EidPool(range(config.acc_ids.first, config.acc_ids.last + 1)),)
        return Domain(config.name, config.iid, Carrier.SCALE_UP, pools, dedicated, slots)
    pools = tuple(EidPool(prefix, pod_of_prefix(topology, config.iid, prefix)) for prefix in config.eids)
    carrier = Carrier.IPV4 if config.eids[0].version == 4 else Carrier.IPV6
    return Domain(config.name, config.iid, carrier, pools, dedicated, slots)


def pod_of_prefix(topology: Topology, iid: int, prefix: IPv4Network | IPv6Network) -> str | None:
    """The PoD that a prefix of group EIDs belongs to; None if it is in no PoD's subnet."""
    for pod in topology.pods:
        for subnet in pod.subnets:
            inside = subnet.iid == iid and subnet.prefix.version == prefix.version
            if inside and prefix.network_address in subnet.prefix and prefix.broadcast_address in subnet.prefix:
                return pod.name
    return None


def network_of(topology: Topology, plans: Mapping[str, SwitchPlan], limits: Mapping[str, CollectiveLimits]) -> Network:
    """Routers, accelerators and the ways between them. `limits`: of each switch's program."""
    xtrs = [
        Xtr(
            switch.name,
            switch.pod,
            switch.rloc,
            switch.role == "border",
            limits[switch.name].slots,
            limits[switch.name].children,
            limits[switch.name].ipv6,
        )
        for switch in topology.switches
        if switch.pod is not None and switch.rloc is not None
    ]
    rlocs = {xtr.name: xtr.rloc for xtr in xtrs}

    def ways(source: str, target: str) -> Sequence[Way]:
        ports = plans[source].routes.get(rlocs[target], ())
        return [Way(port.number, port.peer, port.peer_port) for port in ports]

    accelerators = []
    for one in topology.accelerators:
        addresses: dict[int, GroupEid] = {}
        if one.iid is not None and one.ip is not None:
            addresses[one.iid] = one.ip
        if one.scale_up_iid is not None:
            addresses[one.scale_up_iid] = one.acc_id
        accelerators.append(Accelerator(one.name, topology.switch(one.attached_to[0]).pod or "", addresses))
    return Network(xtrs, accelerators, ways)


def manager_of(
    topology: Topology,
    plans: Mapping[str, SwitchPlan],
    limits: Mapping[str, CollectiveLimits],
    first_generation: int = 0,
) -> GroupManager:
    """A group manager for a fabric, without groups and with nobody attached."""
    return GroupManager(network_of(topology, plans, limits), domains_of(topology), first_generation)
