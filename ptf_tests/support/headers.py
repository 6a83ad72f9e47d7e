"""Tunnel headers for scapy: LISP (RFC 9300 section 5.3, RFC 9305 section 3) and VXLAN-GPE.

Both are eight octets with the I and P flags and the Instance-ID in the same places; every bit has a field of its own,
so that a test can set the ones a receiver has to ignore.
"""

from __future__ import annotations

from scapy.fields import BitField, ByteField, ThreeBytesField, XByteField, XShortField
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw, bind_layers, split_layers

LISP_PORT = 4341
VXLAN_GPE_PORT = 4790

NEXT_PROTOCOL_IPV4 = 1
NEXT_PROTOCOL_IPV6 = 2
NEXT_PROTOCOL_ETHERNET = 3
NEXT_PROTOCOL_NSH = 4


class Lisp(Packet):
    """The LISP data header. What it carries is told by the payload's first four bits."""

    name = "LISP"
    fields_desc = [  # noqa: RUF012 - scapy's way of declaring a header
        BitField("n", 0, 1),
        BitField("l", 0, 1),
        BitField("e", 0, 1),
        BitField("v", 0, 1),
        BitField("i", 1, 1),
        BitField("p", 0, 1),
        BitField("kk", 0, 2),
        ThreeBytesField("nonce", 0),
        ThreeBytesField("iid", 0),
        ByteField("lsb", 0),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """IPv4 or unknown."""
        return IP if payload[:1] and payload[0] >> 4 == 4 else Raw


class VxlanGpe(Packet):
    """The VXLAN-GPE header; the Next Protocol says what it carries."""

    name = "VXLAN-GPE"
    fields_desc = [  # noqa: RUF012
        BitField("r", 0, 2),
        BitField("version", 0, 2),
        BitField("i", 1, 1),
        BitField("p", 1, 1),
        BitField("b", 0, 1),
        BitField("o", 0, 1),
        XShortField("reserved", 0),
        XByteField("next_protocol", NEXT_PROTOCOL_IPV4),
        ThreeBytesField("iid", 0),
        XByteField("reserved2", 0),
    ]


split_layers(UDP, VXLAN, dport=VXLAN_GPE_PORT)  # scapy's own idea of that port
bind_layers(UDP, Lisp, dport=LISP_PORT)
bind_layers(UDP, VxlanGpe, dport=VXLAN_GPE_PORT)
bind_layers(VxlanGpe, IP, next_protocol=NEXT_PROTOCOL_IPV4)
bind_layers(VxlanGpe, Ether, next_protocol=NEXT_PROTOCOL_ETHERNET)
