"""Packets of the fabric: an accelerator's IP packets and Scale-Up frames, the tunnels around them, and what a router
makes of them.

Every expectation is built by scapy from the fields, lengths and checksums included; nothing is taken from a switch.
Addresses tell the IP version, the type of a payload its EtherType.
"""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from controller.dataplane.entries import NextHop
from ptf_tests.support.headers import (
    NEXT_PROTOCOL_ETHERNET,
    NEXT_PROTOCOL_IPV4,
    NEXT_PROTOCOL_IPV6,
    SCALE_UP_ETHERTYPE,
    LispGpe,
    ScaleUp,
    TunnelHeader,
    Vxlan,
    VxlanGpe,
)

ENTROPY_PORT = 0xC000  # lowest of the entropy range; expectations let the bits below vary

# The Ethernet header that VXLAN puts in front of an IP packet: VXLAN_ROUTED_* of p4src/include/types.p4.
VXLAN_ROUTED: dict[str, Any] = {"src": "02:00:4c:49:53:50", "dst": "02:00:4c:49:53:51"}

_NEXT_PROTOCOLS = {IP: NEXT_PROTOCOL_IPV4, IPv6: NEXT_PROTOCOL_IPV6, Ether: NEXT_PROTOCOL_ETHERNET}


def switch_mac(port: int) -> str:
    """The switch's own address on `port`."""
    return f"02:00:00:00:{port:02x}:01"


def neighbour_mac(port: int) -> str:
    """The address of whatever is attached to `port`."""
    return f"02:00:00:00:{port:02x}:02"


def hop(port: int) -> NextHop:
    """The next hop out of `port`."""
    return NextHop(port, switch_mac(port), neighbour_mac(port))


def ether_type_of(payload: Packet | bytes) -> int:
    """The EtherType that announces `payload`; IPv4's for what is neither IP nor Scale-Up."""
    if isinstance(payload, IPv6):
        return 0x86DD
    return SCALE_UP_ETHERTYPE if isinstance(payload, ScaleUp) else 0x0800


def arriving(port: int, payload: Packet | bytes, ether_type: int | None = None) -> Packet:
    """The frame that the neighbour on `port` sends to the switch."""
    kind = ether_type_of(payload) if ether_type is None else ether_type
    return Ether(dst=switch_mac(port), src=neighbour_mac(port), type=kind) / payload


def leaving(port: int, payload: Packet | bytes) -> Packet:
    """The frame that the switch sends to its next hop on `port`."""
    return Ether(dst=neighbour_mac(port), src=switch_mac(port), type=ether_type_of(payload)) / payload


def ip(src: str, dst: str, *, ttl: int = 64, tos: int = 0) -> Packet:
    """An IP header of the addresses' version; `tos` is DSCP (6 bits) and ECN (2 bits)."""
    if ":" in dst:
        return IPv6(src=src, dst=dst, hlim=ttl, tc=tos)
    return IP(src=src, dst=dst, ttl=ttl, tos=tos, id=1)


def udp(
    src: str, dst: str, *, sport: int = 40000, dport: int = 40001, ttl: int = 64, tos: int = 0, data: bytes = b"ping"
) -> Packet:
    """A UDP packet of an accelerator; `tos` is DSCP (6 bits) and ECN (2 bits)."""
    return ip(src, dst, ttl=ttl, tos=tos) / UDP(sport=sport, dport=dport) / Raw(data)


def tcp(src: str, dst: str, *, sport: int = 40000, dport: int = 40001, ttl: int = 64) -> Packet:
    """A TCP segment of an accelerator."""
    return ip(src, dst, ttl=ttl) / TCP(sport=sport, dport=dport, flags="A") / Raw(b"ping")


def scale_up(src: int, dst: int, *, data: bytes = b"accelerated", **fields: Any) -> Packet:
    """A Scale-Up message from one AccID to another; `fields` are those of its header."""
    return ScaleUp(src=src, dst=dst, **fields) / Raw(data)


def fragments(src: str, dst: str) -> list[Packet]:
    """A UDP datagram in eight fragments: the first has the ports, the others have payload in their place."""
    datagram = bytes(UDP(sport=40000, dport=40001, len=512)) + bytes(range(63)) * 8
    pieces: list[Packet] = []
    for start in range(0, 512, 64):
        flags = "MF" if start < 448 else 0
        header = IP(src=src, dst=dst, proto=17, id=9, frag=start // 8, flags=flags)
        pieces.append(header / Raw(datagram[start : start + 64]))
    return pieces


def tunnel(
    header: TunnelHeader,
    inner: Packet | bytes,
    *,
    src: str,
    dst: str,
    ttl: int = 64,
    tos: int = 0,
    sport: int = ENTROPY_PORT,
    checksum: int | None = 0,
) -> Packet:
    """`inner` in a tunnel from RLOC `src` to RLOC `dst`; the header tells which kind. `checksum` None: a right one."""
    outer = ip(src, dst, ttl=ttl, tos=tos)
    if outer.version == 4:
        outer.id, outer.flags = 0, "DF"
    return outer / UDP(sport=sport, dport=header.udp_port, chksum=checksum) / header / inner


def carrying(header: TunnelHeader, payload: Packet) -> tuple[TunnelHeader, Packet]:
    """`header` and `payload` as they stand behind UDP: a GPE header names its payload, VXLAN frames an IP packet."""
    if isinstance(header, Vxlan) and not isinstance(payload, Ether):
        return header, Ether(type=ether_type_of(payload), **VXLAN_ROUTED) / payload
    if isinstance(header, LispGpe | VxlanGpe):
        header = header.copy()
        header.next_protocol = _NEXT_PROTOCOLS[type(payload)]
    return header, payload


def routed(packet: Packet, *, ttl: int | None = None, tos: int | None = None) -> Packet:
    """`packet` after one router: TTL one less (or as given), checksum anew. Of a Scale-Up frame `tos` is the ECN."""
    after = packet.copy()
    name = {IP: "ttl", IPv6: "hlim", ScaleUp: "hop_limit"}[type(packet)]
    setattr(after, name, getattr(packet, name) - 1 if ttl is None else ttl)
    if tos is not None:
        setattr(after, {IP: "tos", IPv6: "tc", ScaleUp: "ecn"}[type(packet)], tos)
    if isinstance(after, IP):
        del after.chksum
    return after


def life_of(packet: Packet) -> tuple[int, int]:
    """TTL and traffic class of a payload, as a tunnel copies them; a virtual channel is a class selector."""
    if isinstance(packet, ScaleUp):
        return packet.hop_limit, packet.virtual_channel << 5 | packet.ecn
    return (packet.ttl, packet.tos) if isinstance(packet, IP) else (packet.hlim, packet.tc)


def encapsulated(header: TunnelHeader, packet: Packet, *, src: str, dst: str, port: int | None = None) -> Packet:
    """What a tunnel router makes of an accelerator's packet: routed, then in a tunnel that copies TTL, DSCP and ECN.

    A Scale-Up frame is carried with the Ethernet header that it had when it arrived on `port`.
    """
    inner = routed(packet)
    ttl, tos = life_of(inner)
    payload = arriving(port, inner) if isinstance(inner, ScaleUp) and port is not None else inner
    return tunnel(*carrying(header, payload), src=src, dst=dst, ttl=ttl, tos=tos)
