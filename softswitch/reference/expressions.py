"""Expressions as closures over the fields of a packet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    LValue,
    MemberOf,
    Operation,
    RegisterCell,
    StackRef,
    UnionRef,
    UnionStackRef,
)
from softswitch.reference.layout import (
    Fields,
    FieldSpec,
    HeaderSlots,
    Layout,
    StackSlots,
    UnionSlots,
    UnionStackSlots,
)
from softswitch.state import RegisterArray

Data = Callable[[Fields], int]
Truth = Callable[[Fields], bool]
HeaderOf = Callable[[Fields], HeaderSlots]
UnionOf = Callable[[Fields], UnionSlots]
Write = Callable[[Fields, int], None]

_MAX_SHIFT = 1 << 16  # nothing is wider, so shifting left any further leaves only zeros


def _quotient(a: int, b: int) -> int:
    """Towards zero; nothing divided by zero is an error here, it is zero."""
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _wrap(value: int, width: int) -> int:
    """Two's complement of that width."""
    half = 1 << max(0, width - 1)
    return (value + half) % (2 * half) - half


def _saturate(value: int, width: int, signed: bool) -> int:
    """The nearest number of that width."""
    high = (1 << max(0, width - signed)) - 1
    low = -high - 1 if signed else 0
    return low if value < low else min(value, high)


_DATA: dict[str, Callable[[Data, Data], Data]] = {
    "+": lambda a, b: lambda f: a(f) + b(f),
    "-": lambda a, b: lambda f: a(f) - b(f),
    "*": lambda a, b: lambda f: a(f) * b(f),
    "/": lambda a, b: lambda f: _quotient(a(f), b(f)),
    "%": lambda a, b: lambda f: a(f) - b(f) * _quotient(a(f), b(f)),
    "<<": lambda a, b: lambda f: a(f) << b(f) if 0 <= b(f) < _MAX_SHIFT else 0,
    ">>": lambda a, b: lambda f: a(f) >> min(max(b(f), 0), _MAX_SHIFT),
    "&": lambda a, b: lambda f: a(f) & b(f),
    "|": lambda a, b: lambda f: a(f) | b(f),
    "^": lambda a, b: lambda f: a(f) ^ b(f),
    "two_comp_mod": lambda a, b: lambda f: _wrap(a(f), b(f)),
    "sat_cast": lambda a, b: lambda f: _saturate(a(f), b(f), signed=True),
    "usat_cast": lambda a, b: lambda f: _saturate(a(f), b(f), signed=False),
}
_COMPARISON: dict[str, Callable[[Data, Data], Truth]] = {
    "==": lambda a, b: lambda f: a(f) == b(f),
    "!=": lambda a, b: lambda f: a(f) != b(f),
    ">": lambda a, b: lambda f: a(f) > b(f),
    ">=": lambda a, b: lambda f: a(f) >= b(f),
    "<": lambda a, b: lambda f: a(f) < b(f),
    "<=": lambda a, b: lambda f: a(f) <= b(f),
}


def _same_header(f: Fields, a: HeaderSlots, b: HeaderSlots) -> bool:
    """bmv2 holds two invalid headers to differ."""
    if a.type is not b.type or not f[a.valid] or not f[b.valid]:
        return False
    count = len(a.type.fields)
    return f[a.start : a.start + count] == f[b.start : b.start + count]


def _same_union(f: Fields, a: UnionSlots, b: UnionSlots) -> bool:
    return any(_same_header(f, x, y) for x, y in zip(a.members, b.members, strict=True))


def field_writer(spec: FieldSpec) -> Write:
    """Writes a value of any size to a field.

    An unsigned field keeps the low bits. A signed one wraps in two's complement, except that bmv2 keeps a
    value between the largest signed and the largest unsigned number of the width as it is.
    """
    slot, mask = spec.slot, spec.mask
    if not spec.signed:

        def write(f: Fields, value: int) -> None:
            f[slot] = value & mask

        return write
    low, high = -(mask >> 1) - 1, mask >> 1

    def write_signed(f: Fields, value: int) -> None:
        if value < low or value > mask:
            value &= mask
            if value > high:
                value -= mask + 1
        f[slot] = value

    return write_signed


