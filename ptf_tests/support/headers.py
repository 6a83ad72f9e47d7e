"""Headers for scapy: LISP and LISP-GPE (RFC 9300 section 5.3, RFC 9305 section 3), VXLAN, VXLAN-GPE, Scale-Up.

All tunnel headers are eight octets with the I and P flags and the Instance-ID in the same places; every bit has a field
of its own, so that a test can set the ones a receiver has to ignore.
"""

from __future__ import annotations

from scapy.fields import BitField, ByteField, IntField, ShortField, ThreeBytesField, XByteField, XIntField, XShortField
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw, bind_layers, split_layers

LISP_PORT = 4341
VXLAN_PORT = 4789
VXLAN_GPE_PORT = 4790

SCALE_UP_ETHERTYPE = 0x88B5

NEXT_PROTOCOL_IPV4 = 1
NEXT_PROTOCOL_IPV6 = 2
NEXT_PROTOCOL_ETHERNET = 3
NEXT_PROTOCOL_NSH = 4

_BY_NEXT_PROTOCOL = {NEXT_PROTOCOL_IPV4: IP, NEXT_PROTOCOL_IPV6: IPv6, NEXT_PROTOCOL_ETHERNET: Ether}
_BY_NIBBLE = {4: IP, 6: IPv6}


class Lisp(Packet):
    """The LISP data header. What it carries is told by the payload's first four bits."""

    name = "LISP"
    udp_port = LISP_PORT
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

    @classmethod
    def dispatch_hook(cls, octets: bytes | None = None, *_: object, **__: object) -> type[Packet]:
        """With P set it is LISP-GPE."""
        return LispGpe if cls is Lisp and octets and octets[0] & 0x04 else cls

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """IPv4, IPv6 or unknown."""
        return _BY_NIBBLE.get(payload[0] >> 4, Raw) if payload else Raw


class LispGpe(Packet):
    """LISP-GPE: the LISP header with P set; the Next Protocol says what it carries."""

    name = "LISP-GPE"
    udp_port = LISP_PORT
    fields_desc = [  # noqa: RUF012
        BitField("n", 0, 1),
        BitField("l", 0, 1),
        BitField("e", 0, 1),
        BitField("v", 0, 1),
        BitField("i", 1, 1),
        BitField("p", 1, 1),
        BitField("kk", 0, 2),
        XShortField("reserved", 0),
        XByteField("next_protocol", NEXT_PROTOCOL_IPV4),
        ThreeBytesField("iid", 0),
        ByteField("lsb", 0),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """What the Next Protocol says."""
        return _BY_NEXT_PROTOCOL.get(self.next_protocol, Raw)


class Vxlan(Packet):
    """The VXLAN header; it carries Ethernet frames."""

    name = "VXLAN"
    udp_port = VXLAN_PORT
    fields_desc = [  # noqa: RUF012
        BitField("r", 0, 4),
        BitField("i", 1, 1),
        BitField("r2", 0, 3),
        ThreeBytesField("reserved", 0),
        ThreeBytesField("iid", 0),
        XByteField("reserved2", 0),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """An Ethernet frame."""
        return Ether


class VxlanGpe(Packet):
    """The VXLAN-GPE header; the Next Protocol says what it carries."""

    name = "VXLAN-GPE"
    udp_port = VXLAN_GPE_PORT
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

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """What the Next Protocol says."""
        return _BY_NEXT_PROTOCOL.get(self.next_protocol, Raw)


class ScaleUp(Packet):
    """The Scale-Up header of docs/scale-up-frame.md."""

    name = "Scale-Up"
    fields_desc = [  # noqa: RUF012
        BitField("version", 1, 4),
        BitField("operation", 0, 4),
        BitField("virtual_channel", 0, 3),
        BitField("reorder", 0, 1),
        BitField("reserved", 0, 2),
        BitField("ecn", 0, 2),
        ByteField("hop_limit", 64),
        ByteField("next_header", 0),
        IntField("dst", 0),
        IntField("src", 0),
        XShortField("entropy", 0),
        ShortField("length", None),
        IntField("sequence", 0),
        XIntField("tag", 0),
    ]

    def post_build(self, header: bytes, payload: bytes) -> bytes:
        """Fills in the length unless it was given."""
        if self.length is None:
            header = header[:14] + len(payload).to_bytes(2, "big") + header[16:]
        return header + payload

    def extract_padding(self, octets: bytes) -> tuple[bytes, bytes]:
        """What follows the data is Ethernet padding."""
        return octets[: self.length], octets[self.length :]


TunnelHeader = Lisp | LispGpe | Vxlan | VxlanGpe

for _port in (VXLAN_PORT, VXLAN_GPE_PORT):  # scapy's own idea of these ports
    split_layers(UDP, VXLAN, dport=_port)
for _header in (Lisp, Vxlan, VxlanGpe):
    bind_layers(UDP, _header, dport=_header.udp_port)
bind_layers(Ether, ScaleUp, type=SCALE_UP_ETHERTYPE)
