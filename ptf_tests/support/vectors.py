"""Complete outer IPv4 packets from the wire reference: the same octets that the Python tests of the codec use."""

from __future__ import annotations

# LISP, 192.0.2.11 -> 192.0.2.1, Instance-ID 0x1001, TTL 63 and ECN copied from a UDP packet 10.0.0.1 -> 40.0.0.7.
V18 = bytes.fromhex(
    "45020044000040003f11b79ac000020bc0000201c12310f50030000008000000"
    "0010010045020020000000003f1149c40a000001280000079c409c41000cb67b"
    "70696e67"
)

# The same in LISP-GPE, Next Protocol IPv4.
V19 = bytes.fromhex(
    "45020044000040003f11b79ac000020bc0000201c12310f5003000000c000001"
    "0010010045020020000000003f1149c40a000001280000079c409c41000cb67b"
    "70696e67"
)

# VXLAN-GPE, 192.0.2.1 -> 192.0.2.2, VNI 0x2001, Next Protocol Ethernet, EtherType 0x8888.
V20 = bytes.fromhex(
    "4500003c000040004011b6adc0000201c0000202c45612b6002800000c000003"
    "00200100020000000008020000000007888853552d7061796c6f6164"
)

TUNNEL_OCTETS = 36  # outer IPv4, UDP and tunnel header: what precedes the payload
