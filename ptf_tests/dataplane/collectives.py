"""Collectives on one switch, the root: members on its ports, by Scale-Up frames and by UDP over IPv4 and IPv6."""

from __future__ import annotations

import random
from ipaddress import ip_address

from ptf.testutils import group
from scapy.packet import Packet, Raw

from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation, Domain, DropReason, Encapsulation
from controller.dataplane.entries import access_port, core_port, instance
from controller.p4rt.entities import State
from ptf_tests.support.base import FabricTest
from ptf_tests.support.collectives import (
    EVERYBODY,
    MISMATCH,
    OVERFLOW,
    VALUES,
    Group,
    Incc,
    Member,
    carried,
    clear,
    combined,
)
from ptf_tests.support.packets import arriving, leaving
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import BLUE, BLUE_UP, OWN, RED, RED_UP, SITE, dual_stack_xtr

GROUP = 7
PORTS = (1, 2, 6)
BLUE_MEMBER = 5
GROUP_EIDS: dict[str, Endpoint] = {
    "Scale-Up": AccId(0x0FFF0001),
    "IPv4": ip_address("10.0.255.1"),
    "IPv6": ip_address("fd00:10::ff:1"),
}


def member_address(carrier: str, port: int) -> Endpoint:
    """The EID of the accelerator on `port`."""
    if carrier == "Scale-Up":
        return AccId(0x700 + port)
    return ip_address(f"10.0.0.{port}" if carrier == "IPv4" else f"fd00:10::{port}")


def iid_of(carrier: str) -> int:
    """RED's Instance-ID for this carrier."""
    return RED_UP if carrier == "Scale-Up" else RED


def numbers(chance: random.Random) -> tuple[int, ...]:
    """Values of any size, the ends of the range among them."""
    ends = [0, 1, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF]
    return tuple(
        chance.choice(ends) if lane % 4 == 0 else chance.randrange(1 << chance.randrange(1, 33))
        for lane in range(VALUES)
    )


class CollectiveTest(FabricTest):
    """A switch with three members of RED on its ports, and one accelerator of BLUE."""

    carrier = "Scale-Up"

    def setUp(self) -> None:
        """Attaches the accelerators and installs a group."""
        super().setUp()
        self.chance = random.Random(type(self).__name__)
        ports = [access_port(port, SITE, RED, scale_up_iid=RED_UP, acc_id=AccId(0x700 + port)) for port in PORTS]
        self.write(
            *(
                entry
                for entry in dual_stack_xtr(Encapsulation.VXLAN_GPE)
                if entry.key() not in {p.key() for p in ports}
            ),
            *(entry for entry in ports),
            instance(BLUE, Encapsulation.VXLAN_GPE, False),
            instance(BLUE_UP, Encapsulation.VXLAN_GPE, False, domain=Domain.SCALE_UP),
        )
        self.use(self.carrier)

    def use(self, carrier: str, **other: object) -> None:
        """Members talk by `carrier` from now on; every cell of the group is empty."""
        self.carrier = carrier
        self.group = self.made(carrier, **other)
        self.clear_cells(self.group)
        self.write(*self.entries(self.group))

    def made(self, carrier: str, **other: object) -> Group:
        """The group of the three members."""
        members = tuple(Member(rank, port, member_address(carrier, port)) for rank, port in enumerate(PORTS))
        return Group(iid_of(carrier), GROUP_EIDS[carrier], members, OWN, **other)  # type: ignore[arg-type]

    def entries(self, wanted: Group) -> list[State]:
        """What the switch is told of a group."""
        return wanted.entries()

    def clear_cells(self, wanted: Group) -> None:
        """As the group manager does."""
        cells = range(2 * wanted.first_slot, 2 * (wanted.first_slot + wanted.slots))
        with self.drops(DropReason.SLOT_CLEARED, len(cells)):
            for cell in cells:
                self.submit(RED_UP, arriving(PORTS[0], clear(cell)))

    def frame(self, rank: int, packet: Incc | bytes, *, port: int | None = None) -> Packet:
        """A packet of the member of that rank."""
        at = PORTS[rank] if port is None else port
        return arriving(
            at, carried(packet, member_address(self.carrier, at), self.group.eid, sport=50000, checksum=None)
        )

    def contribute(self, packet: Incc, *, port: int | None = None) -> None:
        """The member whose rank is in a packet sends it."""
        at = PORTS[packet.rank] if port is None else port
        self.send(at, self.frame(packet.rank, packet, port=at))

    def result(self, rank: int, packet: Incc) -> Packet:
        """`packet` as a result for a member, as it leaves through its port."""
        made = packet.but(kind=CollectiveKind.RESULT, rank=rank)
        if packet.target not in (EVERYBODY, rank):
            made = made.but(values=(), flags=packet.flags)
        return leaving(PORTS[rank], carried(made, self.group.eid, member_address(self.carrier, PORTS[rank])))

    def absorbed(self, *packets: Incc) -> None:
        """Members send these, and nothing comes of them yet."""
        with self.drops(DropReason.ABSORBED, len(packets)):
            for packet in packets:
                self.contribute(packet)

    def released(self, last: Incc, result: Incc) -> None:
        """With the last contribution each member gets its result."""
        self.contribute(last)
        self.expect_results(result)

    def expect_results(self, result: Incc) -> None:
        """Each member gets it, in any order."""
        found = {port: bytes(frame) for port, frame in (self.receive_anywhere() for _ in PORTS)}
        self.assertEqual(found.keys(), set(PORTS))
        for rank, port in enumerate(PORTS):
            self.assertEqual(found[port].hex(), bytes(self.result(rank, result)).hex(), f"port {port}")

    def refused(self, reason: DropReason, port: int, frame: Packet) -> None:
        """A packet is dropped for a reason."""
        with self.drops(reason):
            self.send(port, frame)

    def round_with(self, packets: list[Incc], result: Incc) -> None:
        """All contribute, and all get the result."""
        self.absorbed(*packets[:-1])
        self.released(packets[-1], result)


