"""Collectives on a switch of a tree: members on its ports, switches behind tunnels below it, a parent above or none."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_address

from ptf.testutils import group
from scapy.packet import Packet

from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation, DropReason, Encapsulation
from controller.dataplane.entries import access_port
from ptf_tests.support.base import FabricTest, any_entropy
from ptf_tests.support.collectives import (
    EVERYBODY,
    MISMATCH,
    OVERFLOW,
    VALUES,
    Group,
    Incc,
    Member,
    Node,
    carried,
    clear,
    combined,
)
from ptf_tests.support.headers import Lisp, LispGpe, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, carrying, leaving, tunnel
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import (
    ACC_HERE,
    CORE,
    CORE_2,
    CORE_3,
    OTHER,
    OTHER6,
    OWN,
    OWN6,
    PEER,
    PEER6,
    RED,
    RED_PORT,
    RED_UP,
    SITE,
    dual_stack_xtr,
    route,
)

HERE: dict[str, Endpoint] = {"Scale-Up": ACC_HERE, "IPv4": ip_address("10.0.0.1"), "IPv6": ip_address("fd00:10::1")}
EIDS: dict[str, Endpoint] = {
    "Scale-Up": AccId(0x0FFF0001),
    "IPv4": ip_address("10.0.255.1"),
    "IPv6": ip_address("fd00:10::ff:1"),
}
HEADERS: dict[Encapsulation, type[TunnelHeader]] = {
    Encapsulation.VXLAN_GPE: VxlanGpe,
    Encapsulation.LISP_GPE: LispGpe,
    Encapsulation.VXLAN: Vxlan,
    Encapsulation.LISP: Lisp,
}
CHILD, PARENT = 0x8001, 0x8005  # ranks: of the switch below, and our own at the one above
STRANGER = "192.0.2.77"


class TreeTest(FabricTest):
    """Switch OWN has a member on RED_PORT and switch OTHER (out of CORE_2) below; above may be PEER (out of CORE)."""

    def make(
        self, carrier: str, encapsulation: Encapsulation, *, branch: bool, ipv6: bool = False, member: bool = True
    ) -> None:
        """Makes the switch anew, with an empty group."""
        self._remove_all()
        self._written.clear()
        self.carrier, self.encapsulation = carrier, encapsulation
        self.iid = RED_UP if carrier == "Scale-Up" else RED
        self.own, self.parent, self.child = (OWN6, PEER6, OTHER6) if ipv6 else (OWN, PEER, OTHER)
        self.write(*dual_stack_xtr(encapsulation))
        node = Node(CHILD, CORE_2, self.child)
        self.group = Group(
            self.iid,
            EIDS[carrier],
            (Member(3, RED_PORT, HERE[carrier]), node) if member else (node,),
            self.own,
            parent=self.parent if branch else None,
            rank=PARENT,
            first_slot=20,
        )
        with self.drops(DropReason.SLOT_CLEARED, 8):
            for cell in range(40, 48):
                self.submit(0, arriving(RED_PORT, clear(cell)))
        self.write(*self.group.entries())

    def in_tunnel(self, inner: Packet, src: str, dst: str, *, iid: int | None = None) -> Packet:
        header = HEADERS[self.encapsulation](iid=self.iid if iid is None else iid)
        return tunnel(*carrying(header, inner), src=src, dst=dst)

    def inner(self, packet: Incc, source: Endpoint | None = None) -> Packet:
        """What stands in a tunnel between switches: of Scale-Up a whole frame."""
        made = carried(packet, self.group.eid if source is None else source, self.group.eid, sport=50000, checksum=None)
        return arriving(9, made) if self.carrier == "Scale-Up" else made

    def from_member(self, packet: Incc) -> None:
        self.send(
            RED_PORT,
            arriving(RED_PORT, carried(packet, HERE[self.carrier], self.group.eid, sport=50000, checksum=None)),
        )

    def from_node(self, packet: Incc, rloc: str | None = None) -> None:
        frame = self.in_tunnel(self.inner(packet), rloc or self.child, self.own)
        self.send(CORE_2, arriving(CORE_2, frame))

    def from_parent(self, packet: Incc) -> None:
        result = packet.but(kind=CollectiveKind.RESULT)
        self.send(CORE, arriving(CORE, self.in_tunnel(self.inner(result), self.parent, self.own)))

    def _check_tunnelled(self, port: int, received: Packet, rloc: str, packet: Incc) -> None:
        """A frame on a core port is this packet in a tunnel to a switch."""
        inner = carried(packet, self.group.eid, self.group.eid)
        if self.carrier == "Scale-Up":
            # The Ethernet header in a tunnel is that of the packet it was made from; nobody looks at it.
            offset = 14 + (40 if ":" in rloc else 20) + 16
            ethernet = received.__class__(bytes(received)[offset : offset + 14])
            inner = ethernet / inner
        want = any_entropy(leaving(port, self.in_tunnel(inner, self.own, rloc)))
        if not want.pkt_match(bytes(received)):
            self.fail(f"port {port}: {bytes(received).hex()}, not {bytes(want.exp_pkt).hex()}")

    def goes_up(self, packet: Incc) -> None:
        """The next frame is a contribution to the parent."""
        self._check_tunnelled(CORE, self.receive(CORE), self.parent, packet.but(rank=PARENT))

    def goes_to_node(self, packet: Incc) -> None:
        """The next frame is a result to the switch below."""
        made = packet.but(kind=CollectiveKind.RESULT, rank=CHILD)
        self._check_tunnelled(CORE_2, self.receive(CORE_2), self.child, made)

    def _member_result(self, packet: Incc) -> Packet:
        made = packet.but(kind=CollectiveKind.RESULT, rank=3)
        if packet.target not in (EVERYBODY, 3):
            made = made.but(values=(), flags=packet.flags)
        return leaving(RED_PORT, carried(made, self.group.eid, HERE[self.carrier]))

    def goes_to_member(self, packet: Incc) -> None:
        """The next frame is a result to the member."""
        self.expect(RED_PORT, self._member_result(packet))

    def goes_to_all(self, packet: Incc) -> None:
        """Results for both children, in any order."""
        frames = dict(self.receive_anywhere() for _ in range(2))
        self.assertEqual(frames.keys(), {RED_PORT, CORE_2})
        self.assertEqual(bytes(frames[RED_PORT]).hex(), bytes(self._member_result(packet)).hex())
        made = packet.but(kind=CollectiveKind.RESULT, rank=CHILD)
        self._check_tunnelled(CORE_2, frames[CORE_2], self.child, made)


def ways_of(carrier: str) -> list[tuple[Encapsulation, bool]]:
    """Each encapsulation that can have a carrier, over an IPv4 underlay, and the same over IPv6."""
    return [
        (encapsulation, ipv6)
        for encapsulation in HEADERS
        for ipv6 in (False, True)
        if not (carrier == "Scale-Up" and encapsulation == Encapsulation.LISP)
    ]


def contributions(seed: int) -> tuple[Incc, Incc, tuple[int, ...]]:
    """One of the member, one of the switch below, and their sum."""
    chance = random.Random(seed)
    values = [tuple(chance.randrange(1 << 30) for _ in range(VALUES)) for _ in range(2)]
    packets = Incc(3, values[0], scale=4, cookie=1), Incc(CHILD, values[1], scale=-4, cookie=2)
    return *packets, combined(CollectiveOperation.SUM, *values)


class EveryWay(TreeTest):
    """A round in each order of the children, for every carrier, encapsulation and underlay that a tree can have."""

    def rounds_of(self, carrier: str, *, branch: bool, then: Callable[[Incc, Incc, Incc], None]) -> None:
        """Both children contribute by `carrier`, the one then the other, and the next time the other way round.

        `then`: is given the member's contribution, the switch's, and what comes of both.
        """
        send = {3: self.from_member, CHILD: self.from_node}
        for seed, (encapsulation, ipv6) in enumerate(ways_of(carrier)):
            with self.subTest(encapsulation=encapsulation.name, ipv6=ipv6):
                self.make(carrier, encapsulation, branch=branch, ipv6=ipv6)
                mine, theirs, total = contributions(seed)
                for turn in (1, 2):
                    both = mine.but(round=turn), theirs.but(round=turn)
                    first, last = both if turn == 1 else reversed(both)
                    with self.drops(DropReason.ABSORBED):
                        send[first.rank](first)
                    send[last.rank](last)
                    then(*both, last.but(values=total, scale=4))


@requirement("GEN-9", "SO-SEG-5", partial=True)
class RootOfATree(EveryWay):
    """A root sends its result to the member on its port and into a tunnel, and answers repeats of each."""

    members = "IPv4"

    def runTest(self) -> None:
        self.rounds_of(self.members, branch=False, then=self._released)

    def _released(self, mine: Incc, theirs: Incc, result: Incc) -> None:
        self.goes_to_all(result)
        self.from_member(mine.but(cookie=8))
        self.goes_to_member(result.but(cookie=8))
        self.from_node(theirs.but(cookie=9, values=()))
        self.goes_to_node(result.but(cookie=9))


@requirement("GEN-9", "SO-SEG-5", partial=True)
class Ipv6RootOfATree(RootOfATree):
    """The same by UDP over IPv6."""

    members = "IPv6"


@requirement("GEN-9", "SU-SEG-5", partial=True)
class ScaleUpRootOfATree(RootOfATree):
    """The same by Scale-Up frames."""

    members = "Scale-Up"


@requirement("GEN-9", "SO-SEG-5", partial=True)
class BranchOfATree(EveryWay):
    """A branch contributes once its children have, again when one repeats, and hands down the result that comes."""

    members = "IPv4"

    def runTest(self) -> None:
        self.rounds_of(self.members, branch=True, then=self._up_and_down)

    def _up_and_down(self, mine: Incc, theirs: Incc, up: Incc) -> None:
        self.goes_up(up)
        self.from_member(mine.but(cookie=8, values=()))
        self.goes_up(up.but(cookie=8))
        self.from_node(theirs.but(cookie=8, values=()))
        self.goes_up(up.but(cookie=8))
        result = Incc(PARENT, tuple(range(VALUES)), round=up.round, scale=99, flags=OVERFLOW, signature=3)
        self.from_parent(result)
        self.goes_to_all(result)
        self.from_member(mine.but(cookie=5))
        self.goes_to_member(result.but(cookie=5))
        self.from_node(theirs.but(cookie=6))
        self.goes_to_node(result.but(cookie=6))


@requirement("GEN-9", "SO-SEG-5", partial=True)
class Ipv6BranchOfATree(BranchOfATree):
    """The same by UDP over IPv6."""

    members = "IPv6"


@requirement("GEN-9", "SU-SEG-5", partial=True)
class ScaleUpBranchOfATree(BranchOfATree):
    """The same by Scale-Up frames."""

    members = "Scale-Up"


class ResultsAtABranch(TreeTest):
    """A result counts once, for the cell's round, when all below have contributed; any other is counted and dropped."""

    def runTest(self) -> None:
        self.make("IPv4", Encapsulation.VXLAN_GPE, branch=True)
        mine, theirs, total = contributions(1)
        result = Incc(PARENT, (7,) * VALUES)
        with self.subTest("before anybody has contributed"), self.drops(DropReason.STALE_ROUND):
            self.from_parent(result)
        with self.drops(DropReason.ABSORBED):
            self.from_member(mine)
        with self.subTest("before all have contributed"), self.drops(DropReason.STALE_ROUND):
            self.from_parent(result)
        self.from_node(theirs)
        self.goes_up(theirs.but(values=total, scale=4))
        for turn in (0xFFFF, 3, 0x8001):
            with self.subTest("of another round", turn=turn), self.drops(DropReason.STALE_ROUND):
                self.from_parent(result.but(round=turn))
        for reason, changed in (
            (DropReason.STALE_GENERATION, result.but(generation=2)),
            (DropReason.BAD_SLOT, result.but(slot=4)),
            (DropReason.NOT_A_MEMBER, result.but(group=9)),
        ):
            with self.subTest(reason=reason.name), self.drops(reason):
                self.from_parent(changed)
        self.from_parent(result)
        self.goes_to_all(result)
        with self.subTest("a second time"), self.drops(DropReason.REPEATED):
            self.from_parent(result.but(values=(8,) * VALUES))
        self.from_member(mine)
        self.goes_to_member(result.but(cookie=1))


