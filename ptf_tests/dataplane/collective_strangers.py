"""What is no contribution of a group's member: refused, or forwarded as the ordinary packet that it is."""

from __future__ import annotations

from ipaddress import ip_address

from ptf.testutils import group
from scapy.packet import Packet, Raw

from controller.dataplane.addresses import AccId
from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation, DropReason
from controller.dataplane.entries import access_port, core_port
from ptf_tests.support.collective_case import BLUE_MEMBER, GROUP_EIDS, PORTS, CollectiveTest, iid_of, member_address
from ptf_tests.support.collectives import OVERFLOW, VALUES, Group, Incc, Member, carried, combined
from ptf_tests.support.packets import arriving, leaving
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import BLUE, BLUE_UP, OWN, SITE


@requirement("SU-SEG-6", "SO-SEG-6", "GEN-9", partial=True)
@group("robustness")
class Strangers(CollectiveTest):
    """Whoever is not who he says to be, or means another group, generation or slot, is refused and changes nothing."""

    def runTest(self) -> None:
        for carrier in GROUP_EIDS:
            self.remove(*self.group.entries())
            self.use(carrier)
            good = [Incc(r, tuple(range(r, r + VALUES)), scale=r) for r in range(3)]
            bad = Incc(1, (0x1000,) * VALUES, scale=999, flags=OVERFLOW)
            self.absorbed(good[0])
            cases = [
                (DropReason.NOT_A_MEMBER, PORTS[2], bad),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(rank=2)),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(rank=3)),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(rank=0x8001)),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(group=8)),
                (DropReason.STALE_GENERATION, PORTS[1], bad.but(generation=0)),
                (DropReason.STALE_GENERATION, PORTS[1], bad.but(generation=2)),
                (DropReason.BAD_SLOT, PORTS[1], bad.but(slot=4)),
                (DropReason.BAD_SLOT, PORTS[1], bad.but(slot=0x8000)),
                (DropReason.BAD_SLOT, PORTS[1], bad.but(slot=0xFFFF)),
                (DropReason.STALE_ROUND, PORTS[1], bad.but(round=0xFFFF)),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(kind=CollectiveKind.RESULT)),
                (DropReason.NOT_A_MEMBER, PORTS[1], bad.but(kind=CollectiveKind.CLEAR)),
                (DropReason.MALFORMED, PORTS[1], bad.but(kind=3)),
                (DropReason.MALFORMED, PORTS[1], bad.but(kind=15)),
                (DropReason.MALFORMED, PORTS[1], bad.but(operation=6)),
                (DropReason.MALFORMED, PORTS[1], bad.but(operation=255)),
                (DropReason.MALFORMED, PORTS[1], bad.but(version=0)),
                (DropReason.MALFORMED, PORTS[1], bad.but(version=2)),
                (DropReason.MALFORMED, PORTS[1], bad.but(version=2, values=())),
            ]
            for reason, port, packet in cases:
                with self.subTest(carrier=carrier, reason=reason.name, packet=packet.but(values=())):
                    self.refused(reason, port, self.frame(PORTS.index(port), packet))
            with self.subTest("not from the controller either", carrier=carrier), self.drops(DropReason.NOT_A_MEMBER):
                self.submit(iid_of(carrier), self.frame(1, bad))
            with self.subTest("without effect", carrier=carrier):
                self.absorbed(good[1])
                values = combined(CollectiveOperation.SUM, *(p.values for p in good))
                self.released(good[2], good[2].but(values=values, scale=2))


