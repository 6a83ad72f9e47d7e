"""Control flow: tables, conditionals and action calls, linked by name into a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from softswitch.program.actions import ActionDef, SourceInfo
from softswitch.program.calculations import CalculationInput
from softswitch.program.expressions import Expr
from softswitch.program.headers import FieldRef, Header
from softswitch.program.match import Match

MatchType = Literal["exact", "lpm", "ternary", "range", "optional", "valid"]
TableType = Literal["simple", "indirect", "indirect_ws"]


@dataclass(frozen=True, slots=True)
class KeyDef:
    """One key field of a table.

    target: the field looked at, or for match type ``valid`` the header
    mask:   ANDed to the field before the lookup, or None
    P4's match kind ``optional`` reaches the JSON as ``ternary``.
    """

    name: str
    match_type: MatchType
    width: int
    target: FieldRef | Header
    mask: int | None


@dataclass(frozen=True, slots=True)
class ConstEntry:
    """An entry written in the program. A smaller bmv2 priority wins."""

    match: Match
    priority: int
    action: ActionDef
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DefaultEntry:
    """The program's default action.

    action_const: the control plane may not choose another action
    entry_const:  nor other arguments
    """

    action: ActionDef
    arguments: tuple[int, ...]
    action_const: bool
    entry_const: bool


@dataclass(frozen=True, slots=True, eq=False)
class SelectorDef:
    """How a member of a group is chosen: a hash over fields of the packet."""

    algorithm: str
    inputs: tuple[CalculationInput, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ActionProfileDef:
    """Members (and, with a selector, groups of them) shared by tables."""

    name: str
    id: int
    max_size: int
    selector: SelectorDef | None


@dataclass(frozen=True, slots=True)
class NextByAction:
    """The node after a table by the id of the action that ran; miss is taken when no action ran."""

    by_action: Mapping[int, str | None]
    miss: str | None


@dataclass(frozen=True, slots=True)
class NextByHit:
    """The node after a table by hit or miss."""

    hit: str | None
    miss: str | None


@dataclass(frozen=True, slots=True, eq=False)
class TableDef:
    """A match-action table.

    match_type:    how entries are found: ``exact``, ``lpm``, ``ternary`` or ``range``
    actions:       by name
    const_entries: None when the control plane fills the table; otherwise the table is immutable
    """

    name: str
    id: int
    match_type: Literal["exact", "lpm", "ternary", "range"]
    type: TableType
    keys: tuple[KeyDef, ...]
    max_size: int
    with_counters: bool
    support_timeout: bool
    direct_meter: str | None
    action_profile: str | None
    actions: Mapping[str, ActionDef]
    default_entry: DefaultEntry | None
    const_entries: tuple[ConstEntry, ...] | None
    next: NextByAction | NextByHit
    source: SourceInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalDef:
    """A branch."""

    name: str
    id: int
    expression: Expr
    if_true: str | None
    if_false: str | None
    source: SourceInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ActionCallDef:
    """An action called without a table."""

    name: str
    id: int
    action: ActionDef
    next: str | None


NodeDef = TableDef | ConditionalDef | ActionCallDef


@dataclass(frozen=True, slots=True, eq=False)
class PipelineDef:
    """A control (ingress or egress): nodes by name and the first of them. The graph has no cycles."""

    name: str
    id: int
    first: str | None
    nodes: Mapping[str, NodeDef]


class CycleError(ValueError):
    """A node, named by the argument, can be reached from itself."""


def successors(node: NodeDef) -> set[str]:
    """The nodes that can follow a node."""
    found: set[str | None]
    match node:
        case TableDef(next=NextByAction(by_action, miss)):
            found = {*by_action.values(), miss}
        case TableDef(next=NextByHit(hit, miss)):
            found = {hit, miss}
        case ConditionalDef(if_true=if_true, if_false=if_false):
            found = {if_true, if_false}
        case ActionCallDef(next=following):
            found = {following}
    return {name for name in found if name is not None}


def in_reverse(nodes: Mapping[str, NodeDef]) -> list[NodeDef]:
    """The nodes, each behind all that can follow it. CycleError if there is no such order."""
    ordered: list[NodeDef] = []
    done: set[str] = set()
    for start in nodes:
        path = [] if start in done else [(start, successors(nodes[start]))]
        while path:
            name, left = path[-1]
            if not left:
                path.pop()
                if name not in done:
                    done.add(name)
                    ordered.append(nodes[name])
                continue
            following = left.pop()
            if any(following == on_path for on_path, _ in path):
                raise CycleError(following)
            if following not in done:
                path.append((following, successors(nodes[following])))
    return ordered