class EmptyThroughATree(TreeTest):
    """A barrier has no values on any link; one EMPTY child takes the other's; an EMPTY result stays so in answers."""

    def runTest(self) -> None:
        for carrier in EIDS:
            self.make(carrier, Encapsulation.VXLAN_GPE, branch=True)
            mine, theirs, _ = contributions(2)
            with self.subTest("barrier", carrier=carrier):
                with self.drops(DropReason.ABSORBED):
                    self.from_member(mine.but(values=()))
                self.from_node(theirs.but(values=()))
                self.goes_up(theirs.but(values=(), scale=4))
                self.from_parent(Incc(PARENT))
                self.goes_to_all(Incc(PARENT))
                self.from_member(mine)
                self.goes_to_member(Incc(PARENT, cookie=1))
            with self.subTest("one has values", carrier=carrier):
                with self.drops(DropReason.ABSORBED):
                    self.from_member(mine.but(round=2))
                self.from_node(theirs.but(round=2, values=()))
                self.goes_up(theirs.but(round=2, values=mine.values, scale=4))
            with self.subTest("the result is EMPTY all the same", carrier=carrier):
                self.from_parent(Incc(PARENT, round=2))
                self.goes_to_all(Incc(PARENT, round=2))
                self.from_node(theirs.but(round=2))
                self.goes_to_node(Incc(PARENT, round=2, cookie=2))