@requirement("GEN-9", "SU-SEG-5", "SU-SEG-6", "SO-SEG-5", "SO-SEG-6", partial=True)
class EveryOperation(CollectiveTest):
    """Each operation on random values, by each carrier, from members in any order: as Python computes it."""

    def runTest(self) -> None:
        for carrier in GROUP_EIDS:
            self.remove(*(e for e in self.group.entries()))
            self.use(carrier)
            for number, operation in enumerate(CollectiveOperation):
                with self.subTest(carrier=carrier, operation=operation.name):
                    ranks = self.chance.sample(range(3), 3)
                    slot, turn = number % 4, 1 + number // 4
                    packets = [
                        Incc(rank, numbers(self.chance), operation=operation, slot=slot, round=turn) for rank in ranks
                    ]
                    values = combined(operation, *(packet.values for packet in packets))
                    exact = [
                        sum(v - (v >> 31 << 32) for v in lane)
                        for lane in zip(*(p.values for p in packets), strict=True)
                    ]
                    # A sum may overflow on the way and be small in the end.
                    partial = [
                        sum(v - (v >> 31 << 32) for v in lane[:2])
                        for lane in zip(*(p.values for p in packets), strict=True)
                    ]
                    over = operation == CollectiveOperation.SUM and any(
                        not -(1 << 31) <= s < 1 << 31
                        for s in [
                            *partial,
                            *(e for e, p in zip(exact, partial, strict=True) if -(1 << 31) <= p < 1 << 31),
                        ]
                    )
                    flags = OVERFLOW if over else 0
                    self.round_with(packets, packets[-1].but(values=values, flags=flags))


