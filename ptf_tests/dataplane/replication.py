"""Multicast and broadcast: every receiver gets exactly one copy, wherever the packet comes from (draft section 6.3).

The lists are given to `RouterTables`, as the control plane does; what it makes of them is written to the switch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address

from ptf.mask import Mask
from scapy.packet import Packet

from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import Domain, DropReason, Encapsulation, PuntReason
from controller.dataplane.entries import access_port, core_port, instance, site_of_rloc, switch_context
from controller.dataplane.replication import Receiver, ReplicaRouter, ReplicationList, home_eid
from controller.dataplane.router_tables import RouterTables
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.decode import faults
from ptf_tests.support.headers import Lisp, LispGpe, ScaleUp, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import (
    arriving,
    carrying,
    encapsulated,
    hop,
    leaving,
    routed,
    scale_up,
    tunnel,
    udp,
)
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import CORE, CORE_2, CORE_3, OWN, RED, RED_UP, SITE, SOURCES, SPARE, prefix

# Receivers of the access xTR, and the core ports that are left.
PORTS = (1, 2, SPARE)

# Routers and the ports that lead to them: two of the own PoD, and the borders of two others.
NEAR, NEAR_BORDER, FAR, FAR_TOO = "192.0.2.21", "192.0.2.22", "192.0.2.31", "192.0.2.41"
NEAR6, FAR6 = "2001:db8::21", "2001:db8::31"
WAYS = {NEAR: CORE, NEAR_BORDER: CORE_2, FAR: CORE_3, FAR_TOO: CORE_2, NEAR6: CORE, FAR6: CORE_3}
OWN_SITE = (NEAR, NEAR_BORDER, NEAR6)

GROUP, GROUP6 = "239.1.1.1", "ff15::1"
SENDERS = {1: "10.0.0.1", 2: "10.0.0.2", SPARE: "10.0.0.3"}


def acc_id(port: int) -> AccId:
    """The AccID of the accelerator on a port."""
    return AccId(100 + port)


class ReplicationTest(FabricTest):
    """A router with accelerators of RED on three ports, and ways to six other routers."""

    encapsulation = Encapsulation.VXLAN_GPE
    header: type[TunnelHeader] = VxlanGpe

    def setUp(self) -> None:
        """Everything but the lists."""
        super().setUp()
        self.tables = RouterTables(*SOURCES)
        for rloc, port in WAYS.items():
            self.tables.set_route(ip_address(rloc), [hop(port)])
        self.write(
            *self.tables.desired(),
            switch_context(0, SITE),
            *(core_port(port) for port in (CORE, CORE_2, CORE_3)),
            *(access_port(port, SITE, RED, scale_up_iid=RED_UP, acc_id=acc_id(port)) for port in PORTS),
            *(site_of_rloc(ip_address(rloc), SITE) for rloc in OWN_SITE),
        )
        self.serve(self.encapsulation, self.header)

    def serve(self, encapsulation: Encapsulation, header: type[TunnelHeader]) -> None:
        """From now on the Instance-IDs are encapsulated like this."""
        self.header = header
        self.write(
            instance(RED, encapsulation, punt_unknown=False),
            instance(RED_UP, encapsulation, punt_unknown=False, domain=Domain.SCALE_UP),
        )

    def replicate(
        self,
        group: str | AccId | None,
        *,
        ports: Iterable[int] = (),
        routers: Iterable[str] = (),
        source: str | None = None,
        iid: int = RED,
    ) -> None:
        """Gives the switch a list: the accelerators on `ports`, and routers, each with the Site that it is of."""
        wanted = ReplicationList(
            iid,
            ip_address(group) if isinstance(group, str) else group,
            None if source is None else ip_address(source),
            frozenset(Receiver(hop(port), self.eid(iid, port)) for port in ports),
            frozenset(ReplicaRouter(ip_address(rloc), SITE if rloc in OWN_SITE else 0) for rloc in routers),
        )
        changes = self.tables.set_replication(wanted)
        self.write(*changes.put)
        if changes.remove:
            self.remove(*changes.remove)

    @staticmethod
    def eid(iid: int, port: int) -> Endpoint:
        """The EID of the accelerator on `port`."""
        return acc_id(port) if iid == RED_UP else ip_address(SENDERS[port])

    def from_tunnel(self, rloc: str, packet: Packet, iid: int = RED) -> None:
        """`packet` comes from another router."""
        carried = arriving(9, packet) if isinstance(packet, ScaleUp) else packet
        outer = tunnel(*carrying(self.header(iid=iid), carried), src=rloc, dst=SOURCES[":" in rloc].compressed)
        self.send(WAYS[rloc], arriving(WAYS[rloc], outer))

    def expect_copies(
        self, packet: Packet, *, ports: Iterable[int] = (), routers: Iterable[str] = (), iid: int = RED, came: int = 9
    ) -> None:
        """These receivers get one copy each, in any order, and nobody else gets any.

        `came`: the port whose Ethernet header a Scale-Up frame has in its tunnels.
        """
        wanted: list[tuple[int, Mask]] = [(port, Mask(leaving(port, routed(packet)))) for port in ports]
        for rloc in routers:
            own = SOURCES[":" in rloc].compressed
            copy = encapsulated(self.header(iid=iid), packet, src=own, dst=rloc, port=came)
            wanted.append((WAYS[rloc], any_entropy(leaving(WAYS[rloc], copy))))
        received = self.everything(len(wanted))
        self.assertEqual(Counter(port for port, _ in received), Counter(port for port, _ in wanted))
        for port, mask in wanted:
            matching = [frame for there, frame in received if there == port and mask.pkt_match(bytes(frame))]
            self.assertEqual(len(matching), 1, f"port {port}: {[frame.summary() for _, frame in received]}")
            self.assertEqual(faults(bytes(matching[0])), [])

    def pruned(self) -> Counter[DropReason]:
        """Copies that were not made since the program was set, by reason."""
        return Counter({reason: data.packets for reason, data in self.switch.drops("pruned_copies").items()})


@requirement("MH-FWD-5", "MH-FWD-3", partial=True)
class AccessRouterReplicates(ReplicationTest):
    """From an accelerator: to all the others and to the routers. From a router of the own PoD: to accelerators only."""

    def runTest(self) -> None:
        self.replicate(GROUP, ports=PORTS, routers=(NEAR, NEAR_BORDER))
        for port in PORTS:
            with self.subTest(sender=port), self.no_drops():
                packet = udp(SENDERS[port], GROUP)
                self.send(port, arriving(port, packet))
                others = [other for other in PORTS if other != port]
                self.expect_copies(packet, ports=others, routers=(NEAR, NEAR_BORDER))
        for rloc, sender in ((NEAR, "10.0.0.99"), (NEAR_BORDER, "40.0.0.7")):
            with self.subTest(sender=rloc), self.no_drops():
                packet = udp(sender, GROUP)
                self.from_tunnel(rloc, packet)
                self.expect_copies(packet, ports=PORTS)


@requirement("MH-FWD-4", "MH-FWD-5", "MH-FWD-9", partial=True)
class DesignatedBorderReplicates(ReplicationTest):
    """From the PoD: to the other PoDs, not back. From another PoD: into the PoD, not to the fabric again."""

    def runTest(self) -> None:
        self.replicate(GROUP, routers=(NEAR, NEAR_BORDER, FAR, FAR_TOO))
        for rloc, sender, receivers in (
            (NEAR, "10.0.0.1", (FAR, FAR_TOO)),
            (NEAR_BORDER, "10.0.0.1", (FAR, FAR_TOO)),
            (FAR, "40.0.0.7", (NEAR, NEAR_BORDER)),
            (FAR_TOO, "50.0.0.7", (NEAR, NEAR_BORDER)),
        ):
            with self.subTest(sender=rloc):
                before = self.pruned()
                packet = udp(sender, GROUP)
                self.from_tunnel(rloc, packet)
                self.expect_copies(packet, routers=receivers)
                self.assertEqual(self.pruned() - before, Counter({DropReason.SPLIT_HORIZON: 2}))


@requirement("MH-FWD-4", "MH-FWD-5", partial=True)
class FabricNeverHearsTheFabric(ReplicationTest):
    """Where the Sites of other PoDs are known, nothing goes from one of them to another through here either."""

    def runTest(self) -> None:
        self.write(site_of_rloc(ip_address(FAR), 77), site_of_rloc(ip_address(FAR_TOO), 78))
        sites = {NEAR: SITE, FAR: 77, FAR_TOO: 78}
        routers = frozenset(ReplicaRouter(ip_address(rloc), site) for rloc, site in sites.items())
        self.write(*self.tables.set_replication(ReplicationList(RED, ip_address(GROUP), routers=routers)).put)
        for rloc, receivers in ((FAR, (NEAR,)), (FAR_TOO, (NEAR,)), (NEAR, (FAR, FAR_TOO))):
            with self.subTest(sender=rloc):
                self.from_tunnel(rloc, udp("40.0.0.7", GROUP))
                self.expect_copies(udp("40.0.0.7", GROUP), routers=receivers)


@requirement("MH-FWD-9", partial=True)
class OtherBorderReplicatesNothing(ReplicationTest):
    """A border that is not the designated one has no routers on its lists: nothing passes it, either way."""

    def runTest(self) -> None:
        self.replicate(GROUP)
        for rloc, sender in ((NEAR, "10.0.0.1"), (FAR, "40.0.0.7")):
            with self.subTest(sender=rloc):
                self.from_tunnel(rloc, udp(sender, GROUP))
                self.expect_nothing()


@requirement("MH-FWD-4", "MH-FWD-5")
class OwnPacketsDoNotComeBack(ReplicationTest):
    """What an accelerator of the own PoD has sent is dropped when it comes from the fabric, whoever sent it there."""

    def runTest(self) -> None:
        self.replicate(GROUP, ports=PORTS, routers=(NEAR, FAR))
        self.replicate(GROUP6, ports=PORTS, routers=(NEAR, FAR))
        self.write(home_eid(RED, prefix("10.0.0.0/16")), home_eid(RED, prefix("fd00:10::/32")))
        for own, other, group in (("10.0.0.50", "40.0.0.7", GROUP), ("fd00:10::50", "fd00:40::7", GROUP6)):
            with self.subTest(group=group):
                with self.drops(DropReason.SPLIT_HORIZON):
                    self.from_tunnel(FAR, udp(own, group))
                self.from_tunnel(FAR, udp(other, group))
                self.expect_copies(udp(other, group), ports=PORTS, routers=(NEAR,))
                self.from_tunnel(NEAR, udp(own, group))
                self.expect_copies(udp(own, group), ports=PORTS, routers=(FAR,))


@requirement("MH-FWD-5")
class NobodyHearsHimself(ReplicationTest):
    """A multihomed accelerator that sends through another router gets no copy of its own packet here."""

    def runTest(self) -> None:
        self.replicate(GROUP, ports=PORTS)
        for port in PORTS:
            with self.subTest(sender=port):
                packet = udp(SENDERS[port], GROUP)
                self.from_tunnel(NEAR, packet)
                self.expect_copies(packet, ports=[other for other in PORTS if other != port])
        with self.subTest("receiver without an EID"):
            anybody = frozenset(Receiver(hop(port)) for port in PORTS)
            changes = self.tables.set_replication(ReplicationList(RED, ip_address(GROUP6), receivers=anybody))
            self.write(*changes.put)
            packet = udp("fd00:10::1", GROUP6)
            self.send(1, arriving(1, packet))
            self.expect_copies(packet, ports=(2, SPARE))


@requirement("MH-FWD-9", partial=True)
class Broadcasts(ReplicationTest):
    """To everybody: 255.255.255.255 in Scale-Out, the AccID of all ones in Scale-Up, each by its Instance-ID's list."""

    def runTest(self) -> None:
        self.replicate(None, ports=(1, 2), routers=(NEAR,))
        self.replicate(None, ports=(2, SPARE), routers=(NEAR_BORDER,), iid=RED_UP)
        packet = udp("10.0.0.1", "255.255.255.255")
        self.send(1, arriving(1, packet))
        self.expect_copies(packet, ports=(2,), routers=(NEAR,))
        frame = scale_up(acc_id(2), 0xFFFFFFFF)
        self.send(2, arriving(2, frame))
        self.expect_copies(frame, ports=(SPARE,), routers=(NEAR_BORDER,), iid=RED_UP, came=2)
        self.from_tunnel(NEAR_BORDER, scale_up(7, 0xFFFFFFFF), RED_UP)
        self.expect_copies(scale_up(7, 0xFFFFFFFF), ports=(2, SPARE))


