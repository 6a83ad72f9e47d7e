"""Groups and replication lists: signal-free multicast (RFC 8378) in terms of EIDs and locators.

A group is an EID whose mapping is a replication list instead of an RLOC-set. There are two kinds:

* IP multicast and broadcast: a multicast info LCAF (RFC 8060 §4.5), for one source or, with the source prefix
  0/0, for any. The IPv4 limited broadcast address and the IPv6 all-nodes address are the groups of everybody in
  an instance-ID.
* Scale-Up groups, whose members have no IP address: a distinguished name (RFC 9735), "group-" and the eight
  hexadecimal digits of the 32-bit group number that frames carry. Number 0xFFFFFFFF is everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from controller.lisp.address import DistinguishedName, IPAddress
from controller.lisp.constants import RLE_LEVEL
from controller.lisp.eid import Eid, Prefix
from controller.lisp.errors import EncodeError
from controller.lisp.lcaf import MulticastInfo, ReplicationEntry, ReplicationList, find_ip
from controller.lisp.records import EidRecord, RlocRecord

GROUP_NAME_PREFIX: Final = "group-"
BROADCAST_GROUP: Final = 0xFFFFFFFF
FIRST_SCALE_UP_GROUP: Final = 0xF0000000
"""Numbers below are accelerators."""
"""Number of the Scale-Up group that everybody in its instance-ID belongs to."""
IPV4_BROADCAST: Final = IPv4Address("255.255.255.255")
IPV6_ALL_NODES: Final = IPv6Address("ff02::1")

_GROUP_NAME: Final = re.compile(GROUP_NAME_PREFIX + r"([0-9a-f]{8})")
_EVERYBODY: Final = frozenset((IPV4_BROADCAST, IPV6_ALL_NODES))


def group_eid(iid: int, group: IPAddress | Prefix, source: IPAddress | Prefix | None = None) -> Eid:
    """The EID of (S,G), or of (*,G) without a source; prefixes give ranges of them.

    Raises EncodeError for a group that is not in a multicast range and not the broadcast address, and for a
    source of the other IP version.
    """
    network, length = _split(group)
    if not network.is_multicast and (network, length) != (IPV4_BROADCAST, 32):
        raise EncodeError("group", group, "is no multicast or broadcast address")
    origin, origin_length = (type(network)(0), 0) if source is None else _split(source)
    if origin.version != network.version:
        raise EncodeError("source", source, f"is not of IP version {network.version} as the group is")
    return Eid(iid, MulticastInfo(iid, origin, origin_length, network, length))


def scale_up_group_eid(iid: int, number: int) -> Eid:
    """The EID of a Scale-Up group by its number, 32 bits. Raises EncodeError for a wider one."""
    if not 0 <= number <= 0xFFFFFFFF:
        raise EncodeError("group", number, "a Scale-Up group has 32 bits")
    return Eid(iid, DistinguishedName(f"{GROUP_NAME_PREFIX}{number:08x}"))


def scale_up_group_number(eid: Eid) -> int | None:
    """The 32-bit number of a Scale-Up group; None for any other EID."""
    target = eid.target
    found = _GROUP_NAME.fullmatch(target.name) if isinstance(target, DistinguishedName) else None
    return int(found[1], 16) if found else None


def is_group(eid: Eid) -> bool:
    """Whether `eid` names receivers rather than an endpoint."""
    return isinstance(eid.target, MulticastInfo) or scale_up_group_number(eid) is not None


def is_broadcast(eid: Eid) -> bool:
    """Whether everybody in the instance-ID is a receiver of `eid`."""
    target = eid.target
    if isinstance(target, MulticastInfo):
        return target.group in _EVERYBODY and target.group_mask_len == _width(target.group)
    return scale_up_group_number(eid) == BROADCAST_GROUP


def can_receive(eid: Eid, group: Eid) -> bool:
    """Whether an accelerator with this EID can be a receiver of a group at all: same instance-ID and kind."""
    if eid.iid != group.iid:
        return False
    target, wanted = eid.target, group.target
    if isinstance(wanted, MulticastInfo):
        source = wanted.source
        if isinstance(target, IPv4Network):
            return isinstance(source, IPv4Address)
        return isinstance(target, IPv6Network) and isinstance(source, IPv6Address)
    return isinstance(target, DistinguishedName) and scale_up_group_number(eid) is None


def any_source(eid: Eid) -> Eid:
    """The (*,G) of an (S,G); any other EID is returned as it is."""
    target = eid.target
    if not isinstance(target, MulticastInfo) or target.source_mask_len == 0:
        return eid
    anywhere = IPv4Address(0) if isinstance(target.source, IPv4Address) else IPv6Address(0)
    return Eid(eid.iid, MulticastInfo(eid.iid, anywhere, 0, target.group, target.group_mask_len))


def source_of(eid: Eid) -> Eid | None:
    """The source prefix of an (S,G) as an EID; None for (*,G) and anything else."""
    target = eid.target
    if not isinstance(target, MulticastInfo) or target.source_mask_len == 0:
        return None
    if isinstance(target.source, IPv4Address):
        return Eid(eid.iid, IPv4Network((target.source, target.source_mask_len)))
    assert isinstance(target.source, IPv6Address)  # an Eid holds nothing else
    return Eid(eid.iid, IPv6Network((target.source, target.source_mask_len)))


def replication_locator(rlocs: Iterable[IPAddress]) -> RlocRecord:
    """The locator with which receivers are registered: a replication list of RFC 8378's level, sorted."""
    ordered = sorted(set(rlocs), key=lambda rloc: (rloc.version, int(rloc)))
    entries = tuple(ReplicationEntry(RLE_LEVEL, rloc) for rloc in ordered)
    return RlocRecord(ReplicationList(entries), mpriority=1, mweight=100)


def replicas(record: EidRecord) -> tuple[IPAddress, ...]:
    """Where a group's mapping sends copies, each RLOC once, in ascending order, IPv4 first."""
    found = {
        rloc
        for locator in record.locators
        if isinstance(locator.address, ReplicationList)
        for entry in locator.address.entries
        if (rloc := find_ip(entry.address)) is not None
    }
    return tuple(sorted(found, key=lambda rloc: (rloc.version, int(rloc))))


def _split(value: IPAddress | Prefix) -> tuple[IPAddress, int]:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value.network_address, value.prefixlen
    return value, value.max_prefixlen


def _width(address: object) -> int:
    return 32 if isinstance(address, IPv4Address) else 128
