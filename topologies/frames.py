"""A frame of the fabric in words: its stack of headers, outermost first."""

from __future__ import annotations

from ipaddress import IPv6Address

from accelerator.packets import ETHERTYPE_IPV4, ICMP, UDP, PacketError, decode_ethernet, decode_ipv4
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, decode_scale_up
from controller.lisp import DecodeError, Tunnel, TunnelHeader
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT, VXLAN_PORT

_ETHERTYPE_IPV6 = 0x86DD
_IPV6_OCTETS = 40
_UDP_OCTETS = 8
_TUNNEL_OCTETS = 8
_TUNNEL_PORTS = (DATA_PORT, VXLAN_PORT, VXLAN_GPE_PORT)
_TUNNEL_NAMES = {Tunnel.LISP: "LISP", Tunnel.LISP_GPE: "LISP-GPE", Tunnel.VXLAN_GPE: "VXLAN-GPE", Tunnel.VXLAN: "VXLAN"}
_ICMP_NAMES = {0: "echo reply", 3: "unreachable", 8: "echo request"}
# What a tunnel carries: Next Protocol of LISP-GPE and VXLAN-GPE (RFC 9305 section 3).
_NEXT_IPV4, _NEXT_IPV6, _NEXT_ETHERNET = 1, 2, 3


def _transport(protocol: int, octets: bytes) -> list[str]:
    if protocol == ICMP and octets:
        return [f"ICMP {_ICMP_NAMES.get(octets[0], f'type {octets[0]}')}"]
    if protocol != UDP or len(octets) < _UDP_OCTETS:
        return [f"protocol {protocol}"]
    source, destination = int.from_bytes(octets[0:2], "big"), int.from_bytes(octets[2:4], "big")
    headers = [f"UDP {source} > {destination}"]
    return headers + _tunnel(octets[_UDP_OCTETS:], destination) if destination in _TUNNEL_PORTS else headers


def _tunnel(octets: bytes, port: int) -> list[str]:
    tunnel = TunnelHeader.decode(octets[:_TUNNEL_OCTETS], port)
    headers, inner = [f"{_TUNNEL_NAMES[tunnel.tunnel]} iid {tunnel.iid}"], octets[_TUNNEL_OCTETS:]
    carried = tunnel.next_protocol
    if tunnel.tunnel is Tunnel.VXLAN:
        carried = _NEXT_ETHERNET
    elif tunnel.tunnel is Tunnel.LISP:
        carried = _NEXT_IPV6 if inner[:1] and inner[0] >> 4 == 6 else _NEXT_IPV4
    if carried == _NEXT_ETHERNET:
        return headers + _ethernet(inner)[1:]
    if carried in (_NEXT_IPV4, _NEXT_IPV6):
        return headers + (_ipv4 if carried == _NEXT_IPV4 else _ipv6)(inner)
    return [*headers, f"next protocol {carried}"]


def _ipv4(octets: bytes) -> list[str]:
    packet = decode_ipv4(octets)
    headers = [f"IPv4 {packet.source} > {packet.destination} ttl {packet.ttl}"]
    return headers + _transport(packet.protocol, packet.payload)


def _ipv6(octets: bytes) -> list[str]:
    if len(octets) < _IPV6_OCTETS:
        raise PacketError(f"ipv6: {len(octets)} octets are no header")
    source, destination = IPv6Address(octets[8:24]), IPv6Address(octets[24:40])
    return [f"IPv6 {source} > {destination} hops {octets[7]}", *_transport(octets[6], octets[_IPV6_OCTETS:])]


def _scale_up(octets: bytes) -> list[str]:
    packet = decode_scale_up(octets)
    known = packet.operation in set(Operation)
    operation = Operation(packet.operation).name.lower() if known else f"operation {packet.operation}"
    return [f"Scale-Up AccID {packet.source} > {packet.destination} {operation} hops {packet.hop_limit}"]


def _ethernet(frame: bytes) -> list[str]:
    destination, source, ether_type, payload = decode_ethernet(frame)
    headers = [f"Ethernet {source.hex(':')} > {destination.hex(':')}"]
    readers = {ETHERTYPE_IPV4: _ipv4, _ETHERTYPE_IPV6: _ipv6, ETHERTYPE_SCALE_UP: _scale_up}
    if ether_type not in readers:
        return [*headers, f"EtherType {ether_type:#06x}"]
    try:
        return headers + readers[ether_type](payload)
    except (PacketError, DecodeError) as error:
        return [*headers, str(error)]


def describe_frame(frame: bytes) -> list[str]:
    """The headers of a frame, one text each; what cannot be read is said at its place."""
    try:
        return _ethernet(frame)
    except (PacketError, DecodeError) as error:
        return [str(error)]
