"""How the sections of a topology have to fit together to make a fabric."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from topologies.collective_checks import collective_problems
from topologies.limits import PORTS
from topologies.schema import MappingSystemConfig, SubnetConfig, Topology
from topologies.yaml_source import Path_, path_text

Problem = tuple[Path_, str]


def overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    """Whether two prefixes have an address in common."""
    return one.version == other.version and one.overlaps(other)


def _duplicates(section: str, field: str, values: list[object]) -> list[Problem]:
    seen: dict[object, int] = {}
    problems: list[Problem] = []
    for index, value in enumerate(values):
        if value is not None and value in seen:
            problems.append(((section, index, field), f"{value} is also {section}[{seen[value]}]'s"))
        seen.setdefault(value, index)
    return problems


def _subnet_problems(topology: Topology) -> list[Problem]:
    """SO-REG-1: the subnets of two PoDs in one Instance-ID may not overlap."""
    iids = topology.instance_ids("scale-out")
    subnets = [
        (("pods", number, "subnets", index, "prefix"), pod.name, subnet)
        for number, pod in enumerate(topology.pods)
        for index, subnet in enumerate(pod.subnets)
    ]
    problems: list[Problem] = [
        ((*path[:-1], "iid"), f"{subnet.iid} is no Scale-Out Instance-ID of `instances`")
        for path, _, subnet in subnets
        if subnet.iid not in iids
    ]
    # Prefixes nest: in address order, one that overlaps any earlier one is inside the last that overlapped none.
    outermost: dict[tuple[int, int], tuple[str, SubnetConfig]] = {}
    for path, pod_name, subnet in sorted(
        subnets, key=lambda one: (one[2].prefix.network_address.packed, one[2].prefix.prefixlen)
    ):
        segment = subnet.iid, subnet.prefix.version
        first_pod, first = outermost.get(segment, (pod_name, None))
        if first is not None and first.prefix.overlaps(subnet.prefix):
            where = f"{first.prefix} of pod {first_pod} in Instance-ID {first.iid}"
            problems.append((path, f"{subnet.prefix} overlaps {where}"))
        else:
            outermost[segment] = pod_name, subnet
    scale_up = topology.instance_ids("scale-up")
    return problems + [
        (("pods", number, "scale_up_subnets", index, "iid"), f"{subnet.iid} is no Scale-Up Instance-ID of `instances`")
        for number, pod in enumerate(topology.pods)
        for index, subnet in enumerate(pod.scale_up_subnets)
        if subnet.iid not in scale_up
    ]


def _accelerator_problems(topology: Topology) -> list[Problem]:
    switches = {switch.name: switch for switch in topology.switches}
    pods = {pod.name: pod for pod in topology.pods}
    problems: list[Problem] = []
    for index, accelerator in enumerate(topology.accelerators):
        here: Path_ = ("accelerators", index)
        at: set[str] = set()
        for number, name in enumerate(accelerator.attached_to):
            switch = switches.get(name)
            if switch is None or switch.role != "access":
                problems.append(((*here, "attached_to", number), f"{name} is no access switch"))
            elif switch.pod is not None:
                at.add(switch.pod)
        if len(at) > 1:
            problems.append(((*here, "attached_to"), f"spans the pods {', '.join(sorted(at))}"))
        for pod in at & pods.keys():
            subnets = [subnet.prefix for subnet in pods[pod].subnets if subnet.iid == accelerator.iid]
            if accelerator.ip is not None and not any(accelerator.ip in subnet for subnet in subnets):
                problems.append(
                    (
                        (*here, "ip"),
                        f"{accelerator.ip} is in no subnet of pod {pod} in Instance-ID {accelerator.iid}",
                    )
                )
    hosts = [None if one.ip is None else (one.iid, one.ip) for one in topology.accelerators]
    return problems + _duplicates("accelerators", "ip", list(hosts)) + _scale_up_problems(topology)


def _scale_up_problems(topology: Topology) -> list[Problem]:
    """An accelerator's Scale-Up Instance-ID is one, and its AccID is its own there within the PoD."""
    iids = topology.instance_ids("scale-up")
    problems: list[Problem] = []
    taken: dict[tuple[str | None, int, int], int] = {}
    pod_of = {switch.name: switch.pod for switch in topology.switches}
    for index, accelerator in enumerate(topology.accelerators):
        if accelerator.scale_up_iid is None:
            continue
        here: Path_ = ("accelerators", index)
        if accelerator.scale_up_iid not in iids:
            problems.append(
                ((*here, "scale_up_iid"), f"{accelerator.scale_up_iid} is no Scale-Up Instance-ID of `instances`")
            )
        pod = next((pod for pod in topology.pods if pod.name == pod_of.get(accelerator.attached_to[0])), None)
        subnets = () if pod is None else pod.scale_up_subnets
        address = accelerator.scale_up_ip
        if address is not None and not any(
            subnet.iid == accelerator.scale_up_iid and address in subnet.prefix for subnet in subnets
        ):
            problems.append(
                (
                    (*here, "scale_up_ip"),
                    f"{address} is in no scale_up_subnet of Instance-ID {accelerator.scale_up_iid}",
                )
            )
        key = (pod_of.get(accelerator.attached_to[0]), accelerator.scale_up_iid, accelerator.acc_id)
        if key in taken:
            problems.append(((*here, "acc_id"), f"{accelerator.acc_id} is also accelerators[{taken[key]}]'s"))
        taken.setdefault(key, index)
    return problems


