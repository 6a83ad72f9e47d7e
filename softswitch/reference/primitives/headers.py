"""Primitives on whole headers, unions and stacks."""

from __future__ import annotations

from softswitch.reference.layout import Fields, HeaderSlots
from softswitch.reference.packet import Packet
from softswitch.reference.primitives.context import Arguments, Compiler, Context, Run


def _copy_header(f: Fields, target: HeaderSlots, source: HeaderSlots) -> None:
    if not f[source.valid]:
        target.make_invalid(f)
        return
    f[target.start : target.end] = f[source.start : source.end]
    target.make_valid(f)


def _assign_header(args: Arguments, _: Context) -> Run:
    target, source = args.header(0), args.header(1)
    return lambda packet: _copy_header(packet.fields, target(packet.fields), source(packet.fields))


def _assign_union(args: Arguments, _: Context) -> Run:
    target, source = args.union(0), args.union(1)

    def run(packet: Packet) -> None:
        f = packet.fields
        for to, origin in zip(target(f).members, source(f).members, strict=True):
            _copy_header(f, to, origin)

    return run


def _assign_stack(args: Arguments, context: Context) -> Run:
    target, source = (context.expressions.stack(args.expr(i)) for i in (0, 1))
    pairs = list(zip(target.headers, source.headers, strict=True))

    def run(packet: Packet) -> None:
        f = packet.fields
        f[target.next] = f[source.next]
        for to, origin in pairs:
            _copy_header(f, to, origin)

    return run


def _add_header(args: Arguments, _: Context) -> Run:
    header = args.header(0)

    def run(packet: Packet) -> None:
        f = packet.fields
        slots = header(f)
        if not f[slots.valid]:
            count = len(slots.type.fields)
            f[slots.start : slots.start + count] = [0] * count
            slots.make_valid(f)
            packet.length += slots.octets(f)

    return run


def _add_header_fast(args: Arguments, _: Context) -> Run:
    header = args.header(0)
    return lambda packet: header(packet.fields).make_valid(packet.fields)


def _remove_header(args: Arguments, _: Context) -> Run:
    header = args.header(0)

    def run(packet: Packet) -> None:
        f = packet.fields
        slots = header(f)
        if f[slots.valid]:
            packet.length -= slots.octets(f)
            slots.make_invalid(f)

    return run


def _shift_stack(direction: int) -> Compiler:
    def compiled(args: Arguments, context: Context) -> Run:
        stack, count = context.expressions.stack(args.expr(0)), args.data(1)
        size = len(stack.elements)

        def run(packet: Packet) -> None:
            amount = min(max(count(packet.fields), 0), size)
            if amount:
                stack.shift(packet.fields, direction * amount)

        return run

    return compiled


COMPILERS: dict[str, Compiler] = {
    "add_header": _add_header,
    "add_header_fast": _add_header_fast,
    "assign_header": _assign_header,
    "assign_header_stack": _assign_stack,
    "assign_union": _assign_union,
    "assign_union_stack": _assign_stack,
    "copy_header": _assign_header,
    "pop": _shift_stack(-1),
    "push": _shift_stack(1),
    "remove_header": _remove_header,
}
