"""Two switches with one program, one for each engine, that must not be told apart.

Entries are made from what the reference engine looked up in vain, so that packets reach deep into any program.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from softswitch.program import Program
from softswitch.program.pipeline import KeyDef, TableDef
from softswitch.reference.trace import Event, PrimitiveRun, TableApplied
from softswitch.state import (
    ActionCall,
    CloneSession,
    DigestConfig,
    DigestList,
    Exact,
    GroupMember,
    GroupRef,
    Lpm,
    Match,
    MatchValue,
    MemberRef,
    Range,
    Replica,
    StateError,
    Ternary,
)
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import CPU_PORT

PORTS = 8
_UNPREDICTABLE = "modify_field_rng_uniform"


class Twins:
    """The two switches, and the same changes to both."""

    def __init__(self, program: Program, rng: random.Random) -> None:
        self.program = program
        self.rng = rng
        self.clock = Clock()
        self.events: list[Event] = []
        self.digests: tuple[list[DigestList], list[DigestList]] = ([], [])
        self.reference = Switch(0, cpu_port=CPU_PORT, clock=self.clock, trace=self.events.append, engine="reference")
        self.native = Switch(0, cpu_port=CPU_PORT, clock=self.clock, engine="native")
        for switch, digests in zip(self.both, self.digests, strict=True):
            switch.set_program(program)
            switch.on_digest = digests.append
            switch.state.port_is_up = lambda port: port % 3 != 2
        assert (self.reference.engine, self.native.engine) == ("reference", "native")

    @property
    def both(self) -> tuple[Switch, Switch]:
        """The switches."""
        return self.reference, self.native

    def furnish(self) -> None:
        """Everything that entries and packets may refer to."""
        rng = self.rng
        for id in range(1, 6):
            replicas = {Replica(rng.randrange(PORTS), rng.randrange(4)) for _ in range(rng.randrange(4))}
            session = CloneSession(id, tuple(replicas), packet_length_bytes=rng.choice((0, 0, 20, 60)))
            for switch in self.both:
                switch.state.multicast.create_group(id, replicas)
                switch.state.clone_sessions.create(session)
        for name in self.program.digests:
            for switch in self.both:
                switch.state.digests(name).configure(DigestConfig(max_list_size=2, max_timeout_ns=10**9))
        for profile_name, profile in self.program.action_profiles.items():
            users = [t for t in self.program.tables.values() if t.action_profile == profile_name]
            for id in range(1, 5):
                call = self.call(rng.choice(users))
                self.apply(lambda s, n=profile_name, i=id, c=call: s.state.action_profile(n).add_member(i, c))
            if profile.selector is not None:
                for id in range(1, 4):
                    shares = [
                        GroupMember(m, rng.randrange(1, 4), rng.choice((None, *range(PORTS))))
                        for m in rng.sample(range(1, 5), rng.randrange(4))
                    ]
                    self.apply(lambda s, n=profile_name, i=id: s.state.action_profile(n).create_group(i))
                    self.apply(lambda s, n=profile_name, i=id, m=shares: s.state.action_profile(n).set_members(i, m))
        for name, meter in self.program.meters.items():
            if not meter.direct and meter.size:
                bursts = (2, 4) if meter.unit == "packets" else (40, 90)
                for switch in self.both:
                    for index in range(min(meter.size, 4)):
                        switch.state.meter(name).set_config(index, 1, bursts[0], 2, bursts[1])
        for values in self.program.value_sets.values():
            for switch in self.both:
                switch.state.value_set(values.name).set_members([(Ternary(v, 0xF),) for v in (1, 5)])

    def apply(self, change: Any) -> None:
        """A change that both switches take, or both refuse for the same reason."""
        outcomes = []
        for switch in self.both:
            try:
                change(switch)
                outcomes.append("")
            except StateError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]

    def send(self, port: int, packet: bytes) -> list[Event]:
        """The same packet to both; what the reference tells of it."""
        self.events.clear()
        self.clock.advance(self.rng.choice((0, 0.001, 0.4)))
        outputs = [switch.process(port, packet) for switch in self.both]
        if not any(isinstance(e, PrimitiveRun) and e.op == _UNPREDICTABLE for e in self.events):
            assert outputs[1] == outputs[0], packet.hex()
            self.compare()
        return list(self.events)

    def compare(self) -> None:
        """All that packets leave behind."""
        a, b = (switch.state for switch in self.both)
        for name in a.counters:
            assert a.counters[name].memory.view == b.counters[name].memory.view, name
        for name in a.registers:
            assert a.registers[name].memory.view == b.registers[name].memory.view, name
        for name in a.meters:
            assert a.meters[name].memory.view == b.meters[name].memory.view, name
        for name, table in a.tables.items():
            other = {(e.match, e.priority): e for e in b.tables[name].entries()}
            for entry in table.entries():
                twin = other.pop((entry.match, entry.priority))
                words = 3 if entry.meter is None else 13
                assert entry.cell.words(words) == twin.cell.words(words), (name, entry)
            assert not other
        assert self.digests[0] == self.digests[1]

    # Entries

    def learn(self, events: Sequence[Event]) -> None:
        """Changes to the tables that the packet has met, most of them entries that it would have hit."""
        for event in events:
            if isinstance(event, TableApplied) and self.rng.random() < 0.5:
                table = self.program.tables[event.table]
                if event.entry is None or self.rng.random() < 0.4:  # on a hit, one that overlaps
                    self._insert(table, tuple(part.value for part in event.key))
                elif self.rng.random() < 0.2:
                    self._change(table, event.entry.match, event.entry.priority)

    def _insert(self, table: TableDef, key: tuple[int, ...]) -> None:
        if not table.keys or self.rng.random() < 0.05:
            target = self.target(table)
            self.apply(lambda s: s.state.table(table.name).set_default(target))
            return
        match = tuple(self._around(part, value) for part, value in zip(table.keys, key, strict=True))
        priority = self.rng.randrange(5) if table.match_type in ("ternary", "range") else 0
        target = self.target(table)
        timeout = self.rng.choice((0, 10**9)) if table.support_timeout else 0
        self.apply(
            lambda s: (
                s.state.table(table.name).insert(match, target, priority, idle_timeout_ns=timeout)
                if target is not None
                else None
            )
        )
        if table.direct_meter is not None:
            for switch in self.both:
                for entry in switch.state.table(table.name).entries():
                    if entry.meter is not None and entry.meter.config is None:
                        entry.meter.set_config(1, 40, 2, 90)

    def _change(self, table: TableDef, match: Match, priority: int) -> None:
        if self.rng.random() < 0.5:
            self.apply(lambda s: s.state.table(table.name).delete(match, priority))
        else:
            target = self.target(table)
            self.apply(lambda s: s.state.table(table.name).modify(match, target, priority) if target else None)

    def _around(self, key: KeyDef, value: int) -> MatchValue:
        """Something that a value matches."""
        ones, rng = (1 << key.width) - 1, self.rng
        match key.match_type:
            case "lpm":
                return Lpm(value, rng.choice((0, key.width, rng.randrange(key.width + 1))))
            case "ternary":
                return Ternary(value, rng.choice((0, ones, rng.getrandbits(key.width))))
            case "range":
                spread = rng.choice((0, 3, ones))
                return Range(max(value - spread, 0), min(value + spread, ones))
            case _:
                return Exact(value)

    def target(self, table: TableDef) -> Any:
        """A target that a table may take."""
        if table.type == "simple":
            return self.call(table)
        if table.type == "indirect_ws" and self.rng.random() < 0.6:
            return GroupRef(self.rng.randrange(1, 4))
        return MemberRef(self.rng.randrange(1, 5))

    def call(self, table: TableDef) -> ActionCall:
        """An action of a table with parameters that are small, or any."""
        action = self.rng.choice(list(table.actions.values()))
        params = [
            self.rng.getrandbits(p.width) if self.rng.random() < 0.3 else self.rng.randrange(PORTS) & (1 << p.width) - 1
            for p in action.params
        ]
        return ActionCall(action.name, tuple(params))
