"""Every payload in every encapsulation over both underlays: there, back, and across a border.

Each frame is compared with one that scapy built, and then taken apart by scapy: every length and checksum in it, at
every depth, has to be right on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scapy.packet import Packet

from controller.dataplane.codepoints import DropReason, Encapsulation, PayloadKind
from controller.dataplane.entries import eid_local, eid_rloc_set, instance
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.decode import faults
from ptf_tests.support.headers import Lisp, LispGpe, ScaleUp, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import (
    arriving,
    carrying,
    encapsulated,
    hop,
    leaving,
    life_of,
    routed,
    scale_up,
    tcp,
    tunnel,
    udp,
)
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_THERE,
    CORE,
    CORE_2,
    HERE,
    HERE6,
    OTHER,
    OWN,
    OWN6,
    PEER,
    PEER6,
    RED,
    RED_PORT,
    RED_UP,
    THERE,
    THERE6,
    TO_PEER,
    TO_PEER6,
    border_pxtr,
    dual_stack_xtr,
    host,
    prefix,
)

HEADERS: dict[Encapsulation, type[TunnelHeader]] = {
    Encapsulation.LISP: Lisp,
    Encapsulation.LISP_GPE: LispGpe,
    Encapsulation.VXLAN: Vxlan,
    Encapsulation.VXLAN_GPE: VxlanGpe,
}


@dataclass(frozen=True)
class Underlay:
    """The addresses of one IP version, and the RLOC-set that leads there."""

    own: str
    peer: str
    to_peer: int


UNDERLAYS = {"IPv4": Underlay(OWN, PEER, TO_PEER), "IPv6": Underlay(OWN6, PEER6, TO_PEER6)}


def payload(kind: PayloadKind, *, back: bool = False, ttl: int = 64, tos: int = 0, octets: int = 4) -> Packet:
    """A packet from the accelerator here to the one there, or back. Of a Scale-Up frame `tos` is the ECN."""
    if kind is PayloadKind.SCALE_UP:
        ends = (ACC_THERE, ACC_HERE) if back else (ACC_HERE, ACC_THERE)
        return scale_up(*ends, data=bytes(octets), hop_limit=ttl, ecn=tos & 3, operation=2, sequence=9, tag=0xFEED)
    ends4, ends6 = ((THERE, HERE), (THERE6, HERE6)) if back else ((HERE, THERE), (HERE6, THERE6))
    return udp(*(ends4 if kind is PayloadKind.IPV4 else ends6), ttl=ttl, tos=tos, data=bytes(octets))


def combinations() -> Iterator[tuple[Encapsulation, str, PayloadKind]]:
    """Encapsulation, underlay, payload; all but Scale-Up frames in plain LISP."""
    for encapsulation in HEADERS:
        for underlay in UNDERLAYS:
            for kind in (PayloadKind.IPV4, PayloadKind.IPV6, PayloadKind.SCALE_UP):
                if (encapsulation, kind) != (Encapsulation.LISP, PayloadKind.SCALE_UP):
                    yield encapsulation, underlay, kind


def iid_of(kind: PayloadKind) -> int:
    """The Instance-ID that a payload travels in."""
    return RED_UP if kind is PayloadKind.SCALE_UP else RED


class CombinationTest(FabricTest):
    """A dual-stack access xTR whose Instance-IDs change their encapsulation from case to case."""

    configured = dual_stack_xtr(Encapsulation.VXLAN_GPE)

    def use(self, encapsulation: Encapsulation, underlay: str) -> Underlay:
        """From now on RED and RED_UP are encapsulated like this, towards PEER over this underlay."""
        ends = UNDERLAYS[underlay]
        self.write(*dual_stack_xtr(encapsulation, to=ends.to_peer))
        return ends

    def sound(self, frame: Packet) -> None:
        """Every length and checksum in the frame is right."""
        self.assertEqual(faults(bytes(frame)), [])

    def arrives(self, header: TunnelHeader, inner: Packet, ends: Underlay, *, ttl: int = 64, tos: int = 0) -> None:
        """A tunnel packet with `inner` comes in from PEER; a Scale-Up frame with its Ethernet header."""
        carried = arriving(9, inner) if isinstance(inner, ScaleUp) else inner
        packet = tunnel(*carrying(header, carried), src=ends.peer, dst=ends.own, ttl=ttl, tos=tos)
        self.send(CORE, arriving(CORE, packet))


@requirement("DP-1", "DP-2", "DP-3", "DP-4", "DP-5", "DP-6", "DP-8", "SO-FLOW-1", "SU-FLOW-1")
class EveryEncapsulation(CombinationTest):
    """What an accelerator sends is tunnelled as its Instance-ID says; addresses, lengths, TTL, DF and flags fit."""

    def runTest(self) -> None:
        for encapsulation, underlay, kind in combinations():
            ends = self.use(encapsulation, underlay)
            for octets in (0, 1, 1001):
                packet = payload(kind, octets=octets, tos=0x02)
                with self.subTest(encapsulation=encapsulation.name, underlay=underlay, kind=kind.name, octets=octets):
                    self.send(RED_PORT, arriving(RED_PORT, packet))
                    header = HEADERS[encapsulation](iid=iid_of(kind))
                    sent = encapsulated(header, packet, src=ends.own, dst=ends.peer, port=RED_PORT)
                    self.sound(self.expect(CORE, any_entropy(leaving(CORE, sent))))


@requirement("DP-2", "DP-5", "DP-8", "SO-FLOW-12", "SU-FLOW-1")
class EveryDecapsulation(CombinationTest):
    """What comes in a tunnel is delivered without it, whatever the tunnel: the Instance-ID's kind is for sending."""

    def runTest(self) -> None:
        for encapsulation, underlay, kind in combinations():
            ends = UNDERLAYS[underlay]
            for octets in (0, 1, 1001):
                packet = payload(kind, back=True, octets=octets)
                with self.subTest(encapsulation=encapsulation.name, underlay=underlay, kind=kind.name, octets=octets):
                    self.arrives(HEADERS[encapsulation](iid=iid_of(kind)), packet, ends)
                    self.sound(self.expect(RED_PORT, leaving(RED_PORT, routed(packet))))


