"""Expressions."""

from __future__ import annotations

from softswitch.program.expressions import (
    BoolConst,
    Choice,
    Const,
    Element,
    Expr,
    ExprType,
    FieldOf,
    FieldValue,
    HeaderRef,
    LastField,
    Local,
    MemberOf,
    Operation,
    RegisterCell,
    StackRef,
    UnionRef,
    UnionStackRef,
)
from softswitch.program.headers import HeaderType, HeaderUnionType
from softswitch.program.load.cursor import Cursor
from softswitch.program.load.scope import Scope, field_of, lookup

MAX_DEPTH = 100  # levels of nesting; programs written by people stay far below

_DATA, _BOOL, _HEADER = ExprType.DATA, ExprType.BOOL, ExprType.HEADER
_UNARY = {
    "~": (_DATA, _DATA),
    "d2b": (_DATA, _BOOL),
    "b2d": (_BOOL, _DATA),
    "not": (_BOOL, _BOOL),
    "valid": (_HEADER, _BOOL),
    "valid_union": (ExprType.UNION, _BOOL),
    "last_stack_index": (ExprType.HEADER_STACK, _DATA),
    "size_stack": (ExprType.HEADER_STACK, _DATA),
}
_BINARY = {
    **dict.fromkeys(("+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"), (_DATA, _DATA)),
    **dict.fromkeys(("two_comp_mod", "sat_cast", "usat_cast"), (_DATA, _DATA)),
    **dict.fromkeys((">", ">=", "<", "<="), (_DATA, _BOOL)),
    **dict.fromkeys(("and", "or"), (_BOOL, _BOOL)),
}
_COMPARABLE = (_DATA, _BOOL, _HEADER, ExprType.UNION)


def expression(at: Cursor, scope: Scope, locals_count: int = 0) -> Expr:
    """A type-value object of any type. locals_count: how many locals it may refer to."""
    return _Loader(scope, locals_count).load(at, 0)


def data_expression(at: Cursor, scope: Scope, locals_count: int = 0) -> Expr:
    """An expression that must yield an integer."""
    return _of_type(at, expression(at, scope, locals_count), _DATA)


def bool_expression(at: Cursor, scope: Scope) -> Expr:
    """An expression that must yield a truth value."""
    return _of_type(at, expression(at, scope), _BOOL)


def _of_type(at: Cursor, loaded: Expr, wanted: ExprType) -> Expr:
    if loaded.type is not wanted:
        raise at.error(f"is of type {loaded.type.value}, not {wanted.value}")
    return loaded


