"""Actions and primitive calls, checked against the signatures of the primitives."""

from __future__ import annotations

from enum import Enum, auto

from softswitch.program.actions import ActionDef, ActionParam, Argument, Primitive, SourceInfo
from softswitch.program.expressions import (
    Const,
    Expr,
    ExprType,
    FieldOf,
    FieldValue,
    HeaderRef,
    LastField,
    LValue,
    RegisterCell,
)
from softswitch.program.load.cursor import MAX_WIDTH, Cursor
from softswitch.program.load.expressions import data_expression, expression, header_type_of, shape
from softswitch.program.load.scope import Scope, lookup, unique_ids


class Kind(Enum):
    """What a primitive expects in one place."""

    DATA = auto()
    TARGET = auto()  # something data can be written to
    VARBIT = auto()
    HEADER = auto()
    HEADER_STACK = auto()
    UNION = auto()
    UNION_STACK = auto()
    ANY_STACK = auto()
    CALCULATION = auto()
    COUNTER = auto()
    METER = auto()
    REGISTER = auto()
    STRING = auto()
    VECTOR = auto()


_D, _T, _H = Kind.DATA, Kind.TARGET, Kind.HEADER
SIGNATURES: dict[str, tuple[Kind, ...]] = {
    "_jump": (_D,),
    "_jump_if_zero": (_D, _D),
    "add": (_T, _D, _D),
    "add_header": (_H,),
    "add_header_fast": (_H,),
    "add_to_field": (_T, _D),
    "assert": (_D,),
    "assign": (_T, _D),
    "assign_VL": (Kind.VARBIT, Kind.VARBIT),
    "assign_header": (_H, _H),
    "assign_header_stack": (Kind.HEADER_STACK, Kind.HEADER_STACK),
    "assign_union": (Kind.UNION, Kind.UNION),
    "assign_union_stack": (Kind.UNION_STACK, Kind.UNION_STACK),
    "assume": (_D,),
    "bit_and": (_T, _D, _D),
    "bit_or": (_T, _D, _D),
    "bit_xor": (_T, _D, _D),
    "clone_egress_pkt_to_egress": (_D, _D),
    "clone_ingress_pkt_to_egress": (_D, _D),
    "copy_header": (_H, _H),
    "count": (Kind.COUNTER, _D),
    "drop": (),
    "execute_meter": (Kind.METER, _D, _T),
    "exit": (),
    "generate_digest": (_D, _D),
    "log_msg": (Kind.STRING, Kind.VECTOR),
    "mark_to_drop": (_H,),
    "modify_field": (_T, _D),
    "modify_field_rng_uniform": (_T, _D, _D),
    "modify_field_with_hash_based_offset": (_T, _D, Kind.CALCULATION, _D),
    "no_op": (),
    "pop": (Kind.ANY_STACK, _D),
    "push": (Kind.ANY_STACK, _D),
    "recirculate": (_D,),
    "register_read": (_T, Kind.REGISTER, _D),
    "register_write": (Kind.REGISTER, _D, _D),
    "remove_header": (_H,),
    "resubmit": (_D,),
    "shift_left": (_T, _D, _D),
    "shift_right": (_T, _D, _D),
    "subtract": (_T, _D, _D),
    "subtract_from_field": (_T, _D),
    "truncate": (_D,),
}
_OBJECT_TYPES = {
    Kind.CALCULATION: "calculation",
    Kind.COUNTER: "counter_array",
    Kind.METER: "meter_array",
    Kind.REGISTER: "register_array",
    Kind.STRING: "string",
    Kind.VECTOR: "parameters_vector",
    Kind.VARBIT: "field",
}
_EXPRESSION_TYPES = {
    Kind.HEADER: (ExprType.HEADER,),
    Kind.HEADER_STACK: (ExprType.HEADER_STACK,),
    Kind.UNION: (ExprType.UNION,),
    Kind.UNION_STACK: (ExprType.UNION_STACK,),
    Kind.ANY_STACK: (ExprType.HEADER_STACK, ExprType.UNION_STACK),
    Kind.DATA: (ExprType.DATA,),
}
_ASSIGNMENTS = ("assign_header", "copy_header", "assign_header_stack", "assign_union", "assign_union_stack")