@requirement("DP-1", "SO-FLOW-8")
class EveryConversion(FabricTest):
    """A border takes a packet out of one tunnel and puts it into another of any kind, over either underlay."""

    def runTest(self) -> None:
        self.write(*border_pxtr(Encapsulation.VXLAN_GPE))
        for sending, underlay in ((s, u) for s in HEADERS for u in UNDERLAYS):
            ends = UNDERLAYS[underlay]
            self.write(*border_pxtr(sending, to=ends.to_peer))
            for receiving in HEADERS:
                for kind in (PayloadKind.IPV4, PayloadKind.IPV6):
                    packet = payload(kind)
                    with self.subTest(receiving=receiving.name, sending=sending.name, to=underlay, kind=kind.name):
                        first = tunnel(*carrying(HEADERS[receiving](iid=RED), packet), src=OTHER, dst=OWN)
                        self.send(CORE_2, arriving(CORE_2, first))
                        second = encapsulated(HEADERS[sending](iid=RED), packet, src=ends.own, dst=ends.peer)
                        received = self.expect(CORE, any_entropy(leaving(CORE, second)))
                        self.assertEqual(faults(bytes(received)), [])


# RFC 6040 section 4.2, row inner, column outer; None: dropped.
ECN_RESULT: dict[int, tuple[int | None, ...]] = {0: (0, 0, 0, None), 1: (1, 1, 1, 3), 2: (2, 1, 2, 3), 3: (3, 3, 3, 3)}


@requirement("PR-DP-3")
class AllSixteenMarks(CombinationTest):
    """Inner and outer ECN of every value, for every payload and underlay."""

    def runTest(self) -> None:
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6, PayloadKind.SCALE_UP):
            for underlay, ends in UNDERLAYS.items():
                for inner, results in ECN_RESULT.items():
                    for outer, result in enumerate(results):
                        packet = payload(kind, back=True, tos=inner)
                        with self.subTest(kind=kind.name, underlay=underlay, inner=inner, outer=outer):
                            self.mark(packet, ends, outer, result, iid_of(kind))

    def mark(self, packet: Packet, ends: Underlay, outer: int, result: int | None, iid: int) -> None:
        """`packet` arrives with ECN `outer`, and leaves with `result`."""
        if result is None:
            with self.drops(DropReason.ECN_NOT_CAPABLE):
                self.arrives(VxlanGpe(iid=iid), packet, ends, tos=outer)
        else:
            self.arrives(VxlanGpe(iid=iid), packet, ends, tos=outer)
            self.expect(RED_PORT, leaving(RED_PORT, routed(packet, tos=result)))


