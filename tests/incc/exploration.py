"""Every way in which the packets of a small group can be lost, repeated and overtake each other.

The switches are those of a running fabric, with the program and the entries that they forward by; what they do to a
packet is asked of the engine, once for each packet and content of the cells. Members are what docs/incc.md says they
are, and nothing more: a round is contributed when the round before has its result, any number of times.

The network is the worst there can be: whatever was sent can arrive at any time from then on, any number of times, or
never. So a state of the world is what the cells hold, what members have, and all that was ever sent; and loss,
repetition and reordering of any depth are in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from softswitch.reference.engine import ReferenceEngine
from topologies.inprocess import Fabric

_HEADER = struct.Struct("!BBBBHHHHHHII")
_SUM, _VALUES = 0, 64
_EMPTY = 1
_EVERYBODY = 0xFFFF
# A tunnel's UDP source port only spreads flows; it follows from who completed a slot.
_ENTROPY = slice(14 + 20, 14 + 20 + 2)

Cells = tuple[int, ...]


class Arrival(NamedTuple):
    """A packet at a switch of the tree. The same packet can be told apart from others by this alone."""

    switch: str
    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A rank of the group, and the switch and port that it is on."""

    rank: int
    switch: str
    port: int
    accelerator: str


class Result(NamedTuple):
    """A member is told the sum of a slot, of which `finished` rounds had been finished before."""

    rank: int
    slot: int
    finished: int


Outputs = tuple[Arrival | Result, ...]


class State(NamedTuple):
    """Of the world. `cells`: by switch, as numbers; `done`: rounds of each slot that each member has the result of."""

    cells: tuple[int, ...]
    done: tuple[tuple[int, ...], ...]
    sent: frozenset[Arrival]


class WrongResultError(AssertionError):
    """A member was told something that is not the sum."""


