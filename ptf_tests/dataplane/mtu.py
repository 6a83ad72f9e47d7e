"""Packets that do not fit into the tunnel (RFC 9300 section 7.1): the controller gets them, and the size that fits."""

from __future__ import annotations

from ipaddress import ip_address

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from controller.app.too_big import answers
from controller.dataplane.codepoints import DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import Rloc, instance, rloc_set
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.decode import faults
from ptf_tests.support.headers import VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, leaving, scale_up, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_THERE,
    CORE,
    HERE,
    HERE6,
    OWN,
    PEER,
    PEER6,
    RED,
    RED_PORT,
    RED_UP,
    SOURCES,
    THERE,
    THERE6,
    TO_PEER,
    TO_PEER6,
    dual_stack_xtr,
)

MTU = 1500

# Octets in front of the payload: outer IP, UDP and tunnel header; VXLAN and frames have an Ethernet header more.
OVERHEAD = {PEER: 36, PEER6: 56}
ETHERNET = 14
UDP_IN_IPV4, UDP_IN_IPV6, SCALE_UP = 28, 48, 24


class MtuTest(FabricTest):
    """An access xTR whose ways to PEER take packets of 1500 octets."""

    def setUp(self) -> None:
        """Makes the switch an access xTR."""
        super().setUp()
        self.use(Encapsulation.VXLAN_GPE, PEER)

    def use(self, encapsulation: Encapsulation, rloc: str) -> None:
        """From now on everything is encapsulated like this, towards `rloc`."""
        to = TO_PEER if rloc == PEER else TO_PEER6
        scale_up = Encapsulation.VXLAN if encapsulation is Encapsulation.VXLAN else Encapsulation.VXLAN_GPE
        self.write(*dual_stack_xtr(encapsulation, to=to, scale_up=scale_up))
        self.write(rloc_set(to, [Rloc(ip_address(rloc), mtu=MTU)], *SOURCES))

    def big(self, here: str, there: str, octets: int, *, df: bool = True) -> Packet:
        """A packet of so many octets from IP header on."""
        packet = udp(here, there, data=bytes(octets - (UDP_IN_IPV6 if ":" in here else UDP_IN_IPV4)))
        if df and isinstance(packet, IP):
            packet.flags = "DF"
        return packet


@requirement("PR-MTU-1", partial=True)
class LargestPacket(MtuTest):
    """For every encapsulation and either underlay: what fits is tunnelled, one octet more goes to the controller."""

    def runTest(self) -> None:
        for encapsulation in (Encapsulation.LISP, Encapsulation.LISP_GPE, Encapsulation.VXLAN, Encapsulation.VXLAN_GPE):
            for rloc, overhead in OVERHEAD.items():
                self.use(encapsulation, rloc)
                room = MTU - overhead - (ETHERNET if encapsulation is Encapsulation.VXLAN else 0)
                for here, there in ((HERE, THERE), (HERE6, THERE6)):
                    with self.subTest(encapsulation=encapsulation.name, rloc=rloc, source=here), self.no_drops():
                        self.send(RED_PORT, arriving(RED_PORT, self.big(here, there, room)))
                        self.assertEqual(len(self.receive(CORE)), ETHERNET + MTU)
                        frame = arriving(RED_PORT, self.big(here, there, room + 1))
                        self.send(RED_PORT, frame)
                        self.expect_punt(PuntReason.TOO_BIG, frame, port=RED_PORT, iid=RED, mtu=room)


class LargestFrame(MtuTest):
    """A Scale-Up frame that does not fit is dropped and counted: there is no ICMP, and nothing to cut."""

    def runTest(self) -> None:
        for rloc, overhead in OVERHEAD.items():
            self.use(Encapsulation.VXLAN_GPE, rloc)
            room = MTU - overhead - ETHERNET - SCALE_UP
            with self.subTest(rloc=rloc):
                self.send(RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE, data=bytes(room))))
                self.assertEqual(len(self.receive(CORE)), ETHERNET + MTU)
                with self.drops(DropReason.TOO_BIG):
                    self.send(RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE, data=bytes(room + 1))))


@requirement("PR-MTU-1")
class SenderIsTold(MtuTest):
    """The controller's answer to a packet that may not be cut reaches the sender: ICMP, with the size that fits."""

    def runTest(self) -> None:
        gateways = [ip_address("10.0.0.254"), ip_address("fd00:10::fe")]
        for here, there, kind in ((HERE, THERE, ICMP), (HERE6, THERE6, ICMPv6PacketTooBig)):
            with self.subTest(source=here):
                packet = self.big(here, there, 1465)
                self.send(RED_PORT, arriving(RED_PORT, packet))
                frame = arriving(RED_PORT, packet)
                punted = self.expect_punt(PuntReason.TOO_BIG, frame, port=RED_PORT, iid=RED, mtu=1464)
                (answer,) = answers(punted.payload, 1464, gateways)
                self.submit(RED, answer)
                received = self.receive(RED_PORT)
                self.assertEqual(faults(bytes(received)), [])
                self.assertEqual(received[IP if kind is ICMP else IPv6].dst, here)
                message = received[kind]
                self.assertEqual(message.nexthopmtu if kind is ICMP else message.mtu, 1464)


@requirement("PR-MTU-1", partial=True)
class PacketsThatMayBeCut(MtuTest):
    """DF=0: the controller cuts the packet into fragments that fit, and each goes its way through the tunnel."""

    def runTest(self) -> None:
        packet = self.big(HERE, THERE, 2001, df=False)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        frame = arriving(RED_PORT, packet)
        punted = self.expect_punt(PuntReason.TOO_BIG, frame, port=RED_PORT, iid=RED, mtu=1464)
        pieces = answers(punted.payload, 1464, [])
        self.assertEqual(len(pieces), 2)
        for piece in pieces:
            self.submit(RED, piece)
            sent = encapsulated(VxlanGpe(iid=RED), Ether(piece)[IP], src=OWN, dst=PEER)
            self.expect(CORE, any_entropy(leaving(CORE, sent)))


@requirement("PR-MTU-1", partial=True)
class BehindATunnelToo(MtuTest):
    """At a border the packet that does not fit into the next tunnel is handed over without the one it came in."""

    def runTest(self) -> None:
        self.write(instance(RED_UP, Encapsulation.LISP, False))
        packet = self.big(HERE, THERE, 1465)
        self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), packet, src="192.0.2.77", dst=OWN)))
        self.expect_punt(PuntReason.TOO_BIG, arriving(CORE, packet), port=CORE, iid=RED, mtu=1464)
