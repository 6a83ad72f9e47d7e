"""What a host tells its routers about the groups it wants: reports of IGMPv3 (RFC 3376) and MLDv2 (RFC 3810).

And what a router asks: queries of any version.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from accelerator.ethernet import PacketError, internet_checksum
from accelerator.ip import ICMPV6, IPAddress, IpPacket

IGMP, HOP_BY_HOP = 2, 0
IS_EXCLUDE, TO_INCLUDE, TO_EXCLUDE = 2, 3, 4
ALL_ROUTERS: dict[int, IPAddress] = {4: IPv4Address("224.0.0.22"), 6: IPv6Address("ff02::16")}

_REPORT = struct.Struct("!BBHHH")
_RECORD = struct.Struct("!BBH")
_IGMP_REPORT, _MLD_REPORT = 0x22, 143
_IGMP_QUERY, _MLD_QUERY = 0x11, 130
# Next header ICMPv6, 8 octets, Router Alert for MLD (RFC 2711), padding.
_ROUTER_ALERT = bytes((ICMPV6, 0, 5, 2, 0, 0, 1, 0))


def report(group: IPAddress, source: IPAddress, record: int) -> IpPacket:
    """A report with one group record, without sources: `TO_EXCLUDE` joins, `IS_EXCLUDE` stays, `TO_INCLUDE` leaves.

    `source`: who reports, for MLD by its link-local address. Its IPv4 header has no Router Alert option.
    """
    body = _RECORD.pack(record, 0, 0) + group.packed
    six = group.version == 6
    kind, destination = _MLD_REPORT if six else _IGMP_REPORT, ALL_ROUTERS[group.version]
    pseudo = b""
    if six:
        pseudo = source.packed + destination.packed + struct.pack("!IxxxB", _REPORT.size + len(body), ICMPV6)
    checksum = internet_checksum(pseudo + _REPORT.pack(kind, 0, 0, 0, 1) + body)
    message = _REPORT.pack(kind, 0, checksum, 0, 1) + body
    if six:
        return IpPacket(source, destination, HOP_BY_HOP, _ROUTER_ALERT + message, ttl=1)
    return IpPacket(source, destination, IGMP, message, ttl=1)


def queried(packet: IpPacket) -> IPAddress | None:
    """The group that a router asks for, unspecified for all; None for what is no query. Raises PacketError."""
    six, message = packet.version == 6, packet.payload
    if packet.protocol != (HOP_BY_HOP if six else IGMP):
        return None
    pseudo, at, size = b"", 4, 4
    if six:
        if message[:1] != bytes((ICMPV6,)):
            return None
        message, at, size = message[8 * (message[1:2] or b"\0")[0] + 8 :], 8, 16
        addresses = packet.source.packed + packet.destination.packed
        pseudo = addresses + struct.pack("!IxxxB", len(message), ICMPV6)
    if message[:1] != bytes((_MLD_QUERY if six else _IGMP_QUERY,)):
        return None
    group = message[at : at + size]
    if len(group) < size or internet_checksum(pseudo + message):
        raise PacketError(f"query = 0x{message[:32].hex()}: too short, or its checksum is wrong")
    return IPv6Address(group) if six else IPv4Address(group)


def link_local(mac: bytes) -> IPv6Address:
    """The link-local address of the interface with a MAC address, six octets (RFC 4291 appendix A)."""
    identifier = bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def multicast_mac(group: IPAddress) -> bytes:
    """The MAC address of a group, six octets (RFC 1112 section 6.4, RFC 2464 section 7)."""
    if group.version == 6:
        return b"\x33\x33" + group.packed[-4:]
    return b"\x01\x00\x5e" + (int(group) & 0x7FFFFF).to_bytes(3, "big")
