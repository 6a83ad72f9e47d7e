"""The numbers an expression can yield, so that it can be computed in a machine integer that holds them all."""

from __future__ import annotations

from softswitch.native.errors import UntranslatableError
from softswitch.program.expressions import (
    Choice,
    Const,
    Expr,
    FieldOf,
    FieldValue,
    LastField,
    Local,
    Operation,
    RegisterCell,
    StackRef,
    UnionStackRef,
)
from softswitch.program.headers import Field
from softswitch.program.load.expressions import header_type_of

Range = tuple[int, int]  # least and greatest

MAX_BITS = 4096  # of a machine integer
MAX_SHIFT = 1 << 16  # of a shift to the left; one that is longer leaves nothing


def width_of(bounds: Range) -> tuple[int, bool]:
    """Bits for all numbers of a range, and whether that is in two's complement."""
    low, high = bounds
    if low >= 0:
        bits, signed = max(high.bit_length(), 1), False
    else:
        bits, signed = max((-low - 1).bit_length(), max(high, 0).bit_length()) + 1, True
    if bits > MAX_BITS:
        raise UntranslatableError(f"an expression of {bits} bits")
    return bits, signed


def field_range(field: Field) -> Range:
    """A signed field can keep an unsigned number of its width, see the reference's field_writer."""
    return -(1 << max(field.width - 1, 0)) if field.signed else 0, (1 << field.width) - 1


class Ranges:
    """Ranges of expressions. locals: those of the action's parameters or of the header being extracted."""

    def __init__(self, locals: tuple[Range, ...]) -> None:
        self._locals = locals

    def of(self, expr: Expr) -> Range:
        """The range of a data expression."""
        match expr:
            case Const(value):
                return value, value
            case FieldValue(ref):
                return field_range(ref.field)
            case LastField(stack, index):
                return field_range(stack.type.fields[index])
            case FieldOf(header, index):
                return field_range(header_type_of(header).fields[index])
            case Local(index):
                return self._locals[index]
            case RegisterCell(register, _):
                return 0, (1 << register.width) - 1
            case Choice(_, if_true, if_false):
                return self._either(if_true, if_false)
            case Operation("b2d", _):
                return 0, 1
            case Operation("size_stack", (StackRef(stack),)):
                return 0, len(stack.headers)
            case Operation("last_stack_index", (StackRef(stack),)):
                return -1, len(stack.headers) - 1
            case Operation("size_stack" | "last_stack_index", (UnionStackRef(union_stack),)):
                return -1, len(union_stack.unions)
            case Operation("~", (operand,)):
                low, high = self.of(operand)
                return ~high, ~low
            case Operation(op, (left, right)):
                return self._binary(op, self.of(left), self.of(right), right)
        raise AssertionError(f"{expr} is not data")

    def _either(self, left: Expr, right: Expr) -> Range:
        (a, b), (c, d) = self.of(left), self.of(right)
        return min(a, c), max(b, d)

    def _binary(self, op: str, left: Range, right: Range, right_expr: Expr) -> Range:
        (a, b), (c, d) = left, right
        match op:
            case "+":
                return a + c, b + d
            case "-":
                return a - d, b - c
            case "*":
                products = (a * c, a * d, b * c, b * d)
                return min(products), max(products)
            case "/":
                most = max(abs(a), abs(b))
                return (0 if a >= 0 and c >= 0 else -most), most
            case "%":
                most = max(abs(c), abs(d), 1) - 1
                most = max(most, abs(a), abs(b)) if c <= 0 <= d else most
                return (0 if a >= 0 else -most), most
            case "<<":
                most = min(max(d, 0), MAX_SHIFT - 1)
                return min(a << most, a, 0), max(b << most, b, 0)
            case ">>":
                least, most = max(c, 0), min(max(d, 0), MAX_SHIFT)
                least = min(least, most)
                ends = (a >> least, a >> most, b >> least, b >> most)
                return min(ends), max(ends)
            case "&":
                if a >= 0 and c >= 0:
                    return 0, min(b, d)
                if a >= 0 or c >= 0:
                    return 0, b if a >= 0 else d
                return self._signed(left, right)
            case "|" | "^":
                if a >= 0 and c >= 0:
                    return 0, (1 << max(b, d).bit_length()) - 1
                return self._signed(left, right)
            case "two_comp_mod":
                half = 1 << max(0, constant(right_expr, op) - 1)
                return -half, half - 1
            case "sat_cast":
                high = (1 << max(0, constant(right_expr, op) - 1)) - 1
                return -high - 1, high
            case "usat_cast":
                return 0, (1 << max(0, constant(right_expr, op))) - 1
        raise AssertionError(f"{op} is not an operator on data")

    @staticmethod
    def _signed(left: Range, right: Range) -> Range:
        bits = max(width_of(left)[0] + (left[0] >= 0), width_of(right)[0] + (right[0] >= 0))
        return -(1 << bits - 1), (1 << bits - 1) - 1


def constant(expr: Expr, op: str) -> int:
    """The width that a cast names."""
    if not isinstance(expr, Const):
        raise UntranslatableError(f"{op} to a width that is not constant")
    return expr.value
