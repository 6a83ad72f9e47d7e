"""One IP packet of either version, and its ICMP and UDP payloads, as an accelerator's network interface builds them.

Only what an endpoint needs: no IPv4 options, no IPv6 extension headers, no fragments.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from accelerator.ethernet import PacketError, internet_checksum

IPAddress = IPv4Address | IPv6Address

ETHERTYPES = {4: 0x0800, 6: 0x86DD}
ICMP, UDP, ICMPV6 = 1, 17, 58

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_ICMP = struct.Struct("!BBHHH")
_FRAGMENT = 0x3FFF  # more fragments, and the offset


@dataclass(frozen=True, slots=True)
class IpPacket:
    """An IPv4 or IPv6 packet. `protocol`: or next header, 8 bits. `ttl`: or hop limit. `dscp` 6 and `ecn` 2 bits."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    payload: bytes
    ttl: int = 64
    dscp: int = 0
    ecn: int = 0
    identification: int = 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.destination.version

    def encode(self) -> bytes:
        """The packet's octets. Raises PacketError when source and destination are of two versions."""
        if self.source.version != self.destination.version:
            raise PacketError(f"ip: {self.source} cannot send to {self.destination}")
        tos, addresses = self.dscp << 2 | self.ecn, (self.source.packed, self.destination.packed)
        if self.version == 6:
            first = 6 << 28 | tos << 20
            return _IPV6.pack(first, len(self.payload), self.protocol, self.ttl, *addresses) + self.payload
        fields = (0x45, tos, _IPV4.size + len(self.payload), self.identification, 0, self.ttl, self.protocol)
        checksum = internet_checksum(_IPV4.pack(*fields, 0, *addresses))
        return _IPV4.pack(*fields, checksum, *addresses) + self.payload


def decode_ip(octets: bytes) -> IpPacket:
    """Reads a packet; whatever follows its length is padding. Raises PacketError naming the field."""
    version = octets[0] >> 4 if octets else 0
    if version == 4:
        return _decode_v4(octets)
    if version == 6:
        return _decode_v6(octets)
    raise PacketError(f"ip.version = {version}: must be 4 or 6")


def _decode_v4(octets: bytes) -> IpPacket:
    if len(octets) < _IPV4.size:
        raise PacketError(f"ipv4: {len(octets)} octets are no header")
    first, tos, length, identification, _, ttl, protocol, _, source, destination = _IPV4.unpack_from(octets)
    header = (first & 15) * 4
    if header < _IPV4.size:
        raise PacketError(f"ipv4.ihl = {first & 15}: not an IPv4 header")
    if not header <= length <= len(octets):
        raise PacketError(f"ipv4.total_length = {length}: the frame holds {len(octets)} octets")
    if internet_checksum(octets[:header]) != 0:
        raise PacketError("ipv4.checksum: wrong")
    payload = octets[header:length]
    addresses = IPv4Address(source), IPv4Address(destination)
    return IpPacket(*addresses, protocol, payload, ttl, tos >> 2, tos & 3, identification)


def _decode_v6(octets: bytes) -> IpPacket:
    if len(octets) < _IPV6.size:
        raise PacketError(f"ipv6: {len(octets)} octets are no header")
    first, length, protocol, ttl, source, destination = _IPV6.unpack_from(octets)
    if length > len(octets) - _IPV6.size:
        raise PacketError(f"ipv6.payload_length = {length}: the frame holds {len(octets) - _IPV6.size} octets")
    payload, tos = octets[_IPV6.size : _IPV6.size + length], first >> 20 & 0xFF
    return IpPacket(IPv6Address(source), IPv6Address(destination), protocol, payload, ttl, tos >> 2, tos & 3)


def _pseudo_header(source: IPAddress, destination: IPAddress, protocol: int, length: int) -> bytes:
    layout = "!BBH" if source.version == 4 else "!IxxxB"
    values = (0, protocol, length) if source.version == 4 else (length, protocol)
    return source.packed + destination.packed + struct.pack(layout, *values)


def udp(source: IPAddress, destination: IPAddress, source_port: int, destination_port: int, data: bytes) -> bytes:
    """A UDP datagram with its checksum (RFC 768, RFC 8200 section 8.1)."""
    length = _UDP.size + len(data)
    header = _UDP.pack(source_port, destination_port, length, 0)
    checksum = internet_checksum(_pseudo_header(source, destination, UDP, length) + header + data) or 0xFFFF
    return _UDP.pack(source_port, destination_port, length, checksum) + data


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP (RFC 792) or ICMPv6 (RFC 4443) echo: `identifier` and `sequence` have 16 bits."""

    reply: bool
    identifier: int
    sequence: int
    data: bytes = b""

    def packet(self, source: IPAddress, destination: IPAddress, ttl: int = 64) -> IpPacket:
        """The packet that carries it, with its checksum."""
        six = source.version == 6
        kind = (128 + self.reply) if six else (0 if self.reply else 8)
        body = _ICMP.pack(kind, 0, 0, self.identifier, self.sequence) + self.data
        protocol = ICMPV6 if six else ICMP
        pseudo = _pseudo_header(source, destination, ICMPV6, len(body)) if six else b""
        checksum = internet_checksum(pseudo + body)
        body = _ICMP.pack(kind, 0, checksum, self.identifier, self.sequence) + self.data
        return IpPacket(source, destination, protocol, body, ttl)


def echo_in(packet: IpPacket) -> Echo | None:
    """The echo that a packet carries; None if it carries something else."""
    kinds = {(ICMP, 8): False, (ICMP, 0): True, (ICMPV6, 128): False, (ICMPV6, 129): True}
    if len(packet.payload) < _ICMP.size:
        return None
    kind, code, _, identifier, sequence = _ICMP.unpack_from(packet.payload)
    reply = kinds.get((packet.protocol, kind)) if code == 0 else None
    return None if reply is None else Echo(reply, identifier, sequence, packet.payload[_ICMP.size :])
