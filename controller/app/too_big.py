"""What a tunnel router answers to an IP packet that does not fit into the tunnel (RFC 9300 section 7.1, stateless).

An IPv4 packet that may be cut is cut into fragments of about equal size, and they go on. The sender of another is told
"fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443), with the size that would have fitted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from controller.lisp.checksum import internet_checksum

_ETHERNET = 14
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_ICMP = struct.Struct("!BBHI")

_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_DF, _MF, _OFFSET = 0x4000, 0x2000, 0x1FFF
_ICMP_V4, _ICMP_V6 = 1, 58

# ICMP for IPv4: destination unreachable, fragmentation needed. Queries; everything else is an error message.
_UNREACHABLE, _FRAGMENTATION_NEEDED = 3, 4
_QUERIES_V4 = {0, 8, 9, 10, 13, 14, 17, 18}
_PACKET_TOO_BIG = 2
_FIRST_QUERY_V6 = 128

# What a message may hold at most, octets: RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4.
_LONGEST_V4, _LONGEST_V6 = 576, 1280
_TTL = 64


def answers(frame: bytes, mtu: int, gateways: Iterable[IPv4Address | IPv6Address]) -> list[bytes]:
    """The frames that go through ingress again in place of `frame`, an Ethernet frame with an IP packet.

    `mtu`: octets of the largest IP packet that would have fitted. `gateways`: who speaks to the sender, the first of
    the packet's IP version. Nothing is answered to what must not be answered (RFC 1122 section 3.2.2: error messages,
    fragments but the first, groups), to what is no IP packet, or without a gateway.
    """
    packet = frame[_ETHERNET:]
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4.size:
        replies = _answers_v4(packet, mtu, [g for g in gateways if isinstance(g, IPv4Address)])
    elif version == 6 and len(packet) >= _IPV6.size:
        replies = _answers_v6(packet, mtu, [g for g in gateways if isinstance(g, IPv6Address)])
    else:
        return []
    return [frame[: _ETHERNET - 2] + _ETHERTYPES[version] + reply for reply in replies]


def _answers_v4(packet: bytes, mtu: int, gateways: list[IPv4Address]) -> list[bytes]:
    octets, fragmentation = struct.unpack_from("!2xHxxH", packet)
    packet = packet[:octets]  # what follows is padding
    if not fragmentation & _DF:
        return _fragments(packet, mtu)
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    is_error = packet[9] == _ICMP_V4 and packet[20:21] and packet[20] not in _QUERIES_V4
    if not gateways or fragmentation & _OFFSET or is_error or not _is_host(source) or destination.is_multicast:
        return []
    quoted = packet[: _LONGEST_V4 - _IPV4.size - _ICMP.size]
    message = _ICMP.pack(_UNREACHABLE, _FRAGMENTATION_NEEDED, 0, mtu) + quoted
    message = message[:2] + internet_checksum(message).to_bytes(2, "big") + message[4:]
    header = _ipv4(_IPV4.size + len(message), _ICMP_V4, gateways[0], source)
    return [header + message]


def _ipv4(octets: int, protocol: int, source: IPv4Address, destination: IPv4Address) -> bytes:
    fields = (0x45, 0, octets, 0, 0, _TTL, protocol)
    checksum = internet_checksum(_IPV4.pack(*fields, 0, source.packed, destination.packed))
    return _IPV4.pack(*fields, checksum, source.packed, destination.packed)


def _fragments(packet: bytes, mtu: int) -> list[bytes]:
    """The packet in as few fragments as fit, at least two, of about equal size; none when not even eight octets fit."""
    header, data = packet[: _IPV4.size], packet[_IPV4.size :]
    largest = (mtu - _IPV4.size) // 8 * 8
    if largest <= 0 or len(data) <= 8:
        return []
    pieces = max(2, -(-len(data) // largest))
    size = min(largest, -(-len(data) // (8 * pieces)) * 8)
    fields = list(_IPV4.unpack(header))
    start, more = fields[4] & _OFFSET, fields[4] & _MF
    fragments = []
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        last = at + size >= len(data)
        fields[2], fields[4], fields[7] = _IPV4.size + len(piece), (start + at // 8) | (more if last else _MF), 0
        fields[7] = internet_checksum(_IPV4.pack(*fields))
        fragments.append(_IPV4.pack(*fields) + piece)
    return fragments


def _answers_v6(packet: bytes, mtu: int, gateways: list[IPv6Address]) -> list[bytes]:
    source = IPv6Address(packet[8:24])
    is_error = packet[6] == _ICMP_V6 and packet[40:41] and packet[40] < _FIRST_QUERY_V6
    # Unlike any other error, this one is also told of packets to a group (RFC 4443 section 2.4 e.3).
    if not gateways or is_error or not _is_host(source):
        return []
    quoted = packet[: _IPV6.size + int.from_bytes(packet[4:6], "big")][: _LONGEST_V6 - _IPV6.size - _ICMP.size]
    message = _ICMP.pack(_PACKET_TOO_BIG, 0, 0, mtu) + quoted
    pseudo = gateways[0].packed + source.packed + struct.pack("!IxxxB", len(message), _ICMP_V6)
    message = message[:2] + internet_checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    header = _IPV6.pack(6 << 28, len(message), _ICMP_V6, _TTL, gateways[0].packed, source.packed)
    return [header + message]


def _is_host(address: IPv4Address | IPv6Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address == IPv4Address("255.255.255.255"))