@requirement("MH-FWD-3", "MH-FWD-8", partial=True)
class ScaleUpGroups(ReplicationTest):
    """AccIDs from 0xF0000000 on are groups of their Instance-ID: the list alone says who gets a copy."""

    def runTest(self) -> None:
        group = AccId(0xF0000001)
        self.replicate(group, ports=(2, SPARE), iid=RED_UP)
        frame = scale_up(acc_id(2), group)
        self.send(2, arriving(2, frame))
        self.expect_copies(frame, ports=(SPARE,), iid=RED_UP, came=2)
        self.from_tunnel(NEAR_BORDER, scale_up(7, group), RED_UP)
        self.expect_copies(scale_up(7, group), ports=(2, SPARE))
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(2, arriving(2, scale_up(acc_id(2), 0xF0000002)))


class SourceBeforeGroup(ReplicationTest):
    """A source with a list of its own is replicated by that, every other by the group's, each in its Instance-ID."""

    def runTest(self) -> None:
        self.replicate(GROUP, ports=(2,))
        self.replicate(GROUP, ports=(SPARE,), source="40.0.0.7")
        self.replicate(GROUP6, ports=(1,))
        self.replicate(GROUP6, ports=(2,), source="fd00:40::7")
        for packet, port in (
            (udp("40.0.0.8", GROUP), 2),
            (udp("40.0.0.7", GROUP), SPARE),
            (udp("fd00:40::8", GROUP6), 1),
            (udp("fd00:40::7", GROUP6), 2),
        ):
            with self.subTest(packet=packet.summary()):
                self.from_tunnel(NEAR, packet)
                self.expect_copies(packet, ports=(port,))
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.from_tunnel(NEAR, udp("40.0.0.8", "239.1.1.2"))
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.from_tunnel(NEAR, udp("40.0.0.7", GROUP), RED_UP)


