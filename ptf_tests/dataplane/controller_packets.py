"""Packets between switch and controller: what is handed up and how, and what the controller hands down."""

from __future__ import annotations

from ipaddress import IPv4Address

from ptf.testutils import group
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from controller.dataplane.codepoints import DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import eid_rloc_set, instance, local_rloc
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, leaving, routed, tcp, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    BLUE,
    BLUE_PORT,
    CORE,
    CORE_2,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    SPARE,
    THERE,
    TO_PEER,
    access_xtr,
    prefix,
)
from ptf_tests.targets import CPU_PORT

NOWHERE = "50.0.0.1"


class ControllerTest(FabricTest):
    """An access xTR that hands packets to unknown destinations to its controller."""

    configured = access_xtr(Encapsulation.VXLAN_GPE, punt_unknown=True)


@group("punt")
class UnknownDestinationIsPunted(ControllerTest):
    """A packet to an unknown EID goes to the controller as it came, with its port, Instance-ID and the reason."""

    def runTest(self) -> None:
        for port, iid in ((RED_PORT, RED), (BLUE_PORT, BLUE)):
            for packet in (
                udp(HERE, NOWHERE, ttl=2, tos=0xB9),
                tcp(HERE, NOWHERE),
                udp(HERE, NOWHERE, data=bytes(8000)),
            ):
                with self.subTest(iid=iid, packet=packet.summary()), self.no_drops():
                    frame = arriving(port, packet)
                    self.send(port, frame)
                    self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=port, iid=iid)


@group("punt")
class DecapsulatedUnknownIsPunted(ControllerTest):
    """An unknown destination behind a tunnel: the controller gets the inner packet, with what the outer header told it.

    TTL, DSCP and ECN are already those of decapsulation, for the outer header is gone; the router's own decrement is
    left to the packet's second way through.
    """

    def runTest(self) -> None:
        for header in (VxlanGpe(iid=RED), Lisp(iid=BLUE)):
            with self.subTest(header=header.name), self.no_drops():
                inner = udp(THERE, NOWHERE, ttl=60, tos=0x02)
                self.send(CORE, arriving(CORE, tunnel(header, inner, src=PEER, dst=OWN, ttl=9, tos=0xBB)))
                frame = arriving(CORE, routed(inner, ttl=9, tos=0xBB))
                self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=CORE, iid=header.iid)


@group("punt")
@requirement("SO-UNK-4")
class PolicyIsPerInstanceId(ControllerTest):
    """One tenant's unknown destinations go to the controller while another's are dropped; the policy can change."""

    def runTest(self) -> None:
        frame = arriving(BLUE_PORT, udp(HERE, NOWHERE))
        self.write(instance(BLUE, Encapsulation.VXLAN_GPE, punt_unknown=False))
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(BLUE_PORT, frame)
        red_frame = arriving(RED_PORT, udp(HERE, NOWHERE))
        self.send(RED_PORT, red_frame)
        self.expect_punt(PuntReason.UNKNOWN_DESTINATION, red_frame, port=RED_PORT, iid=RED)
        self.write(instance(BLUE, Encapsulation.VXLAN_GPE, punt_unknown=True))
        self.send(BLUE_PORT, frame)
        self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=BLUE_PORT, iid=BLUE)


@group("punt")
class PacketsToTheRouterArePunted(ControllerTest):
    """What is addressed to the router's RLOC and is no tunnel goes to the controller unchanged, even with TTL 1."""

    def runTest(self) -> None:
        self.write(local_rloc(IPv4Address("192.0.2.12")))
        for packet in (
            udp(PEER, OWN, sport=4342, dport=4342, data=b"Map-Notify"),
            udp(PEER, OWN, sport=4342, dport=4342, ttl=1, tos=0xC0),
            udp(PEER, "192.0.2.12", sport=50000, dport=4342, ttl=255),
            udp(PEER, OWN, sport=4341, dport=9),
            tcp(PEER, OWN, dport=179),
            IP(src=PEER, dst=OWN) / ICMP() / Raw(b"ping"),
            IP(src=PEER, dst=OWN, proto=17, frag=3) / Raw(bytes(16)),
        ):
            with self.subTest(packet=packet.summary()), self.no_drops():
                self.send(CORE_2, arriving(CORE_2, packet))
                self.expect_punt(PuntReason.TO_LOCAL_RLOC, arriving(CORE_2, packet), port=CORE_2, iid=0)


