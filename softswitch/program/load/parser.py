"""Parsers and deparsers."""

from __future__ import annotations

from softswitch.program.expressions import Const, Expr, FieldValue, LastField
from softswitch.program.headers import FieldRef, HeaderType
from softswitch.program.load.actions import primitive
from softswitch.program.load.cursor import MAX_WIDTH, Cursor
from softswitch.program.load.expressions import bool_expression, data_expression
from softswitch.program.load.scope import Scope, define, field_of, lookup, unique_ids
from softswitch.program.parser import (
    Advance,
    CallPrimitive,
    DeparserDef,
    Extract,
    KeyPart,
    Lookahead,
    ParserDef,
    ParserKey,
    ParserOp,
    ParseStateDef,
    SetField,
    UnionStackField,
    UnionStackMember,
    ValueSetTransition,
    ValueTransition,
    Verify,
)


def load_parsers(document: Cursor, scope: Scope) -> dict[str, ParserDef]:
    """Parsers by name."""
    parsers: dict[str, ParserDef] = {}
    for at in unique_ids(document.get("parsers").items()):
        states: dict[str, ParseStateDef] = {}
        for state_at in unique_ids(at.get("parse_states").items()):
            define(states, state_at, "parse state", _state(state_at, scope))
        for state_at in at.get("parse_states").items():
            for transition_at in state_at.items("transitions"):
                next_at = transition_at.find("next_state")
                if next_at is not None:
                    lookup(states, next_at, "parse state")
        first_at = at.find("init_state")
        first = lookup(states, first_at, "parse state").name if first_at else None
        define(parsers, at, "parser", ParserDef(at.get("name").name(), at.get("id").integer(), first, states))
    return parsers


def load_deparsers(document: Cursor, scope: Scope) -> dict[str, DeparserDef]:
    """Deparsers by name."""
    deparsers: dict[str, DeparserDef] = {}
    for at in unique_ids(document.get("deparsers").items()):
        order = []
        for header_at in at.get("order").items():
            header = lookup(scope.headers, header_at, "header")
            if header.metadata:
                raise header_at.error("is metadata")
            order.append(header)
        deparser = DeparserDef(
            at.get("name").name(),
            at.get("id").integer(),
            tuple(order),
            tuple(primitive(p, scope) for p in at.items("primitives")),
        )
        define(deparsers, at, "deparser", deparser)
    return deparsers


def _state(at: Cursor, scope: Scope) -> ParseStateDef:
    key = tuple(_key_part(part, scope) for part in at.items("transition_key"))
    transitions: list[ValueTransition | ValueSetTransition] = []
    default_next: str | None = None
    for transition_at in at.items("transitions"):
        next_at = transition_at.find("next_state")
        next_state = next_at.name() if next_at else None
        kind_at = transition_at.find("type")
        kind = kind_at.text() if kind_at else "hexstr"
        if kind == "default" or (kind == "hexstr" and transition_at.get("value").value == "default"):
            default_next = next_state
        elif kind == "hexstr":
            transitions.append(_value_transition(transition_at, key, next_state))
        elif kind == "parse_vset":
            transitions.append(_value_set_transition(transition_at, key, next_state, scope))
        else:
            raise transition_at.get("type").error("is not a type of transition")
    return ParseStateDef(
        at.get("name").name(),
        at.get("id").integer(),
        tuple(_op(op, scope) for op in at.items("parser_ops")),
        key,
        tuple(transitions),
        default_next,
    )


def _op(at: Cursor, scope: Scope) -> ParserOp:
    op_at = at.get("op")
    op = op_at.text()
    parameters = at.get("parameters")
    match op:
        case "extract":
            (target_at,) = parameters.exactly(1)
            return _extract(target_at, None, scope)
        case "extract_VL":
            target_at, length_at = parameters.exactly(2)
            return _extract(target_at, length_at, scope)
        case "set":
            target_at, source_at = parameters.exactly(2)
            return _set(target_at, source_at, scope)
        case "verify":
            condition_at, error_at = parameters.exactly(2)
            is_number = type(error_at.value) is int
            error = Const(error_at.integer()) if is_number else data_expression(error_at, scope)
            return Verify(bool_expression(condition_at, scope), error)
        case "shift":
            (octets_at,) = parameters.exactly(1)
            return Advance(Const(8 * octets_at.integer(0, MAX_WIDTH)))
        case "advance":
            (bits_at,) = parameters.exactly(1)
            return Advance(_advance(bits_at, scope))
        case "primitive":
            (call_at,) = parameters.exactly(1)
            call = primitive(call_at, scope)
            if call.op in ("_jump", "_jump_if_zero"):
                raise call_at.error("has nothing to jump to in a parser")
            return CallPrimitive(call)
    raise op_at.error("is not a parser operation")


def _advance(at: Cursor, scope: Scope) -> Expr:
    kind, value_at = at.typed()
    return FieldValue(scope.aliased_field(value_at)) if kind == "field" else data_expression(at, scope)


