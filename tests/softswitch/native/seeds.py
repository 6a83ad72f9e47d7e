"""Packets to begin with: headers that the programs know, before they are mutilated."""

from __future__ import annotations

import random
from functools import cache

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

_MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
_TUNNEL_PORTS = (4341, 4789, 4790)
_TUNNELS = (bytes.fromhex("0c00000100100100"), bytes.fromhex("0800000000100100"), bytes.fromhex("0c00000300100100"))


def _ethernet(kind: int | None = None) -> Packet:
    return Ether(src=_MACS[0], dst=_MACS[1], type=kind)


@cache
def frames() -> list[bytes]:
    """Frames of many protocols, tunnels among them."""
    inner: list[Packet] = [
        IP(src="10.0.0.1", dst="40.0.0.7", ttl=9) / UDP(sport=7, dport=4791) / Raw(b"x" * 20),
        IP(src="10.0.0.1", dst="10.0.0.2", proto=6) / TCP(dport=80) / Raw(b"y" * 9),
        IP(src="10.0.0.1", dst="10.0.0.3", flags="MF", frag=3) / Raw(b"z" * 30),
        IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(dport=53) / Raw(b"v6"),
        Raw(bytes.fromhex("10400100000000010000000200000000") + b"payload" * 4),
    ]
    kinds = {IP: 0x0800, IPv6: 0x86DD, Raw: 0x88B5}
    plain = [_ethernet(kinds[type(packet)]) / packet for packet in inner]
    tunnels = [
        _ethernet() / outer / UDP(sport=50000, dport=port) / Raw(header) / content
        for outer in (IP(src="192.0.2.1", dst="192.0.2.3"), IPv6(src="2001:db8::8", dst="2001:db8::9"))
        for port in _TUNNEL_PORTS
        for header in _TUNNELS
        for content in (inner[0], _ethernet() / inner[1], inner[3], inner[4])
    ]
    others = [
        _ethernet() / Dot1Q(vlan=5) / inner[0],
        _ethernet() / ARP(),
        _ethernet() / IP(options=[b"\x94\x04\0\0"]) / UDP(),
    ]
    return [bytes(packet) for packet in (*plain, *tunnels, *others)]


def mutilated(packet: bytes, rng: random.Random) -> bytes:
    """The packet as it is, or cut, extended or with some octets changed."""
    octets = bytearray(packet)
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        if octets:
            octets[rng.randrange(len(octets))] = rng.choice((0, 1, 2, 5, 0x45, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    if rng.random() < 0.2:
        del octets[rng.randrange(len(octets) + 1) :]
    if rng.random() < 0.1:
        octets += rng.randbytes(rng.choice((1, 50, 1500, 9000)))
    return bytes(octets)


def noise(rng: random.Random) -> bytes:
    """Octets, most of them small: programs of this suite take the first for an operation."""
    length = rng.choice((1, 5, 9, 10, 20, 40, 64, 130))
    return bytes([rng.randrange(27)]) + bytes(rng.choice((0, 1, 2, 3, 0xFF, rng.randrange(256))) for _ in range(length))
