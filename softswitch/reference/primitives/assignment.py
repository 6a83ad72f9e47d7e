"""Primitives that write a value to a field."""

from __future__ import annotations

from collections.abc import Callable

from softswitch.program.headers import FieldRef
from softswitch.reference.packet import Packet
from softswitch.reference.primitives.context import Arguments, Compiler, Context, Run


def _assign(args: Arguments, _: Context) -> Run:
    write, source = args.write(0), args.data(1)
    return lambda packet: write(packet.fields, source(packet.fields))


def _in_place(operate: Callable[[int, int], int]) -> Compiler:
    """target = target op value."""

    def compiled(args: Arguments, _: Context) -> Run:
        write, old, value = args.write(0), args.data(0), args.data(1)
        return lambda packet: write(packet.fields, operate(old(packet.fields), value(packet.fields)))

    return compiled


def _from_two(operate: Callable[[int, int], int]) -> Compiler:
    """target = a op b."""

    def compiled(args: Arguments, _: Context) -> Run:
        write, a, b = args.write(0), args.data(1), args.data(2)
        return lambda packet: write(packet.fields, operate(a(packet.fields), b(packet.fields)))

    return compiled


def _shift_left(value: int, amount: int) -> int:
    return value << amount if 0 <= amount < 1 << 16 else 0


def _shift_right(value: int, amount: int) -> int:
    return value >> min(max(amount, 0), 1 << 16)


def _assign_varbit(args: Arguments, context: Context) -> Run:
    target, source = args[0], args[1]
    assert isinstance(target, FieldRef)
    assert isinstance(source, FieldRef)
    headers = context.layout.headers
    to, to_length = context.layout.slot(target), headers[target.header].length
    origin, origin_length = context.layout.slot(source), headers[source.header].length

    def run(packet: Packet) -> None:
        f = packet.fields
        f[to], f[to_length] = f[origin], f[origin_length]

    return run


COMPILERS: dict[str, Compiler] = {
    "add": _from_two(int.__add__),
    "add_to_field": _in_place(int.__add__),
    "assign": _assign,
    "assign_VL": _assign_varbit,
    "bit_and": _from_two(int.__and__),
    "bit_or": _from_two(int.__or__),
    "bit_xor": _from_two(int.__xor__),
    "modify_field": _assign,
    "shift_left": _from_two(_shift_left),
    "shift_right": _from_two(_shift_right),
    "subtract": _from_two(int.__sub__),
    "subtract_from_field": _in_place(int.__sub__),
}
