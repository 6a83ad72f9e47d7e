"""Table entries and what they refer to."""

from __future__ import annotations

from dataclasses import dataclass, field

from softswitch.program.match import Match
from softswitch.state.meters import MeterCell


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action of a table, by name, with its run-time parameters as non-negative integers."""

    name: str
    params: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberRef:
    """A member of the table's action profile."""

    id: int


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A group of the table's action selector."""

    id: int


Target = ActionCall | MemberRef | GroupRef


@dataclass(slots=True, eq=False)
class Entry:
    """An installed entry.

    priority:        larger wins; 0 in exact and lpm tables
    handle:          order of allocation, breaks ties between equal priorities
    idle_timeout_ns: 0 for never
    last_hit_ns:     clock of the switch at the last hit, or at insertion
    packets, bytes:  direct counter
    meter:           direct meter, None unless the table has one
    """

    match: Match
    priority: int
    target: Target
    handle: int
    idle_timeout_ns: int = 0
    last_hit_ns: int = 0
    packets: int = 0
    bytes: int = 0
    meter: MeterCell | None = field(default=None, repr=False)