class UnknownGroups(ReplicationTest):
    """A group without a list is shown to the controller where the Instance-ID says so, else dropped."""

    def runTest(self) -> None:
        packet = udp("10.0.0.1", GROUP)
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(1, arriving(1, packet))
        self.write(instance(RED, Encapsulation.VXLAN_GPE, punt_unknown=True))
        self.send(1, arriving(1, packet))
        punted = self.expect_punt(PuntReason.UNKNOWN_DESTINATION, arriving(1, packet), port=1, iid=RED)
        self.replicate(GROUP, ports=PORTS, routers=(NEAR,))
        self.submit(RED, punted.payload)
        self.expect_copies(packet, ports=(2, SPARE), routers=(NEAR,))


@requirement("DP-1", "DP-8")
class CopiesInEveryEncapsulation(ReplicationTest):
    """A copy for a router is tunnelled as its Instance-ID says, over its RLOC's IP version, whole at every depth."""

    def runTest(self) -> None:
        routers = (NEAR, NEAR6, FAR6)
        for group in (GROUP, GROUP6):
            self.replicate(group, ports=(2,), routers=routers)
        self.replicate(None, ports=(2,), routers=routers, iid=RED_UP)
        for encapsulation, header in (
            (Encapsulation.LISP, Lisp),
            (Encapsulation.LISP_GPE, LispGpe),
            (Encapsulation.VXLAN, Vxlan),
            (Encapsulation.VXLAN_GPE, VxlanGpe),
        ):
            self.serve(encapsulation, header)
            for sender, group in (("10.0.0.1", GROUP), ("fd00:10::1", GROUP6)):
                with self.subTest(encapsulation=encapsulation.name, group=group):
                    packet = udp(sender, group, tos=0x2A)
                    self.send(1, arriving(1, packet))
                    self.expect_copies(packet, ports=(2,), routers=routers)
            frame = scale_up(acc_id(1), 0xFFFFFFFF, virtual_channel=5, ecn=1)
            with self.subTest(encapsulation=encapsulation.name, group="everybody"):
                if encapsulation is Encapsulation.LISP:
                    with self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                        self.send(1, arriving(1, frame))
                else:
                    self.send(1, arriving(1, frame))
                    self.expect_copies(frame, ports=(2,), routers=routers, iid=RED_UP, came=1)


