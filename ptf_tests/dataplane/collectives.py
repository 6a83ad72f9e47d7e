"""Collectives on one switch, the root: members on its ports, by Scale-Up frames and by UDP over IPv4 and IPv6."""

from __future__ import annotations

import random

from controller.dataplane.codepoints import CollectiveOperation
from ptf_tests.support.collective_case import GROUP_EIDS, PORTS, CollectiveTest, numbers
from ptf_tests.support.collectives import MISMATCH, OVERFLOW, VALUES, Incc, combined
from ptf_tests.support.requirement import requirement


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
