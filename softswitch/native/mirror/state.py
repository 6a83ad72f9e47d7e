"""The whole state of a switch, where machine code finds it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

from softswitch.native.compiler import Code
from softswitch.native.heap import Heap, write_words
from softswitch.native.mirror.profiles import ProfileMirror
from softswitch.native.mirror.replication import CloneMirror, MulticastMirror
from softswitch.native.mirror.tables import TableMirror
from softswitch.native.mirror.targets import Calls
from softswitch.native.mirror.valuesets import ValueSetMirror
from softswitch.native.objects import Objects, is_custom, profile_actions, value_set_transitions
from softswitch.native.translate.hashing import crc_words
from softswitch.program.algorithms import crc_parameters
from softswitch.program.calculations import CalculationDef
from softswitch.state import SwitchState


class StateMirror:
    """addresses: of every object of the program, by its number. watched: ports that selector groups look at."""

    def __init__(self, state: SwitchState, objects: Objects, core: Code) -> None:
        self.heap = Heap()
        self.watched: Counter[int] = Counter()
        self._state = state
        self._objects = objects
        self.addresses = [0] * len(objects)
        program = state.program
        self._profiles = {
            name: ProfileMirror(
                profile, Calls(profile_actions(program, name), objects.actions), self.heap, self.watched
            )
            for name, profile in state.action_profiles.items()
        }
        for name, profile in program.action_profiles.items():
            self.addresses[objects[profile]] = self._zeros(8)
            assert name in self._profiles
        self._tables = [self._table(name, core) for name in program.tables]
        for name, counter in state.counters.items():
            self.addresses[objects[program.counters[name]]] = counter.memory.address
        for name, meter in state.meters.items():
            self.addresses[objects[program.meters[name]]] = meter.memory.address
        for name, register in state.registers.items():
            self.addresses[objects[program.registers[name]]] = register.memory.address
        for calculation in program.calculations.values():
            self._calculation(calculation)
        state.crc_observer = lambda name: self._set_crc(program.calculations[name])
        self._value_sets()
        self.multicast = MulticastMirror(state.multicast, self.heap)
        self.clones = CloneMirror(state.clone_sessions, self.heap)

    def close(self) -> None:
        """Nothing is kept up to date any longer, and the memory is given back."""
        state = self._state
        for table in self._tables:
            table.close()
        for profile in state.action_profiles.values():
            profile.observer = None
        for values in state.value_sets.values():
            values.observer = None
        state.multicast.observer = state.clone_sessions.observer = state.crc_observer = None
        self.heap.close()

    def _zeros(self, octets: int) -> int:
        address = self.heap.take(octets)
        write_words(address, *([0] * (octets // 8)))
        return address

    def _table(self, name: str, core: Code) -> TableMirror:
        table = self._state.tables[name]
        definition = table.definition
        profile = self._profiles[definition.action_profile] if definition.action_profile else None
        calls = Calls(definition.actions, self._objects.actions)
        mirror = TableMirror(table, calls, profile, self.heap, core)
        self.addresses[self._objects[definition]] = mirror.address
        return mirror

    def _calculation(self, definition: CalculationDef) -> None:
        number = self._objects[definition]
        if is_custom(definition):
            self.addresses[number] = self.heap.take(8 * (5 + 256))
            self._set_crc(definition)
        else:
            self.addresses[number] = self._zeros(8)

    def _set_crc(self, definition: CalculationDef) -> None:
        parameters = self._state.crc_parameters.get(definition.name) or crc_parameters(definition.algorithm)
        assert parameters is not None
        write_words(self.addresses[self._objects[definition]], *crc_words(parameters))

    def _value_sets(self) -> None:
        users: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        for parse_state in self._state.program.parser.states.values():
            for transition in value_set_transitions(parse_state):
                values = self._state.value_sets[transition.value_set.name]
                mirror = ValueSetMirror(values, parse_state, self.heap)
                self.addresses[self._objects[parse_state, transition]] = mirror.address
                users[values.name].append(mirror.changed)
        for name, changed in users.items():
            self._state.value_sets[name].observer = partial(_tell, changed)


def _tell(observers: list[Callable[[], None]]) -> None:
    for observer in observers:
        observer()