def _group_problems(topology: Topology) -> list[Problem]:
    """Groups are of Scale-Out Instance-IDs that exist, and so are their members."""
    iids = topology.instance_ids("scale-out")
    accelerators = {accelerator.name: accelerator for accelerator in topology.accelerators}
    problems: list[Problem] = []
    for index, group in enumerate(topology.groups):
        here: Path_ = ("groups", index)
        if group.iid not in iids:
            problems.append(((*here, "iid"), f"{group.iid} is no Scale-Out Instance-ID of `instances`"))
        for number, name in enumerate(group.members):
            member = accelerators.get(name)
            if member is None:
                problems.append(((*here, "members", number), f"{name} is no accelerator"))
            elif member.iid != group.iid:
                problems.append(((*here, "members", number), f"{name} is not in Instance-ID {group.iid}"))
            elif member.ip is None or member.ip.version != group.address.version:
                problems.append(((*here, "members", number), f"{name} has no IPv{group.address.version} address"))
    problems += _scale_up_group_problems(topology)
    named = [f"{group.address} from {group.source or 'any'} in {group.iid}" for group in topology.groups]
    return problems + _duplicates("groups", "address", list(named))


def _scale_up_group_problems(topology: Topology) -> list[Problem]:
    iids = topology.instance_ids("scale-up")
    accelerators = {accelerator.name: accelerator for accelerator in topology.accelerators}
    problems: list[Problem] = []
    for index, group in enumerate(topology.scale_up_groups):
        here: Path_ = ("scale_up_groups", index)
        if group.iid not in iids:
            problems.append(((*here, "iid"), f"{group.iid} is no Scale-Up Instance-ID of `instances`"))
        for number, name in enumerate(group.members):
            if name not in accelerators:
                problems.append(((*here, "members", number), f"{name} is no accelerator"))
            elif accelerators[name].scale_up_iid != group.iid:
                problems.append(((*here, "members", number), f"{name} is not in Instance-ID {group.iid}"))
    named = [f"{group.number:#x} in {group.iid}" for group in topology.scale_up_groups]
    return problems + _duplicates("scale_up_groups", "number", list(named))


def _nodes(topology: Topology) -> list[tuple[Path_, str, IPv4Address | IPv6Address]]:
    """Every Map-Server: where it stands, its name and its address."""
    systems: list[tuple[Path_, MappingSystemConfig]] = [
        (("pods", index, "mapping_system"), pod.mapping_system) for index, pod in enumerate(topology.pods)
    ]
    if topology.scale_out_mapping_system is not None:
        systems.append((("scale_out_mapping_system",), topology.scale_out_mapping_system))
    found: list[tuple[Path_, str, IPv4Address | IPv6Address]] = []
    for path, system in systems:
        found.append((path, system.name, system.address))
        found += [((*path, "nodes", number), node.name, node.address) for number, node in enumerate(system.nodes)]
    return found


def _underlay_problems(topology: Topology) -> list[Problem]:
    """One underlay of one IP version, in which every RLOC and Map-Server has an address. EIDs may be of either."""
    addresses: list[tuple[Path_, IPv4Address | IPv6Address]] = [
        ((*path, "address"), address) for path, _, address in _nodes(topology)
    ]
    switches = enumerate(topology.switches)
    addresses += [(("switches", index, "rloc"), switch.rloc) for index, switch in switches if switch.rloc is not None]
    _, first = addresses[0]
    problems: list[Problem] = [
        (path, f"{address} is not of the IP version of pods[0].mapping_system.address = {first}")
        for path, address in addresses
        if address.version != first.version
    ]
    holders: dict[object, Path_] = {}
    named = [((*path, "name"), name) for path, name, _ in _nodes(topology)]
    named += [(("switches", index, "name"), switch.name) for index, switch in enumerate(topology.switches)]
    for place, value in [*addresses, *named]:
        if value in holders and not place[0] == holders[value][0] == "switches":
            problems.append((place, f"{value} is also {path_text(holders[value])}"))
        holders.setdefault(value, place)
    return problems


