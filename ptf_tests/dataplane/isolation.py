"""Tenants are walled off from each other and from the underlay: nothing an accelerator can write crosses the wall."""

from __future__ import annotations

from ipaddress import IPv4Address

from ptf.testutils import group
from scapy.layers.inet import IP, UDP

from controller.dataplane.codepoints import DropReason, Encapsulation
from controller.dataplane.entries import access_port, eid_local, eid_rloc_set, instance, local_rloc
from controller.p4rt.entities import CounterData
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.headers import Lisp, VxlanGpe
from ptf_tests.support.packets import arriving, encapsulated, hop, leaving, routed, tunnel, udp
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    BLUE,
    BLUE_PORT,
    CORE,
    CORE_2,
    FOREIGN,
    HERE,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    SITE,
    SPARE,
    THERE,
    TO_PEER,
    access_xtr,
    host,
    prefix,
)


class IsolationTest(FabricTest):
    """An access xTR with an accelerator of each tenant, at the same address."""

    configured = access_xtr(Encapsulation.VXLAN_GPE)


@requirement("PR-DP-5", "ARCH-4", "DP-3")
class SameAddressesInTwoTenants(IsolationTest):
    """The same packet from two tenants' ports: each goes its tenant's way, under its tenant's Instance-ID."""

    def runTest(self) -> None:
        packet = udp(HERE, THERE)
        for port, iid, out, rloc in ((RED_PORT, RED, CORE, PEER), (BLUE_PORT, BLUE, CORE_2, OTHER)):
            with self.subTest(iid=iid):
                self.send(port, arriving(port, packet))
                outer = encapsulated(VxlanGpe(iid=iid), packet, src=OWN, dst=rloc)
                self.expect(out, any_entropy(leaving(out, outer)))


@requirement("PR-DP-5", "ARCH-4", "DP-6")
class InstanceIdSelectsTheReceiver(IsolationTest):
    """The same inner packet under two Instance-IDs is delivered to each tenant's own accelerator."""

    def runTest(self) -> None:
        packet = udp(THERE, HERE)
        for header in (VxlanGpe, Lisp):
            for iid, port in ((RED, RED_PORT), (BLUE, BLUE_PORT)):
                with self.subTest(header=header.__name__, iid=iid):
                    self.send(CORE, arriving(CORE, tunnel(header(iid=iid), packet, src=PEER, dst=OWN)))
                    self.expect(port, leaving(port, routed(packet)))


@requirement("PR-DP-5", "DP-9")
class ForeignInstanceIdIsDropped(IsolationTest):
    """A tunnel under an Instance-ID that is not configured here delivers nothing, however near it is to one that is."""

    def runTest(self) -> None:
        for header in (VxlanGpe, Lisp):
            for iid in (FOREIGN, 0, RED + 0x10000, RED << 8 & 0xFFFFFF, 0xFFFFFF):
                with self.subTest(header=header.__name__, iid=iid), self.drops(DropReason.FOREIGN_INSTANCE_ID):
                    packet = tunnel(header(iid=iid), udp(THERE, HERE), src=PEER, dst=OWN)
                    self.send(CORE, arriving(CORE, packet))


@requirement("PR-DP-5")
class PortOfAnUnconfiguredInstanceId(IsolationTest):
    """An accelerator port whose Instance-ID is not configured sends nothing."""

    def runTest(self) -> None:
        self.write(access_port(SPARE, SITE, FOREIGN))
        for destination in (THERE, HERE):
            with self.subTest(destination=destination), self.drops(DropReason.FOREIGN_INSTANCE_ID):
                self.send(SPARE, arriving(SPARE, udp("10.0.0.3", destination)))


@requirement("PR-DP-5", "ARCH-4")
class OneTenantsEntriesAreNotAnothers(IsolationTest):
    """What one tenant knows, even by default, another does not."""

    def runTest(self) -> None:
        self.write(
            eid_rloc_set(RED, prefix("0.0.0.0/0"), TO_PEER),
            eid_local(RED, host("10.0.0.2"), hop(RED_PORT)),
        )
        for destination in ("10.0.0.2", "172.16.0.1"):
            with self.subTest(destination=destination), self.drops(DropReason.UNKNOWN_DESTINATION):
                self.send(BLUE_PORT, arriving(BLUE_PORT, udp(HERE, destination)))