def load_actions(document: Cursor, scope: Scope) -> None:
    """All actions, by id."""
    for at in unique_ids(document.items("actions")):
        params = tuple(
            ActionParam(param.get("name").text(), param.get("bitwidth").integer(0, MAX_WIDTH))
            for param in at.items("runtime_data")
        )
        primitives = tuple(primitive(p, scope, len(params)) for p in at.items("primitives"))
        _check_jumps(at, primitives)
        action = ActionDef(at.get("name").name(), at.get("id").integer(), params, primitives)
        scope.actions[action.id] = action


def primitive(at: Cursor, scope: Scope, params_count: int = 0) -> Primitive:
    """A primitive call."""
    op_at = at.get("op")
    op = op_at.text()
    if op not in SIGNATURES:
        raise op_at.error("is not a primitive of this switch")
    kinds = SIGNATURES[op]
    arguments_at = at.get("parameters").exactly(len(kinds))
    arguments = tuple(
        _argument(argument_at, kind, scope, params_count) for argument_at, kind in zip(arguments_at, kinds, strict=True)
    )
    _check_together(at, op, arguments)
    return Primitive(op, arguments, source_info(at))


def source_info(at: Cursor) -> SourceInfo | None:
    """Where a construct comes from, if the document says so."""
    source_at = at.find("source_info")
    if source_at is None:
        return None
    file_at, line_at, fragment_at = (source_at.find(k) for k in ("filename", "line", "source_fragment"))
    return SourceInfo(
        file_at.text() if file_at else "",
        line_at.integer() if line_at else 0,
        fragment_at.text() if fragment_at else "",
    )


def _argument(at: Cursor, kind: Kind, scope: Scope, params_count: int) -> Argument:
    type_at, value_at = at.get("type"), at.get("value")
    if kind in _OBJECT_TYPES and type_at.text() != _OBJECT_TYPES[kind]:
        raise type_at.error(f"is not {_OBJECT_TYPES[kind]!r}")
    match kind:
        case Kind.CALCULATION:
            return lookup(scope.calculations, value_at, "calculation")
        case Kind.COUNTER:
            return lookup(scope.counters, value_at, "counter array")
        case Kind.METER:
            return lookup(scope.meters, value_at, "meter array")
        case Kind.REGISTER:
            return lookup(scope.registers, value_at, "register array")
        case Kind.STRING:
            return value_at.text()
        case Kind.VECTOR if value_at.value == {}:  # p4c's empty list
            return ()
        case Kind.VECTOR:
            return tuple(data_expression(item, scope, params_count) for item in value_at.items())
        case Kind.VARBIT:
            varbit = scope.header_field(value_at)
            if not varbit.field.variable:
                raise at.error("is not a variable-length field")
            return varbit
        case Kind.TARGET:
            target = expression(at, scope, params_count)
            if not isinstance(target, LValue) or not _is_writable(target):
                raise at.error("cannot be written to")
            return target
        case _:
            loaded = expression(at, scope, params_count)
            if loaded.type not in _EXPRESSION_TYPES[kind]:
                raise at.error(f"is of type {loaded.type.value}, not {kind.name.lower().replace('_', ' ')}")
            return loaded


def _is_writable(target: LValue) -> bool:
    match target:
        case FieldValue(ref):
            field = ref.field
        case LastField(stack, index):
            field = stack.type.fields[index]
        case FieldOf(header, index):
            field = header_type_of(header).fields[index]
        case RegisterCell():
            return True
    return not field.hidden and not field.variable


def _check_together(at: Cursor, op: str, arguments: tuple[Argument, ...]) -> None:
    """What a signature alone cannot tell."""
    if op in _ASSIGNMENTS:
        target, source = (shape(argument) for argument in arguments if isinstance(argument, Expr))
        if target != source:
            raise at.error("assigns between different types")
    elif op == "mark_to_drop":
        header = arguments[0]
        if not isinstance(header, HeaderRef) or header.header.type.find("egress_spec") is None:
            raise at.error("marks a header that has no field 'egress_spec'")


def _check_jumps(at: Cursor, primitives: tuple[Primitive, ...]) -> None:
    """Jumps go to a constant index of the action, its end included."""
    for i, call in enumerate(primitives):
        if call.op in ("_jump", "_jump_if_zero"):
            target = call.arguments[-1]
            if not isinstance(target, Const) or not 0 <= target.value <= len(primitives):
                raise at.get("primitives").items()[i].error("jumps out of the action")
