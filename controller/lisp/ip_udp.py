"""A UDP datagram in a complete IPv4 or IPv6 packet: the inside of an Encapsulated Control Message (RFC 9301 §5.8)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, NamedTuple

from controller.lisp.address import IPAddress
from controller.lisp.address_decode import truncated
from controller.lisp.address_encode import checked
from controller.lisp.checksum import internet_checksum, is_udp_checksum_valid, udp_checksum
from controller.lisp.errors import DecodeError, EncodeError

_IPV4: Final = Struct("!BBHHHBBH4s4s")
_IPV6: Final = Struct("!IHBB16s16s")
_UDP: Final = Struct("!HHHH")
_UDP_PROTOCOL: Final = 17
_FRAGMENT: Final = 0x3FFF  # more-fragments bit and fragment offset


class UdpPacket(NamedTuple):
    """Addresses of one IP version, UDP ports, payload, and TTL or hop limit."""

    source: IPAddress
    destination: IPAddress
    source_port: int
    destination_port: int
    payload: bytes
    ttl: int


def encode_udp_packet(packet: UdpPacket) -> bytes:
    """Return the IP packet, both checksums computed. Raises EncodeError for what does not fit."""
    source, destination = packet.source, packet.destination
    if source.version != destination.version:
        raise EncodeError("destination", destination, f"is not of the IP version of the source {source}")
    ttl = checked("ttl", packet.ttl, 8)
    length = _UDP.size + len(packet.payload)
    if length > 0xFFFF - (_IPV4.size if source.version == 4 else 0):
        raise EncodeError("payload.length", len(packet.payload), "does not fit an IP packet")
    ports = checked("source-port", packet.source_port, 16), checked("destination-port", packet.destination_port, 16)
    zero_sum = _UDP.pack(*ports, length, 0) + packet.payload
    datagram = _UDP.pack(*ports, length, udp_checksum(source, destination, zero_sum)) + packet.payload
    if source.version == 6:
        return _IPV6.pack(6 << 28, length, _UDP_PROTOCOL, ttl, source.packed, destination.packed) + datagram
    fields = (0x45, 0, _IPV4.size + length, 0, 0, ttl, _UDP_PROTOCOL)
    addresses = source.packed, destination.packed
    header_sum = internet_checksum(_IPV4.pack(*fields, 0, *addresses))
    return _IPV4.pack(*fields, header_sum, *addresses) + datagram


def decode_udp_packet(octets: bytes, offset: int) -> UdpPacket:
    """Read the IP packet that begins at `offset` and ends with `octets`. Raises DecodeError, also for bad checksums.

    The UDP checksum must be there: LISP control messages always have one (RFC 9301 §5).
    """
    end = len(octets)
    if offset >= end:
        raise truncated("ip.version", octets, offset, end, 1)
    version = octets[offset] >> 4
    source: IPAddress
    destination: IPAddress
    if version == 4:
        source, destination, ttl, at = _decode_ipv4(octets, offset, end)
    elif version == 6:
        source, destination, ttl, at = _decode_ipv6(octets, offset, end)
    else:
        raise DecodeError("ip.version", version, offset, "neither IPv4 nor IPv6")
    if at + _UDP.size > end:
        raise truncated("udp", octets, at, end, _UDP.size)
    source_port, destination_port, length, checksum = _UDP.unpack_from(octets, at)
    if length != end - at:
        raise DecodeError("udp.length", length, at + 4, f"the packet holds {end - at} octets")
    if not is_udp_checksum_valid(source, destination, octets[at:end]):
        raise DecodeError("udp.checksum", f"{checksum:#06x}", at + 6, "absent or wrong")
    return UdpPacket(source, destination, source_port, destination_port, octets[at + _UDP.size : end], ttl)


def _decode_ipv4(octets: bytes, offset: int, end: int) -> tuple[IPv4Address, IPv4Address, int, int]:
    if offset + _IPV4.size > end:
        raise truncated("ipv4", octets, offset, end, _IPV4.size)
    first, _, length, _, fragment, ttl, protocol, _, source, destination = _IPV4.unpack_from(octets, offset)
    header = (first & 0x0F) * 4
    if header < _IPV4.size or offset + header > end:
        raise DecodeError("ipv4.header-length", header, offset, "does not fit the packet")
    if length != end - offset:
        raise DecodeError("ipv4.total-length", length, offset + 2, f"the message holds {end - offset} octets")
    if fragment & _FRAGMENT:
        raise DecodeError("ipv4.fragment", f"{fragment:#06x}", offset + 6, "a fragment")
    if protocol != _UDP_PROTOCOL:
        raise DecodeError("ipv4.protocol", protocol, offset + 9, "not UDP")
    if internet_checksum(octets[offset : offset + header]):
        raise DecodeError("ipv4.checksum", octets[offset + 10 : offset + 12], offset + 10, "wrong")
    return IPv4Address(source), IPv4Address(destination), ttl, offset + header


def _decode_ipv6(octets: bytes, offset: int, end: int) -> tuple[IPv6Address, IPv6Address, int, int]:
    at = offset + _IPV6.size
    if at > end:
        raise truncated("ipv6", octets, offset, end, _IPV6.size)
    _, length, next_header, ttl, source, destination = _IPV6.unpack_from(octets, offset)
    if length != end - at:
        raise DecodeError("ipv6.payload-length", length, offset + 4, f"the message holds {end - at} octets")
    if next_header != _UDP_PROTOCOL:
        raise DecodeError("ipv6.next-header", next_header, offset + 6, "not UDP")
    return IPv6Address(source), IPv6Address(destination), ttl, at
