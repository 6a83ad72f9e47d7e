"""Division of numbers that the machine cannot divide.

LLVM makes such a division a call of a function of the compiler's own library, which a Python process need not have
loaded. This is the method taught at school, in binary.
"""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.errors import UntranslatableError
from softswitch.native.translate.body import Body, Unit
from softswitch.native.words import WORD

_WIDE = ir.IntType(256)


def divide_wide(body: Body, dividend: ir.Value, divisor: ir.Value) -> ir.Value:
    """The quotient of two signed numbers, towards zero; the divisor is not zero."""
    b = body.b
    if dividend.type.width > _WIDE.width:
        raise UntranslatableError(f"a division of {dividend.type.width - 2} bits")
    numbers = [body.resize(number, _WIDE.width, True) for number in (dividend, divisor)]
    negative = [b.icmp_signed("<", number, _WIDE(0)) for number in numbers]
    sizes = [b.select(sign, b.neg(number), number) for sign, number in zip(negative, numbers, strict=True)]
    quotient = b.call(_function(body.unit), sizes)
    return b.select(b.xor(*negative), b.neg(quotient), quotient)


def _function(unit: Unit) -> ir.Function:
    """Dividend and divisor to quotient, unsigned."""
    if "divide" in unit.constants:
        return unit.constants["divide"]
    function = unit.linker.define("divide", _WIDE, [_WIDE, _WIDE])
    unit.constants["divide"] = function
    dividend, divisor = function.args
    entry, loop, done = (function.append_basic_block(name) for name in ("entry", "loop", "done"))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    count, rest, left, quotient = b.phi(WORD), b.phi(_WIDE), b.phi(_WIDE), b.phi(_WIDE)
    shifted = b.or_(b.shl(rest, _WIDE(1)), b.lshr(left, _WIDE(_WIDE.width - 1)))
    fits = b.icmp_unsigned(">=", shifted, divisor)
    new_rest = b.select(fits, b.sub(shifted, divisor), shifted)
    new_quotient = b.or_(b.shl(quotient, _WIDE(1)), b.zext(fits, _WIDE))
    new_left, new_count = b.shl(left, _WIDE(1)), b.add(count, WORD(1))
    for phi, first, next_value in (
        (count, WORD(0), new_count),
        (rest, _WIDE(0), new_rest),
        (left, dividend, new_left),
        (quotient, _WIDE(0), new_quotient),
    ):
        phi.add_incoming(first, entry)
        phi.add_incoming(next_value, loop)
    b.cbranch(b.icmp_unsigned("<", new_count, WORD(_WIDE.width)), loop, done)
    b.position_at_end(done)
    b.ret(new_quotient)
    return function