class World:
    """A group of a fabric that is up, of `slots` slots, for `rounds` rounds of each.

    With `first`, rounds begin there: to see them wrap. Members of `silent` ranks contribute EMPTY.
    """

    def __init__(
        self, fabric: Fabric, group: str, *, slots: int, rounds: int, first: int = 1, silent: tuple[int, ...] = ()
    ) -> None:
        self.fabric, self.slots, self.rounds, self.first, self.silent = fabric, slots, rounds, first, silent
        self.view = next(view for view in fabric.collectives.manager.groups() if view.name == group)
        self.switches = tuple(sorted(self.view.branches))
        self.engines = {
            name: ReferenceEngine(switch.program, switch.state)
            for name, switch in fabric.switches.items()
            if switch.program is not None
        }
        self.members = tuple(sorted(self._members(), key=lambda member: member.rank))
        self._contents: list[Cells] = []
        self._numbers: dict[Cells, int] = {}
        self._steps: dict[tuple[int, int, Arrival], tuple[int, Outputs]] = {}
        self._frames: dict[tuple[int, int, int], Arrival] = {}

    @property
    def steps(self) -> int:
        """Different things that were asked of a switch."""
        return len(self._steps)

    def start(self) -> State:
        """Nobody has done anything; the cells are those of a group that begins with round `first`."""
        for name in self.switches:
            self._write(name, self._empty(name))
        cells = tuple(self._read(name) for name in self.switches)
        return State(cells, tuple((0,) * self.slots for _ in self.members), frozenset())

    def finished(self, state: State) -> bool:
        """Whether everybody has the result of every round."""
        return all(rounds == (self.rounds,) * self.slots for rounds in state.done)

    def arrivals(self, state: State) -> Iterator[Arrival]:
        """All packets that can arrive now."""
        yield from state.sent
        for member, done in zip(self.members, state.done, strict=True):
            for slot in range(self.slots):
                for number in range(min(done[slot] + 1, self.rounds)):
                    yield self.contribution(member, slot, number)

    def after(self, state: State, arrival: Arrival) -> Iterator[State]:
        """What can be when this packet has arrived: each result that members are sent arrives, or is lost."""
        number = self.switches.index(arrival.switch)
        cells, outputs = self.step(number, state.cells[number], arrival)
        if cells == state.cells[number] and not outputs:
            yield state
            return
        held = (*state.cells[:number], cells, *state.cells[number + 1 :])
        sent, news = state.sent, []
        for output in outputs:
            if isinstance(output, Result):
                if state.done[output.rank][output.slot] == output.finished:
                    news.append((output.rank, output.slot))
            elif output not in sent:
                sent |= {output}
        for chosen in range(1 << len(news)):
            done = list(state.done)
            for bit, (rank, slot) in enumerate(news):
                if chosen >> bit & 1:
                    done[rank] = (*done[rank][:slot], done[rank][slot] + 1, *done[rank][slot + 1 :])
            yield State(held, tuple(done), sent)

    # -- switches -----------------------------------------------------------------------------------------

    def step(self, number: int, cells: int, arrival: Arrival) -> tuple[int, Outputs]:
        """What a switch does to a packet: the new content of its cells, and what it sends."""
        key = number, cells, arrival
        found = self._steps.get(key)
        if found is None:
            name = self.switches[number]
            self._write(name, self._contents[cells])
            outputs = tuple(self._outputs(name, arrival.port, arrival.frame))
            found = self._steps[key] = self._read(name), outputs
        return found

    def _outputs(self, switch: str, port: int, frame: bytes) -> Iterator[Arrival | Result]:
        """What comes of a packet at the next switch of the tree or at a member; others only pass it on."""
        engine = self.engines[switch]
        sent, again = engine.step(engine.receive(port, frame))
        assert not again
        for out, octets in sent:
            planned = next(one for one in self.fabric.plans[switch].ports if one.number == out)
            if planned.access:
                yield self._result(next(m.rank for m in self.members if m.accelerator == planned.peer), octets)
            elif planned.peer in self.switches:
                canonical = octets[: _ENTROPY.start] + bytes(2) + octets[_ENTROPY.stop :]
                yield Arrival(planned.peer, planned.peer_port, canonical)
            else:
                yield from self._outputs(planned.peer, planned.peer_port, octets)

    def _registers(self, switch: str) -> list[str]:
        state = self.fabric.switches[switch].state
        return sorted(name for name in state.registers if "collective" in name)

    def _indices(self, switch: str) -> range:
        first = 2 * self.view.branches[switch].slots.start
        return range(first, first + 2 * self.slots)

    def _read(self, switch: str) -> int:
        """The number of what the cells hold."""
        registers = self.fabric.switches[switch].state.registers
        cells = tuple(registers[name].get(i) for name in self._registers(switch) for i in self._indices(switch))
        if cells not in self._numbers:
            self._numbers[cells] = len(self._contents)
            self._contents.append(cells)
        return self._numbers[cells]

    def _write(self, switch: str, cells: Cells) -> None:
        registers = self.fabric.switches[switch].state.registers
        values = iter(cells)
        for name in self._registers(switch):
            for index in self._indices(switch):
                registers[name].put(index, next(values))

    def _empty(self, switch: str) -> Cells:
        """Cells that have just been cleared; where rounds begin late, as the rounds before have left them."""
        cells = []
        for name in self._registers(switch):
            for index in self._indices(switch):
                late = self.first != 1 and name.endswith("collective_rounds")
                before = self.first - 1 if (self.first - 1) % 2 == index % 2 else self.first - 2
                cells.append((before & 0xFFFF) << 66 if late else 0)
        return tuple(cells)

    # -- members ------------------------------------------------------------------------------------------

    def _members(self) -> Iterator[Member]:
        for switch, branch in self.view.branches.items():
            for child in branch.members:
                yield Member(child.rank, switch, child.port, child.accelerator)

    def _value(self, rank: int, slot: int, number: int) -> int:
        """Different sums for different sets of contributions."""
        return 0 if rank in self.silent else (1 + 4 * slot + number) << 8 * rank

    def contribution(self, member: Member, slot: int, number: int) -> Arrival:
        """What a member contributes to a round of a slot, counted from 0."""
        key = member.rank, slot, number
        if key not in self._frames:
            self._frames[key] = Arrival(member.switch, member.port, self._frame(member, slot, number))
        return self._frames[key]

    def _frame(self, member: Member, slot: int, number: int) -> bytes:
        silent = member.rank in self.silent
        value = self._value(member.rank, slot, number)
        octets = _HEADER.pack(
            0x10,
            _SUM,
            _EMPTY if silent else 0,
            self.view.generation,
            self.view.number,
            member.rank,
            slot,
            self.first + number & 0xFFFF,
            _EVERYBODY,
            slot,
            0,
            0,
        ) + (b"" if silent else struct.pack("!I", value) * _VALUES)
        acc_id = self.fabric.topology.accelerator(member.accelerator).acc_id
        assert isinstance(self.view.eid, int)
        carrier = struct.pack("!BBBBIIHHII", 0x15, 0, 64, 1, self.view.eid, acc_id, 0, len(octets), 0, 0)
        return bytes(12) + b"\x88\xb5" + carrier + octets

    def _result(self, rank: int, frame: bytes) -> Result:
        """Reads a result. Raises WrongResultError."""
        at = 14 + 24
        head, _, flags, generation, group, to, slot, round_, *_ = _HEADER.unpack_from(frame, at)
        number = (round_ - self.first) & 0xFFFF
        expected = sum(self._value(member.rank, slot, number) for member in self.members) & 0xFFFFFFFF
        values = frame[at + _HEADER.size :]
        silent = len(self.silent) == len(self.members)
        wanted = 0x11, _EMPTY if silent else 0, self.view.generation, self.view.number, rank
        if (head, flags, generation, group, to) != wanted:
            raise WrongResultError(f"rank {rank}: slot {slot}, round {round_}: header {frame[at : at + 24].hex()}")
        if values != (b"" if silent else struct.pack("!I", expected) * _VALUES):
            raise WrongResultError(f"rank {rank}: slot {slot}, round {round_}: {values[:4].hex()}, not {expected:08x}")
        return Result(rank, slot, number)