class SumsSaturate(CollectiveTest):
    """A sum beyond 32 bits stays at the end of the range, and OVERFLOW says so to everybody; others have no flag."""

    def runTest(self) -> None:
        high, low = 0x7FFFFFFF, 0x80000000
        for turn, (a, b, c, value, flags) in enumerate(
            (
                (high, 1, 0, high, OVERFLOW),
                (low, 0xFFFFFFFF, 0, low, OVERFLOW),
                (low, low, 5, low + 5, OVERFLOW),
                (high, high, 0xFFFFFFFF, high - 1, OVERFLOW),
                (high, low, 1, 0, 0),
                (high - 2, 1, 1, high, 0),
                (1, high, 0, high, OVERFLOW),
            ),
            start=1,
        ):
            for lane in (0, 31, 32, 63):
                with self.subTest(a=a, b=b, c=c, lane=lane):
                    values = [tuple(v if i == lane else i for i in range(VALUES)) for v in (a, b, c)]
                    want = tuple(value if i == lane else 3 * i for i in range(VALUES))
                    number = (turn - 1) * 4 + (0, 31, 32, 63).index(lane)
                    packets = [Incc(r, values[r], slot=number % 4, round=1 + number // 4) for r in range(3)]
                    self.round_with(packets, packets[-1].but(values=want, flags=flags))


class FlagsArePassedOn(CollectiveTest):
    """OVERFLOW and MISMATCH in any contribution, a first or EMPTY one too, are in the result; other flags are not."""

    def runTest(self) -> None:
        number = 0
        for flag in (OVERFLOW, MISMATCH, OVERFLOW | MISMATCH, 0xF8):
            for who in range(3):
                for empty in (False, True):
                    with self.subTest(flag=flag, who=who, empty=empty):
                        packets = [
                            Incc(
                                r,
                                () if empty and r == who else (1,) * VALUES,
                                flags=flag if r == who else 0,
                                slot=number % 4,
                                round=1 + number // 4,
                            )
                            for r in range(3)
                        ]
                        number += 1
                        want = (2 if empty else 3,) * VALUES
                        self.round_with(packets, packets[-1].but(values=want, flags=flag & 6))


class Disagreement(CollectiveTest):
    """Another signature or operation than the first one's: MISMATCH, for everybody; the first one's counts."""

    def runTest(self) -> None:
        changes: tuple[dict[str, object], ...] = ({"signature": 1}, {"operation": CollectiveOperation.XOR})
        for number, change in enumerate(changes):
            for who in (1, 2):
                with self.subTest(change=change, who=who):
                    packets = [Incc(r, (3,) * VALUES, slot=number, round=who) for r in range(3)]
                    packets[who] = packets[who].but(**change)
                    result = packets[0].but(values=(9,) * VALUES, flags=MISMATCH)
                    self.round_with(packets, result)


class EmptyContributions(CollectiveTest):
    """Who sends EMPTY adds nothing, first, between, last or all; packets grow to have the result."""

    def runTest(self) -> None:
        number = 0
        for carrier in GROUP_EIDS:
            self.remove(*self.group.entries())
            self.use(carrier)
            number = 0
            for givers in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
                for operation in (CollectiveOperation.SUM, CollectiveOperation.AND):
                    with self.subTest(carrier=carrier, givers=givers, operation=operation.name):
                        given = {r: numbers(random.Random(r)) for r in givers}
                        given = {r: tuple(v & 0xFFFFFFF for v in values) for r, values in given.items()}
                        packets = [
                            Incc(r, given.get(r, ()), operation=operation, slot=number % 4, round=1 + number // 4)
                            for r in range(3)
                        ]
                        number += 1
                        want = combined(operation, *given.values()) if given else ()
                        self.round_with(packets, packets[-1].but(values=want))


class OnlyTheTargetGetsValues(CollectiveTest):
    """The rank that is the target has the values, the others are told only that there is a result."""

    def runTest(self) -> None:
        for carrier in GROUP_EIDS:
            self.remove(*self.group.entries())
            self.use(carrier)
            for target in (0, 1, 2, 99):
                with self.subTest(carrier=carrier, target=target):
                    packets = [Incc(r, (r + 1,) * VALUES, slot=target % 4, target=target) for r in range(3)]
                    self.round_with(packets, packets[-1].but(values=(6,) * VALUES))
                    for rank in range(3):
                        self.contribute(packets[rank])
                        want = packets[-1].but(values=(6,) * VALUES)
                        self.expect(PORTS[rank], self.result(rank, want))


class LargestScale(CollectiveTest):
    """The result has the largest scale, as signed numbers, of EMPTY contributions too."""

    def runTest(self) -> None:
        scales = [(-5, -9, -7), (0, -1, -2), (-2, 0, 3), (5, 1 << 30, -(1 << 31)), (-(1 << 31), -(1 << 31), -(1 << 31))]
        for turn, given in enumerate(scales, start=1):
            for empty in (False, True):
                with self.subTest(scales=given, empty=empty):
                    packets = [
                        Incc(r, () if empty else (1,) * VALUES, scale=given[r], slot=int(empty), round=turn)
                        for r in range(3)
                    ]
                    want = () if empty else (3,) * VALUES
                    self.round_with(packets, packets[-1].but(values=want, scale=max(given)))


@requirement("GEN-9", partial=True)
class Repeats(CollectiveTest):
    """A repeat before the end is dropped and changes nothing; afterwards the result goes to who asked, alone."""

    def runTest(self) -> None:
        for carrier in GROUP_EIDS:
            self.remove(*self.group.entries())
            self.use(carrier)
            with self.subTest(carrier=carrier):
                packets = [Incc(r, tuple(range(r, r + VALUES)), scale=r) for r in range(3)]
                self.absorbed(packets[0])
                self.refused(DropReason.REPEATED, PORTS[0], self.frame(0, packets[0]))
                self.absorbed(packets[2])
                self.refused(DropReason.REPEATED, PORTS[2], self.frame(2, packets[2].but(values=(1,) * VALUES)))
                self.refused(DropReason.REPEATED, PORTS[0], self.frame(0, packets[0].but(values=())))
                want = packets[1].but(values=combined(CollectiveOperation.SUM, *(p.values for p in packets)), scale=2)
                self.released(packets[1], want)
                for rank in (0, 1, 2, 1):
                    self.contribute(packets[rank].but(cookie=rank))
                    self.expect(PORTS[rank], self.result(rank, want.but(cookie=rank)))
                # One that is EMPTY is answered as well, and what a repeat says is not looked at.
                self.contribute(packets[1].but(values=(), signature=9, scale=77, operation=5))
                self.expect(PORTS[1], self.result(1, want))
                self.contribute(packets[0])
                self.expect(PORTS[0], self.result(0, want))


class Rounds(CollectiveTest):
    """Two rounds of a slot are kept; a later one takes the cell over, whatever is in it; an earlier one never does."""

    def runTest(self) -> None:
        def all_of(turn: int, value: int) -> list[Incc]:
            return [Incc(r, (value + r,) * VALUES, round=turn) for r in range(3)]

        def done(turn: int, value: int) -> Incc:
            return Incc(2, (3 * value + 3,) * VALUES, round=turn)

        with self.subTest("one round after the other"):
            for turn in (1, 2, 3):
                self.round_with(all_of(turn, 10 * turn), done(turn, 10 * turn))
        with self.subTest("the last two are answered"):
            for turn in (2, 3):
                self.contribute(all_of(turn, 0)[0])
                self.expect(PORTS[0], self.result(0, done(turn, 10 * turn)))
            self.refused(DropReason.STALE_ROUND, PORTS[0], self.frame(0, all_of(1, 0)[0]))
        with self.subTest("side by side"):
            self.absorbed(*all_of(4, 1)[:2], *all_of(5, 2)[:2])
            self.released(all_of(4, 1)[2], done(4, 1))
            self.released(all_of(5, 2)[2], done(5, 2))
        with self.subTest("an unfinished round is taken over"):
            self.absorbed(all_of(6, 7)[0])
            self.absorbed(all_of(8, 1)[1])
            self.refused(DropReason.STALE_ROUND, PORTS[2], self.frame(2, all_of(6, 7)[2]))
            self.absorbed(all_of(8, 1)[0])
            self.released(all_of(8, 1)[2], done(8, 1))


class RoundsWrap(CollectiveTest):
    """Round 0 follows round 65 535; half a circle ahead is no longer later."""

    def runTest(self) -> None:
        self.absorbed(*(Incc(0, (1,) * VALUES, round=turn) for turn in (0x7000, 0xC000, 0x7001, 0xC001)))
        for turn in (65534, 65535, 0, 1, 2, 3):
            with self.subTest(turn=turn):
                packets = [Incc(r, (turn + r,) * VALUES, round=turn) for r in range(3)]
                self.round_with(packets, packets[-1].but(values=(3 * turn + 3,) * VALUES))
        for ahead in (0x8000, 0x8002, 0xFFFE):
            with self.subTest(ahead=ahead):
                self.refused(DropReason.STALE_ROUND, PORTS[0], self.frame(0, Incc(0, round=(2 + ahead) & 0xFFFF)))
        self.absorbed(Incc(0, round=(2 + 0x7FFE) & 0xFFFF))


class SlotsAreApart(CollectiveTest):
    """Each slot and each parity has values of its own."""

    def runTest(self) -> None:
        packets = {
            (slot, turn): [
                Incc(
                    r, numbers(self.chance), CollectiveKind.CONTRIBUTION, CollectiveOperation.XOR, slot=slot, round=turn
                )
                for r in range(3)
            ]
            for slot in range(4)
            for turn in (1, 2)
        }
        for rank in (0, 1):
            self.absorbed(*(p[rank] for p in packets.values()))
        for of_slot in packets.values():
            want = combined(CollectiveOperation.XOR, *(p.values for p in of_slot))
            self.released(of_slot[2], of_slot[2].but(values=want))


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


class Cleared(CollectiveTest):
    """A clear from the controller empties one cell; without a group's entries too. The next generation starts anew."""

    def runTest(self) -> None:
        packets = [Incc(r, (r + 1,) * VALUES, round=9) for r in range(3)]
        self.absorbed(packets[0], packets[1], packets[0].but(slot=1))
        with self.subTest("one cell"):
            with self.drops(DropReason.SLOT_CLEARED):
                self.submit(RED_UP, arriving(1, clear(1)))
            self.refused(DropReason.REPEATED, PORTS[0], self.frame(0, packets[0].but(slot=1)))
            again = [p.but(round=1) for p in packets]
            self.round_with(again, again[-1].but(values=(6,) * VALUES))
        with self.subTest("no such cell"), self.drops(DropReason.BAD_SLOT, 2):
            self.submit(RED_UP, arriving(1, clear(2048)))
            self.submit(RED_UP, arriving(1, clear(0xFFFF)))
        with self.subTest("an Instance-ID that is not here"), self.drops(DropReason.SLOT_CLEARED):
            self.submit(0x777777, arriving(1, clear(2047)))
        with self.subTest("another generation"):
            self.remove(*self.group.entries())
            self.clear_cells(self.group)
            self.group = self.made(self.carrier, generation=2)
            self.write(*self.group.entries())
            self.refused(DropReason.STALE_GENERATION, PORTS[1], self.frame(1, packets[1]))
            anew = [Incc(r, (7,) * VALUES, generation=2) for r in range(3)]
            self.round_with(anew, anew[-1].but(values=(21,) * VALUES))


class HighestSlots(CollectiveTest):
    """A group may have the last slots of the switch."""

    def runTest(self) -> None:
        self.remove(*self.group.entries())
        self.use("Scale-Up", first_slot=1022, slots=2)
        for slot in (0, 1):
            packets = [Incc(r, (r,) * VALUES, slot=slot) for r in range(3)]
            self.round_with(packets, packets[-1].but(values=(3,) * VALUES))
        self.refused(DropReason.BAD_SLOT, PORTS[0], self.frame(0, Incc(0, slot=2)))


class CountersCount(CollectiveTest):
    """Entries count what they match: the group's packets, each child's contributions, each child's copies."""

    def runTest(self) -> None:
        contributors, copies = self.group.entries()[0:6:2], self.group.entries()[1:6:2]
        of_group = self.group.entry()
        counted = self.switch.counted
        before = [counted(entry).packets for entry in (*contributors, *copies, of_group)]  # type: ignore[arg-type]
        packets = [Incc(r, (1,) * VALUES) for r in range(3)]
        self.round_with(packets, packets[-1].but(values=(3,) * VALUES))
        self.contribute(packets[1])
        self.receive(PORTS[1])
        after = [counted(entry).packets for entry in (*contributors, *copies, of_group)]  # type: ignore[arg-type]
        self.assertEqual([a - b for a, b in zip(after, before, strict=True)], [1, 2, 1, 1, 2, 1, 4])


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
