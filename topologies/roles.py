"""The protocol configurations that follow from a topology: what each mapping system and each xTR is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from ipaddress import ip_network
from pathlib import Path

from controller.app.accelerator_names import AcceleratorNames
from controller.dataplane.codepoints import Spray
from controller.dataplane.entries import UNLIMITED
from controller.lisp import Eid, IPAddress, Key, group_eid
from controller.lisp.replication import scale_up_group_eid
from controller.mapping import (
    AuthorisedXtr,
    Extranet,
    GroupScope,
    MapServerConfig,
    NameScope,
    Pod,
    fabric_map_server,
    pod_map_server,
)
from controller.p4rt.entities import MeterConfig
from controller.xtr import MulticastConfig, XtrConfig, access_xtr, border_xtr
from controller.xtr.roles import SCALE_OUT, SCALE_UP
from topologies.schema import (
    AcceleratorConfig,
    GroupConfig,
    InstanceConfig,
    KeyConfig,
    MappingSystemConfig,
    PodConfig,
    ScaleUpGroupConfig,
    SwitchConfig,
    Topology,
)
from topologies.yaml_source import TopologyError

SPRAYS = {"flow": Spray.FLOW, "tolerant": Spray.TOLERANT, "every": Spray.EVERY}


def rate_limit(instance: InstanceConfig) -> MeterConfig:
    """The meter of an Instance-ID, in octets; a tenth of a second's worth may come at once."""
    rate = instance.octets_per_second
    if rate is None:
        return UNLIMITED
    burst = max(rate // 10, 9000)  # at least one jumbo frame
    return MeterConfig(cir=rate, cburst=burst, pir=rate, pburst=burst)


def key_of(config: KeyConfig) -> Key:
    """The key of a PoD. Raises TopologyError when its secret cannot be had."""
    try:
        return config.key(Path())
    except ValueError as error:
        raise TopologyError(f"key {config.id}: {error}") from None


def xtr_id(pod: PodConfig, switch: SwitchConfig) -> bytes:
    """16 octets that no two xTRs of a fabric share: Site-ID and RLOC, or a digest of them."""
    assert switch.rloc is not None
    if switch.rloc.version == 6:  # too long to stand there beside the Site-ID
        return blake2b(switch.rloc.packed, digest_size=16, key=pod.site_id.to_bytes(4, "big")).digest()
    return pod.site_id.to_bytes(12, "big") + switch.rloc.packed


def subnets_of(pod: PodConfig) -> tuple[Eid, ...]:
    """The EID-prefixes of a PoD."""
    return tuple(Eid(subnet.iid, subnet.prefix) for subnet in pod.subnets)


def scale_up_subnets_of(pod: PodConfig) -> tuple[Eid, ...]:
    """The EID-prefixes whose IP packets stay in a PoD."""
    return tuple(Eid(subnet.iid, subnet.prefix) for subnet in pod.scale_up_subnets)


def names_of(pod: PodConfig) -> AcceleratorNames:
    """How the accelerators of a PoD are called in its Scale-Up mapping system, as in the draft's section 6.2."""
    return AcceleratorNames(f"POD-{pod.name}-AccID-")


def eids_of(topology: Topology, accelerator: AcceleratorConfig) -> list[Eid]:
    """What an accelerator is known by: its addresses and its name, as far as it has them."""
    eids = []
    if accelerator.iid is not None and accelerator.ip is not None:
        eids.append(Eid.of(accelerator.iid, accelerator.ip))
    if accelerator.scale_up_iid is not None:
        pod = topology.pod(topology.switch(accelerator.attached_to[0]).pod or "")
        eids.append(names_of(pod).eid(accelerator.scale_up_iid, accelerator.acc_id))
        if accelerator.scale_up_ip is not None:
            eids.append(Eid.of(accelerator.scale_up_iid, accelerator.scale_up_ip))
    return eids


def pod_of(topology: Topology, pod: PodConfig) -> Pod:
    """What mapping systems know of a PoD."""
    xtrs = tuple(
        AuthorisedXtr(xtr_id(pod, switch), (switch.rloc,), border=switch.role == "border", name=switch.name)
        for switch in topology.xtrs(pod.name)
        if switch.rloc is not None
    )
    names = tuple(NameScope(iid, names_of(pod).prefix) for iid in sorted(topology.instance_ids("scale-up")))
    groups = tuple(dict.fromkeys(GroupScope(one.iid, ip_network(one.address)) for one in topology.groups))
    groups += tuple(dict.fromkeys(GroupScope(one.iid) for one in topology.scale_up_groups))
    local = scale_up_subnets_of(pod)
    return Pod(pod.site_id, subnets_of(pod), (key_of(pod.key),), xtrs, names, pod.name, groups, local)


def group_of(group: GroupConfig | ScaleUpGroupConfig) -> Eid:
    """What a group is registered as."""
    if isinstance(group, ScaleUpGroupConfig):
        return scale_up_group_eid(group.iid, group.number)
    return group_eid(group.iid, group.address, group.source)


def _followed(topology: Topology) -> tuple[Eid, ...]:
    """The groups, from any source, that every xTR follows."""
    return tuple(dict.fromkeys(group_eid(group.iid, group.address) for group in topology.groups))


def _multicast(topology: Topology, pod: PodConfig) -> MulticastConfig:
    def rlocs(role: str | None) -> frozenset[IPAddress]:
        return frozenset(switch.rloc for switch in topology.xtrs(pod.name, role) if switch.rloc is not None)

    groups: list[GroupConfig | ScaleUpGroupConfig] = [*topology.groups, *topology.scale_up_groups]
    broadcast = tuple(group_of(group) for group in groups if group.broadcast)
    return MulticastConfig(site_rlocs=rlocs(None), borders=rlocs("border"), broadcast=broadcast)


def mapping_systems(topology: Topology) -> Iterable[tuple[str, MapServerConfig]]:
    """Name and configuration of every Map-Server: those of each PoD, and those of the Scale-Out fabric."""
    pods = [(pod, pod_of(topology, pod)) for pod in topology.pods]
    for pod, known in pods:
        yield from _nodes(topology, pod.mapping_system, pod_map_server(pod.mapping_system.address, known))
    fabric = topology.scale_out_mapping_system
    if fabric is not None:
        yield from _nodes(topology, fabric, fabric_map_server(fabric.address, [known for _, known in pods]))


def _nodes(
    topology: Topology, system: MappingSystemConfig, config: MapServerConfig
) -> Iterable[tuple[str, MapServerConfig]]:
    """The nodes of a mapping system, each with the extranets of what is registered there."""
    owned = [one.eid for site in config.sites for one in site.prefixes]
    extranets = []
    for policy in topology.extranets:
        theirs = [one for one in owned if one.iid == policy.provider]
        offered = tuple(
            prefix
            for prefix in policy.prefixes
            if any(Eid(one.iid, prefix).covers(one) or one.covers(Eid(one.iid, prefix)) for one in theirs)
        )
        if offered:
            extranets.append(Extranet(policy.provider, policy.subscriber, offered))
    for node in system.all_nodes:
        yield node.name, replace(config, address=node.address, extranets=tuple(extranets))


def xtr_config(topology: Topology, switch: SwitchConfig) -> XtrConfig:
    """The configuration of an access xTR or border pxTR. Raises ValueError for a switch of another role."""
    config = replace(_role_config(topology, switch), extranets=bool(topology.extranets))
    if topology.probing is not None:
        config = replace(config, probing=topology.probing.probing())
    nodes = {SCALE_UP: topology.pod(switch.pod or "").mapping_system.nodes}
    if topology.scale_out_mapping_system is not None:
        nodes[SCALE_OUT] = topology.scale_out_mapping_system.nodes
    more = tuple(
        replace(link, name=f"{link.name}-{number}", address=node.address, system=link.name)
        for link in config.links
        for number, node in enumerate(nodes[link.name], start=2)
    )
    return replace(config, links=config.links + more)


def _role_config(topology: Topology, switch: SwitchConfig) -> XtrConfig:
    if switch.rloc is None or switch.pod is None:
        raise ValueError(f"{switch.name} is a {switch.role}, not an xTR")
    pod = topology.pod(switch.pod)
    identity = xtr_id(pod, switch)
    keys = (key_of(pod.key),)
    names = topology.instance_ids("scale-up")
    if switch.role == "access":
        return access_xtr(
            xtr_id=identity,
            site_id=pod.site_id,
            rlocs=(switch.rloc,),
            map_server=pod.mapping_system.address,
            keys=keys,
            subnets=subnets_of(pod) + scale_up_subnets_of(pod),
            name_iids=names,
            groups=_followed(topology),
            multicast=_multicast(topology, pod),
        )
    if topology.scale_out_mapping_system is None:
        raise ValueError(f"{switch.name} is a border without a Scale-Out mapping system")
    return border_xtr(
        xtr_id=identity,
        site_id=pod.site_id,
        rlocs=(switch.rloc,),
        map_server=pod.mapping_system.address,
        keys=keys,
        fabric_map_server=topology.scale_out_mapping_system.address,
        fabric_keys=keys,
        subnets=subnets_of(pod),
        local_subnets=scale_up_subnets_of(pod),
        name_iids=names,
        groups=_followed(topology),
        multicast=_multicast(topology, pod),
    )
