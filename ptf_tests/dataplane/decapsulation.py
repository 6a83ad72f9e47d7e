"""Decapsulation to an attached accelerator: what is left of a packet when the tunnel around it ends."""

from __future__ import annotations

from ipaddress import IPv4Address

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import eid_local, local_rloc
from controller.p4rt.entities import CounterData
from ptf_tests.support.base import FabricTest
from ptf_tests.support.checksums import as_wrong_as
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, hop, leaving, routed, tcp, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, HERE, OWN, PEER, RED, RED_PORT, THERE, access_xtr, host
from ptf_tests.support.vectors import TUNNEL_OCTETS, V18

# RFC 6040 section 4.2: what leaves, by inner and outer ECN; None where the packet is to be dropped.
NOT_ECT, ECT_1, ECT_0, CE = 0, 1, 2, 3
DECAPSULATED_ECN = {
    (NOT_ECT, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT_0): NOT_ECT,
    (NOT_ECT, ECT_1): NOT_ECT,
    (NOT_ECT, CE): None,
    (ECT_0, NOT_ECT): ECT_0,
    (ECT_0, ECT_0): ECT_0,
    (ECT_0, ECT_1): ECT_1,
    (ECT_0, CE): CE,
    (ECT_1, NOT_ECT): ECT_1,
    (ECT_1, ECT_0): ECT_1,
    (ECT_1, ECT_1): ECT_1,
    (ECT_1, CE): CE,
    (CE, NOT_ECT): CE,
    (CE, ECT_0): CE,
    (CE, ECT_1): CE,
    (CE, CE): CE,
}


class DecapsulationTest(FabricTest):
    """An access xTR whose accelerator HERE gets packets from THERE, tunnelled by PEER."""

    configured = access_xtr(Encapsulation.VXLAN_GPE)

    def send_tunnelled(self, header: Lisp | VxlanGpe, inner: Packet, *, ttl: int = 64, tos: int = 0) -> None:
        """Sends `inner` in a tunnel that ends at the switch."""
        self.send(CORE, arriving(CORE, tunnel(header, inner, src=PEER, dst=OWN, ttl=ttl, tos=tos)))

    def expect_delivered(self, packet: Packet) -> Packet:
        """The accelerator gets `packet`, to the octet; returns the frame."""
        return self.expect(RED_PORT, leaving(RED_PORT, packet))


@requirement("SO-FLOW-9", "SO-FLOW-12")
class VxlanGpePayload(DecapsulationTest):
    """Out of VXLAN-GPE comes the packet that went in, one router further."""

    def runTest(self) -> None:
        for inner in (
            udp(THERE, HERE),
            tcp(THERE, HERE),
            IP(src=THERE, dst=HERE) / ICMP() / Raw(b"echo"),
            IP(src=THERE, dst=HERE, proto=253) / Raw(b"x"),
            IP(src=THERE, dst=HERE, proto=59),
            udp(THERE, HERE, data=bytes(8000)),
        ):
            with self.subTest(inner=inner.summary()):
                self.send_tunnelled(VxlanGpe(iid=RED), inner)
                self.expect_delivered(routed(inner))


@requirement("SO-FLOW-9", "SO-FLOW-12")
class LispPayload(DecapsulationTest):
    """Out of LISP comes the packet that went in, whatever encapsulation the Instance-ID sends with."""

    def runTest(self) -> None:
        for inner in (udp(THERE, HERE), tcp(THERE, HERE), IP(src=THERE, dst=HERE, proto=253)):
            with self.subTest(inner=inner.summary()):
                self.send_tunnelled(Lisp(iid=RED), inner)
                self.expect_delivered(routed(inner))


