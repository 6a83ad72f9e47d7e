"""A tree of switches as docs/incc.md describes them, in plain Python, and links with faults in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from accelerator.incc.carriers import DatagramCarrier
from accelerator.incc.core import Core, Settings
from accelerator.incc.header import EVERYBODY, Flags, InccPacket, Kind, Operation, decode_incc
from accelerator.incc.packets import Place
from accelerator.incc.work import Work

VALUES = 64
Send = Callable[[bytes], None]


def serial_less(a: int, b: int) -> bool:
    """RFC 1982, 16 bits."""
    return a != b and (b - a) % 65536 < 32768


def combine(operation: int, a: bytes, b: bytes) -> tuple[bytes, bool]:
    """Values of both, and whether a sum was saturated."""
    if not a or not b:
        return a or b, False
    x, y = np.frombuffer(a, ">i4").astype(np.int64), np.frombuffer(b, ">i4").astype(np.int64)
    result = {
        Operation.SUM: x + y,
        Operation.MINIMUM: np.minimum(x, y),
        Operation.MAXIMUM: np.maximum(x, y),
        Operation.AND: x & y,
        Operation.OR: x | y,
        Operation.XOR: x ^ y,
    }[Operation(operation)]
    clipped = np.clip(result, -(2**31), 2**31 - 1)
    return clipped.astype(">i4").tobytes(), bool((clipped != result).any())


@dataclass
class Cell:
    round: int = 0
    seen: set[int] = field(default_factory=set)
    packet: InccPacket | None = None
    has_result: bool = False


class Node:
    """A switch of the tree; children are known by the rank that they contribute under."""

    def __init__(self, rank: int, generation: int, parent: Send | None = None) -> None:
        self.rank, self.generation, self.parent = rank, generation, parent
        self.children: dict[int, Send] = {}
        self.cells: dict[tuple[int, int], Cell] = {}
        self.refused = 0

    def receive(self, octets: bytes) -> None:
        packet = decode_incc(octets, VALUES)
        if packet.generation != self.generation:
            self.refused += 1
            return
        cell = self.cells.setdefault((packet.slot, packet.round % 2), Cell())
        if packet.kind == Kind.RESULT:
            if cell.packet is not None and packet.round == cell.round and self.full(cell) and not cell.has_result:
                cell.packet, cell.has_result = packet, True
                self.release(packet)
            return
        if serial_less(packet.round, cell.round) or packet.rank not in self.children:
            self.refused += 1
            return
        if packet.round != cell.round:
            cell.round, cell.seen, cell.packet, cell.has_result = packet.round, set(), None, False
        if packet.rank in cell.seen:
            if self.full(cell) and cell.packet is not None:
                found = replace(cell.packet, cookie=packet.cookie, target=packet.target)
                if cell.has_result:
                    self.children[packet.rank](self.answer(found, packet.rank))
                else:
                    self.up(found)
            return
        cell.seen.add(packet.rank)
        cell.packet = packet if cell.packet is None else self.merge(cell.packet, packet)
        if self.full(cell):
            if self.parent is None:
                cell.has_result = True
                self.release(cell.packet)
            else:
                self.up(cell.packet)

    def full(self, cell: Cell) -> bool:
        return len(cell.seen) == len(self.children)

    def up(self, packet: InccPacket) -> None:
        assert self.parent is not None
        self.parent(replace(packet, rank=self.rank).encode())

    @staticmethod
    def merge(kept: InccPacket, new: InccPacket) -> InccPacket:
        values, saturated = combine(kept.operation, kept.values, new.values)
        flags = (kept.flags | new.flags) & ~Flags.EMPTY | (Flags.EMPTY if not values else 0)
        if saturated:
            flags |= Flags.OVERFLOW
        if (kept.signature, kept.operation) != (new.signature, new.operation):
            flags |= Flags.MISMATCH
        return replace(kept, values=values, flags=Flags(flags), scale=max(kept.scale, new.scale), cookie=new.cookie)

    def release(self, packet: InccPacket) -> None:
        for rank, child in list(self.children.items()):
            child(self.answer(packet, rank))

    @staticmethod
    def answer(packet: InccPacket, rank: int) -> bytes:
        packet = replace(packet, kind=Kind.RESULT, rank=rank)
        # Between switches a result has its values: it is not known yet who wants them.
        if rank < 0x8000 and packet.target not in (rank, EVERYBODY):
            packet = replace(packet, values=b"", flags=packet.flags | Flags.EMPTY)
        return packet.encode()


@dataclass(frozen=True)
class Faults:
    """Of each link in each direction."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class World:
    """Members, the switches between them, and virtual time in seconds.

    `leaves`: sizes of the groups of members that share a leaf; one: a tree of a single switch. `delay`, `per_packet`:
    of every link, which sends one packet after the other.
    """

    def __init__(
        self,
        leaves: list[int],
        *,
        slots: int = 8,
        faults: Faults | None = None,
        seed: int = 0,
        settings: Settings | None = None,
        first_round: int = 1,
        generation: int = 1,
        delay: float = 1e-4,
        per_packet: float = 0.0,
    ) -> None:
        self.leaves, self.slots, self.first_round = leaves, slots, first_round
        self.faults, self.delay, self.per_packet = faults or Faults(), delay, per_packet
        self.random = random.Random(seed)
        self.now = 0.0
        self.order = itertools.count()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.size = sum(leaves)
        self.cores = [Core(settings) for _ in range(self.size)]
        self.silent: set[int] = set()
        self.cut = False
        self.nodes: list[Node] = []
        self.form(generation)

    def form(self, generation: int, *, resume: bool = True, ranks: list[int] | None = None) -> None:
        """Clears the switches and tells the members (those of `ranks`)."""
        self.generation = generation
        root = Node(0x8000, generation)
        self.nodes = [root]
        self.access: list[Node] = []
        two_levels = len(self.leaves) > 1
        for index, count in enumerate(self.leaves):
            node = root
            if two_levels:
                node = Node(0x8001 + index, generation)
                node.parent = self.link(root.receive)
                root.children[node.rank] = self.link(node.receive)
                self.nodes.append(node)
            for _ in range(count):
                rank = len(self.access)
                self.access.append(node)
                node.children[rank] = self.link(lambda packet, rank=rank: self.deliver(rank, packet))  # type: ignore[misc]
        if self.first_round != 1:
            for node in self.nodes:
                for slot in range(self.slots):
                    for turn in (self.first_round - 1, self.first_round - 2):
                        node.cells[slot, turn % 2] = Cell(turn % 65536, set(node.children))
        self.up = [self.link(lambda packet, node=node: node.receive(packet)) for node in self.access]  # type: ignore[misc]
        for rank in range(self.size) if ranks is None else ranks:
            self.form_member(rank, resume=resume)

    def form_member(self, rank: int, *, resume: bool = True) -> None:
        place = Place(7, rank, self.generation, self.slots, VALUES, self.first_round)
        self.cores[rank].form(place, DatagramCarrier(), self.now, resume=resume)

    def deliver(self, rank: int, packet: bytes) -> None:
        if rank not in self.silent:
            self.cores[rank].receive([packet], self.now)

    def link(self, receive: Send) -> Send:
        free = 0.0

        def send(packet: bytes) -> None:
            nonlocal free
            if self.cut or self.random.random() < self.faults.loss:
                return
            for _ in range(1 + (self.random.random() < self.faults.duplicate)):
                late = self.random.random() * 10 * self.delay if self.random.random() < self.faults.reorder else 0
                free = max(free, self.now) + self.per_packet
                heapq.heappush(self.events, (free + self.delay + late, next(self.order), lambda: receive(packet)))

        return send

    def pump(self) -> None:
        for rank, core in enumerate(self.cores):
            packets = core.poll_transmit(self.now)
            if rank not in self.silent:
                for packet in packets:
                    self.up[rank](packet)

    def submit(self, works: list[Work]) -> None:
        for core, work in zip(self.cores, works, strict=True):
            core.submit(work, self.now)

    def run(self, seconds: float = 600.0, until: Callable[[], bool] | None = None) -> None:
        """Until all members are idle (or `until` says so) or that much virtual time has gone by."""
        end = self.now + seconds
        stop = until or (lambda: all(core.idle for core in self.cores))
        self.pump()
        while not stop() and self.now < end:
            deadlines = [core.next_deadline() for core in self.cores]
            soonest = min([deadline for deadline in deadlines if deadline is not None], default=end)
            if self.events:
                soonest = min(soonest, self.events[0][0])
            self.now = min(max(soonest, self.now), end)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()
            self.pump()