@group("robustness")
class CutOrStretched(CollectiveTest):
    """A packet that ends early, or whose lengths do not agree with what it says, is malformed and changes nothing."""

    def runTest(self) -> None:
        for carrier in GROUP_EIDS:
            self.remove(*self.group.entries())
            self.use(carrier)
            whole = Incc(1, (5,) * VALUES)
            octets = whole.octets()
            pieces = [octets[:n] for n in (0, 1, 23, 24, 25, 24 + 128, 24 + 252, 24 + 255)]
            pieces += [octets + bytes(1), octets + bytes(4), whole.but(values=()).octets() + bytes(256)]
            pieces.append(whole.but(values=()).octets() + bytes(1))
            for piece in pieces:
                with self.subTest(carrier=carrier, octets=len(piece)):
                    self.refused(DropReason.MALFORMED, PORTS[1], self.frame(1, piece))
            with self.subTest("less on the wire than said", carrier=carrier):
                cut = bytes(self.frame(1, whole))[:-10]
                self.refused(DropReason.MALFORMED, PORTS[1], Raw(cut))
            if carrier != "Scale-Up":
                for length in (0, 8, 31, 287, 289, 0xFFFF):
                    with self.subTest("UDP length", carrier=carrier, length=length):
                        frame = self.frame(1, whole)
                        frame["UDP"].len = length
                        self.refused(DropReason.MALFORMED, PORTS[1], frame)
            with self.subTest("without effect", carrier=carrier):
                packets = [Incc(r, (r,) * VALUES) for r in range(3)]
                self.round_with(packets, packets[-1].but(values=(3,) * VALUES))


class OthersAreForwarded(CollectiveTest):
    """What is no packet of a collective, or for no group here, is forwarded as if there were none."""

    def runTest(self) -> None:
        packet = Incc(0, (1,) * VALUES)
        elsewhere = arriving(1, carried(packet, member_address("IPv4", 1), ip_address("10.0.0.1")))
        with self.no_drops():
            self.send(2, elsewhere)
            self.assertEqual(bytes(self.receive(1))[34:], bytes(elsewhere)[34:])
        self.refused(
            DropReason.UNKNOWN_DESTINATION,
            1,
            arriving(1, carried(packet, member_address("IPv4", 1), ip_address("10.0.255.9"))),
        )
        cut = arriving(1, carried(packet.octets()[:40], member_address("IPv4", 1), ip_address("10.0.0.1")))
        self.send(2, cut)
        self.assertEqual(bytes(self.receive(1))[34:], bytes(cut)[34:])


@requirement("SO-SEG-5", "SU-SEG-5", "SO-SEG-6", "SU-SEG-6", partial=True)
@group("robustness")
class TenantsGroupsAreApart(CollectiveTest):
    """Two tenants have a group at the same EID; what an accelerator of one sends never reaches the other's cells."""

    def runTest(self) -> None:
        carrier = "Scale-Up"
        blue = Group(
            BLUE_UP,
            GROUP_EIDS[carrier],
            (Member(0, BLUE_MEMBER, AccId(0x901)),),
            OWN,
            number=8,
            first_slot=100,
            multicast=16385,
            first_copy=11,
        )
        self.remove(core_port(BLUE_MEMBER))
        self.write(access_port(BLUE_MEMBER, SITE, BLUE, scale_up_iid=BLUE_UP, acc_id=AccId(0x901)))
        self.clear_cells(blue)
        self.write(*blue.entries())
        mine = [Incc(r, (r + 1,) * VALUES) for r in range(3)]
        self.absorbed(mine[0])

        def hostile(packet: Incc) -> Packet:
            return arriving(BLUE_MEMBER, carried(packet, AccId(0x901), GROUP_EIDS[carrier]))

        for rank in range(3):
            with self.subTest("RED's group, from BLUE", rank=rank):
                self.refused(DropReason.NOT_A_MEMBER, BLUE_MEMBER, hostile(Incc(rank, (99,) * VALUES)))
        with self.subTest("BLUE's group, from RED"):
            self.refused(DropReason.NOT_A_MEMBER, PORTS[1], self.frame(1, Incc(0, (99,) * VALUES, group=8)))
        with self.subTest("BLUE's own works"):
            packet = Incc(0, (4,) * VALUES, group=8)
            self.send(BLUE_MEMBER, hostile(packet))
            made = packet.but(kind=CollectiveKind.RESULT)
            self.expect(BLUE_MEMBER, leaving(BLUE_MEMBER, carried(made, GROUP_EIDS[carrier], AccId(0x901))))
        with self.subTest("RED's is what it was"):
            self.absorbed(mine[1])
            self.released(mine[2], mine[2].but(values=(6,) * VALUES))
