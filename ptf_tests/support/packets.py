"""Packets of the fabric: an accelerator's IP packets, the tunnels around them, and what a router makes of them.

Every expectation is built by scapy from the fields, lengths and checksums included; nothing is taken from a switch.
"""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from controller.dataplane.entries import NextHop
from ptf_tests.support.headers import LISP_PORT, VXLAN_GPE_PORT, Lisp, VxlanGpe

ENTROPY_PORT = 0xC000  # lowest of the entropy range; expectations let the bits below vary


def switch_mac(port: int) -> str:
    """The switch's own address on `port`."""
    return f"02:00:00:00:{port:02x}:01"


def neighbour_mac(port: int) -> str:
    """The address of whatever is attached to `port`."""
    return f"02:00:00:00:{port:02x}:02"


def hop(port: int) -> NextHop:
    """The next hop out of `port`."""
    return NextHop(port, switch_mac(port), neighbour_mac(port))


def arriving(port: int, payload: Packet | bytes, ether_type: int = 0x0800) -> Packet:
    """The frame that the neighbour on `port` sends to the switch."""
    return Ether(dst=switch_mac(port), src=neighbour_mac(port), type=ether_type) / payload


def leaving(port: int, payload: Packet | bytes) -> Packet:
    """The frame that the switch sends to its next hop on `port`."""
    return Ether(dst=neighbour_mac(port), src=switch_mac(port), type=0x0800) / payload


def udp(
    src: str, dst: str, *, sport: int = 40000, dport: int = 40001, ttl: int = 64, tos: int = 0, data: bytes = b"ping"
) -> Packet:
    """A UDP packet of an accelerator; `tos` is DSCP (6 bits) and ECN (2 bits)."""
    return IP(src=src, dst=dst, ttl=ttl, tos=tos, id=1) / UDP(sport=sport, dport=dport) / Raw(data)


def tcp(src: str, dst: str, *, sport: int = 40000, dport: int = 40001, ttl: int = 64) -> Packet:
    """A TCP segment of an accelerator."""
    return IP(src=src, dst=dst, ttl=ttl, id=1) / TCP(sport=sport, dport=dport, flags="A") / Raw(b"ping")


def fragments(src: str, dst: str) -> list[Packet]:
    """A UDP datagram in eight fragments: the first has the ports, the others have payload in their place."""
    datagram = bytes(UDP(sport=40000, dport=40001, len=512)) + bytes(range(63)) * 8
    pieces: list[Packet] = []
    for start in range(0, 512, 64):
        flags = "MF" if start < 448 else 0
        ip = IP(src=src, dst=dst, proto=17, id=9, frag=start // 8, flags=flags)
        pieces.append(ip / Raw(datagram[start : start + 64]))
    return pieces


def tunnel(
    header: Lisp | VxlanGpe,
    inner: Packet | bytes,
    *,
    src: str,
    dst: str,
    ttl: int = 64,
    tos: int = 0,
    sport: int = ENTROPY_PORT,
    checksum: int = 0,
) -> Packet:
    """`inner` in a tunnel from RLOC `src` to RLOC `dst`; the header tells which kind of tunnel."""
    dport = LISP_PORT if isinstance(header, Lisp) else VXLAN_GPE_PORT
    outer = IP(src=src, dst=dst, ttl=ttl, tos=tos, id=0, flags="DF")
    return outer / UDP(sport=sport, dport=dport, chksum=checksum) / header / inner


def routed(packet: Packet, *, ttl: int | None = None, tos: int | None = None) -> Packet:
    """`packet` after one router: TTL one less (or as given), checksum anew."""
    after = packet.copy()
    after.ttl = packet.ttl - 1 if ttl is None else ttl
    if tos is not None:
        after.tos = tos
    del after.chksum
    return after


def encapsulated(header: Lisp | VxlanGpe, packet: Packet, *, src: str, dst: str) -> Packet:
    """What a tunnel router makes of an accelerator's packet: routed, then in a tunnel that copies TTL, DSCP and ECN."""
    inner = routed(packet)
    return tunnel(header, inner, src=src, dst=dst, ttl=inner.ttl, tos=inner.tos)