def _extract(at: Cursor, length_at: Cursor | None, scope: Scope) -> Extract:
    kind, value_at = at.typed()
    match kind:
        case "regular":
            header = lookup(scope.headers, value_at, "header")
            if header.metadata:
                raise value_at.error("is metadata")
            return Extract(header, _length(at, length_at, header.type, scope), length_at is None)
        case "stack":
            stack = lookup(scope.stacks, value_at, "header stack")
            return Extract(stack, _length(at, length_at, stack.type, scope), length_at is None)
        case "union_stack":
            stack_at, member_at = value_at.exactly(2)
            target, header_type = _union_member(stack_at, member_at, scope)
            return Extract(target, _length(at, length_at, header_type, scope), length_at is None)
    raise at.get("type").error("is not something to extract to")


def _length(at: Cursor, length_at: Cursor | None, header_type: HeaderType, scope: Scope) -> Expr | None:
    variable = header_type.variable_field is not None
    if length_at is not None:
        if not variable:
            raise at.error(f"header type {header_type.name} has no variable-length field")
        return data_expression(length_at, scope)
    if variable and header_type not in scope.length_expressions:
        raise at.error(f"header type {header_type.name} has a variable-length field of unknown length")
    return scope.length_expressions.get(header_type) if variable else None


def _union_member(stack_at: Cursor, member_at: Cursor, scope: Scope) -> tuple[UnionStackMember, HeaderType]:
    stack = lookup(scope.union_stacks, stack_at, "header union stack")
    for index, (name, header_type) in enumerate(stack.type.members):
        if name == member_at.text():
            return UnionStackMember(stack, index), header_type
    raise member_at.error(f"is not a member of union type {stack.type.name}")


def _lookahead(at: Cursor) -> Lookahead:
    offset_at, width_at = at.exactly(2)
    return Lookahead(offset_at.integer(0, MAX_WIDTH), width_at.integer(1, MAX_WIDTH))


def _set(target_at: Cursor, source_at: Cursor, scope: Scope) -> SetField:
    target_kind, target_value = target_at.typed()
    if target_kind != "field":
        raise target_at.get("type").error("is not 'field'")
    target = scope.aliased_field(target_value)
    if target.field.hidden:
        raise target_value.error("cannot be written to")
    kind, value_at = source_at.typed()
    source: Expr | Lookahead | FieldRef
    match kind:
        case "lookahead":
            source = _lookahead(value_at)
        case "field":
            ref = scope.aliased_field(value_at)
            source = ref if ref.field.variable else FieldValue(ref)
        case _:
            source = data_expression(source_at, scope)
    if target.field.variable != isinstance(source, FieldRef):
        raise source_at.error("assigns between a variable-length field and another")
    return SetField(target, source)


def _key_part(at: Cursor, scope: Scope) -> ParserKey:
    kind, value_at = at.typed()
    part: KeyPart
    match kind:
        case "field":
            part = scope.aliased_field(value_at)
            width = part.width
        case "stack_field":
            stack_at, field_at = value_at.exactly(2)
            stack = lookup(scope.stacks, stack_at, "header stack")
            field = field_of(stack.type, field_at)
            part, width = LastField(stack, field.index), field.width
        case "union_stack_field":
            stack_at, member_at, field_at = value_at.exactly(3)
            target, header_type = _union_member(stack_at, member_at, scope)
            field = field_of(header_type, field_at)
            part = UnionStackField(target.stack, target.member, field.index, field.width)
            width = field.width
        case "lookahead":
            part = _lookahead(value_at)
            width = part.width
        case _:
            raise at.get("type").error("is not a type of key")
    if width == 0:
        raise value_at.error("has no fixed width")
    return ParserKey(part, width)


def _padded(width: int) -> int:
    return (width + 7) // 8


def _split(octets: bytes, key: tuple[ParserKey, ...]) -> tuple[int, ...]:
    """Values of the key parts, each of which is padded to whole octets."""
    values, start = [], 0
    for part in key:
        end = start + _padded(part.width)
        values.append(int.from_bytes(octets[start:end]))
        start = end
    return tuple(values)


def _padded_value(at: Cursor, key: tuple[ParserKey, ...]) -> tuple[int, ...]:
    octets = at.octets()
    expected = sum(_padded(part.width) for part in key)
    if len(octets) != expected:
        raise at.error(f"is {len(octets)} octets long, the key is {expected}")
    return _split(octets, key)


def _ones(key: tuple[ParserKey, ...]) -> tuple[int, ...]:
    return tuple((1 << 8 * _padded(part.width)) - 1 for part in key)


def _value_transition(at: Cursor, key: tuple[ParserKey, ...], next_state: str | None) -> ValueTransition:
    mask_at = at.find("mask")
    masks = _padded_value(mask_at, key) if mask_at else _ones(key)
    values = _padded_value(at.get("value"), key)
    return ValueTransition(tuple(v & m for v, m in zip(values, masks, strict=True)), masks, next_state)


def _value_set_transition(
    at: Cursor, key: tuple[ParserKey, ...], next_state: str | None, scope: Scope
) -> ValueSetTransition:
    value_set = lookup(scope.value_sets, at.get("value"), "value set")
    if value_set.width != sum(part.width for part in key):
        raise at.get("value").error(f"is a value set of {value_set.width} bits, the key has another width")
    mask_at = at.find("mask")
    return ValueSetTransition(value_set, _padded_value(mask_at, key) if mask_at else None, next_state)