class ExpressionCompiler:
    """Turns expressions into closures."""

    def __init__(self, layout: Layout, registers: Mapping[str, RegisterArray]) -> None:
        self.layout = layout
        self._registers = registers

    def data(self, expr: Expr) -> Data:
        """An integer."""
        match expr:
            case Const(value):
                return lambda f: value
            case FieldValue(ref):
                slot = self.layout.slot(ref)
                return lambda f: f[slot]
            case Local(index):
                local = self.layout.locals + index
                return lambda f: f[local]
            case LastField(stack, index):
                slots = self.layout.stacks[stack]
                return lambda f: f[slots.at(f[slots.next] - 1).start + index]
            case FieldOf(header_expr, index):
                header = self.header(header_expr)
                return lambda f: f[header(f).start + index]
            case RegisterCell(register, index_expr):
                array, cell = self._registers[register.name], self.data(index_expr)
                return lambda f: array.get(cell(f))
            case Choice(condition, if_true, if_false):
                truth, yes, no = self.truth(condition), self.data(if_true), self.data(if_false)
                return lambda f: yes(f) if truth(f) else no(f)
            case Operation("b2d", (operand,)):
                truth = self.truth(operand)
                return lambda f: 1 if truth(f) else 0
            case Operation("~", (operand,)):
                inner = self.data(operand)
                return lambda f: ~inner(f)
            case Operation("size_stack", (operand,)):
                filled = self.stack(operand).next
                return lambda f: f[filled]
            case Operation("last_stack_index", (operand,)):
                filled = self.stack(operand).next
                return lambda f: f[filled] - 1
            case Operation(op, (left, right)):
                return _DATA[op](self.data(left), self.data(right))
        raise AssertionError(f"{expr} is not data")

    def truth(self, expr: Expr) -> Truth:
        """A truth value."""
        match expr:
            case BoolConst(value):
                return lambda f: value
            case Choice(condition, if_true, if_false):
                truth, yes, no = self.truth(condition), self.truth(if_true), self.truth(if_false)
                return lambda f: yes(f) if truth(f) else no(f)
            case Operation("not", (operand,)):
                inner = self.truth(operand)
                return lambda f: not inner(f)
            case Operation("and", (left, right)):
                a, b = self.truth(left), self.truth(right)
                return lambda f: a(f) and b(f)
            case Operation("or", (left, right)):
                a, b = self.truth(left), self.truth(right)
                return lambda f: a(f) or b(f)
            case Operation("d2b", (operand,)):
                data = self.data(operand)
                return lambda f: data(f) != 0
            case Operation("valid", (HeaderRef(header),)):
                slot = self.layout.headers[header].valid
                return lambda f: f[slot] == 1
            case Operation("valid", (operand,)):
                header_of = self.header(operand)
                return lambda f: f[header_of(f).valid] == 1
            case Operation("valid_union", (operand,)):
                union_of = self.union(operand)
                return lambda f: union_of(f).is_valid(f)
            case Operation("==" | "!=" as op, (left, right)) if left.type is not ExprType.DATA:
                same = self._same(left, right)
                return same if op == "==" else lambda f: not same(f)
            case Operation(op, (left, right)):
                return _COMPARISON[op](self.data(left), self.data(right))
        raise AssertionError(f"{expr} is not a truth value")

    def header(self, expr: Expr) -> HeaderOf:
        """A header."""
        match expr:
            case HeaderRef(header):
                slots = self.layout.headers[header]
                return lambda f: slots
            case Element(StackRef(stack), index):
                elements, at = self.layout.stacks[stack], self.data(index)
                return lambda f: elements.at(at(f))
            case MemberOf(union, index):
                union_of = self.union(union)
                return lambda f: union_of(f).members[index]
            case Choice(condition, if_true, if_false):
                truth, yes, no = self.truth(condition), self.header(if_true), self.header(if_false)
                return lambda f: yes(f) if truth(f) else no(f)
        raise AssertionError(f"{expr} is not a header")

    def union(self, expr: Expr) -> UnionOf:
        """A header union."""
        match expr:
            case UnionRef(union):
                slots = self.layout.unions[union]
                return lambda f: slots
            case Element(UnionStackRef(stack), index):
                elements, at = self.layout.union_stacks[stack], self.data(index)
                return lambda f: elements.at(at(f))
            case Choice(condition, if_true, if_false):
                truth, yes, no = self.truth(condition), self.union(if_true), self.union(if_false)
                return lambda f: yes(f) if truth(f) else no(f)
        raise AssertionError(f"{expr} is not a header union")

    def stack(self, expr: Expr) -> StackSlots | UnionStackSlots:
        """A stack of headers or unions."""
        match expr:
            case StackRef(stack):
                return self.layout.stacks[stack]
            case UnionStackRef(union_stack):
                return self.layout.union_stacks[union_stack]
        raise AssertionError(f"{expr} is not a stack")

    def writer(self, target: LValue) -> Write:
        """Writes to what an expression designates."""
        match target:
            case FieldValue(ref):
                return field_writer(self.layout.spec(ref))
            case LastField(stack, index):
                slots = self.layout.stacks[stack]
                return self._dynamic_writer(
                    (*slots.elements, slots.outside), lambda f: slots.at(f[slots.next] - 1), index
                )
            case FieldOf(HeaderRef(header), index):
                return field_writer(self.layout.headers[header].fields[index])
            case FieldOf(header_expr, index):
                return self._dynamic_writer(self._candidates(header_expr), self.header(header_expr), index)
            case RegisterCell(register, index_expr):
                array, cell = self._registers[register.name], self.data(index_expr)
                return lambda f, value: array.put(cell(f), value)

    @staticmethod
    def _dynamic_writer(candidates: tuple[HeaderSlots, ...], header: HeaderOf, index: int) -> Write:
        writers = {candidate: field_writer(candidate.fields[index]) for candidate in candidates}
        return lambda f, value: writers[header(f)](f, value)

    def _candidates(self, expr: Expr) -> tuple[HeaderSlots, ...]:
        """Every header an expression can yield."""
        match expr:
            case HeaderRef(header):
                return (self.layout.headers[header],)
            case Element(StackRef(stack), _):
                slots = self.layout.stacks[stack]
                return (*slots.elements, slots.outside)
            case MemberOf(union, index):
                return tuple(candidate.members[index] for candidate in self._candidate_unions(union))
            case Choice(_, if_true, if_false):
                return self._candidates(if_true) + self._candidates(if_false)
        raise AssertionError(f"{expr} is not a header")

    def _candidate_unions(self, expr: Expr) -> tuple[UnionSlots, ...]:
        match expr:
            case UnionRef(union):
                return (self.layout.unions[union],)
            case Element(UnionStackRef(stack), _):
                slots = self.layout.union_stacks[stack]
                return (*slots.elements, slots.outside)
            case Choice(_, if_true, if_false):
                return self._candidate_unions(if_true) + self._candidate_unions(if_false)
        raise AssertionError(f"{expr} is not a header union")

    def _same(self, left: Expr, right: Expr) -> Truth:
        match left.type:
            case ExprType.BOOL:
                a, b = self.truth(left), self.truth(right)
                return lambda f: a(f) == b(f)
            case ExprType.HEADER:
                one, other = self.header(left), self.header(right)
                return lambda f: _same_header(f, one(f), other(f))
            case _:
                first, second = self.union(left), self.union(right)
                return lambda f: _same_union(f, first(f), second(f))