class _Loader:
    def __init__(self, scope: Scope, locals_count: int) -> None:
        self.scope = scope
        self.locals_count = locals_count

    def load(self, at: Cursor, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise at.error("is nested too deeply")
        kind, value_at = at.typed()
        scope = self.scope
        match kind:
            case "expression":
                # Arguments of primitives wrap their expression twice.
                return self.load(value_at, depth) if value_at.has("type") else self._operation(value_at, depth)
            case "hexstr":
                return Const(value_at.hex())
            case "bool":
                return BoolConst(value_at.flag())
            case "field":
                return FieldValue(scope.header_field(value_at))
            case "stack_field":
                stack_at, field_at = value_at.exactly(2)
                stack = lookup(scope.stacks, stack_at, "header stack")
                if field_at.value == "last" and stack.type.find("last") is None:
                    # p4c's way to name the last header itself
                    last = Operation("last_stack_index", (StackRef(stack),), _DATA)
                    return Element(StackRef(stack), last)
                return LastField(stack, field_of(stack.type, field_at).index)
            case "local" | "runtime_data":
                return Local(value_at.integer(0, self.locals_count - 1))
            case "register":
                register_at, index_at = value_at.exactly(2)
                register = lookup(scope.registers, register_at, "register array")
                return RegisterCell(register, self._of(index_at, _DATA, depth))
            case "header":
                return HeaderRef(lookup(scope.headers, value_at, "header"))
            case "header_stack":
                return StackRef(lookup(scope.stacks, value_at, "header stack"))
            case "header_union":
                return UnionRef(lookup(scope.unions, value_at, "header union"))
            case "header_union_stack":
                return UnionStackRef(lookup(scope.union_stacks, value_at, "header union stack"))
        raise at.get("type").error("is not a type of value")

    def _of(self, at: Cursor, wanted: ExprType, depth: int) -> Expr:
        return _of_type(at, self.load(at, depth + 1), wanted)

    def _operation(self, at: Cursor, depth: int) -> Expr:
        op = at.get("op").text()
        match op:
            case "?":
                return self._choice(at, depth)
            case "==" | "!=":
                return self._comparison(op, at, depth)
            case "access_field":
                header = self._of(at.get("left"), _HEADER, depth)
                fields = header_type_of(header).wire_fields
                return FieldOf(header, at.get("right").integer(0, len(fields) - 1))
            case "access_union_header":
                union = self._of(at.get("left"), ExprType.UNION, depth)
                return MemberOf(union, at.get("right").integer(0, len(_union_type(union).members) - 1))
            case "dereference_header_stack" | "dereference_stack" | "dereference_union_stack":
                return self._element(op, at, depth)
        if op in _UNARY:
            operand_type, result = _UNARY[op]
            operands_at = [side for side in (at.find("left"), at.find("right")) if side is not None]
            if len(operands_at) != 1:
                raise at.error(f"{op!r} takes one operand")
            return Operation(op, (self._of(operands_at[0], operand_type, depth),), result)
        if op in _BINARY:
            operand_type, result = _BINARY[op]
            right = self._of(at.get("right"), operand_type, depth)
            left: Expr = Const(0)
            if op not in ("+", "-") or at.has("left"):  # a sign is an operation on zero
                left = self._of(at.get("left"), operand_type, depth)
            return Operation(op, (left, right), result)
        raise at.get("op").error("is not an operator")

    def _choice(self, at: Cursor, depth: int) -> Expr:
        condition = self._of(at.get("cond"), _BOOL, depth)
        if_true = self.load(at.get("left"), depth + 1)
        if_false = self._of(at.get("right"), if_true.type, depth)
        if if_true.type is _HEADER and header_type_of(if_true) is not header_type_of(if_false):
            raise at.error("chooses between headers of different types")
        if if_true.type is ExprType.UNION and _union_type(if_true) is not _union_type(if_false):
            raise at.error("chooses between unions of different types")
        if if_true.type in (ExprType.HEADER_STACK, ExprType.UNION_STACK):
            raise at.error("chooses between stacks")
        return Choice(condition, if_true, if_false)

    def _comparison(self, op: str, at: Cursor, depth: int) -> Expr:
        left = self.load(at.get("left"), depth + 1)
        if left.type not in _COMPARABLE:
            raise at.error(f"compares values of type {left.type.value}")
        right = self._of(at.get("right"), left.type, depth)
        return Operation(op, (left, right), _BOOL)

    def _element(self, op: str, at: Cursor, depth: int) -> Expr:
        stack = self.load(at.get("left"), depth + 1)
        wanted = UnionStackRef if op == "dereference_union_stack" else StackRef
        if not isinstance(stack, wanted):
            raise at.get("left").error(f"is not what {op!r} takes")
        return Element(stack, self._of(at.get("right"), _DATA, depth))


def header_type_of(header: Expr) -> HeaderType:
    """The type of the header that a HEADER expression yields."""
    match header:
        case HeaderRef(instance):
            return instance.type
        case Element(StackRef(stack), _):
            return stack.type
        case MemberOf(union, index):
            return _union_type(union).members[index][1]
        case Choice(_, if_true, _):
            return header_type_of(if_true)
    raise AssertionError(f"{header} is not a header")


def _union_type(union: Expr) -> HeaderUnionType:
    match union:
        case UnionRef(instance):
            return instance.type
        case Element(UnionStackRef(stack), _):
            return stack.type
        case Choice(_, if_true, _):
            return _union_type(if_true)
    raise AssertionError(f"{union} is not a header union")


def shape(loaded: Expr) -> tuple[HeaderType | HeaderUnionType, int]:
    """What decides whether two headers, unions or stacks can be assigned: the type and the number."""
    match loaded:
        case StackRef(stack):
            return stack.type, len(stack.headers)
        case UnionStackRef(stack):
            return stack.type, len(stack.unions)
    return (header_type_of if loaded.type is _HEADER else _union_type)(loaded), 1
