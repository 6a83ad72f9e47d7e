"""The underlay switch: tunnel packets are ordinary IP packets to it, spread by the entropy in their outer header."""

from __future__ import annotations

import time
from collections import Counter

from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet, Raw

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import switch_context
from ptf_tests.support.base import FabricTest
from ptf_tests.support.flows import misfit, udp_flows
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, leaving, routed, tcp, tunnel, udp
from ptf_tests.support.scenario import (
    CORE,
    CORE_2,
    CORE_3,
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
    rlocs,
    route,
    underlay_switch,
)

PATHS = (CORE, CORE_2, CORE_3)


def tunnel_flows(count: int) -> list[Packet]:
    """Tunnel packets between one pair of RLOCs that differ in their entropy only."""
    step, inner = 0x4000 // count, udp(HERE, THERE)
    entropies = (0xC000 + n * step + n % step for n in range(count))
    return [tunnel(VxlanGpe(iid=RED), inner, src=OWN, dst=PEER, sport=entropy) for entropy in entropies]


class UnderlayTest(FabricTest):
    """An underlay switch with three equal-cost paths to PEER; packets come in through SPARE."""

    configured = underlay_switch()

    def paths(self, packets: list[Packet]) -> list[int]:
        """The port through which each packet leaves, in their order."""
        return [port for port, _ in self.forward(SPARE, [arriving(SPARE, packet) for packet in packets])]


class TunnelsPassThrough(UnderlayTest):
    """A tunnel that ends elsewhere is routed: outer TTL and checksum change, no other octet."""

    def runTest(self) -> None:
        inner = udp(HERE, THERE, tos=0x2E)
        for packet in (
            tunnel(VxlanGpe(iid=RED), inner, src=OWN, dst=OTHER),
            tunnel(Lisp(iid=RED), inner, src=OWN, dst=OTHER, tos=0xB9, ttl=2),
            tunnel(VxlanGpe(iid=RED, version=3, next_protocol=9), Raw(b"not IPv4"), src=OWN, dst=OTHER),
            tunnel(Lisp(iid=RED, p=1, kk=2), Raw(b"\x60not IPv4"), src=OWN, dst=OTHER),
            tunnel(Lisp(iid=RED, i=0), inner, src=OWN, dst=OTHER, checksum=0xBAD),
            tunnel(VxlanGpe(iid=0xFFFFFF, r=3, reserved=0xABCD, reserved2=9), inner, src=OWN, dst=OTHER),
        ):
            with self.subTest(packet=bytes(packet).hex()):
                self.send(CORE, arriving(CORE, packet))
                self.expect(SPARE, leaving(SPARE, routed(packet)))


class InnerDamagePassesThrough(UnderlayTest):
    """What is wrong inside a tunnel is for its end to judge: bad inner checksum, expired TTL, options, or no header."""

    def runTest(self) -> None:
        bad_checksum = IP(bytes(udp(HERE, THERE)))
        bad_checksum.chksum ^= 0xFFFF
        for inner in (bad_checksum, udp(HERE, THERE, ttl=0), Raw(b"\x4f" + bytes(19)), Raw(b"\x45")):
            with self.subTest(inner=bytes(inner).hex()):
                packet = tunnel(VxlanGpe(iid=RED), inner, src=OWN, dst=OTHER)
                self.send(CORE, arriving(CORE, packet))
                self.expect(SPARE, leaving(SPARE, routed(packet)))


class OtherPacketsAreRouted(UnderlayTest):
    """Control messages between routers, TCP, ICMP and fragments are routed like tunnels."""

    def runTest(self) -> None:
        for packet in (
            udp(OWN, OTHER, sport=4342, dport=4342, data=b"LISP control"),
            tcp(OWN, OTHER),
            IP(src=OWN, dst=OTHER) / ICMP() / Raw(b"ping"),
            IP(src=OWN, dst=OTHER, proto=17, frag=5) / Raw(bytes(32)),
            IP(src=OWN, dst=OTHER, proto=89),
        ):
            with self.subTest(packet=packet.summary()):
                self.send(CORE, arriving(CORE, packet))
                self.expect(SPARE, leaving(SPARE, routed(packet)))


class EqualCostPaths(UnderlayTest):
    """Flows between the same two RLOCs use all equal-cost paths evenly, told apart by the entropy alone."""

    def runTest(self) -> None:
        why = misfit(Counter(self.paths(tunnel_flows(384))), dict.fromkeys(PATHS, 1))
        self.assertIsNone(why, why)


class FlowStaysOnItsPath(UnderlayTest):
    """All packets of a flow take the same path, whatever is in the tunnel and in the rest of its header."""

    def runTest(self) -> None:
        for entropy in range(0xC000, 0xC00C):
            packets = []
            for n in range(1, 7):
                inner = udp(HERE, f"40.0.0.{n}", sport=n)
                header = VxlanGpe(iid=n)
                packets.append(tunnel(header, inner, src=OWN, dst=PEER, sport=entropy, tos=n, ttl=60 + n))
            with self.subTest(entropy=entropy):
                self.assertEqual(len(set(self.paths(packets))), 1)


