"""A frame of the fabric in words: its stack of headers, outermost first."""

from __future__ import annotations

from accelerator.ethernet import PacketError, decode_ethernet
from accelerator.ip import ETHERTYPES, ICMP, ICMPV6, UDP, decode_ip
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, decode_scale_up
from controller.lisp import DecodeError, Tunnel, TunnelHeader
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT, VXLAN_PORT

_UDP_OCTETS = 8
_TUNNEL_OCTETS = 8
_TUNNEL_PORTS = (DATA_PORT, VXLAN_PORT, VXLAN_GPE_PORT)
_TUNNEL_NAMES = {Tunnel.LISP: "LISP", Tunnel.LISP_GPE: "LISP-GPE", Tunnel.VXLAN_GPE: "VXLAN-GPE", Tunnel.VXLAN: "VXLAN"}
_ICMP_NAMES = {
    (ICMP, 0): "echo reply",
    (ICMP, 3): "unreachable",
    (ICMP, 8): "echo request",
    (ICMPV6, 2): "packet too big",
    (ICMPV6, 128): "echo request",
    (ICMPV6, 129): "echo reply",
}
# What a tunnel carries: Next Protocol of LISP-GPE and VXLAN-GPE (RFC 9305 section 3).
_NEXT_IPV4, _NEXT_IPV6, _NEXT_ETHERNET = 1, 2, 3


def _transport(protocol: int, octets: bytes) -> list[str]:
    if protocol in (ICMP, ICMPV6) and octets:
        return [f"ICMP {_ICMP_NAMES.get((protocol, octets[0]), f'type {octets[0]}')}"]
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
        carried = _NEXT_IPV4  # or 6: the packet says it
    if carried == _NEXT_ETHERNET:
        return headers + _ethernet(inner)[1:]
    if carried in (_NEXT_IPV4, _NEXT_IPV6):
        return headers + _ip(inner)
    return [*headers, f"next protocol {carried}"]


def _ip(octets: bytes) -> list[str]:
    packet = decode_ip(octets)
    life = "ttl" if packet.version == 4 else "hops"
    headers = [f"IPv{packet.version} {packet.source} > {packet.destination} {life} {packet.ttl}"]
    return headers + _transport(packet.protocol, packet.payload)


def _scale_up(octets: bytes) -> list[str]:
    packet = decode_scale_up(octets)
    known = packet.operation in set(Operation)
    operation = Operation(packet.operation).name.lower() if known else f"operation {packet.operation}"
    return [f"Scale-Up AccID {packet.source} > {packet.destination} {operation} hops {packet.hop_limit}"]


def _ethernet(frame: bytes) -> list[str]:
    destination, source, ether_type, payload = decode_ethernet(frame)
    headers = [f"Ethernet {source.hex(':')} > {destination.hex(':')}"]
    readers = {ETHERTYPES[4]: _ip, ETHERTYPES[6]: _ip, ETHERTYPE_SCALE_UP: _scale_up}
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
