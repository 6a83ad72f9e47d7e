"""Expressions: integers of unlimited precision, computed in the bits that matter.

``low`` gives the lowest bits of a number, which for most operators need only as many bits of the operands; ``exact``
gives the whole number, in an integer wide enough for everything the expression can yield.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from softswitch.native.errors import UntranslatableError
from softswitch.native.layout import Slot, StackPlace
from softswitch.native.translate.body import OCTET, Body, Place, UnionPlace
from softswitch.native.translate.division import divide_wide
from softswitch.native.translate.ranges import MAX_BITS, Range, Ranges, constant, width_of
from softswitch.native.words import BIT, WORD
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
from softswitch.program.load.expressions import header_type_of
from softswitch.program.stateful import RegisterDef
from softswitch.state.arrays import cell_octets

_MODULAR = {"+": "add", "-": "sub", "*": "mul", "&": "and_", "|": "or_", "^": "xor"}


class Number(NamedTuple):
    """A whole number; signed says that its highest bit is a sign."""

    value: ir.Value
    signed: bool


class Expressions:
    """Writes expressions into a function."""

    def __init__(self, body: Body, locals: tuple[Range, ...] = ()) -> None:
        self.body = body
        self.ranges = Ranges(locals)

    # Data

    def exact(self, expr: Expr) -> Number:
        """The whole number."""
        bits, signed = width_of(self.ranges.of(expr))
        return Number(self.low(expr, bits), signed)

    def low(self, expr: Expr, bits: int) -> ir.Value:
        """The lowest bits of a number."""
        low, high = self.ranges.of(expr)
        needed = max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length(), 1) + (low < 0)
        if needed < bits and needed <= MAX_BITS:
            return self.body.resize(self._low(expr, needed), bits, low < 0)
        return self._low(expr, bits)

    def _low(self, expr: Expr, bits: int) -> ir.Value:
        """As low(), for no more bits than the number can have."""
        body, b, kind = self.body, self.body.b, ir.IntType(bits)
        match expr:
            case Const(value):
                return kind(value & (1 << bits) - 1)
            case FieldValue(ref):
                return self._field(body.header(ref.header).pointer, body.slot(ref), bits)
            case LastField(stack, index):
                place = body.unit.layout.stacks[stack]
                last = b.sub(self.filled(place), WORD(1))
                return self._field(self._element(place, last), body.unit.layout.of(stack.type).slots[index], bits)
            case FieldOf(header, index):
                place_ = self.header(header)
                return self._field(place_.pointer, place_.layout.slots[index], bits)
            case Local(index):
                assert body.local is not None
                value, _, signed = body.local(index)
                return body.resize(value, bits, signed)
            case RegisterCell(register, index_expr):
                return self._cell(register, self.exact(index_expr), bits)
            case Choice(condition, if_true, if_false):
                return b.select(self.truth(condition), self.low(if_true, bits), self.low(if_false, bits))
            case Operation("b2d", (operand,)):
                return body.resize(self.truth(operand), bits)
            case Operation("~", (operand,)):
                return b.not_(self.low(operand, bits))
            case Operation("size_stack", (operand,)):
                return body.resize(self.filled(self.stack(operand)), bits)
            case Operation("last_stack_index", (operand,)):
                return body.resize(b.sub(self.filled(self.stack(operand)), WORD(1)), bits, True)
            case Operation(op, (left, right)) if op in _MODULAR:
                return getattr(b, _MODULAR[op])(self.low(left, bits), self.low(right, bits))
            case Operation("<<", (left, right)):
                return self._shift_left(left, right, bits)
            case Operation(">>", (left, right)):
                return self._shift_right(left, right, bits)
            case Operation("/" | "%" as op, (left, right)):
                return body.resize(self._divide(op, left, right), bits, True)
            case Operation("two_comp_mod", (operand, width)):
                return body.resize(self.low(operand, max(constant(width, "two_comp_mod"), 1)), bits, True)
            case Operation("sat_cast" | "usat_cast" as op, (operand, width)):
                return self._saturate(operand, constant(width, op), op == "sat_cast", bits)
        raise AssertionError(f"{expr} is not data")

    def _field(self, pointer: ir.Value, slot: Slot, bits: int) -> ir.Value:
        if slot.variable:
            raise UntranslatableError("a variable-length field in an expression")
        return self.body.resize(self.body.read(pointer, slot), bits, slot.signed)

    def _shift_left(self, left: Expr, right: Expr, bits: int) -> ir.Value:
        b, kind = self.body.b, ir.IntType(bits)
        if isinstance(right, Const):
            if not 0 <= right.value < bits:
                return kind(0)
            kept = self.body.resize(self.low(left, bits - right.value), bits)
            return b.shl(kept, kind(right.value)) if right.value else kept
        amount, fits = self._amount(right, bits)
        return b.select(fits, b.shl(self.low(left, bits), self.body.resize(amount, bits)), kind(0))

    def _amount(self, expr: Expr, limit: int) -> tuple[ir.Value, ir.Value]:
        """A shift's amount, and whether it is from 0 to below a limit."""
        value, signed = self.exact(expr)
        width = max(value.type.width, limit.bit_length() + 1)
        value = self.body.resize(value, width, signed)
        fits = self.body.b.icmp_unsigned("<", value, ir.IntType(width)(limit))
        return self.body.b.select(fits, value, ir.IntType(width)(0)), fits

    def _shift_right(self, left: Expr, right: Expr, bits: int) -> ir.Value:
        body, b = self.body, self.body.b
        if isinstance(right, Const) and (shift := min(max(right.value, 0), MAX_BITS)) + bits <= MAX_BITS:
            value = self.low(left, shift + bits)
            return body.resize(b.lshr(value, value.type(shift)), bits)
        value, signed = self.exact(left)
        width = value.type.width
        amount, sign = self.exact(right)
        low, _ = self.ranges.of(right)
        amount = body.resize(amount, max(amount.type.width, width.bit_length() + 1), sign)
        limit = amount.type(width - 1)
        beyond = b.icmp_signed(">", amount, limit) if sign else b.icmp_unsigned(">", amount, limit)
        clipped = b.select(beyond, limit, amount)
        if low < 0:
            clipped = b.select(b.icmp_signed("<", clipped, clipped.type(0)), clipped.type(0), clipped)
        clipped = body.resize(clipped, width)
        shifted = b.ashr(value, clipped) if signed else b.select(beyond, value.type(0), b.lshr(value, clipped))
        return body.resize(shifted, bits, signed)

    def _divide(self, op: str, left: Expr, right: Expr) -> ir.Value:
        """Towards zero; what is divided by zero is zero."""
        b = self.body.b
        numbers = self.exact(left), self.exact(right)
        width = max(number.value.type.width for number in numbers) + 2
        dividend, divisor = (self.body.resize(number.value, width, number.signed) for number in numbers)
        zero = b.icmp_unsigned("==", divisor, divisor.type(0))
        safe = b.select(zero, divisor.type(1), divisor)
        if width <= 64:
            quotient = b.sdiv(dividend, safe)
        else:
            quotient = self.body.resize(divide_wide(self.body, dividend, safe), width, True)
        if op == "/":
            return b.select(zero, divisor.type(0), quotient)
        return b.select(zero, dividend, b.sub(dividend, b.mul(quotient, safe)))

    def _saturate(self, operand: Expr, width: int, signed: bool, bits: int) -> ir.Value:
        b = self.body.b
        number = self.exact(operand)
        size = max(number.value.type.width, max(width, 1) + 1) + 1
        value = self.body.resize(number.value, size, number.signed)
        high = (1 << max(0, width - signed)) - 1
        low = -high - 1 if signed else 0
        value = b.select(b.icmp_signed("<", value, value.type(low)), value.type(low), value)
        value = b.select(b.icmp_signed(">", value, value.type(high)), value.type(high), value)
        return self.body.resize(value, bits, True)

    def word(self, expr: Expr) -> ir.Value:
        """The lowest 64 bits."""
        return self.low(expr, 64)

    def at_most(self, expr: Expr, limit: int) -> ir.Value:
        """A number or, if it is greater, the limit; as a word."""
        value, signed = self.exact(expr)
        _, high = self.ranges.of(expr)
        if high <= limit:
            return self.body.resize(value, 64, signed)
        value = self.body.resize(value, max(value.type.width, 65), signed)
        beyond = (
            self.body.b.icmp_signed(">", value, value.type(limit))
            if signed
            else self.body.b.icmp_unsigned(">", value, value.type(limit))
        )
        return self.body.resize(self.body.b.select(beyond, value.type(limit), value), 64)

    def inside(self, index: Number, size: int) -> tuple[ir.Value, ir.Value]:
        """An index as a word, and whether it is from 0 to below a size."""
        width = max(index.value.type.width, 64)
        value = self.body.resize(index.value, width, index.signed)
        return self.body.resize(value, 64), self.body.b.icmp_unsigned("<", value, value.type(size))

    # Registers

    def cell(self, register: RegisterDef, index: ir.Value) -> ir.Value:
        """A pointer to a cell that is inside, and its size in bits."""
        base = self.body.pointer(self.body.object_address(register))
        return self.body.offset(base, self.body.b.mul(index, WORD(cell_octets(register.width))))

    def _cell(self, register: RegisterDef, index: Number, bits: int) -> ir.Value:
        at, inside = self.inside(index, register.size)
        kind = ir.IntType(bits)
        if register.size == 0:
            return kind(0)
        safe = self.body.b.select(inside, at, WORD(0))
        value = self.body.resize(
            self.body.load(self.cell(register, safe), 8 * cell_octets(register.width)), register.width
        )
        return self.body.b.select(inside, self.body.resize(value, bits), kind(0))

    # Truth

    def truth(self, expr: Expr) -> ir.Value:
        """A truth value."""
        b = self.body.b
        match expr:
            case BoolConst(value):
                return BIT(int(value))
            case Choice(condition, if_true, if_false):
                return b.select(self.truth(condition), self.truth(if_true), self.truth(if_false))
            case Operation("not", (operand,)):
                return b.not_(self.truth(operand))
            case Operation("and", (left, right)):
                return b.and_(self.truth(left), self.truth(right))
            case Operation("or", (left, right)):
                return b.or_(self.truth(left), self.truth(right))
            case Operation("d2b", (operand,)):
                number = self.exact(operand).value
                return b.icmp_unsigned("!=", number, number.type(0))
            case Operation("valid", (operand,)):
                return self.body.is_valid(self.header(operand))
            case Operation("valid_union", (operand,)):
                return self._valid_union(self.union(operand))
            case Operation("==" | "!=" as op, (left, right)) if left.type is not ExprType.DATA:
                same = self._same(left, right)
                return same if op == "==" else b.not_(same)
            case Operation(op, (left, right)):
                return self._compare(op, left, right)
        raise AssertionError(f"{expr} is not a truth value")

    def _compare(self, op: str, left: Expr, right: Expr) -> ir.Value:
        a, c = self.exact(left), self.exact(right)
        signed = a.signed or c.signed
        width = max(n.value.type.width + (signed and not n.signed) for n in (a, c))
        x, y = (self.body.resize(n.value, width, n.signed) for n in (a, c))
        compare = self.body.b.icmp_signed if signed else self.body.b.icmp_unsigned
        return compare(op, x, y)

    def _valid_union(self, union: UnionPlace) -> ir.Value:
        found = BIT(0)
        for offset in union.layout.offsets:
            octet = self.body.load(self.body.offset(union.pointer, offset), 8)
            found = self.body.b.or_(found, self.body.b.icmp_unsigned("!=", octet, OCTET(0)))
        return found

    def _same(self, left: Expr, right: Expr) -> ir.Value:
        match left.type:
            case ExprType.BOOL:
                return self.body.b.icmp_unsigned("==", self.truth(left), self.truth(right))
            case ExprType.HEADER:
                if header_type_of(left) is not header_type_of(right):
                    return BIT(0)
                return self.same_header(self.header(left), self.header(right))
        one, other = self.union(left), self.union(right)
        found = BIT(0)
        for a, c in zip(self.members(one), self.members(other), strict=True):
            if a.layout is c.layout:
                found = self.body.b.or_(found, self.same_header(a, c))
        return found

    def same_header(self, one: Place, other: Place) -> ir.Value:
        """Whether two headers of one type are valid and equal."""
        b = self.body.b
        same = b.and_(self.body.is_valid(one), self.body.is_valid(other))
        for slot in one.layout.slots:
            if slot.variable:
                raise UntranslatableError(
                    f"a comparison of headers with a variable-length field ({one.layout.type.name})"
                )
            equal = b.icmp_unsigned("==", self.body.read(one.pointer, slot), self.body.read(other.pointer, slot))
            same = b.and_(same, equal)
        return same

    # Headers, unions, stacks

    def header(self, expr: Expr) -> Place:
        """A header."""
        layout = self.body.unit.layout
        match expr:
            case HeaderRef(header):
                return self.body.header(header)
            case Element(StackRef(stack), index):
                place = layout.stacks[stack]
                return Place(self._element(place, self._index(index)), layout.of(stack.type))
            case MemberOf(union, index):
                return self.members(self.union(union))[index]
            case Choice(condition, if_true, if_false):
                yes, no = self.header(if_true), self.header(if_false)
                if yes.metadata or no.metadata or yes.rivals or no.rivals:
                    raise UntranslatableError("a choice between headers that are metadata or members of a union")
                return Place(self.body.b.select(self.truth(condition), yes.pointer, no.pointer), yes.layout)
        raise AssertionError(f"{expr} is not a header")

    def union(self, expr: Expr) -> UnionPlace:
        """A header union."""
        layout = self.body.unit.layout
        match expr:
            case UnionRef(union):
                return UnionPlace(self.body.offset(self.body.fields, layout.unions[union]), layout.union(union))
            case Element(UnionStackRef(stack), index):
                place = layout.union_stacks[stack]
                return UnionPlace(self._element(place, self._index(index)), layout.union(stack))
            case Choice(condition, if_true, if_false):
                yes, no = self.union(if_true), self.union(if_false)
                return UnionPlace(self.body.b.select(self.truth(condition), yes.pointer, no.pointer), yes.layout)
        raise AssertionError(f"{expr} is not a header union")

    def members(self, union: UnionPlace) -> list[Place]:
        """The members of a union."""
        pointers = [self.body.offset(union.pointer, offset) for offset in union.layout.offsets]
        return [
            Place(pointer, layout, rivals=tuple(other for other in pointers if other is not pointer))
            for pointer, layout in zip(pointers, union.layout.members, strict=True)
        ]

    def stack(self, expr: Expr) -> StackPlace:
        """A stack of headers or unions."""
        match expr:
            case StackRef(stack):
                return self.body.unit.layout.stacks[stack]
            case UnionStackRef(union_stack):
                return self.body.unit.layout.union_stacks[union_stack]
        raise AssertionError(f"{expr} is not a stack")

    def filled(self, stack: StackPlace) -> ir.Value:
        """How many elements of a stack are filled, a word."""
        return self.body.load(self.body.offset(self.body.fields, stack.next))

    def set_filled(self, stack: StackPlace, count: ir.Value) -> None:
        """Set it."""
        self.body.store(count, self.body.offset(self.body.fields, stack.next))

    def last_element(self, stack: StackPlace) -> ir.Value:
        """A pointer to the last filled element."""
        return self._element(stack, self.body.b.sub(self.filled(stack), WORD(1)))

    def element(self, stack: StackPlace, index: ir.Value) -> ir.Value:
        """A pointer to an element, or to the one for wrong indices."""
        return self._element(stack, index)

    def _index(self, expr: Expr) -> ir.Value:
        number = self.exact(expr)
        at, inside = self.inside(number, 1 << 32)
        return self.body.b.select(inside, at, WORD(-1 & (1 << 64) - 1))

    def _element(self, stack: StackPlace, index: ir.Value) -> ir.Value:
        b, count = self.body.b, WORD(stack.count)
        at = b.select(b.icmp_unsigned("<", index, count), index, count)
        start = self.body.offset(self.body.fields, stack.start)
        return self.body.offset(start, b.mul(at, WORD(stack.stride)))

    # Writing

    def assign(self, target: LValue, source: Expr) -> None:
        """Write the value of an expression."""
        if isinstance(target, RegisterCell):
            value = self.low(source, target.register.width)
            self.put_cell(target.register, self.exact(target.index), value)
            return
        pointer, slot = self.target(target)
        if not slot.signed:
            self.body.write(pointer, slot, self.low(source, slot.bits) if slot.width else ir.IntType(1)(0))
            return
        low, high = self.ranges.of(source)
        self._write_signed(pointer, slot, self.exact(source), (low, high))

    def assign_word(self, target: LValue, value: ir.Value) -> None:
        """Write a non-negative number of 64 bits."""
        if isinstance(target, RegisterCell):
            resized = self.body.resize(value, target.register.width)
            self.put_cell(target.register, self.exact(target.index), resized)
            return
        pointer, slot = self.target(target)
        self.write_word(pointer, slot, value)

    def write_word(self, pointer: ir.Value, slot: Slot, value: ir.Value) -> None:
        """Write a non-negative number of 64 bits to a field."""
        if slot.signed:
            self._write_signed(pointer, slot, Number(value, False), (0, (1 << 64) - 1))
        else:
            self.body.write(pointer, slot, self.body.resize(value, slot.bits) if slot.width else ir.IntType(1)(0))

    def target(self, target: LValue) -> tuple[ir.Value, Slot]:
        """The header and the slot that an expression designates."""
        body = self.body
        match target:
            case FieldValue(ref):
                return body.header(ref.header).pointer, body.slot(ref)
            case LastField(stack, index):
                place = body.unit.layout.stacks[stack]
                return self.last_element(place), body.unit.layout.of(stack.type).slots[index]
            case FieldOf(header, index):
                found = self.header(header)
                return found.pointer, found.layout.slots[index]
        raise AssertionError(f"{target} is not a field")

    def put_cell(self, register: RegisterDef, index: Number, value: ir.Value) -> None:
        """Write a cell; beyond the end nothing happens."""
        at, inside = self.inside(index, register.size)

        def write() -> None:
            stored = self.body.resize(value, 8 * cell_octets(register.width))
            self.body.store(stored, self.cell(register, at))

        self.body.when(inside, write)

    def _write_signed(self, pointer: ir.Value, slot: Slot, number: Number, bounds: Range) -> None:
        """As the reference's field_writer: what fits signed or unsigned is kept, all else wraps."""
        b = self.body.b
        low, high = -(1 << max(slot.width - 1, 0)), (1 << slot.width) - 1
        wrapped = self.body.resize(
            self.body.resize(self.body.resize(number.value, 1 + slot.bits, number.signed), slot.width), slot.bits, True
        )
        if low <= bounds[0] and bounds[1] <= high:
            self.body.write(pointer, slot, self.body.resize(number.value, slot.bits, number.signed))
            return
        width = max(number.value.type.width, slot.bits) + 1
        value = self.body.resize(number.value, width, number.signed)
        fits = b.and_(b.icmp_signed(">=", value, value.type(low)), b.icmp_signed("<=", value, value.type(high)))
        self.body.write(pointer, slot, b.select(fits, self.body.resize(value, slot.bits), wrapped))
