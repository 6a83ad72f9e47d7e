"""Primitives on whole headers, unions and stacks."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.layout import StackPlace, UnionLayout
from softswitch.native.runtime.structs import CTX_LENGTH
from softswitch.native.translate.body import OCTET, Body, Place, UnionPlace
from softswitch.native.translate.expressions import Expressions
from softswitch.native.words import WORD, u8, word
from softswitch.program.expressions import Expr


@word
def exchange(a: int, b: int, octets: int) -> None:
    """Exchange two pieces of memory."""
    for i in range(octets):
        kept = u8[a + i]
        u8[a + i] = u8[b + i]
        u8[b + i] = kept


@word
def stack_push(start: int, stride: int, size: int, count: int) -> None:
    """Move elements count places towards the end."""
    at = size
    while at > count:
        at -= 1
        exchange(start + stride * at, start + stride * (at - count), stride)


@word
def stack_pop(start: int, stride: int, size: int, count: int) -> None:
    """Move elements count places towards the beginning."""
    at = 0
    while at + count < size:
        exchange(start + stride * at, start + stride * (at + count), stride)
        at += 1


def header_octets(body: Body, place: Place) -> ir.Value:
    """Size of a header on the wire as it is now."""
    fixed = WORD(place.layout.type.fixed_bits // 8)
    variable = place.layout.variable
    if variable is None:
        return fixed
    bits = body.load(body.offset(place.pointer, variable.length))
    return body.b.lshr(body.b.add(WORD(place.layout.type.fixed_bits), bits), WORD(3))


def assign_header(body: Body, target: Place, source: Place) -> None:
    """Copy a valid header; an invalid one makes the target invalid."""

    def copied() -> None:
        body.copy(target.pointer, source.pointer, target.layout.size)
        body.make_valid(target)

    body.when(body.is_valid(source), copied, lambda: body.make_invalid(target))


def assign_union(expressions: Expressions, target: Expr, source: Expr) -> None:
    """Copy a union member by member."""
    pairs = (expressions.members(expressions.union(expr)) for expr in (target, source))
    for to, origin in zip(*pairs, strict=True):
        assign_header(expressions.body, to, origin)


def assign_stack(expressions: Expressions, target: Expr, source: Expr) -> None:
    """Copy a stack element by element."""
    body = expressions.body
    to, origin = expressions.stack(target), expressions.stack(source)
    expressions.set_filled(to, expressions.filled(origin))
    for number in range(to.count):
        places = (_places(expressions, stack, number) for stack in (to, origin))
        for a, b in zip(*places, strict=True):
            assign_header(body, a, b)


def _places(expressions: Expressions, stack: StackPlace, number: int) -> list[Place]:
    """The headers of an element."""
    pointer = expressions.body.offset(expressions.body.fields, stack.start + number * stack.stride)
    if isinstance(stack.element, UnionLayout):
        return expressions.members(UnionPlace(pointer, stack.element))
    return [Place(pointer, stack.element)]


def add_header(body: Body, place: Place) -> None:
    """Make a header valid, its fields zero, unless it is valid already."""
    if place.metadata:
        return

    def add() -> None:
        variable = place.layout.variable
        length = body.load(body.offset(place.pointer, variable.length)) if variable else None
        body.clear(place.pointer, place.layout.size)
        if variable is not None:
            body.store(length, body.offset(place.pointer, variable.length))
        body.make_valid(place)
        _change_length(body, header_octets(body, place))

    body.when(body.b.not_(body.is_valid(place)), add)


def remove_header(body: Body, place: Place) -> None:
    """Make a header invalid."""

    def remove() -> None:
        _change_length(body, body.b.neg(header_octets(body, place)))
        body.make_invalid(place)

    body.when(body.is_valid(place), remove)


def _change_length(body: Body, octets: ir.Value) -> None:
    body.set_context_word(CTX_LENGTH, body.b.add(body.context_word(CTX_LENGTH), octets))


def shift_stack(expressions: Expressions, stack_expr: Expr, count_expr: Expr, push: bool) -> None:
    """Push or pop at most the whole stack; what is moved in is invalid."""
    body, b = expressions.body, expressions.body.b
    stack = expressions.stack(stack_expr)
    low, _ = expressions.ranges.of(count_expr)
    wanted = expressions.at_most(count_expr, stack.count)
    if low < 0:
        wanted = b.select(b.icmp_signed("<", wanted, WORD(0)), WORD(0), wanted)
    start = body.offset(body.fields, stack.start)
    body.call(stack_push if push else stack_pop, start, stack.stride, stack.count, wanted)
    left = b.sub(WORD(stack.count), wanted)
    for number in range(stack.count):
        gone = b.icmp_unsigned("<", WORD(number), wanted) if push else b.icmp_unsigned(">=", WORD(number), left)
        for place in _places(expressions, stack, number):
            kept = body.load(place.pointer, 8)
            body.store(b.select(gone, OCTET(0), kept), place.pointer)
    filled = expressions.filled(stack)
    if push:
        more = b.add(filled, wanted)
        changed = b.select(b.icmp_unsigned(">", more, WORD(stack.count)), WORD(stack.count), more)
    else:
        changed = b.select(b.icmp_unsigned("<", filled, wanted), WORD(0), b.sub(filled, wanted))
    expressions.set_filled(stack, changed)
