"""Header types, headers, stacks, unions, and field aliases."""

from __future__ import annotations

from typing import TypeVar

from softswitch.program.headers import (
    VALID_FIELD,
    Field,
    Header,
    HeaderStack,
    HeaderType,
    HeaderUnion,
    HeaderUnionStack,
    HeaderUnionType,
)
from softswitch.program.load.cursor import MAX_WIDTH, Cursor
from softswitch.program.load.expressions import data_expression
from softswitch.program.load.scope import Scope, define, lookup, unique_ids

T = TypeVar("T")
E = TypeVar("E", Header, HeaderUnion)


def load_headers(document: Cursor, scope: Scope) -> None:
    """Everything that packets are made of."""
    for at in unique_ids(document.items("header_types")):
        define(scope.header_types, at, "header type", _header_type(at))
    headers: dict[int, Header] = {}
    for at in unique_ids(document.items("headers")):
        header = _header(at, scope)
        define(scope.headers, at, "header", header)
        headers[header.id] = header
    for at in document.items("header_types"):  # only now, the expression may name headers
        _length_expression(at, scope)
    for at in unique_ids(document.items("header_stacks")):
        define(scope.stacks, at, "header stack", _stack(at, scope, headers))
    for at in unique_ids(document.items("header_union_types")):
        define(scope.union_types, at, "header union type", _union_type(at, scope))
    unions: dict[int, HeaderUnion] = {}
    for at in unique_ids(document.items("header_unions")):
        union = _union(at, scope, headers)
        define(scope.unions, at, "header union", union)
        unions[union.id] = union
    for at in unique_ids(document.items("header_union_stacks")):
        define(scope.union_stacks, at, "header union stack", _union_stack(at, scope, unions))
    for at in document.items("field_aliases"):
        name_at, target_at = at.exactly(2)
        scope.aliases[name_at.name()] = scope.header_field(target_at)


def _header_type(at: Cursor) -> HeaderType:
    fields: list[Field] = []
    for field_at in at.items("fields"):
        parts = field_at.items()
        if not 2 <= len(parts) <= 4:
            raise field_at.error("is not [name, width] or [name, width, signed]")
        name, width_at = parts[0].name(), parts[1]
        if any(f.name == name for f in fields):
            raise parts[0].error("there already is a field of this name")
        signed = len(parts) > 2 and parts[2].flag()
        variable = width_at.value == "*"
        if variable and any(f.variable for f in fields):
            raise field_at.error("is a second variable-length field")
        width = 0 if variable else width_at.integer(0, MAX_WIDTH)
        if len(parts) > 3 and parts[3].flag():
            raise parts[3].error("saturating fields are not supported")
        fields.append(Field(name, len(fields), width, signed, variable))
    fields.append(Field(VALID_FIELD, len(fields), 1, hidden=True))
    max_length = at.find("max_length")
    return HeaderType(
        at.get("name").name(),
        at.get("id").integer(),
        tuple(fields),
        max_length.integer(0, MAX_WIDTH) if max_length else None,
    )


def _length_expression(at: Cursor, scope: Scope) -> None:
    expression_at = at.find("length_exp")
    if expression_at is not None:
        header_type = scope.header_types[at.get("name").text()]
        local_widths = tuple(f.width for f in header_type.wire_fields)
        scope.length_expressions[header_type] = data_expression(expression_at, scope, len(local_widths))


def _header(at: Cursor, scope: Scope) -> Header:
    header_type = lookup(scope.header_types, at.get("header_type"), "header type")
    metadata = at.get("metadata").flag()
    if not metadata and header_type.fixed_bits % 8:
        raise at.error(f"header type {header_type.name} is not a whole number of octets")
    return Header(at.get("name").name(), at.get("id").integer(), header_type, metadata)


def _by_id(at: Cursor, known: dict[int, T], what: str) -> T:
    if at.integer() not in known:
        raise at.error(f"there is no {what} of this id")
    return known[at.integer()]


def _elements(ids: Cursor, known: dict[int, E], of: HeaderType | HeaderUnionType, what: str) -> tuple[E, ...]:
    """The elements of a stack: different ones of one type, at least one."""
    elements: list[E] = []
    for id_at in ids.items():
        element = _by_id(id_at, known, what)
        if element.type is not of or element in elements:
            raise id_at.error(f"is not another {what} of type {of.name}")
        elements.append(element)
    if not elements:
        raise ids.error("is empty")
    return tuple(elements)


def _stack(at: Cursor, scope: Scope, headers: dict[int, Header]) -> HeaderStack:
    header_type = lookup(scope.header_types, at.get("header_type"), "header type")
    members = _elements(at.get("header_ids"), headers, header_type, "header")
    return HeaderStack(at.get("name").name(), at.get("id").integer(), header_type, members)


def _union_type(at: Cursor, scope: Scope) -> HeaderUnionType:
    members = []
    for member_at in at.get("headers").items():
        name_at, type_at = member_at.exactly(2)
        members.append((name_at.name(), lookup(scope.header_types, type_at, "header type")))
    if not members:
        raise at.get("headers").error("is empty")
    return HeaderUnionType(at.get("name").name(), at.get("id").integer(), tuple(members))


def _union(at: Cursor, scope: Scope, headers: dict[int, Header]) -> HeaderUnion:
    union_type = lookup(scope.union_types, at.get("union_type"), "header union type")
    ids_at = at.get("header_ids")
    members = []
    for id_at, (_, header_type) in zip(ids_at.exactly(len(union_type.members)), union_type.members, strict=True):
        header = _by_id(id_at, headers, "header")
        taken = header in members or any(header in union.headers for union in scope.unions.values())
        if header.type is not header_type or taken:
            raise id_at.error(f"is not another header of type {header_type.name}")
        members.append(header)
    return HeaderUnion(at.get("name").name(), at.get("id").integer(), union_type, tuple(members))


def _union_stack(at: Cursor, scope: Scope, unions: dict[int, HeaderUnion]) -> HeaderUnionStack:
    union_type = lookup(scope.union_types, at.get("union_type"), "header union type")
    members = _elements(at.get("header_union_ids"), unions, union_type, "header union")
    return HeaderUnionStack(at.get("name").name(), at.get("id").integer(), union_type, members)