def _extranet_problems(topology: Topology) -> list[Problem]:
    """An extranet offers what some PoD has at the provider and no PoD has at the subscriber."""
    iids = topology.instance_ids("scale-out")
    problems: list[Problem] = []
    offered: list[tuple[int, IPv4Network | IPv6Network, str]] = [
        (subnet.iid, subnet.prefix, f"{subnet.prefix} of pod {pod.name}")
        for pod in topology.pods
        for subnet in pod.subnets
    ]
    for index, policy in enumerate(topology.extranets):
        here: Path_ = ("extranets", index)
        problems += [
            ((*here, field), f"{iid} is no Scale-Out Instance-ID of `instances`")
            for field, iid in (("provider", policy.provider), ("subscriber", policy.subscriber))
            if iid not in iids
        ]
        for number, prefix in enumerate(policy.prefixes):
            place = (*here, "prefixes", number)
            if not any(iid == policy.provider and overlap(prefix, one) for iid, one, _ in offered):
                problems.append((place, f"{prefix} is in no subnet of a pod in Instance-ID {policy.provider}"))
            for iid, one, owner in offered:
                if iid == policy.subscriber and overlap(prefix, one):
                    problems.append((place, f"{prefix} overlaps {owner} in Instance-ID {iid}"))
            offered.append((policy.subscriber, prefix, f"{prefix} of {path_text(here)}"))
    return problems


def _effect_problems(topology: Topology) -> list[Problem]:
    links = {frozenset(link) for link in topology.links}
    links |= {frozenset((one.name, switch)) for one in topology.accelerators for switch in one.attached_to}
    problems: list[Problem] = []
    seen: dict[frozenset[str], int] = {}
    for index, effects in enumerate(topology.link_effects):
        ends, here = frozenset(effects.between), ("link_effects", index, "between")
        if ends not in links:
            problems.append((here, f"{' and '.join(effects.between)} are not linked"))
        elif ends in seen:
            problems.append((here, f"the link is also link_effects[{seen[ends]}]'s"))
        seen.setdefault(ends, index)
    return problems


def _port_problems(topology: Topology) -> list[Problem]:
    ends = Counter(end for link in topology.links for end in link)
    ends.update(switch for accelerator in topology.accelerators for switch in accelerator.attached_to)
    return [
        (("switches", index, "name"), f"{switch.name} would need {ends[switch.name]} ports; a switch has {PORTS}")
        for index, switch in enumerate(topology.switches)
        if ends[switch.name] > PORTS
    ]


def _fabric_problems(topology: Topology) -> list[Problem]:
    """Without a Scale-Out mapping system there is no Scale-Out: no border, no subnet, no address."""
    if topology.scale_out_mapping_system is not None:
        return []
    why = "Scale-Out needs a scale_out_mapping_system"
    problems: list[Problem] = [
        (("instances", index, "domain"), why)
        for index, instance in enumerate(topology.instances)
        if instance.domain == "scale-out"
    ]
    problems += [
        (("switches", index, "role"), why) for index, switch in enumerate(topology.switches) if switch.role == "border"
    ]
    return problems


def problems_of(topology: Topology) -> list[Problem]:
    """Everything that is wrong between the sections of a topology: (path of the field, reason) each."""
    names = {switch.name for switch in topology.switches}
    pods = {pod.name for pod in topology.pods}
    problems: list[Problem] = []
    for section in ("instances", "pods", "switches", "accelerators"):
        problems += _duplicates(section, "name", [item.name for item in getattr(topology, section)])
    # SO-SEG-3, SU-SEG-3: one number, one segment.
    problems += _duplicates("instances", "iid", [instance.iid for instance in topology.instances])
    problems += _duplicates("pods", "site_id", [pod.site_id for pod in topology.pods])
    problems += _duplicates("switches", "rloc", [switch.rloc for switch in topology.switches])
    for index, switch in enumerate(topology.switches):
        if switch.pod is not None and switch.pod not in pods:
            problems.append((("switches", index, "pod"), f"{switch.pod} is no pod"))
    for index, link in enumerate(topology.links):
        problems += [(("links", index), f"{end} is no switch") for end in link if end not in names]
        if link[0] == link[1]:
            problems.append((("links", index), f"joins {link[0]} to itself"))
    problems += (
        _underlay_problems(topology)
        + _effect_problems(topology)
        + _port_problems(topology)
        + _fabric_problems(topology)
        + _subnet_problems(topology)
        + _accelerator_problems(topology)
    )
    return problems + _extranet_problems(topology) + _group_problems(topology) + collective_problems(topology)
