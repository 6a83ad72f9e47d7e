"""What a pipeline offers over P4Runtime: the objects of the P4Info, by id, with what the program knows of them.

Made by `binding` from a P4Info and a program that fit each other. Everything else in this package looks ids up here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from softswitch.p4runtime.errors import Code, P4RuntimeError, not_found
from softswitch.p4runtime.p4data import DataType
from softswitch.p4runtime.values import ValueType
from softswitch.program.pipeline import KeyDef


class MatchKind(enum.Enum):
    """The match kinds of P4Runtime; the value names the member of `FieldMatch`."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


NEEDS_PRIORITY: Final = frozenset({MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL})


class Scope(enum.Enum):
    """Where a table may use one of its actions."""

    TABLE_AND_DEFAULT = 0
    TABLE_ONLY = 1
    DEFAULT_ONLY = 2


@dataclass(frozen=True, slots=True)
class Param:
    """An action parameter or a field of a controller header."""

    id: int
    name: str
    type: ValueType


@dataclass(frozen=True, slots=True)
class Key:
    """A match field of a table or value set; `engine` is the program's key, None in a value set."""

    id: int
    name: str
    kind: MatchKind
    type: ValueType
    engine: KeyDef | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """An action; `params` are in the order of the program."""

    id: int
    name: str
    params: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """An indexed or direct counter; `size` is 0 for a direct one."""

    id: int
    name: str
    size: int
    packets: bool
    bytes: bool


class MeterKind(enum.Enum):
    """Which configurations a meter takes (P4Runtime 1.4, `MeterSpec.Type`)."""

    TWO_RATE_THREE_COLOR = 0
    SINGLE_RATE_THREE_COLOR = 1
    SINGLE_RATE_TWO_COLOR = 2


@dataclass(frozen=True, slots=True)
class Meter:
    """An indexed or direct meter; `size` is 0 for a direct one."""

    id: int
    name: str
    size: int
    kind: MeterKind


@dataclass(frozen=True, slots=True)
class Profile:
    """An action profile or, with groups, an action selector.

    Attributes:
        actions: what a member may call, by id.
        table_names: the tables implemented with it.
        max_group_size: 0 when there is no limit.
        sum_of_members: whether sizes count members; otherwise they count weights.
        max_member_weight: 0 when there is no limit.
        weights_disallowed: whether clients give no weights.
    """

    id: int
    name: str
    actions: Mapping[int, Action]
    table_names: tuple[str, ...]
    size: int
    with_selector: bool
    max_group_size: int
    sum_of_members: bool
    max_member_weight: int
    weights_disallowed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A match-action table.

    Attributes:
        scopes: where each of `actions` may be used, by action id.
        const_default: whether the default action is constant.
        const: whether the entries are constant.
    """

    id: int
    name: str
    keys: tuple[Key, ...]
    actions: Mapping[int, Action]
    scopes: Mapping[int, Scope]
    const_default: bool
    const: bool
    idle_timeout: bool
    profile: Profile | None
    counter: Counter | None
    meter: Meter | None

    @property
    def needs_priority(self) -> bool:
        """Whether entries are ordered by priority."""
        return any(key.kind in NEEDS_PRIORITY for key in self.keys)


@dataclass(frozen=True, slots=True)
class Register:
    """A register array."""

    id: int
    name: str
    size: int
    type: DataType


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A parser value set."""

    id: int
    name: str
    size: int
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest; `name` is the program's."""

    id: int
    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class PacketHeader:
    """The header in front of a packet to or from the controller; `fields` in the order of the wire."""

    name: str
    fields: tuple[Param, ...]

    @property
    def size(self) -> int:
        """Octets; the last one is filled up with zero bits."""
        return (sum(field.type.width for field in self.fields) + 7) // 8


@dataclass(frozen=True, slots=True)
class Schema:
    """A pipeline's objects by id, and its actions by name."""

    tables: Mapping[int, Table]
    actions: Mapping[str, Action]
    profiles: Mapping[int, Profile]
    counters: Mapping[int, Counter]
    meters: Mapping[int, Meter]
    registers: Mapping[int, Register]
    value_sets: Mapping[int, ValueSet]
    digests: Mapping[int, Digest]
    packet_in: PacketHeader | None
    packet_out: PacketHeader | None


ObjectT = TypeVar("ObjectT")


def look_up(objects: Mapping[int, ObjectT], object_id: int, noun: str) -> ObjectT:
    """The object with an id.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT for id 0, which names nothing; NOT_FOUND for an id the P4Info has not.
    """
    if object_id == 0:
        raise P4RuntimeError(Code.INVALID_ARGUMENT, f"the {noun} id is not set")
    known = objects.get(object_id)
    if known is None:
        raise not_found(f"the P4Info has no {noun} with id {object_id} (0x{object_id:08x})")
    return known
