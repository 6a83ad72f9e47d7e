"""Collectives on one switch over time: repeats, rounds, slots, and cells that are cleared."""

from __future__ import annotations

from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation, DropReason
from ptf_tests.support.collective_case import GROUP_EIDS, PORTS, CollectiveTest, numbers
from ptf_tests.support.collectives import VALUES, Incc, clear, combined
from ptf_tests.support.packets import arriving
from ptf_tests.support.requirement import requirement
from ptf_tests.support.scenario import RED_UP


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
