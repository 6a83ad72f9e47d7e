"""The whole run-time state of a program, apart from packets in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from softswitch.program.algorithms import CrcParameters
from softswitch.program.model import Program
from softswitch.program.pipeline import ActionProfileDef
from softswitch.state.arrays import CounterArray, RegisterArray
from softswitch.state.digests import DigestList, DigestStream
from softswitch.state.entries import ActionCall, Entry
from softswitch.state.errors import InvalidEntry
from softswitch.state.meters import MeterArray
from softswitch.state.profiles import ActionProfile
from softswitch.state.replication import CloneSessions, MulticastGroups
from softswitch.state.tables import Table, check_call
from softswitch.state.valuesets import ValueSet


class SwitchState:
    """Everything the control plane can read and write. Accessors raise KeyError for unknown names.

    clock:      nanoseconds, monotonic
    port_is_up: asked for the watch ports of selector groups
    """

    def __init__(self, program: Program, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.program = program
        self.clock = clock
        self.port_is_up: Callable[[int], bool] = lambda _port: True
        now = clock()
        self.action_profiles: Mapping[str, ActionProfile] = {
            name: ActionProfile(definition, self._call_checker(definition), lambda port: self.port_is_up(port))
            for name, definition in program.action_profiles.items()
        }
        self.tables: Mapping[str, Table] = {
            name: Table(
                definition,
                self.action_profiles[definition.action_profile] if definition.action_profile else None,
                program.meters[definition.direct_meter] if definition.direct_meter else None,
                clock,
            )
            for name, definition in program.tables.items()
        }
        self.counters: Mapping[str, CounterArray] = {
            c.name: CounterArray(c.name, c.size) for c in program.counters.values() if not c.direct
        }
        self.meters: Mapping[str, MeterArray] = {
            m.name: MeterArray(m.name, m.size, m.unit, now) for m in program.meters.values() if not m.direct
        }
        self.registers: Mapping[str, RegisterArray] = {
            r.name: RegisterArray(r.name, r.size, r.width) for r in program.registers.values()
        }
        self.value_sets: Mapping[str, ValueSet] = {v.name: ValueSet(v) for v in program.value_sets.values()}
        self.digest_streams: Mapping[str, DigestStream] = {
            d.name: DigestStream(d, clock) for d in program.digests.values()
        }
        self.crc_parameters: dict[str, CrcParameters] = {}
        self.crc_observer: Callable[[str], None] | None = None
        self.multicast = MulticastGroups()
        self.clone_sessions = CloneSessions()

    def table(self, name: str) -> Table:
        """A table by name."""
        return self.tables[name]

    def action_profile(self, name: str) -> ActionProfile:
        """An action profile or selector by name."""
        return self.action_profiles[name]

    def counter(self, name: str) -> CounterArray:
        """An indirect counter array; direct counters are in the entries of their table."""
        return self.counters[name]

    def meter(self, name: str) -> MeterArray:
        """An indirect meter array; direct meters are in the entries of their table."""
        return self.meters[name]

    def register(self, name: str) -> RegisterArray:
        """A register array."""
        return self.registers[name]

    def value_set(self, name: str) -> ValueSet:
        """A parser value set."""
        return self.value_sets[name]

    def digests(self, name: str) -> DigestStream:
        """The stream of a digest."""
        return self.digest_streams[name]

    def set_digest_callback(self, callback: Callable[[DigestList], None] | None) -> None:
        """Where the lists of all digests go."""
        for stream in self.digest_streams.values():
            stream.callback = callback

    def set_crc_parameters(self, calculation: str, parameters: CrcParameters | None) -> None:
        """Give a custom CRC calculation other parameters, or with None those of the program again.

        KeyError for an unknown calculation; InvalidEntry if its algorithm is not a custom CRC of that width.
        """
        algorithm = self.program.calculations[calculation].algorithm
        if parameters is None:
            self.crc_parameters.pop(calculation, None)
        elif algorithm == f"crc{parameters.width}_custom":
            self.crc_parameters[calculation] = parameters
        else:
            raise InvalidEntry(f"calculation {calculation} is {algorithm}, not crc{parameters.width}_custom")
        if self.crc_observer is not None:
            self.crc_observer(calculation)

    def sweep_idle(self) -> list[tuple[str, list[Entry]]]:
        """Tables with the entries that have become idle since the last sweep."""
        now = self.clock()
        swept = ((t.name, t.sweep_idle(now)) for t in self.tables.values() if t.definition.support_timeout)
        return [(name, entries) for name, entries in swept if entries]

    def clear(self) -> None:
        """As after loading the program."""
        for table in self.tables.values():
            table.clear()
        for profile in self.action_profiles.values():
            profile.clear()
        arrays = (self.counters, self.meters, self.registers, self.value_sets, self.digest_streams)
        for objects in arrays:
            for item in objects.values():
                item.clear()
        for calculation in list(self.crc_parameters):
            self.set_crc_parameters(calculation, None)
        self.multicast.clear()
        self.clone_sessions.clear()

    def _call_checker(self, profile: ActionProfileDef) -> Callable[[ActionCall], None]:
        """A member can be reached from every table of its profile, so its action must be one of each of them."""
        users = [t.actions for t in self.program.tables.values() if t.action_profile == profile.name]
        actions = {name: a for name, a in users[0].items() if all(name in u for u in users)} if users else {}
        return lambda call: check_call(f"action profile {profile.name}", actions.get(call.name), call)