@requirement("PR-DP-3")
class MarksAreCopiedOut(CombinationTest):
    """The outer header starts with the ECN of the payload, whatever it is."""

    def runTest(self) -> None:
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6, PayloadKind.SCALE_UP):
            for underlay in UNDERLAYS:
                ends = self.use(Encapsulation.LISP_GPE, underlay)
                for ecn in range(4):
                    packet = payload(kind, tos=ecn)
                    with self.subTest(kind=kind.name, underlay=underlay, ecn=ecn):
                        self.send(RED_PORT, arriving(RED_PORT, packet))
                        header = LispGpe(iid=iid_of(kind))
                        sent = encapsulated(header, packet, src=ends.own, dst=ends.peer, port=RED_PORT)
                        self.expect(CORE, any_entropy(leaving(CORE, sent)))


@requirement("PR-DP-2")
class SmallerTtlSurvives(CombinationTest):
    """TTL, hop limit, and the Scale-Up frame's: the smaller of outer and inner, less one; 1 and 0 end here."""

    def runTest(self) -> None:
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6, PayloadKind.SCALE_UP):
            for underlay, ends in UNDERLAYS.items():
                for outer, inner in ((5, 60), (60, 5), (255, 255), (2, 2), (1, 60), (60, 1), (0, 60)):
                    packet = payload(kind, back=True, ttl=inner)
                    header, left = VxlanGpe(iid=iid_of(kind)), min(outer, inner) - 1
                    with self.subTest(kind=kind.name, underlay=underlay, outer=outer, inner=inner):
                        if left <= 0:
                            with self.drops(DropReason.TTL_EXPIRED):
                                self.arrives(header, packet, ends, ttl=outer)
                        else:
                            self.arrives(header, packet, ends, ttl=outer)
                            self.expect(RED_PORT, leaving(RED_PORT, routed(packet, ttl=left)))


@requirement("SO-FLOW-1")
class DscpGoesOutAndIn(CombinationTest):
    """The outer DSCP is the payload's, of a frame its virtual channel's; after decapsulation the inner one is it."""

    def runTest(self) -> None:
        for underlay in UNDERLAYS:
            ends = self.use(Encapsulation.VXLAN_GPE, underlay)
            for kind in (PayloadKind.IPV4, PayloadKind.IPV6):
                for dscp in (0, 1, 46, 63):
                    with self.subTest(underlay=underlay, kind=kind.name, dscp=dscp):
                        packet = payload(kind, tos=dscp << 2)
                        self.send(RED_PORT, arriving(RED_PORT, packet))
                        sent = encapsulated(VxlanGpe(iid=RED), packet, src=ends.own, dst=ends.peer)
                        self.expect(CORE, any_entropy(leaving(CORE, sent)))
                        packet = payload(kind, back=True, tos=7 << 2)
                        self.arrives(VxlanGpe(iid=RED), packet, ends, tos=dscp << 2)
                        self.expect(RED_PORT, leaving(RED_PORT, routed(packet, tos=dscp << 2)))
            for channel in range(8):
                with self.subTest(underlay=underlay, channel=channel):
                    frame = scale_up(ACC_HERE, ACC_THERE, virtual_channel=channel)
                    self.assertEqual(life_of(frame)[1], channel << 5)
                    self.send(RED_PORT, arriving(RED_PORT, frame))
                    sent = encapsulated(VxlanGpe(iid=RED_UP), frame, src=ends.own, dst=ends.peer, port=RED_PORT)
                    self.expect(CORE, any_entropy(leaving(CORE, sent)))


@requirement("PR-DP-1")
class ChecksumOfTheTunnel(CombinationTest):
    """Over either underlay a checksum of zero is accepted, and any other: the outer UDP checksum is not verified."""

    def runTest(self) -> None:
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6, PayloadKind.SCALE_UP):
            for underlay, ends in UNDERLAYS.items():
                packet = payload(kind, back=True)
                carried = arriving(9, packet) if isinstance(packet, ScaleUp) else packet
                for checksum in (0, 1, 0xFFFF, None):
                    with self.subTest(kind=kind.name, underlay=underlay, checksum=checksum):
                        stack = carrying(VxlanGpe(iid=iid_of(kind)), carried)
                        outer = tunnel(*stack, src=ends.peer, dst=ends.own, checksum=checksum)
                        self.send(CORE, arriving(CORE, outer))
                        self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))