class TargetThroughATree(TreeTest):
    """A switch below gets the values whoever wants them; a member only if it is the target."""

    def runTest(self) -> None:
        for target in (3, 4):
            with self.subTest(target=target):
                self.make("IPv6", Encapsulation.VXLAN_GPE, branch=False)
                mine, theirs, total = contributions(target)
                with self.drops(DropReason.ABSORBED):
                    self.from_member(mine.but(target=target))
                self.from_node(theirs.but(target=target))
                self.goes_to_all(theirs.but(target=target, values=total, scale=4))


class FlagsThroughATree(TreeTest):
    """What went wrong below is said above."""

    def runTest(self) -> None:
        self.make("Scale-Up", Encapsulation.VXLAN_GPE, branch=True)
        mine, theirs, total = contributions(5)
        with self.drops(DropReason.ABSORBED):
            self.from_node(theirs.but(flags=OVERFLOW))
        self.from_member(mine.but(signature=1))
        self.goes_up(mine.but(values=total, signature=theirs.signature, flags=OVERFLOW | MISMATCH))


class OnlyASwitchBelow(TreeTest):
    """A switch with one child passes on what it gets, in the pass that takes the cell."""

    def runTest(self) -> None:
        for branch in (False, True):
            with self.subTest(branch=branch):
                self.make("IPv4", Encapsulation.LISP, branch=branch, member=False)
                _, theirs, _ = contributions(6)
                self.from_node(theirs)
                (self.goes_up if branch else self.goes_to_node)(theirs)