@requirement("DP-6", "PR-DP-1", "SO-FLOW-12")
class LispReferenceVector(DecapsulationTest):
    """Vector V18 arrives where its tunnel ends, and its inner packet, one router further, at the accelerator."""

    def runTest(self) -> None:
        self.write(local_rloc(IPv4Address(PEER)), eid_local(RED, host(THERE), hop(RED_PORT)))
        self.send(CORE, arriving(CORE, V18))
        self.expect_delivered(routed(IP(V18[TUNNEL_OCTETS:])))


@requirement("PR-DP-2")
class SmallerTtlSurvives(DecapsulationTest):
    """The smaller of outer and inner TTL is what the router then takes one off."""

    def runTest(self) -> None:
        for outer, inner in ((5, 60), (60, 5), (5, 5), (255, 2), (2, 255), (64, 64)):
            with self.subTest(outer=outer, inner=inner):
                packet = udp(THERE, HERE, ttl=inner)
                self.send_tunnelled(VxlanGpe(iid=RED), packet, ttl=outer)
                self.expect_delivered(routed(packet, ttl=min(outer, inner) - 1))


@requirement("PR-DP-3")
class EcnCombinations(DecapsulationTest):
    """All sixteen combinations of inner and outer ECN; the one that would lose a congestion mark is dropped."""

    def runTest(self) -> None:
        self.assertEqual(len(DECAPSULATED_ECN), 16)
        for (inner, outer), result in DECAPSULATED_ECN.items():
            with self.subTest(inner=inner, outer=outer):
                packet = udp(THERE, HERE, tos=inner)
                if result is None:
                    with self.drops(DropReason.ECN_NOT_CAPABLE):
                        self.send_tunnelled(VxlanGpe(iid=RED), packet, tos=outer)
                else:
                    self.send_tunnelled(VxlanGpe(iid=RED), packet, tos=outer)
                    self.expect_delivered(routed(packet, tos=result))


@requirement("SO-FLOW-9")
class OuterDscpIsCopied(DecapsulationTest):
    """The outer DSCP, which the underlay may have changed, replaces the inner one (RFC 9300 section 5.3)."""

    def runTest(self) -> None:
        for outer, inner in ((0, 46), (46, 0), (10, 12), (63, 63)):
            with self.subTest(outer=outer, inner=inner):
                packet = udp(THERE, HERE, tos=inner << 2)
                self.send_tunnelled(Lisp(iid=RED), packet, tos=outer << 2)
                self.expect_delivered(routed(packet, tos=outer << 2))


@requirement("PR-DP-1")
class OuterUdpChecksum(DecapsulationTest):
    """A zero outer UDP checksum is accepted, and so is any other: the tunnel router does not verify it."""

    def runTest(self) -> None:
        inner = udp(THERE, HERE)
        for header in (VxlanGpe(iid=RED), Lisp(iid=RED)):
            correct = tunnel(header, inner, src=PEER, dst=OWN)
            del correct[UDP].chksum
            for checksum in (0, IP(bytes(correct))[UDP].chksum, 0xBAD):
                with self.subTest(header=header.name, checksum=checksum):
                    packet = tunnel(header, inner, src=PEER, dst=OWN, checksum=checksum)
                    self.send(CORE, arriving(CORE, packet))
                    self.expect_delivered(routed(inner))


class LispBitsThatDoNotMatter(DecapsulationTest):
    """N, L, E and V with whatever they announce, and the Locator-Status-Bits, change nothing (RFC 9300 section 5.3)."""

    def runTest(self) -> None:
        inner = udp(THERE, HERE)
        for header in (
            Lisp(iid=RED, n=1, nonce=0xABCDEF),
            Lisp(iid=RED, n=1, e=1, nonce=0x000001),
            Lisp(iid=RED, e=1),
            Lisp(iid=RED, l=1, lsb=0xFF),
            Lisp(iid=RED, lsb=0x55),
            Lisp(iid=RED, v=1, nonce=0x001002),
            Lisp(iid=RED, n=1, v=1, nonce=0xFFFFFF),
            Lisp(iid=RED, nonce=0x010203),
            Lisp(iid=RED, n=1, l=1, e=1, v=1, nonce=0xFFFFFF, lsb=0xFF),
        ):
            with self.subTest(header=bytes(header).hex()):
                self.send_tunnelled(header, inner)
                self.expect_delivered(routed(inner))