@requirement("PR-DP-6")
class JunkFlagsAreIgnored(CombinationTest):
    """LISP-GPE: N, E, V and the reserved octets mean nothing beside P. VXLAN and VXLAN-GPE: reserved bits neither."""

    def runTest(self) -> None:
        junk: list[TunnelHeader] = [
            *(LispGpe(iid=RED, n=n, e=e, v=v) for n in (0, 1) for e in (0, 1) for v in (0, 1)),
            LispGpe(iid=RED, reserved=0xFFFF),
            LispGpe(iid=RED, l=1, lsb=0xFF),
            Vxlan(iid=RED, r=0xF, r2=7, reserved=0xFFFFFF, reserved2=0xFF),
            VxlanGpe(iid=RED, r=3, b=1, reserved=0xFFFF, reserved2=0xFF),
        ]
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6):
            packet = payload(kind, back=True)
            for header in junk:
                with self.subTest(header=bytes(header).hex(), kind=kind.name):
                    self.arrives(header, packet, UNDERLAYS["IPv4"])
                    self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))


@requirement("DP-9")
class UnknownNextProtocols(CombinationTest):
    """What a GPE header announces and this router does not forward is dropped and counted."""

    def runTest(self) -> None:
        packet = payload(PayloadKind.IPV4, back=True)
        for kind in (LispGpe, VxlanGpe):
            for number in (0, 4, 5, 0x7D, 0x7E, 0x7F, 0x80, 0xFE, 0xFF):
                header = kind(iid=RED, next_protocol=number)
                with self.subTest(header=header.name, number=number), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                    outer = tunnel(header, packet, src=PEER, dst=OWN)
                    self.send(CORE, arriving(CORE, outer))


@requirement("SO-FLOW-1")
class IpInAnEthernetFrame(CombinationTest):
    """An IP packet may also come in a frame behind Next Protocol Ethernet; its addresses do not matter."""

    def runTest(self) -> None:
        for kind in (PayloadKind.IPV4, PayloadKind.IPV6):
            packet = payload(kind, back=True)
            for header in (LispGpe(iid=RED), VxlanGpe(iid=RED), Vxlan(iid=RED)):
                with self.subTest(kind=kind.name, header=header.name):
                    outer = tunnel(*carrying(header, arriving(9, packet)), src=PEER, dst=OWN)
                    self.send(CORE, arriving(CORE, outer))
                    self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))


class ThroughAnUnderlaySwitch(FabricTest):
    """A switch where no tunnel ends passes tunnel packets of either IP version on, otherwise whole."""

    def runTest(self) -> None:
        self.write(*border_pxtr(Encapsulation.VXLAN_GPE))
        for underlay in UNDERLAYS:
            source = "192.0.2.9" if underlay == "IPv4" else "2001:db8::9"
            for encapsulation, header in HEADERS.items():
                packet = tunnel(
                    *carrying(header(iid=RED), tcp(HERE6, THERE6)), src=source, dst=UNDERLAYS[underlay].peer, tos=0x2A
                )
                with self.subTest(underlay=underlay, encapsulation=encapsulation.name):
                    self.send(CORE_2, arriving(CORE_2, packet))
                    received = self.expect(CORE, leaving(CORE, routed(packet)))
                    self.assertEqual(faults(bytes(received)), [])


@requirement("SO-SEG-7")
class Ipv6TenantsAreApart(CombinationTest):
    """The same IPv6 address in another Instance-ID is another accelerator, and the longest prefix decides."""

    def runTest(self) -> None:
        other = 0x1777
        self.write(
            instance(other, Encapsulation.LISP, punt_unknown=False),
            eid_rloc_set(other, host(HERE6), TO_PEER),
            eid_rloc_set(RED, prefix("fd00::/16"), TO_PEER6),
        )
        packet = payload(PayloadKind.IPV6, back=True)
        with self.subTest("other tenant"):
            self.arrives(Lisp(iid=other), packet, UNDERLAYS["IPv4"])
            self.expect(CORE, any_entropy(leaving(CORE, encapsulated(Lisp(iid=other), packet, src=OWN, dst=PEER))))
        with self.subTest("own tenant"):
            self.arrives(Lisp(iid=RED), packet, UNDERLAYS["IPv4"])
            self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))
        with self.subTest("longer prefix"):
            self.write(eid_local(RED, host(THERE6), hop(RED_PORT)))
            packet = payload(PayloadKind.IPV6)
            self.send(RED_PORT, arriving(RED_PORT, packet))
            self.expect(RED_PORT, leaving(RED_PORT, routed(packet)))
