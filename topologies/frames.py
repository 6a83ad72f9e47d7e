"""A frame of the fabric in words: its stack of headers, outermost first."""

from __future__ import annotations

from accelerator.packets import ETHERTYPE_IPV4, ICMP, UDP, Ipv4Packet, PacketError, decode_ethernet, decode_ipv4
from controller.lisp import DecodeError, Tunnel, TunnelHeader
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT

_TUNNEL_PORTS = (DATA_PORT, VXLAN_GPE_PORT)
_TUNNEL_NAMES = {Tunnel.LISP: "LISP", Tunnel.LISP_GPE: "LISP-GPE", Tunnel.VXLAN_GPE: "VXLAN-GPE", Tunnel.VXLAN: "VXLAN"}
_ICMP_NAMES = {0: "echo reply", 8: "echo request"}


def _ports(packet: Ipv4Packet) -> tuple[int, int]:
    return int.from_bytes(packet.payload[0:2], "big"), int.from_bytes(packet.payload[2:4], "big")


def _ipv4(octets: bytes) -> list[str]:
    packet = decode_ipv4(octets)
    headers = [f"IPv4 {packet.source} > {packet.destination} ttl {packet.ttl}"]
    if packet.protocol == ICMP and packet.payload:
        headers.append(f"ICMP {_ICMP_NAMES.get(packet.payload[0], f'type {packet.payload[0]}')}")
    elif packet.protocol == UDP and len(packet.payload) >= 8:
        source, destination = _ports(packet)
        headers.append(f"UDP {source} > {destination}")
        if destination in _TUNNEL_PORTS:
            tunnel = TunnelHeader.decode(packet.payload[8:16], destination)
            headers.append(f"{_TUNNEL_NAMES[tunnel.tunnel]} iid {tunnel.iid}")
            headers += _ipv4(packet.payload[16:])
    else:
        headers.append(f"protocol {packet.protocol}")
    return headers


def describe_frame(frame: bytes) -> list[str]:
    """The headers of a frame, one text each; what cannot be read is said at its place."""
    try:
        destination, source, ether_type, payload = decode_ethernet(frame)
    except PacketError as error:
        return [str(error)]
    headers = [f"Ethernet {source.hex(':')} > {destination.hex(':')}"]
    if ether_type != ETHERTYPE_IPV4:
        return [*headers, f"EtherType {ether_type:#06x}"]
    try:
        return headers + _ipv4(payload)
    except (PacketError, DecodeError) as error:
        return [*headers, str(error)]