class VxlanGpeBitsThatDoNotMatter(DecapsulationTest):
    """Reserved bits and octets of VXLAN-GPE are ignored."""

    def runTest(self) -> None:
        inner = udp(THERE, HERE)
        for header in (
            VxlanGpe(iid=RED, r=1),
            VxlanGpe(iid=RED, r=2),
            VxlanGpe(iid=RED, b=1),
            VxlanGpe(iid=RED, reserved=0xFFFF),
            VxlanGpe(iid=RED, reserved2=0xFF),
            VxlanGpe(iid=RED, r=3, b=1, reserved=0xFFFF, reserved2=0xFF),
        ):
            with self.subTest(header=bytes(header).hex()):
                self.send_tunnelled(header, inner)
                self.expect_delivered(routed(inner))


@requirement("SO-FLOW-12")
class PaddingIsNotPayload(DecapsulationTest):
    """Octets behind the end of the outer packet stay behind the end of the inner one."""

    def runTest(self) -> None:
        inner = udp(THERE, HERE)
        for padding in (b"\0", b"\xff" * 18):
            with self.subTest(octets=len(padding)):
                packet = arriving(CORE, tunnel(VxlanGpe(iid=RED), inner, src=PEER, dst=OWN))
                self.send(CORE, bytes(packet) + padding)
                self.expect_delivered(Ether(bytes(arriving(RED_PORT, routed(inner))) + padding).payload)


@requirement("SO-FLOW-12")
class InnerFragmentsAreDelivered(DecapsulationTest):
    """Fragments of an inner packet are delivered one by one, as they are."""

    def runTest(self) -> None:
        for offset, flags in ((0, "MF"), (1, "MF"), (100, 0)):
            with self.subTest(offset=offset, flags=flags):
                inner = IP(src=THERE, dst=HERE, proto=17, id=9, frag=offset, flags=flags) / Raw(b"12345678")
                self.send_tunnelled(VxlanGpe(iid=RED), inner)
                self.expect_delivered(routed(inner))


@requirement("SO-FLOW-12")
class InnerDamageStaysVisible(DecapsulationTest):
    """An inner header whose checksum was wrong on arrival is as wrong when it leaves (RFC 1624).

    The tunnel router adjusts the checksum by what it changed; computing it anew would hide the damage.
    """

    def runTest(self) -> None:
        for damage in (0x0001, 0x8000, 0x1234):
            for ttl, tos in ((64, 0), (5, 0xB8)):
                with self.subTest(damage=damage, outer_ttl=ttl, outer_tos=tos):
                    inner = IP(bytes(udp(THERE, HERE, ttl=60)))
                    inner.chksum ^= damage
                    after = routed(inner, ttl=min(ttl, 60) - 1, tos=tos)
                    after.chksum = as_wrong_as(inner, after)
                    self.send_tunnelled(VxlanGpe(iid=RED), inner, ttl=ttl, tos=tos)
                    self.expect_delivered(after)


@requirement("SO-FLOW-9")
class EntryCounts(DecapsulationTest):
    """The map-cache entry that a packet matched counts it, and the octets of the frame it came in."""

    def runTest(self) -> None:
        entry = eid_local(RED, host(HERE), hop(RED_PORT))
        inner = udp(THERE, HERE)
        frame = arriving(CORE, tunnel(VxlanGpe(iid=RED), inner, src=PEER, dst=OWN))
        self.assertEqual(self.switch.counted(entry), CounterData(0, 0))
        for _ in range(3):
            self.send(CORE, frame)
            self.expect_delivered(routed(inner))
        self.assertEqual(self.switch.counted(entry), CounterData(3, 3 * len(frame)))