@requirement("PR-DP-2", "PR-DP-3", partial=True)
class CopiesObeyTheTunnelRules(ReplicationTest):
    """TTL and ECN of what comes in a tunnel and is replicated: as for a single receiver, in every copy."""

    def runTest(self) -> None:
        self.replicate(GROUP, ports=(1, 2), routers=(FAR,))
        packet = udp("10.0.9.9", GROUP, ttl=60, tos=2)
        outer = tunnel(VxlanGpe(iid=RED), packet, src=NEAR, dst=OWN, ttl=9, tos=3)
        self.send(CORE, arriving(CORE, outer))
        self.expect_copies(routed(packet, ttl=9, tos=3), ports=(1, 2), routers=(FAR,))
        with self.drops(DropReason.TTL_EXPIRED):
            self.send(CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), packet, src=NEAR, dst=OWN, ttl=1)))


class CopiesThatAreTooBig(ReplicationTest):
    """A copy that does not fit into its tunnel is not made; the others are."""

    def runTest(self) -> None:
        small = ReplicaRouter(ip_address(NEAR), SITE, mtu=1500)
        wanted = ReplicationList(
            RED,
            ip_address(GROUP),
            None,
            frozenset({Receiver(hop(2))}),
            frozenset({small, ReplicaRouter(ip_address(FAR))}),
        )
        self.write(*self.tables.set_replication(wanted).put)
        for octets, routers in ((1500 - 36 - 28, (NEAR, FAR)), (1500 - 36 - 27, (FAR,))):
            with self.subTest(octets=octets):
                packet = udp("10.0.0.1", GROUP, data=bytes(octets))
                before = self.pruned()
                self.send(1, arriving(1, packet))
                self.expect_copies(packet, ports=(2,), routers=routers)
                too_big = Counter({DropReason.TOO_BIG: 2 - len(routers)})
                self.assertEqual(self.pruned() - before, +too_big)


