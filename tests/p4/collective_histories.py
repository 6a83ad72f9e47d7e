"""Random histories of groups of collectives (docs/incc.md): what comes to a switch that combines for them.

A history keeps, of each round, what its members have agreed on: the operation, and who has no values. Until a round is
full they hold to it, for what becomes of a round where somebody does not is one of the differences that
docs/tofino-collectives.md lists.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from scapy.layers.inet import IP
from scapy.packet import Packet

from controller.dataplane.addresses import Endpoint, IPAddress
from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation
from controller.dataplane.collective_clear import clear_packet
from controller.dataplane.collective_tables import CollectiveBranch, MemberCopy, NodeCopy
from ptf_tests.support import scenario
from ptf_tests.support.collective_case import numbers
from ptf_tests.support.collectives import EVERYBODY, PORT, VALUES, Incc, carried
from ptf_tests.support.headers import Lisp, LispGpe, ScaleUp, TunnelHeader, Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, carrying, tunnel
from tests.p4.side_by_side import submitted

Place = tuple[int, int]  # slot and round
Child = MemberCopy | NodeCopy

CELLS = 2048
INCC_OCTETS = 24
STRANGERS = ("192.0.2.77", scenario.PEER, scenario.OTHER, scenario.PEER6, scenario.OTHER6)
IIDS = (scenario.RED, scenario.RED_UP, scenario.BLUE, scenario.BLUE_UP, scenario.FOREIGN)
RANKS = (0, 1, 2, 3, 0x8001, 0x8002, 0x8005, EVERYBODY)
# Octets of the header that may be flipped: not operation, slot and round, which would break what has been agreed on.
FLIPPED = (0, 2, 3, 4, 5, 6, 7, *range(12, INCC_OCTETS))

Change = Callable[[random.Random, Incc], Incc]
WRONG: tuple[Change, ...] = (
    lambda draw, packet: packet.but(rank=draw.choice(RANKS)),
    lambda draw, packet: packet.but(group=draw.choice((7, 8, 9, 10, 0xFFFF))),
    lambda draw, packet: packet.but(generation=(packet.generation + draw.choice((1, -1, 128))) & 0xFF),
    lambda draw, packet: packet.but(slot=draw.choice((4, 5, 1023, 0x8000, 0xFFFF))),
    lambda draw, packet: packet.but(kind=draw.randrange(1, 16)),
    lambda draw, packet: packet.but(kind=draw.choice((CollectiveKind.RESULT, CollectiveKind.CLEAR))),
    lambda draw, packet: packet.but(operation=draw.choice((6, 7, 255))),
    lambda draw, packet: packet.but(version=draw.choice((0, 2, 9, 15))),
)


@dataclass(frozen=True)
class Arrival:
    """A frame, and the port that it comes to.

    `place`: it is a right contribution to this round, so that anything that leaves says that the round is full.
    `cut`, `headless`: it would be one, but ends within its values, or within the header in front of them.
    """

    port: int
    frame: bytes
    place: Place | None = None
    cut: bool = False
    headless: bool = False


@dataclass(frozen=True)
class Agreement:
    """What all say of a round; `silent`: the ranks that have no values."""

    operation: int
    signature: int
    silent: frozenset[int]


@dataclass
class History:
    """A group at one switch, with two children or more, and what comes to it. Slots are four."""

    draw: random.Random
    branch: CollectiveBranch
    header: type[TunnelHeader]
    member_ports: tuple[int, ...]
    core_ports: tuple[int, ...]
    rounds: dict[int, int] = field(default_factory=dict)
    sent: dict[Place, set[int]] = field(default_factory=dict)
    agreed: dict[Place, Agreement] = field(default_factory=dict)
    full: set[Place] = field(default_factory=set)
    first: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin(self.branch)

    def begin(self, branch: CollectiveBranch) -> None:
        """The group is formed anew: nobody has contributed. Slot 0 soon comes to its last round, and wraps."""
        self.branch = branch
        self.rounds = dict.fromkeys(range(branch.slots), 1) | {0: 0xFFFD}
        self.first = [(0, turn) for turn in (0xE001, 0xE000, 0x7001, 0x7000)]
        self.sent.clear()
        self.agreed.clear()
        self.full.clear()

    def cells(self) -> range:
        """Of this switch, that are the group's."""
        return range(2 * self.branch.first_slot, 2 * (self.branch.first_slot + self.branch.slots))

    def next(self) -> Arrival:
        """What comes next."""
        chance = self.draw.random()
        slot = self.draw.randrange(self.branch.slots)
        turn, child = self.rounds[slot], self.draw.choice(self.branch.children)
        if self.first:
            return self._contribution(child, self.first.pop())
        if chance < 0.62:
            return self._due(slot)
        if chance < 0.72:  # a repeat, or somebody who is early
            return self._contribution(child, (slot, (turn - self.draw.choice((0, 0, 0, 1, 1, -1))) & 0xFFFF))
        if chance < 0.75:  # too late
            back = self.draw.choice((2, 3, 4, 0x100, 0x101, 0x4000, 0x7FFF, 0x8000))
            return self._contribution(child, (slot, (turn - back) & 0xFFFF))
        if chance < 0.76:  # all go on far ahead
            self._go_on(slot, turn + self.draw.choice((2, 3, 0x100, 0x3FFF, 0x7FFC, 0x7FFD)))
            return self._due(slot)
        if chance < 0.77:
            return self._clear()
        if chance < 0.81:
            return self._result((slot, (turn - self.draw.choice((0, 0, 0, 1, 2, -1))) & 0xFFFF))
        if chance < 0.84:
            return self._cut(child, (slot, turn))
        if chance < 0.93:
            return self._stranger(child, (slot, turn))
        return self._damaged(child, (slot, turn))

    def learn(self, arrival: Arrival, outputs: list[tuple[int, bytes]]) -> None:
        """What came of an arrival."""
        if arrival.place is not None and outputs:
            self.full.add(arrival.place)

    def _due(self, slot: int) -> Arrival:
        """What the round lacks; when it lacks nothing, the result, if that comes from elsewhere, and the next round."""
        place = slot, self.rounds[slot]
        lacking = [child for child in self.branch.children if child.rank not in self.sent.get(place, ())]
        if lacking:
            return self._contribution(self.draw.choice(lacking), place)
        self.rounds[slot] = (place[1] + 1) & 0xFFFF
        return self._due(slot) if self.branch.parent is None else self._result(place)

    def _go_on(self, slot: int, turn: int) -> None:
        """From this round on. Others may come again, when rounds have wrapped, and are new rounds then."""
        last = self.rounds[slot]
        self._forget(lambda place: place[0] == slot and (place[1] - last + 1) & 0xFFFF > 2)
        self.rounds[slot] = turn & 0xFFFF

    def _forget(self, which: Callable[[Place], bool]) -> None:
        """Nobody has contributed there, as far as anybody knows."""
        self.full = {place for place in self.full if not which(place)}
        for kept in (self.sent, self.agreed):
            for place in [place for place in kept if which(place)]:
                del kept[place]

    def _agreement(self, place: Place) -> Agreement:
        if place not in self.agreed:
            share = self.draw.choice((0, 0, 0.3, 1))
            silent = frozenset(child.rank for child in self.branch.children if self.draw.random() < share)
            operation = self.draw.choice(list(CollectiveOperation))
            self.agreed[place] = Agreement(operation, self.draw.randrange(1 << 16), silent)
        return self.agreed[place]

    def _packet(self, rank: int, place: Place, operation: int, *, silent: bool, **more: int) -> Incc:
        draw = self.draw
        return Incc(
            rank,
            () if silent else numbers(draw),
            operation=operation,
            flags=draw.choice((0, 0, 0, 0, 0, 2, 4, 6, 0xF8)),
            generation=self.branch.generation,
            group=self.branch.number,
            slot=place[0],
            round=place[1],
            target=draw.choice((EVERYBODY, EVERYBODY, *(child.rank for child in self.branch.children), 99)),
            scale=draw.choice((0, 1, -1, 0x7FFFFFFF, -0x80000000, draw.randrange(-1000, 1000))),
            cookie=draw.randrange(1 << 32),
            **more,
        )

    def _agreeing(self, child: Child, place: Place) -> Incc:
        """A contribution. To a round that is full it may be anything."""
        agreed, draw = self._agreement(place), self.draw
        operation, silent, signature = agreed.operation, child.rank in agreed.silent, agreed.signature
        if place in self.full and draw.random() < 0.4:
            operation, silent = draw.choice(list(CollectiveOperation)), draw.random() < 0.5
        elif silent and self.sent.get(place) and draw.random() < 0.1:
            operation = draw.choice(list(CollectiveOperation))  # a MISMATCH, but nothing that is combined
        if draw.random() < 0.06:
            signature ^= 1 << draw.randrange(16)
        return self._packet(child.rank, place, operation, silent=silent, signature=signature)

    def _contribution(self, child: Child, place: Place) -> Arrival:
        packet = self._agreeing(child, place)
        self.sent.setdefault(place, set()).add(child.rank)
        arrival = self._from_child(child, packet)
        padding = bytes(self.draw.randrange(1, 60)) if self.draw.random() < 0.05 else b""
        return replace(arrival, frame=arrival.frame + padding, place=place)

    def _carried(self, packet: Incc | bytes, source: Endpoint) -> Packet:
        """In a carrier with whatever its sender is free to write there."""
        draw = self.draw
        made = carried(
            packet,
            source,
            self.branch.eid,
            sport=draw.choice((PORT, draw.randrange(1 << 16))),
            checksum=draw.choice((None, 0)),
        )
        life, traffic_class = draw.choice((64, 64, 2, 255)), draw.randrange(256)
        if isinstance(made, ScaleUp):
            made.hop_limit, made.virtual_channel, made.ecn = life, traffic_class >> 5, traffic_class & 3
            made.reorder, made.reserved, made.entropy = draw.randrange(2), draw.randrange(4), draw.randrange(1 << 16)
            made.sequence, made.tag = draw.randrange(1 << 32), draw.randrange(1 << 32)
        elif isinstance(made, IP):
            made.ttl, made.tos, made.id = life, traffic_class, draw.randrange(1 << 16)
            made.flags = draw.choice(("", "DF"))
        else:
            made.hlim, made.tc, made.fl = life, traffic_class, draw.randrange(1 << 20)
        return made

    def _tunnelled(
        self, packet: Incc | bytes, port: int, source: str, iid: int | None = None, target: str | None = None
    ) -> Arrival:
        """From a switch, mostly by the tunnel that the Instance-ID has."""
        draw = self.draw
        inner = self._carried(packet, self.branch.eid)
        header = self.header
        if isinstance(inner, ScaleUp):
            inner = arriving(9, inner)
            header = draw.choice((header, header, VxlanGpe, LispGpe, Vxlan))
        else:
            header = draw.choice((header, header, VxlanGpe, LispGpe, Vxlan, Lisp))
        own = scenario.OWN6 if ":" in source else scenario.OWN
        outer = tunnel(
            *carrying(header(iid=self.branch.iid if iid is None else iid), inner),
            src=source,
            dst=own if target is None else target,
            ttl=draw.choice((64, 64, 2, 255)),
            tos=draw.randrange(64) << 2 | draw.randrange(3),
            sport=draw.randrange(1 << 16),
        )
        return Arrival(port, bytes(arriving(port, outer)))

    def _from_child(self, child: Child, packet: Incc | bytes) -> Arrival:
        if isinstance(child, MemberCopy):
            return Arrival(child.hop.port, bytes(arriving(child.hop.port, self._carried(packet, child.address))))
        astray = self.draw.random() < 0.1
        port = self.draw.choice(self.core_ports) if astray else child.hop.port
        return self._tunnelled(packet, port, str(child.rloc))

    def _result(self, place: Place) -> Arrival:
        """Of the parent; at a root, of somebody."""
        draw = self.draw
        packet = self._packet(
            self.branch.rank,
            place,
            draw.choice(list(CollectiveOperation)),
            silent=draw.random() < 0.3,
            kind=CollectiveKind.RESULT,
            signature=draw.randrange(1 << 16),
        )
        parent: IPAddress = self.branch.parent or ip_address(scenario.PEER)
        return self._tunnelled(packet, draw.choice(self.core_ports), str(parent))

    def _clear(self) -> Arrival:
        """The controller's order for one cell, of this group or of none."""
        cell = self.draw.choice((*self.cells(), *self.cells(), CELLS - 1, CELLS, 0xFFFF))
        if cell in self.cells():
            slot, parity = cell // 2 - self.branch.first_slot, cell % 2
            self._forget(lambda place: place[0] == slot and place[1] % 2 == parity)
            if self.rounds[slot] >= 0x8000:  # not later than the round of an empty cell
                self._go_on(slot, 2 - parity)
        return Arrival(*submitted(clear_packet(cell), self.draw.choice((0, *IIDS))))

    def _cut(self, child: Child, place: Place) -> Arrival:
        """Ends within its values; where it has none, within its headers."""
        packet = self._agreeing(child, place)
        arrival = self._from_child(child, packet)
        if packet.values:
            return replace(arrival, frame=arrival.frame[: -self.draw.randrange(1, 4 * VALUES + 1)], cut=True)
        end = self.draw.randrange(14, len(arrival.frame))
        return replace(arrival, frame=arrival.frame[:end], headless=end >= len(arrival.frame) - INCC_OCTETS)

    def _stranger(self, child: Child, place: Place) -> Arrival:
        """Something is not as it has to be: a field, the length, the port, the RLOC, the tenant, the sender."""
        draw, packet = self.draw, self._agreeing(child, place)
        kind = draw.randrange(6)
        if kind < 2:
            return self._from_child(child, draw.choice(WRONG)(draw, packet))
        if kind == 2:
            octets = packet.octets()
            octets = draw.choice((octets + bytes(draw.randrange(1, 300)), octets[: draw.randrange(len(octets))]))
            return replace(self._from_child(child, octets), headless=len(octets) < INCC_OCTETS)
        if kind == 3:
            return self._with_another_length(child, packet)
        if kind == 4 and isinstance(child, NodeCopy):
            iid = draw.choice((self.branch.iid, self.branch.iid, *IIDS))
            target = draw.choice((None, None, scenario.OTHER))
            source = draw.choice(STRANGERS)
            if target is not None and ":" in source:
                target = scenario.OTHER6
            return self._tunnelled(packet, draw.choice(self.core_ports), source, iid, target)
        address = child.address if isinstance(child, MemberCopy) else self.branch.eid
        port = draw.choice((*self.member_ports, *self.core_ports, 99))
        frame = bytes(arriving(port, self._carried(packet, address)))
        if kind == 4:
            return Arrival(port, frame)
        return Arrival(*submitted(frame, draw.choice((self.branch.iid, *IIDS))))

    def _with_another_length(self, child: Child, packet: Incc) -> Arrival:
        """What the header in front of it says is not what there is."""
        arrival, wrong = self._from_child(child, packet), self.draw.choice((0, 8, 31, 32, 48, 287, 288, 289, 0xFFFF))
        frame, front = bytearray(arrival.frame), len(arrival.frame) - len(packet.octets())
        place = front - 10 if isinstance(self.branch.eid, int) else front - 4
        if self.draw.random() < 0.5 and not isinstance(self.branch.eid, int):
            place = front - 26 if self.branch.eid.version == 4 else front - 44
        frame[place : place + 2] = wrong.to_bytes(2, "big")
        return replace(arrival, frame=bytes(frame))

    def _damaged(self, child: Child, place: Place) -> Arrival:
        """Bits have flipped: in what is in front of the collective's header, in it, or in its values."""
        draw, packet = self.draw, self._agreeing(child, place)
        arrival = self._from_child(child, packet)
        frame, front = bytearray(arrival.frame), len(arrival.frame) - len(packet.octets())
        for _ in range(draw.choice((1, 1, 2, 4))):
            at = draw.choice((draw.randrange(front), draw.randrange(front), front + draw.choice(FLIPPED)))
            frame[at] ^= 1 << draw.randrange(8)
        return replace(arrival, frame=bytes(frame))
