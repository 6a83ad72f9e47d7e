"""Actions: named sequences of primitives."""

from __future__ import annotations

from dataclasses import dataclass

from softswitch.program.calculations import CalculationDef
from softswitch.program.expressions import Expr
from softswitch.program.headers import FieldRef
from softswitch.program.stateful import CounterDef, MeterDef, RegisterDef


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Where in the P4 source a construct comes from, for traces."""

    file: str
    line: int
    fragment: str


@dataclass(frozen=True, slots=True)
class ActionParam:
    """A run-time parameter; width in bits."""

    name: str
    width: int


# A varbit field is copied whole, length included, so the primitive names the field rather than its value.
Argument = Expr | FieldRef | CalculationDef | CounterDef | MeterDef | RegisterDef | str | tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Primitive:
    """One primitive call; the loader has checked the arguments against the primitive's signature."""

    op: str
    arguments: tuple[Argument, ...]
    source: SourceInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ActionDef:
    """An action. Several actions may share a name; the id is unique."""

    name: str
    id: int
    params: tuple[ActionParam, ...]
    primitives: tuple[Primitive, ...]
