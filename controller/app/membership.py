"""What an accelerator says about the groups it wants: IGMP (RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810).

Whatever the version, a report comes down to joining and leaving (*,G) and (S,G). A source that a host excludes is not
left out: the host gets the whole group, as it would from a router without source filters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final, NamedTuple, TypeVar

from controller.lisp import IPAddress
from controller.lisp.checksum import internet_checksum

_ETHERNET: Final = 14
_ETHERTYPE: Final = slice(12, 14)
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_FRAGMENT: Final = 0x3FFF  # more fragments, and the offset
_IGMP, _HOP_BY_HOP, _ICMPV6 = 2, 0, 58
_PAD1, _ROUTER_ALERT = 0, 5
_LINK_LOCAL: Final = IPv6Network("fe80::/10")

# Message types: reports and leaves of one group; the report of several (IGMPv3, MLDv2).
_JOINS: Final = {4: (0x12, 0x16), 6: (131,)}
_LEAVES: Final = {4: 0x17, 6: 132}
_RECORDS: Final = {4: 0x22, 6: 143}
_MESSAGE: Final = 8  # octets in front of the group or the group records
_RECORD: Final = struct.Struct("!BBH")

# Types of group records (RFC 3376 section 4.2.12). A router ignores those that it does not know.
_IS_INCLUDE, _IS_EXCLUDE, _TO_INCLUDE, _TO_EXCLUDE, _ALLOW, _BLOCK = 1, 2, 3, 4, 5, 6

AddressT = TypeVar("AddressT", IPv4Address, IPv6Address)


class Change(NamedTuple):
    """What an accelerator wants from now on.

    `joins`: to have `group`, or else to be without. `source`: None stands for any; leaving without one is leaving
    the group whole, whatever sources were joined.
    """

    joins: bool
    group: IPAddress
    source: IPAddress | None = None


def changes_in(frame: bytes) -> list[Change]:
    """What an Ethernet frame with an IGMP or MLD report asks for, in the order in which it is to be done.

    Groups that stay on their link (224.0.0.0/24, the IPv6 scopes below 3) need no router and are left out. Raises
    ValueError naming field and value for what is no report or a damaged one; then nothing of it counts.
    """
    kind = frame[_ETHERTYPE]
    if kind == b"\x08\x00":
        return _changes(4, _igmp(frame[_ETHERNET:]), IPv4Address)
    if kind == b"\x86\xdd":
        return _changes(6, _mld(frame[_ETHERNET:]), IPv6Address)
    raise ValueError(f"ethernet.ether-type = 0x{kind.hex()}: neither IPv4 nor IPv6")


def _igmp(packet: bytes) -> bytes:
    """The IGMP message of an IPv4 packet, options and padding taken off."""
    if len(packet) < _IPV4.size:
        raise ValueError(f"ipv4.length = {len(packet)}: a header has {_IPV4.size} octets")
    first, _, length, _, fragment, _, protocol, checksum, _, _ = _IPV4.unpack_from(packet)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < _IPV4.size:
        raise ValueError(f"ipv4.version-and-ihl = {first:#04x}: not an IPv4 header")
    if not header <= length <= len(packet):
        raise ValueError(f"ipv4.total-length = {length}: the frame holds {len(packet)} octets")
    if internet_checksum(packet[:header]):
        raise ValueError(f"ipv4.checksum = {checksum:#06x}: wrong")
    if fragment & _FRAGMENT:
        raise ValueError(f"ipv4.fragment = {fragment:#06x}: a fragment")
    if protocol != _IGMP:
        raise ValueError(f"ipv4.protocol = {protocol}: not IGMP")
    message = packet[header:length]
    if len(message) < _MESSAGE:
        raise ValueError(f"igmp.length = {len(message)}: a message has {_MESSAGE} octets")
    if internet_checksum(message):
        raise ValueError(f"igmp.checksum = 0x{message[2:4].hex()}: wrong")
    return message


def _mld(packet: bytes) -> bytes:
    """The MLD message of an IPv6 packet.

    It must have come from this link: hop limit 1, a link-local source, a Router Alert (RFC 3810 section 6.2).
    """
    if len(packet) < _IPV6.size:
        raise ValueError(f"ipv6.length = {len(packet)}: a header has {_IPV6.size} octets")
    first, length, next_header, hop_limit, source, destination = _IPV6.unpack_from(packet)
    body = packet[_IPV6.size : _IPV6.size + length]
    if first >> 28 != 6:
        raise ValueError(f"ipv6.version = {first >> 28}: must be 6")
    if len(body) < length:
        raise ValueError(f"ipv6.payload-length = {length}: the frame holds {len(body)} octets")
    if hop_limit != 1:
        raise ValueError(f"ipv6.hop-limit = {hop_limit}: must be 1")
    if IPv6Address(source) not in _LINK_LOCAL:
        raise ValueError(f"ipv6.source = {IPv6Address(source)}: not link-local")
    if next_header != _HOP_BY_HOP or length < 8:
        raise ValueError(f"ipv6.next-header = {next_header}: must be hop-by-hop options of at least 8 octets")
    options = 8 * (body[1] + 1)
    if options > length:
        raise ValueError(f"hop-by-hop.length = {options}: the packet holds {length} octets")
    if body[0] != _ICMPV6:
        raise ValueError(f"hop-by-hop.next-header = {body[0]}: not ICMPv6")
    if _ROUTER_ALERT not in _options(body[2:options]):
        raise ValueError(f"hop-by-hop.options = 0x{body[2:options][:32].hex()}: no Router Alert")
    message = body[options:]
    if len(message) < _MESSAGE:
        raise ValueError(f"mld.length = {len(message)}: a message has at least {_MESSAGE} octets")
    pseudo = source + destination + struct.pack("!IxxxB", len(message), _ICMPV6)
    if internet_checksum(pseudo + message):
        raise ValueError(f"mld.checksum = 0x{message[2:4].hex()}: wrong")
    return message


def _options(octets: bytes) -> Iterator[int]:
    """The types of the options of an extension header; one that does not fit ends them."""
    at = 0
    while at < len(octets):
        if octets[at] == _PAD1:
            at += 1
            continue
        if at + 2 > len(octets) or (end := at + 2 + octets[at + 1]) > len(octets):
            return
        yield octets[at]
        at = end


def _changes(version: int, message: bytes, address: type[AddressT]) -> list[Change]:
    protocol, size = ("igmp", 4) if version == 4 else ("mld", 16)
    kind = message[0]
    if kind == _RECORDS[version]:
        return list(_records(protocol, message, address, size))
    if kind not in (*_JOINS[version], _LEAVES[version]):
        raise ValueError(f"{protocol}.type = {kind}: no report of membership")
    at = 4 if version == 4 else _MESSAGE
    octets = message[at : at + size]
    if len(octets) < size:
        raise ValueError(f"{protocol}.length = {len(message)}: a group needs {size} octets at {at}")
    group = _group(f"{protocol}.group", address(octets))
    return [Change(kind != _LEAVES[version], group)] if _is_routed(group) else []


def _records(protocol: str, message: bytes, address: type[AddressT], size: int) -> Iterator[Change]:
    """The group records of IGMPv3 and MLDv2, which differ in the width of addresses only."""
    count, at = int.from_bytes(message[6:8], "big"), _MESSAGE
    for index in range(count):
        name = f"{protocol}.record[{index}]"
        sources_at = at + _RECORD.size + size
        if sources_at > len(message):
            raise ValueError(f"{protocol}.records = {count}: the message ends in record {index}")
        kind, auxiliary, listed = _RECORD.unpack_from(message, at)
        end = sources_at + listed * size
        if end + 4 * auxiliary > len(message):
            raise ValueError(f"{name}.sources = {listed}: they do not fit the message, with {auxiliary} words of data")
        group = _group(f"{name}.group", address(message[at + _RECORD.size : sources_at]))
        sources = [address(message[place : place + size]) for place in range(sources_at, end, size)]
        for number, source in enumerate(sources):
            if source.is_multicast or source.is_unspecified:
                raise ValueError(f"{name}.source[{number}] = {source}: no address of a host")
        if _is_routed(group):
            yield from _of_record(kind, group, sources)
        at = end + 4 * auxiliary


def _of_record(kind: int, group: AddressT, sources: list[AddressT]) -> Iterator[Change]:
    if kind in (_IS_EXCLUDE, _TO_EXCLUDE):
        yield Change(True, group)
    elif kind == _TO_INCLUDE or (kind == _IS_INCLUDE and not sources):
        yield Change(False, group)
    if kind in (_IS_INCLUDE, _TO_INCLUDE, _ALLOW, _BLOCK):
        for source in sources:
            yield Change(kind != _BLOCK, group, source)


def _group(field: str, group: AddressT) -> AddressT:
    if not group.is_multicast:
        raise ValueError(f"{field} = {group}: no multicast address")
    return group


def _is_routed(group: IPAddress) -> bool:
    """Whether a router forwards what is sent to a group: not 224.0.0.0/24, nor the IPv6 scopes of node and link."""
    if isinstance(group, IPv4Address):
        return int(group) >> 8 != 0xE00000
    return group.packed[1] & 15 > 2