@requirement("SO-SEG-6", "SU-SEG-6", partial=True)
@group("robustness")
class StrangersBehindTunnels(TreeTest):
    """From another RLOC or Instance-ID, on a port instead of a tunnel, or a result of a stranger: refused."""

    def runTest(self) -> None:
        self.make("IPv4", Encapsulation.VXLAN_GPE, branch=True)
        self.write(route(STRANGER, CORE_3))
        mine, theirs, total = contributions(7)
        with self.drops(DropReason.ABSORBED):
            self.from_member(mine)
        bad = theirs.but(values=(1,) * VALUES, scale=1000)
        for rloc in (STRANGER, PEER):
            with self.subTest("another RLOC", rloc=rloc), self.drops(DropReason.NOT_A_MEMBER):
                self.from_node(bad, rloc)
        with self.subTest("a member's rank behind a tunnel"), self.drops(DropReason.NOT_A_MEMBER):
            self.from_node(bad.but(rank=3))
        with self.subTest("a switch's rank on a port"), self.drops(DropReason.NOT_A_MEMBER):
            self.from_member(bad)
        with self.subTest("an Instance-ID that is not here"), self.drops(DropReason.FOREIGN_INSTANCE_ID):
            self.send(CORE_2, arriving(CORE_2, self.in_tunnel(self.inner(bad), self.child, self.own, iid=0x2001)))
        with self.subTest("another Instance-ID"), self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(CORE_2, arriving(CORE_2, self.in_tunnel(self.inner(bad), self.child, self.own, iid=RED_UP)))
        self.from_node(theirs)
        self.goes_up(theirs.but(values=total, scale=4))
        result = Incc(PARENT, (7,) * VALUES, kind=CollectiveKind.RESULT)
        for rloc in (STRANGER, self.child):
            with self.subTest("a result that is not the parent's", rloc=rloc), self.drops(DropReason.NOT_A_MEMBER):
                self.from_node(result, rloc)
        with self.subTest("a result of a member"), self.drops(DropReason.NOT_A_MEMBER):
            self.from_member(result)
        self.from_parent(result)
        self.goes_to_all(result)


@group("robustness")
class RootTakesNoResults(TreeTest):
    """Nobody is above a root."""

    def runTest(self) -> None:
        self.make("IPv4", Encapsulation.VXLAN_GPE, branch=False)
        mine, theirs, total = contributions(8)
        with self.drops(DropReason.ABSORBED):
            self.from_member(mine)
        with self.drops(DropReason.NOT_A_MEMBER):
            self.from_parent(Incc(PARENT, (7,) * VALUES))
        self.from_node(theirs)
        self.goes_to_all(theirs.but(values=total, scale=4))


class TunnelInATunnelIsNotOurs(TreeTest):
    """An accelerator that sends tunnel headers with a contribution in them is not taken for a switch."""

    def runTest(self) -> None:
        self.make("IPv4", Encapsulation.VXLAN_GPE, branch=False)
        self.write(access_port(RED_PORT, SITE, RED, scale_up_iid=RED_UP, acc_id=ACC_HERE))
        frame = self.in_tunnel(self.inner(contributions(9)[1]), self.child, str(self.group.eid))
        with self.drops(DropReason.UNKNOWN_DESTINATION):
            self.send(RED_PORT, arriving(RED_PORT, frame))
