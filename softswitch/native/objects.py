"""What the translation of a program and the mirror of its state agree on: numbers of objects, forms of keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from softswitch.native.layout import storage_bits
from softswitch.program.actions import ActionDef, Primitive
from softswitch.program.algorithms import crc_parameters
from softswitch.program.calculations import CalculationDef
from softswitch.program.model import Program
from softswitch.program.parser import CallPrimitive, ParseStateDef, ValueSetTransition
from softswitch.program.pipeline import KeyDef, TableDef


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The words of a table's key.

    The fields without ranges are joined to one number, the first being the highest; range fields follow, each in
    range_words words of its own. words counts all.
    """

    plain: tuple[KeyDef, ...]
    ranges: tuple[KeyDef, ...]
    plain_words: int
    range_words: int

    @property
    def words(self) -> int:
        """Of the whole key."""
        return self.plain_words + self.range_words * len(self.ranges)


def key_form(table: TableDef) -> KeyForm:
    """The form of a table's key."""
    plain = tuple(key for key in table.keys if key.match_type != "range")
    ranges = tuple(key for key in table.keys if key.match_type == "range")
    bits = sum(key.width for key in plain)
    widest = max((key.width for key in ranges), default=0)
    return KeyForm(plain, ranges, (bits + 63) // 64, (widest + 63) // 64)


@dataclass(frozen=True, slots=True)
class ParameterForm:
    """Offsets of an action's parameters, and the size of them all."""

    offsets: tuple[int, ...]
    size: int


def parameter_form(action: ActionDef) -> ParameterForm:
    """The parameters of an action in memory, each in storage of its own."""
    offsets: list[int] = []
    end = 0
    for param in action.params:
        octets = storage_bits(max(param.width, 1)) // 8
        aligned = min(octets, 8)
        end = (end + aligned - 1) // aligned * aligned
        offsets.append(end)
        end += octets
    return ParameterForm(tuple(offsets), (end + 7) // 8 * 8)


def is_custom(calculation: CalculationDef) -> bool:
    """Whether the control plane may change the parameters of a calculation."""
    return calculation.algorithm.endswith("_custom") and crc_parameters(calculation.algorithm) is not None


def profile_actions(program: Program, profile: str) -> dict[str, ActionDef]:
    """The actions that members of a profile can have, by name. Tables may give one name to several actions that do the
    same; a member has the number of the first.
    """
    actions: dict[str, ActionDef] = {}
    for table in program.tables.values():
        if table.action_profile == profile:
            actions = {**table.actions, **actions}
    return actions


class Objects:
    """Numbers of everything that a switch has an address for, in the order of the program. Never changed."""

    def __init__(self, program: Program) -> None:
        self.actions = {action: number for number, action in enumerate(program.actions.values())}
        self.messages = {call: number for number, call in enumerate(_messages(program))}
        self._numbers: dict[object, int] = {}
        for part in (program.tables, program.counters, program.meters, program.registers, program.calculations):
            for item in part.values():
                self._number(item)
        for profile in program.action_profiles.values():
            self._number(profile)
        for state in program.parser.states.values():
            for transition in value_set_transitions(state):
                self._number((state, transition))

    def __getitem__(self, item: object) -> int:
        return self._numbers[item]

    def __len__(self) -> int:
        return len(self._numbers)

    def _number(self, item: object) -> None:
        self._numbers[item] = len(self._numbers)


@lru_cache(maxsize=4)
def objects_of(program: Program) -> Objects:
    """The numbers of a program, one and the same for all switches of a process that run it."""
    return Objects(program)


def value_set_transitions(state: ParseStateDef) -> list[ValueSetTransition]:
    """The transitions of a state that ask a value set."""
    return [transition for transition in state.transitions if isinstance(transition, ValueSetTransition)]


def _messages(program: Program) -> list[Primitive]:
    calls = [call for action in program.actions.values() for call in action.primitives]
    calls += program.deparser.primitives
    for state in program.parser.states.values():
        calls += [op.primitive for op in state.ops if isinstance(op, CallPrimitive)]
    return list(dict.fromkeys(call for call in calls if call.op == "log_msg"))
