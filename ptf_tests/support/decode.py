"""An independent judgement of a frame: scapy takes it apart, and every length and checksum in it is worked out anew."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from scapy.layers.inet import ICMP, IP, UDP, IPerror, in4_chksum
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPerror6, IPv6, in6_chksum
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload, Packet, Padding, Raw
from scapy.utils import checksum

from ptf_tests.support.headers import Lisp, LispGpe, ScaleUp, Vxlan, VxlanGpe

_TUNNELS = Lisp, LispGpe, Vxlan, VxlanGpe


def layers(frame: bytes) -> list[Packet]:
    """The headers of a frame from the outside in, without the data at their end or a packet that ICMP quotes."""
    found: list[Packet] = []
    layer: Packet = Ether(frame)
    while not isinstance(layer, NoPayload | Raw | Padding | IPerror | IPerror6):
        found.append(layer)
        layer = layer.payload
    return found


def faults(frame: bytes) -> list[str]:
    """What is wrong with the lengths and checksums of a frame, at whatever depth; nothing if all is well.

    A UDP checksum of zero is right in a tunnel's header only, and IPv4's.
    """
    found = []
    stack = layers(frame)
    for outside, layer in pairwise(stack):
        octets, room = layer.original, len(layer.original)
        where = f"{layer.name} in {outside.name}"
        if isinstance(layer, IP):
            if layer.len != room:
                found.append(f"{where}: total length {layer.len}, {room} octets follow")
            if checksum(octets[: layer.ihl * 4]) != 0:
                found.append(f"{where}: header checksum {layer.chksum:#06x}")
        elif isinstance(layer, IPv6):
            if layer.plen != room - 40:
                found.append(f"{where}: payload length {layer.plen}, {room - 40} octets follow")
        elif isinstance(layer, UDP):
            if layer.len != room:
                found.append(f"{where}: length {layer.len}, {room} octets follow")
            if layer.chksum:
                summed: Callable[..., int] = in4_chksum if isinstance(outside, IP) else in6_chksum
                if summed(17, outside, octets) != 0:
                    found.append(f"{where}: checksum {layer.chksum:#06x}")
            elif isinstance(outside, IPv6) and not isinstance(layer.payload, _TUNNELS):
                found.append(f"{where}: no checksum")
        elif isinstance(layer, ICMP) and checksum(octets) != 0:
            found.append(f"{where}: checksum {layer.chksum:#06x}")
        elif isinstance(layer, ICMPv6PacketTooBig) and in6_chksum(58, outside, octets) != 0:  # type: ignore[no-untyped-call]
            found.append(f"{where}: checksum {layer.cksum:#06x}")
        elif isinstance(layer, ScaleUp) and layer.length != room - 24:
            found.append(f"{where}: length {layer.length}, {room - 24} octets follow")
    return found