class ListsChange(ReplicationTest):
    """Receivers come and go, routes change, lists go: the next packet is replicated by what is then desired."""

    def runTest(self) -> None:
        packet = udp("10.0.0.1", GROUP)
        for ports, routers in (((2,), ()), ((2, SPARE), (NEAR,)), ((SPARE,), (NEAR, FAR)), ((), (FAR,))):
            with self.subTest(ports=ports, routers=routers):
                self.replicate(GROUP, ports=ports, routers=routers)
                self.send(1, arriving(1, packet))
                self.expect_copies(packet, ports=ports, routers=routers)
        with self.subTest("route"):
            self.write(*self.tables.set_route(ip_address(FAR), [hop(CORE)]).put)
            self.send(1, arriving(1, packet))
            copy = encapsulated(VxlanGpe(iid=RED), packet, src=OWN, dst=FAR)
            self.expect(CORE, any_entropy(leaving(CORE, copy)))
        with self.subTest("gone"):
            self.remove(*self.tables.remove_replication((RED, None, ip_address(GROUP))).remove)
            with self.drops(DropReason.UNKNOWN_DESTINATION):
                self.send(1, arriving(1, packet))


class LinkLocalStaysOnTheLink(ReplicationTest):
    """224.0.0.0/24 and ff02::/16 are never forwarded, with or without a list."""

    def runTest(self) -> None:
        for sender, group in (("10.0.0.1", "224.0.0.5"), ("fd00:10::1", "ff02::5")):
            self.replicate(group, ports=PORTS)
            with self.subTest(group=group), self.drops(DropReason.UNSUPPORTED_PAYLOAD):
                self.send(1, arriving(1, udp(sender, group)))