def explore(world: World, limit: int) -> tuple[int, bool]:
    """Visits every state that can be reached, up to `limit`; returns how many, and whether those were all.

    Raises WrongResultError for a result that is not the sum, AssertionError for a state that cannot finish any more.
    """
    start = world.start()
    seen = {start}
    todo = [start]
    sure: set[State] = set()
    while todo:
        state = todo.pop()
        finishes(world, state, sure)
        for arrival in world.arrivals(state):
            for following in world.after(state, arrival):
                if following not in seen:
                    if len(seen) >= limit:
                        return len(seen), False
                    seen.add(following)
                    todo.append(following)
    return len(seen), True


def finishes(world: World, state: State, sure: set[State]) -> None:
    """From here on nothing is lost: members repeat what they have no result of, and must all come to an end."""
    way: list[State] = []
    for _ in range(4 * world.rounds * world.slots + 4):
        if state in sure or world.finished(state):
            sure.update(way)
            return
        way.append(state)
        for member in world.members:
            for slot in range(world.slots):
                number = state.done[member.rank][slot]
                if number < world.rounds:
                    state = deliver(world, state, world.contribution(member, slot, number))
    raise AssertionError(f"stuck at {state.done}")


def deliver(world: World, state: State, arrival: Arrival) -> State:
    """A packet arrives, and everything that it leads to."""
    todo = [arrival]
    while todo:
        packet = todo.pop(0)
        number = world.switches.index(packet.switch)
        todo += [one for one in world.step(number, state.cells[number], packet)[1] if isinstance(one, Arrival)]
        *_, state = world.after(state, packet)
    return state
