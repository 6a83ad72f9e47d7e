"""Names defined so far, and how references to them are resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from softswitch.program.actions import ActionDef
from softswitch.program.calculations import CalculationDef
from softswitch.program.expressions import Expr
from softswitch.program.headers import (
    Field,
    FieldRef,
    Header,
    HeaderStack,
    HeaderType,
    HeaderUnion,
    HeaderUnionStack,
    HeaderUnionType,
)
from softswitch.program.load.cursor import Cursor
from softswitch.program.pipeline import ActionProfileDef
from softswitch.program.stateful import CounterDef, MeterDef, RegisterDef, ValueSetDef

T = TypeVar("T")


@dataclass(slots=True)
class Scope:
    """The symbol tables of a document that is being loaded."""

    header_types: dict[str, HeaderType] = field(default_factory=dict)
    length_expressions: dict[HeaderType, Expr] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    stacks: dict[str, HeaderStack] = field(default_factory=dict)
    union_types: dict[str, HeaderUnionType] = field(default_factory=dict)
    unions: dict[str, HeaderUnion] = field(default_factory=dict)
    union_stacks: dict[str, HeaderUnionStack] = field(default_factory=dict)
    aliases: dict[str, FieldRef] = field(default_factory=dict)
    value_sets: dict[str, ValueSetDef] = field(default_factory=dict)
    calculations: dict[str, CalculationDef] = field(default_factory=dict)
    counters: dict[str, CounterDef] = field(default_factory=dict)
    meters: dict[str, MeterDef] = field(default_factory=dict)
    registers: dict[str, RegisterDef] = field(default_factory=dict)
    actions: dict[int, ActionDef] = field(default_factory=dict)
    action_profiles: dict[str, ActionProfileDef] = field(default_factory=dict)

    def header_field(self, at: Cursor) -> FieldRef:
        """A [header, field] pair; aliases are not looked at."""
        header_at, field_at = at.exactly(2)
        header = lookup(self.headers, header_at, "header")
        return FieldRef(header, field_of(header.type, field_at))

    def aliased_field(self, at: Cursor) -> FieldRef:
        """A [header, field] pair, or an alias spelled as one."""
        header_at, field_at = at.exactly(2)
        alias = self.aliases.get(f"{header_at.text()}.{field_at.text()}")
        return alias if alias is not None else self.header_field(at)


def lookup(names: dict[str, T], at: Cursor, what: str) -> T:
    """The object a string refers to."""
    name = at.text()
    if name not in names:
        raise at.error(f"there is no {what} of this name")
    return names[name]


def define(names: dict[str, T], at: Cursor, what: str, item: T) -> None:
    """Give an object its name, at the cursor's ``name`` attribute."""
    name_at = at.get("name")
    name = name_at.name()
    if name in names:
        raise name_at.error(f"there already is a {what} of this name")
    names[name] = item


def field_of(header_type: HeaderType, at: Cursor) -> Field:
    """The field of a header type a string refers to."""
    found = header_type.find(at.text())
    if found is None:
        raise at.error(f"header type {header_type.name} has no such field")
    return found


def unique_ids(items: list[Cursor]) -> list[Cursor]:
    """The items, whose ids must differ from each other."""
    seen: set[int] = set()
    for item in items:
        id_at = item.get("id")
        if id_at.integer() in seen:
            raise id_at.error("is the id of another object of this kind")
        seen.add(id_at.integer())
    return items
