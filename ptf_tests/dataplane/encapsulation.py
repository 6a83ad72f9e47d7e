"""Encapsulation at an access xTR: what becomes of an accelerator's IP packet, octet by octet."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.entries import instance
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, leaving, tcp, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, HERE, OWN, PEER, RED, RED_PORT, THERE, access_xtr
from ptf_tests.support.vectors import TUNNEL_OCTETS, V18


class EncapsulationTest(FabricTest):
    """An access xTR that encapsulates in VXLAN-GPE."""

    encapsulation = Encapsulation.VXLAN_GPE

    def setUp(self) -> None:
        """Makes the switch an access xTR."""
        super().setUp()
        self.write(*access_xtr(self.encapsulation))

    def encapsulate(self, packet: Packet) -> Packet:
        """Sends an accelerator's packet, checks every octet of what leaves but the entropy, and returns it."""
        header = VxlanGpe(iid=RED) if self.encapsulation is Encapsulation.VXLAN_GPE else Lisp(iid=RED)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        return self.expect(CORE, any_entropy(leaving(CORE, encapsulated(header, packet, src=OWN, dst=PEER))))


@requirement("DP-3", "SO-FLOW-1")
class VxlanGpeOctets(EncapsulationTest):
    """VXLAN-GPE: UDP 4790, P and I set, Next Protocol IPv4, VNI = Instance-ID; all lengths and checksums right."""

    def runTest(self) -> None:
        frame = bytes(self.encapsulate(udp(HERE, THERE)))
        self.assertEqual(frame[36:38], (4790).to_bytes(2, "big"))
        self.assertEqual(frame[42:50].hex(), "0c00000100100100")


@requirement("DP-6", "SO-FLOW-1")
class LispOctets(EncapsulationTest):
    """LISP: UDP 4341, only the I bit set, Instance-ID in octets 4-6; all lengths and checksums right."""

    encapsulation = Encapsulation.LISP

    def runTest(self) -> None:
        frame = bytes(self.encapsulate(udp(HERE, THERE)))
        self.assertEqual(frame[36:38], (4341).to_bytes(2, "big"))
        self.assertEqual(frame[42:50].hex(), "0800000000100100")


@requirement("DP-6", "SO-FLOW-1")
class LispReferenceVector(EncapsulationTest):
    """The accelerator's packet of vector V18 becomes vector V18, but for the source port that a sender may choose."""

    encapsulation = Encapsulation.LISP

    def runTest(self) -> None:
        inner = IP(V18[TUNNEL_OCTETS:])
        inner.ttl += 1  # the vector's inner packet has passed this router
        del inner.chksum
        self.send(RED_PORT, arriving(RED_PORT, inner))
        self.expect(CORE, any_entropy(leaving(CORE, V18)))


@requirement("DP-1")
class EncapsulationIsConfiguration(EncapsulationTest):
    """The same map-cache entries serve either encapsulation: it is a property of the Instance-ID alone."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        self.encapsulate(packet)
        self.encapsulation = Encapsulation.LISP
        self.write(instance(RED, Encapsulation.LISP, punt_unknown=False))
        self.encapsulate(packet)


@requirement("SO-FLOW-1")
class PacketSizes(EncapsulationTest):
    """Lengths are right from an IP header alone to a jumbo packet."""

    def runTest(self) -> None:
        header_only = IP(src=HERE, dst=THERE, proto=253)
        for size in (20, 21, 24, 27, 28, 40, 576, 1463, 1464, 1500, 4096, 8900):
            with self.subTest(octets=size):
                packet = header_only / Raw(bytes(size - 20)) if size > 20 else header_only
                self.encapsulate(packet)


@requirement("SO-FLOW-1")
class DscpAndEcnAreCopied(EncapsulationTest):
    """DSCP and ECN go into the outer header as they are (RFC 6040 normal mode), and stay in the inner."""

    def runTest(self) -> None:
        for dscp in (0, 1, 8, 26, 46, 63):
            for ecn in range(4):
                with self.subTest(dscp=dscp, ecn=ecn):
                    self.encapsulate(udp(HERE, THERE, tos=dscp << 2 | ecn))


@requirement("SO-FLOW-1")
class TtlIsCopied(EncapsulationTest):
    """The inner TTL is one less, as behind any router; the outer TTL equals it."""

    def runTest(self) -> None:
        for ttl in (2, 3, 64, 128, 255):
            with self.subTest(ttl=ttl):
                frame = self.encapsulate(udp(HERE, THERE, ttl=ttl))
                self.assertEqual(frame[IP].ttl, ttl - 1)


@requirement("SO-FLOW-1")
class EveryTransportIsCarried(EncapsulationTest):
    """What is behind the IP header is nobody's business: TCP, UDP, SCTP, ICMP, unknown, and none."""

    def runTest(self) -> None:
        ip = IP(src=HERE, dst=THERE, id=7)
        for packet in (
            tcp(HERE, THERE),
            udp(HERE, THERE),
            ip / SCTP(sport=5000, dport=5001) / Raw(b"chunk"),
            ip / ICMP() / Raw(b"echo"),
            IP(src=HERE, dst=THERE, proto=50) / Raw(b"\x00\x01\x02\x03 payload"),
            ip / UDP(sport=4791, dport=4791) / Raw(b"RoCEv2"),
            IP(src=HERE, dst=THERE, proto=59),
        ):
            with self.subTest(packet=packet.summary()):
                self.encapsulate(packet)


@requirement("SO-FLOW-1")
class EthernetPaddingStaysOutside(EncapsulationTest):
    """A short packet's Ethernet padding is not counted by any length of the tunnel; it trails the outer packet."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        padding = bytes(60 - len(arriving(RED_PORT, packet)))
        self.send(RED_PORT, bytes(arriving(RED_PORT, packet)) + padding)
        tunnelled = bytes(leaving(CORE, encapsulated(VxlanGpe(iid=RED), packet, src=OWN, dst=PEER)))
        frame = self.expect(CORE, any_entropy(Ether(tunnelled + padding)))
        self.assertEqual(frame[IP].len, 20 + 8 + 8 + len(packet))


@requirement("SO-FLOW-1")
class FragmentsAreCarried(EncapsulationTest):
    """Fragments of an accelerator's packet are tunnelled one by one, as they are."""

    def runTest(self) -> None:
        for offset, more in ((0, True), (1, True), (64, True), (100, False)):
            with self.subTest(offset=offset, more=more):
                flags = "MF" if more else 0
                self.encapsulate(IP(src=HERE, dst=THERE, proto=17, id=9, frag=offset, flags=flags) / Raw(b"12345678"))