class LostPathIsLeftOut(UnderlayTest):
    """One write takes a path away; its flows move to the others, and nothing is lost."""

    def runTest(self) -> None:
        flows = tunnel_flows(64)
        before = self.paths(flows)
        self.assertEqual(set(before), set(PATHS))
        with self.no_drops():
            self.write(route(PEER, CORE, CORE_3))
            self.assertEqual(set(self.paths(flows)), {CORE, CORE_3})
            self.write(route(PEER, *PATHS))
            self.assertEqual(self.paths(flows), before)


class DownPortIsLeftOut(UnderlayTest):
    """A path whose port has lost its link is left out by the switch itself, until the link is back."""

    def runTest(self) -> None:
        flows = tunnel_flows(48)
        before = self.paths(flows)
        time.sleep(0.5)  # bmv2 looks at its ports five times a second; what it has not seen up cannot go down
        self.dataplane.port_down(0, CORE_2)
        try:
            self.settles({CORE, CORE_3}, flows)
        finally:
            self.dataplane.port_up(0, CORE_2)
        self.settles(set(PATHS), flows)
        self.assertEqual(self.paths(flows), before)

    def settles(self, ports: set[int], flows: list[Packet]) -> None:
        """Waits until every flow leaves, through all of these ports and no other; before that, some may be lost."""
        deadline = time.monotonic() + 10
        left: list[int] = []
        while len(left) < len(flows) or set(left) != ports:
            self.assertLess(time.monotonic(), deadline, f"{len(left)} of {len(flows)} flows leave through {set(left)}")
            for flow in flows:
                self.send(SPARE, arriving(SPARE, flow))
            left = [port for port, _ in self.everything(len(flows), patience=0.5)]


class LongestRouteWins(UnderlayTest):
    """An RLOC's own route precedes its prefix's, and that the default route."""

    def runTest(self) -> None:
        self.write(route("192.0.2.0/24", CORE_2), route("0.0.0.0/0", CORE_3), route("192.0.2.64/26", CORE))
        for rloc, port in ((OTHER, SPARE), ("192.0.2.3", CORE_2), ("192.0.2.77", CORE), ("203.0.113.1", CORE_3)):
            with self.subTest(rloc=rloc):
                packet = tunnel(VxlanGpe(iid=RED), udp(HERE, THERE), src=OWN, dst=rloc)
                self.send(SPARE, arriving(SPARE, packet))
                self.expect(port, leaving(port, routed(packet)))


class NoRoute(UnderlayTest):
    """A packet to an RLOC that no route covers is dropped, in transit and after encapsulation."""

    def runTest(self) -> None:
        with self.subTest("transit"), self.drops(DropReason.NO_UNDERLAY_ROUTE):
            self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), udp(HERE, THERE), src=OWN, dst="203.0.113.1")))


class NoRouteToTheChosenLocator(FabricTest):
    """A locator that the underlay does not reach: the packet is dropped, not tunnelled somewhere else."""

    def runTest(self) -> None:
        self.write(*access_xtr(Encapsulation.VXLAN_GPE))
        self.remove(route(PEER, CORE))
        with self.drops(DropReason.NO_UNDERLAY_ROUTE):
            self.send(RED_PORT, arriving(RED_PORT, udp(HERE, THERE)))


class RotationPreventsPolarisation(UnderlayTest):
    """Two switches in a row: flows that chose one path at the first spread over all paths at the second.

    The same program hashes the same fields at both. With equal rotations the second switch's choice follows from the
    first's, and its other paths starve; with different rotations the choices are independent.
    """

    def runTest(self) -> None:
        first, equal, different = 0, 0, 11
        flows = tunnel_flows(384)
        self.write(switch_context(first))
        arriving_at_second = [flow for flow, port in zip(flows, self.paths(flows), strict=True) if port == CORE]
        self.assertGreater(len(arriving_at_second), 60)
        self.write(switch_context(equal))
        self.assertEqual(set(self.paths(arriving_at_second)), {CORE})
        self.write(switch_context(different))
        why = misfit(Counter(self.paths(arriving_at_second)), dict.fromkeys(PATHS, 1))
        self.assertIsNone(why, why)


class LocatorAndPathAreIndependent(FabricTest):
    """One flow hash chooses the locator and then the path to it: each locator's flows use every path."""

    def runTest(self) -> None:
        self.write(*access_xtr(Encapsulation.VXLAN_GPE))
        paths = (CORE, CORE_2)  # as many as locators: were both chosen by the same bits, each would have one path
        self.write(rlocs(TO_PEER, (PEER, 1), (OTHER, 1)), route(PEER, *paths), route(OTHER, *paths))
        outcome = self.forward(RED_PORT, [arriving(RED_PORT, flow) for flow in udp_flows(256)])
        for rloc in (PEER, OTHER):
            why = misfit(Counter(port for port, frame in outcome if frame[IP].dst == rloc), dict.fromkeys(paths, 1))
            self.assertIsNone(why, why)
