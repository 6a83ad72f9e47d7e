"""How the collectives of a topology have to fit to the rest of it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from topologies.collectives import pod_of_prefix
from topologies.schema import AcceleratorConfig, CollectiveDomainConfig, CollectiveGroupConfig, Topology
from topologies.yaml_source import Path_

Problem = tuple[Path_, str]


def collective_problems(topology: Topology) -> list[Problem]:
    """What is wrong with domains and groups: (path of the field, reason) each."""
    problems: list[Problem] = []
    domains: dict[str, CollectiveDomainConfig] = {}
    iids: dict[int, str] = {}
    for index, domain in enumerate(topology.collectives.domains):
        here: Path_ = ("collectives", "domains", index)
        if domain.name in domains:
            problems.append(((*here, "name"), f"{domain.name} is the name of two domains"))
        if domain.iid in iids:
            problems.append(((*here, "iid"), f"{domain.iid} is that of domain {iids[domain.iid]}"))
        domains.setdefault(domain.name, domain)
        iids.setdefault(domain.iid, domain.name)
        problems += _domain_problems(topology, domain, here)
    groups: set[str] = set()
    used: dict[str, str] = {}
    for index, group in enumerate(topology.collectives.groups):
        here = ("collectives", "groups", index)
        if group.name in groups:
            problems.append(((*here, "name"), f"{group.name} is the name of two groups"))
        groups.add(group.name)
        found = domains.get(group.domain)
        if found is None:
            problems.append(((*here, "domain"), f"{group.domain} is no domain of `collectives`"))
            continue
        if found.segment == "dedicated" and group.domain in used:
            why = f"domain {group.domain} is dedicated to one group, which is {used[group.domain]}"
            problems.append(((*here, "domain"), why))
        used.setdefault(group.domain, group.name)
        problems += _member_problems(topology, group, found, here)
    return problems


def _domain_problems(topology: Topology, domain: CollectiveDomainConfig, here: Path_) -> list[Problem]:
    scale_up = domain.iid in topology.instance_ids("scale-up")
    if not scale_up and domain.iid not in topology.instance_ids("scale-out"):
        return [((*here, "iid"), f"{domain.iid} is no Instance-ID of `instances`")]
    if scale_up and domain.acc_ids is None:
        return [((*here, "eids"), f"{domain.iid} is of Scale-Up: groups have AccIDs, of `acc_ids`")]
    if not scale_up and domain.acc_ids is not None:
        return [((*here, "acc_ids"), f"{domain.iid} is of Scale-Out: groups have addresses, of `eids`")]
    problems: list[Problem] = []
    prefixes: list[IPv4Network | IPv6Network] = list(domain.eids)
    for index, prefix in enumerate(prefixes):
        place = (*here, "eids", index)
        if prefix.version != prefixes[0].version:
            problems.append((place, f"{prefix} is not of the IP version of {prefixes[0]}"))
        elif pod_of_prefix(topology, domain.iid, prefix) is None:
            problems.append((place, f"{prefix} is in no subnet of a pod in Instance-ID {domain.iid}"))
        if any(prefix.version == other.version and prefix.overlaps(other) for other in prefixes[:index]):
            problems.append((place, f"{prefix} overlaps another of them"))
    return problems


def _member_problems(
    topology: Topology, group: CollectiveGroupConfig, domain: CollectiveDomainConfig, here: Path_
) -> list[Problem]:
    problems: list[Problem] = []
    accelerators = {one.name: one for one in topology.accelerators}
    pod_of = {switch.name: switch.pod for switch in topology.switches}
    first: AcceleratorConfig | None = None
    for number, name in enumerate(group.members):
        member, place = accelerators.get(name), (*here, "members", number)
        if member is None:
            problems.append((place, f"{name} is no accelerator"))
            continue
        if name in group.members[:number]:
            problems.append((place, f"{name} is there twice"))
        if domain.acc_ids is None:
            if member.iid != domain.iid:
                problems.append((place, f"{name} is not in Instance-ID {domain.iid}"))
            elif member.ip is not None and domain.eids and member.ip.version != domain.eids[0].version:
                problems.append((place, f"{name} has no IPv{domain.eids[0].version} address"))
            continue
        first = first or member
        if member.scale_up_iid != domain.iid:
            problems.append((place, f"{name} is not in Instance-ID {domain.iid}"))
        elif pod_of.get(member.attached_to[0]) != pod_of.get(first.attached_to[0]):
            problems.append((place, f"{name} is in another pod than {first.name}; a Scale-Up group is in one"))
    return problems
