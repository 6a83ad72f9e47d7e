"""The two roles that a Map-Server has in the fabric, as configurations (draft figure 1).

Any other setting comes with `dataclasses.replace`, which checks the result again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.lisp import Eid, IPAddress, Key
from controller.mapping.config import AuthorisedXtr, GroupScope, MapServerConfig, NameScope, SiteConfig, SitePrefix


@dataclass(frozen=True, slots=True)
class Pod:
    """What both mapping systems have to know of a PoD: its Site-ID, subnets, keys and xTRs.

    `xtrs` with `border` set speak to the fabric. `names`: Scale-Up EIDs, known inside the PoD only. `groups`:
    what its xTRs may join; IP groups span PoDs, Scale-Up groups do not. `local_subnets`: IP EIDs of Scale-Up, known
    inside the PoD only (draft section 5.5.5).
    """

    site_id: int
    subnets: tuple[Eid, ...]
    keys: tuple[Key, ...]
    xtrs: tuple[AuthorisedXtr, ...]
    names: tuple[NameScope, ...] = ()
    name: str = ""
    groups: tuple[GroupScope, ...] = ()
    local_subnets: tuple[Eid, ...] = ()


def pod_map_server(address: IPAddress, pod: Pod) -> MapServerConfig:
    """The Scale-Up mapping system of one PoD: hosts register one by one, pxTRs as the way out (choice C17)."""
    site = SiteConfig(
        pod.site_id,
        pod.keys,
        prefixes=tuple(SitePrefix(eid, host_routes=True) for eid in pod.subnets + pod.local_subnets),
        names=pod.names,
        groups=pod.groups,
        xtrs=pod.xtrs,
        petr_iids=frozenset(eid.iid for eid in pod.subnets),
        name=pod.name,
    )
    return MapServerConfig(address, (site,))


def fabric_map_server(address: IPAddress, pods: Iterable[Pod]) -> MapServerConfig:
    """The mapping system of the Scale-Out fabric: subnets, no hosts (choice C24), from pxTRs only."""
    sites = tuple(
        SiteConfig(
            pod.site_id,
            pod.keys,
            prefixes=tuple(SitePrefix(eid, more_specifics=False) for eid in pod.subnets),
            groups=tuple(scope for scope in pod.groups if scope.groups is not None),
            xtrs=tuple(xtr for xtr in pod.xtrs if xtr.border),
            name=pod.name,
        )
        for pod in pods
    )
    return MapServerConfig(address, sites)
