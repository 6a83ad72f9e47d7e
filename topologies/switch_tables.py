"""What a switch has in its tables from the start, whatever the mapping systems say: what follows from the topology."""

from __future__ import annotations

from controller.app.xtr_settings import DOMAINS, ENCAPSULATIONS
from controller.dataplane.entries import NextHop
from controller.dataplane.router_tables import RouterTables
from topologies.plan import PortPlan, SwitchPlan
from topologies.roles import SPRAYS, rate_limit
from topologies.schema import SwitchConfig, Topology


def hash_rotation(topology: Topology, switch: SwitchConfig) -> int:
    """Bits by which a switch rotates the flow hash.

    Rotations on one path have to be at least 4 bits apart, or the choices of its switches depend on each other. That
    leaves eight values: one for each role that a packet meets once or that has no choice to make, and five in turn for
    the borders of the PoDs, two of which are on every path between PoDs.
    """
    step = {"access": 0, "pod-switch": 1, "fabric-switch": 2}.get(switch.role)
    if step is None:
        step = 3 + [pod.name for pod in topology.pods].index(switch.pod or "") % 5
    return 4 * step


def next_hop(port: PortPlan) -> NextHop:
    """The other end of a port, as an entry needs it."""
    return NextHop(port.number, port.mac, port.peer_mac)


def initial_tables(topology: Topology, planned: SwitchPlan) -> RouterTables:
    """What a switch has from the start: its place in the underlay, and the Instance-IDs."""
    switch = topology.switch(planned.name)
    tables = RouterTables(switch.rloc)
    site = 0 if switch.pod is None else topology.pod(switch.pod).site_id
    punt = topology.punt
    tables.configure(hash_rotation(topology, switch), site=site, punt_window_ms=punt.window_ms)
    for port in planned.ports:
        if port.access:
            tables.set_punt_limit(port.number, punt.packets_per_second, punt.burst)
        else:
            tables.add_core_port(port.number)
    for rloc, ports in planned.routes.items():
        tables.set_route(rloc, [next_hop(port) for port in ports])
    if switch.rloc is not None and switch.pod is not None:
        for instance in topology.instances:
            tables.add_instance(
                instance.iid,
                ENCAPSULATIONS[instance.encapsulation],
                instance.unknown == "punt",
                domain=DOMAINS[instance.domain],
                spray=SPRAYS[instance.spray],
                sample_share=instance.sample_share,
                limit=rate_limit(instance),
            )
        if any(instance.sample_share for instance in topology.instances):
            tables.mirror_samples()
        pod = topology.pod(switch.pod)
        for subnet in (*pod.subnets, *pod.scale_up_subnets):
            tables.add_home_prefix(subnet.iid, subnet.prefix)
        for subnet in pod.scale_up_subnets:
            tables.add_scale_up_prefix(subnet.iid, subnet.prefix)
        for router in topology.xtrs(switch.pod):
            if router.rloc is not None:
                tables.add_pod_rloc(router.rloc, site)
    return tables
