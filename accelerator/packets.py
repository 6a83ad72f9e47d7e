"""IPv4, ICMP and UDP as an accelerator's network interface builds and reads them.

Only what an endpoint needs; ports are integers, addresses `ipaddress` objects, MAC addresses six octets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERTYPE_IPV4 = 0x0800
ICMP, UDP = 1, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ICMP_ECHO = struct.Struct("!BBHHH")


class PacketError(ValueError):
    """A frame that this endpoint cannot read; the text names the field and the reason."""


def internet_checksum(octets: bytes) -> int:
    """RFC 1071: the 16-bit one's complement of the one's complement sum."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True, slots=True)
class Ipv4Packet:
    """An IPv4 packet without options. `ttl` in hops, `dscp` 6 and `ecn` 2 bits."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes
    ttl: int = 64
    dscp: int = 0
    ecn: int = 0
    identification: int = 0

    def encode(self) -> bytes:
        """The packet's octets with its header checksum."""
        fields = (
            0x45,
            self.dscp << 2 | self.ecn,
            20 + len(self.payload),
            self.identification,
            0,
            self.ttl,
            self.protocol,
        )
        addresses = (self.source.packed, self.destination.packed)
        checksum = internet_checksum(_IPV4.pack(*fields, 0, *addresses))
        return _IPV4.pack(*fields, checksum, *addresses) + self.payload


def decode_ipv4(octets: bytes) -> Ipv4Packet:
    """Reads an IPv4 packet; whatever follows its Total Length is padding. Raises PacketError."""
    if len(octets) < _IPV4.size:
        raise PacketError(f"ipv4: {len(octets)} octets are no header")
    version_ihl, tos, length, identification, _, ttl, protocol, _, source, destination = _IPV4.unpack_from(octets)
    header = (version_ihl & 15) * 4
    if version_ihl >> 4 != 4 or header < 20:
        raise PacketError(f"ipv4.version_ihl = {version_ihl:#04x}: not an IPv4 header")
    if not header <= length <= len(octets):
        raise PacketError(f"ipv4.total_length = {length}: the frame holds {len(octets)} octets")
    if internet_checksum(octets[:header]) != 0:
        raise PacketError("ipv4.checksum: wrong")
    return Ipv4Packet(
        IPv4Address(source),
        IPv4Address(destination),
        protocol,
        octets[header:length],
        ttl,
        tos >> 2,
        tos & 3,
        identification,
    )


def echo(kind: int, identifier: int, sequence: int, data: bytes) -> bytes:
    """An ICMP Echo or Echo Reply (RFC 792) with its checksum."""
    checksum = internet_checksum(_ICMP_ECHO.pack(kind, 0, 0, identifier, sequence) + data)
    return _ICMP_ECHO.pack(kind, 0, checksum, identifier, sequence) + data


def udp(source: IPv4Address, destination: IPv4Address, source_port: int, destination_port: int, data: bytes) -> bytes:
    """A UDP datagram with its checksum (RFC 768)."""
    length = _UDP.size + len(data)
    pseudo = source.packed + destination.packed + struct.pack("!BBH", 0, UDP, length)
    header = _UDP.pack(source_port, destination_port, length, 0)
    checksum = internet_checksum(pseudo + header + data) or 0xFFFF
    return _UDP.pack(source_port, destination_port, length, checksum) + data


def ethernet(destination: bytes, source: bytes, ether_type: int, payload: bytes) -> bytes:
    """An Ethernet frame, padded to the minimum of 60 octets."""
    return (_ETHERNET.pack(destination, source, ether_type) + payload).ljust(60, b"\0")


def decode_ethernet(frame: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Destination, source, EtherType and payload of a frame. Raises PacketError."""
    if len(frame) < _ETHERNET.size:
        raise PacketError(f"ethernet: {len(frame)} octets are no header")
    destination, source, ether_type = _ETHERNET.unpack_from(frame)
    return destination, source, ether_type, frame[_ETHERNET.size :]