@requirement("PR-DP-5")
class RemovedInstanceIdIsForeign(IsolationTest):
    """Once an Instance-ID is taken away its entries serve nobody, in either direction."""

    def runTest(self) -> None:
        self.remove(instance(BLUE, Encapsulation.VXLAN_GPE, punt_unknown=False))
        with self.drops(DropReason.FOREIGN_INSTANCE_ID):
            self.send(BLUE_PORT, arriving(BLUE_PORT, udp(HERE, THERE)))
        with self.drops(DropReason.FOREIGN_INSTANCE_ID):
            packet = tunnel(VxlanGpe(iid=BLUE), udp(THERE, HERE), src=PEER, dst=OWN)
            self.send(CORE, arriving(CORE, packet))


@group("nested")
@requirement("PR-DP-5")
class AcceleratorsTunnelIsPayload(IsolationTest):
    """Tunnel packets that an accelerator makes itself, under any Instance-ID, end nowhere: they are its payload."""

    def runTest(self) -> None:
        for header in (VxlanGpe(iid=BLUE), Lisp(iid=BLUE), VxlanGpe(iid=RED), VxlanGpe(iid=BLUE, i=0), Lisp(i=0)):
            with self.subTest(header=header.summary()):
                nested = tunnel(header, udp(THERE, HERE), src=HERE, dst=THERE)
                self.send(RED_PORT, arriving(RED_PORT, nested))
                outer = encapsulated(VxlanGpe(iid=RED), nested, src=OWN, dst=PEER)
                self.expect(CORE, any_entropy(leaving(CORE, outer)))


@group("nested")
@requirement("PR-DP-5")
class AcceleratorCannotReachTheRouter(IsolationTest):
    """A router's RLOC is no EID: an accelerator's tunnel or control packet to it is to an unknown destination."""

    def runTest(self) -> None:
        for packet in (
            tunnel(VxlanGpe(iid=BLUE), udp(THERE, HERE), src=PEER, dst=OWN),
            tunnel(Lisp(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN),
            IP(src=HERE, dst=OWN) / UDP(sport=4342, dport=4342) / b"LISP control",
            udp(HERE, PEER),
        ):
            with self.subTest(packet=packet.summary()), self.drops(DropReason.UNKNOWN_DESTINATION):
                self.send(RED_PORT, arriving(RED_PORT, packet))


@group("nested")
@requirement("PR-DP-5")
class OnlyTheOuterTunnelEnds(IsolationTest):
    """A tunnel inside a tunnel to this router: the outer ends, the inner is delivered like any packet, unopened."""

    def runTest(self) -> None:
        self.write(local_rloc(IPv4Address("192.0.2.12")))
        nested = tunnel(VxlanGpe(iid=BLUE), udp(THERE, HERE), src=THERE, dst=HERE)
        self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), nested, src=PEER, dst=OWN)))
        self.expect(RED_PORT, leaving(RED_PORT, routed(nested)))
        to_router = tunnel(VxlanGpe(iid=BLUE), udp(THERE, HERE), src=THERE, dst="192.0.2.12")
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), to_router, src=PEER, dst=OWN)))


@requirement("PR-DP-5")
class PlainPacketsFromTheUnderlayReachNobody(IsolationTest):
    """An untunnelled packet to an accelerator's address is the underlay's to route, which has no way there."""

    def runTest(self) -> None:
        with self.drops(DropReason.NO_UNDERLAY_ROUTE):
            self.send(CORE, arriving(CORE, udp(THERE, HERE)))


@requirement("PR-DP-5")
class InstancesCountApart(IsolationTest):
    """Each Instance-ID counts the packets that came in under it."""

    def runTest(self) -> None:
        packet = udp(THERE, HERE)
        frame = arriving(CORE, tunnel(VxlanGpe(iid=BLUE), packet, src=PEER, dst=OWN))
        for _ in range(2):
            self.send(CORE, frame)
            self.expect(BLUE_PORT, leaving(BLUE_PORT, routed(packet)))
        counted = {
            iid: self.switch.counted(instance(iid, Encapsulation.VXLAN_GPE, punt_unknown=False)) for iid in (RED, BLUE)
        }
        self.assertEqual(counted, {RED: CounterData(0, 0), BLUE: CounterData(2, 2 * len(frame))})
