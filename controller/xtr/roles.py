"""The two roles that an xTR has in a PoD, as configurations (draft sections 4.1 to 4.3).

Any other setting comes with `dataclasses.replace`, which checks the result again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from controller.lisp import DistinguishedName, Eid, IPAddress, Key
from controller.xtr.config import LocalEid, MappingSystemLink, XtrConfig
from controller.xtr.multicast.config import MulticastConfig

SCALE_UP: Final = "scale-up"
"""Name of the link to the mapping system of the own PoD."""
SCALE_OUT: Final = "scale-out"
"""Name of the link to the mapping system of the fabric between PoDs."""

_NO_GROUPS: Final = MulticastConfig()


def access_xtr(
    *,
    xtr_id: bytes,
    site_id: int,
    rlocs: tuple[IPAddress, ...],
    map_server: IPAddress,
    keys: tuple[Key, ...],
    subnets: Iterable[Eid],
    name_iids: frozenset[int] = frozenset(),
    follow_names: bool = True,
    groups: Iterable[Eid] = (),
    multicast: MulticastConfig = _NO_GROUPS,
) -> XtrConfig:
    """An xTR that accelerators are attached to.

    It knows one mapping system, that of its PoD, and follows the subnets of its PoD there: so it has a
    route to every attached host before the first packet (SO-REG-13, SO-REG-16). `follow_names`: the same for
    the accelerators of the instance-IDs `name_iids`; else it asks for each when it is first sent to (SU-FLOW-3).
    `groups`: ranges of IP groups to follow, so that packets to them find their receivers. `multicast`: as it is,
    but for the link. Accelerators come with `Xtr.attach`.
    """
    inside = tuple(subnets)
    followed = (*inside, *_whole(name_iids if follow_names else ()), *groups)
    link = MappingSystemLink(SCALE_UP, map_server, keys, _everything(inside), name_iids, subscribe=followed)
    return XtrConfig(xtr_id, site_id, rlocs, (link,), multicast=replace(multicast, pod_link=SCALE_UP))


def border_xtr(
    *,
    xtr_id: bytes,
    site_id: int,
    rlocs: tuple[IPAddress, ...],
    map_server: IPAddress,
    keys: tuple[Key, ...],
    fabric_map_server: IPAddress,
    fabric_keys: tuple[Key, ...],
    subnets: Iterable[Eid],
    name_iids: frozenset[int] = frozenset(),
    follow_names: bool = True,
    local_subnets: Iterable[Eid] = (),
    petr_name: str = "pETR",
    groups: Iterable[Eid] = (),
    multicast: MulticastConfig = _NO_GROUPS,
) -> XtrConfig:
    """A pxTR between a PoD and the fabric.

    It registers the PoD's subnets in both mapping systems (SO-REG-2, SO-REG-3), and itself with that of the
    PoD as the way to everything else (choice C17). It follows the hosts of its PoD in the one and the
    subnets of all PoDs in the other, and `groups`, ranges of IP groups, in both. `local_subnets`: of Scale-Up,
    followed but not advertised (draft section 5.5.5). `multicast`: as it is, but
    for the links and the common name.
    """
    inside, local = tuple(subnets), tuple(local_subnets)
    outside = _everything(inside)
    ranges = tuple(groups)
    settings = replace(multicast, pod_link=SCALE_UP, fabric_link=SCALE_OUT, common_name=petr_name)
    followed = (*inside, *local, *_whole(name_iids if follow_names else ()), *ranges)
    links = (
        MappingSystemLink(SCALE_UP, map_server, keys, inside + local, name_iids, subscribe=followed),
        MappingSystemLink(SCALE_OUT, fabric_map_server, fabric_keys, outside, subscribe=(*outside, *ranges)),
    )
    gateways = {Eid(eid.iid, DistinguishedName(petr_name)) for eid in inside} | set(outside)
    advertised = [LocalEid(eid, (SCALE_UP, SCALE_OUT), deliver=False) for eid in inside]
    advertised += [LocalEid(eid, (SCALE_UP,), deliver=False) for eid in sorted(gateways)]
    return XtrConfig(xtr_id, site_id, rlocs, links, tuple(advertised), multicast=settings)


def _everything(subnets: Iterable[Eid]) -> tuple[Eid, ...]:
    """The default prefix of every instance-ID and IP version that the subnets are of."""
    found: set[Eid] = set()
    for eid in subnets:
        if isinstance(eid.target, (IPv4Network, IPv6Network)):
            found.add(Eid(eid.iid, ip_network("0.0.0.0/0" if eid.target.version == 4 else "::/0")))
    return tuple(sorted(found))


def _whole(iids: Iterable[int]) -> tuple[Eid, ...]:
    return tuple(Eid.whole(iid) for iid in sorted(iids))