@group("packet_out")
class TransmittedAsItIs(ControllerTest):
    """A packet that the controller transmits leaves its port octet by octet, whatever it is; nothing is counted."""

    def runTest(self) -> None:
        control = udp(OWN, PEER, sport=4342, dport=4342, ttl=1, data=b"Map-Register")
        damaged = IP(bytes(control))
        damaged.chksum ^= 0x0F0F
        for frame in (
            leaving(CORE, control),
            leaving(CORE, damaged),
            arriving(RED_PORT, udp(HERE, THERE)),
            leaving(CORE, tunnel(VxlanGpe(iid=RED), udp(HERE, THERE), src=OWN, dst=PEER, ttl=0)),
            leaving(CORE, IP(ihl=6, src=OWN, dst=PEER, options=[]) / Raw(bytes(8))),
            Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01")
            / ARP(hwsrc="02:00:00:00:00:01", psrc=OWN, pdst=PEER),
            Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x8888) / Raw(bytes(46)),
            Ether(bytes(leaving(CORE, control))[:37]),
            leaving(CORE, udp(OWN, PEER, data=bytes(8000))),
        ):
            with self.subTest(frame=frame.summary()), self.no_drops():
                self.transmit(CORE, frame)
                self.expect(CORE, frame)


@group("packet_out")
class TransmittedToAnyPort(ControllerTest):
    """The controller chooses the port: access, core, or one that nothing is configured for."""

    def runTest(self) -> None:
        for port in (RED_PORT, BLUE_PORT, CORE, CORE_2, SPARE):
            with self.subTest(port=port):
                frame = leaving(port, udp(OWN, PEER))
                self.transmit(port, frame)
                self.expect(port, frame)


@group("packet_out")
class SubmittedPacketIsForwarded(ControllerTest):
    """A packet that the controller submits under an Instance-ID is forwarded as if an accelerator had sent it."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        for iid, out, rloc in ((RED, CORE, PEER), (BLUE, CORE_2, OTHER)):
            with self.subTest(iid=iid):
                self.submit(iid, arriving(RED_PORT, packet))
                outer = encapsulated(VxlanGpe(iid=iid), packet, src=OWN, dst=rloc)
                self.expect(out, any_entropy(leaving(out, outer)))
        with self.subTest("local delivery"):
            packet = udp(THERE, HERE)
            self.submit(BLUE, arriving(RED_PORT, packet))
            self.expect(BLUE_PORT, leaving(BLUE_PORT, routed(packet)))


@group("packet_out")
class SubmittedPacketCanFail(ControllerTest):
    """A submitted packet meets the same fate as any: it can be dropped, for the same reasons, or come back."""

    def runTest(self) -> None:
        with self.subTest("foreign Instance-ID"), self.drops(DropReason.FOREIGN_INSTANCE_ID):
            self.submit(0x2001, arriving(RED_PORT, udp(HERE, THERE)))
        with self.subTest("expired"), self.drops(DropReason.TTL_EXPIRED):
            self.submit(RED, arriving(RED_PORT, udp(HERE, THERE, ttl=1)))
        with self.subTest("not IPv4"), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
            self.submit(RED, arriving(RED_PORT, Raw(bytes(46)), ether_type=0x8888))
        with self.subTest("still unknown"), self.no_drops():
            frame = arriving(RED_PORT, udp(HERE, NOWHERE))
            self.submit(RED, frame)
            self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=CPU_PORT, iid=RED)


@group("packet_out")
class TunnelIsNotSubmitted(ControllerTest):
    """A submitted tunnel packet is an accelerator's payload: the controller cannot inject into a tenant by mistake."""

    def runTest(self) -> None:
        packet = tunnel(VxlanGpe(iid=BLUE), udp(THERE, HERE), src=PEER, dst=THERE)
        self.submit(RED, arriving(RED_PORT, packet))
        outer = encapsulated(VxlanGpe(iid=RED), packet, src=OWN, dst=PEER)
        self.expect(CORE, any_entropy(leaving(CORE, outer)))


@group("punt")
class HeldPacketLosesNothing(ControllerTest):
    """A packet punted, held while its destination is resolved, and submitted leaves as one that never waited."""

    def runTest(self) -> None:
        entry = eid_rloc_set(RED, prefix("50.0.0.0/16"), TO_PEER)
        packet = udp(HERE, NOWHERE, tos=0x2E)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        held = self.expect_punt(PuntReason.UNKNOWN_DESTINATION, arriving(RED_PORT, packet), port=RED_PORT, iid=RED)
        self.write(entry)
        self.submit(int(held.metadata["iid"]), held.payload)
        waited = self.receive(CORE)
        self.send(RED_PORT, arriving(RED_PORT, packet))
        self.expect(CORE, waited)


@group("punt")
class PuntedInOrder(ControllerTest):
    """Packets reach the controller in the order in which they came, each once."""

    def runTest(self) -> None:
        frames = [arriving(RED_PORT, udp(HERE, NOWHERE, data=b"%03d" % number)) for number in range(40)]
        for frame in frames:
            self.send(RED_PORT, frame)
        for frame in frames:
            self.expect_punt(PuntReason.UNKNOWN_DESTINATION, frame, port=RED_PORT, iid=RED)
        self.expect_no_punt()
