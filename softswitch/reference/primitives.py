"""The primitives of v1model, each compiled to a closure over a packet."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from softswitch.program.actions import Argument, Primitive
from softswitch.program.calculations import CalculationDef
from softswitch.program.expressions import Expr, LValue
from softswitch.program.headers import FieldRef, Header
from softswitch.program.stateful import CounterDef, MeterDef, RegisterDef
from softswitch.reference.calculations import Calculation
from softswitch.reference.expressions import Data, ExpressionCompiler, HeaderOf, UnionOf, Write, field_writer
from softswitch.reference.layout import Fields, HeaderSlots, Layout
from softswitch.reference.packet import Packet, PacketDropped
from softswitch.reference.trace import FieldChange, Logged, PrimitiveRun, TraceSink
from softswitch.state import SwitchState

log = logging.getLogger(__name__)

Run = Callable[[Packet], None]
_MAX_U16, _MAX_U64 = (1 << 16) - 1, (1 << 64) - 1
_SESSION_MASK = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class Context:
    """What primitives are compiled against."""

    layout: Layout
    expressions: ExpressionCompiler
    calculations: Mapping[CalculationDef, Calculation]
    state: SwitchState
    drop_port: int
    random: random.Random
    trace: TraceSink | None
    standard: Callable[[str], FieldRef | None]  # a field the architecture knows by name


class Arguments:
    """The arguments of a call, compiled to what the primitive takes them for."""

    def __init__(self, arguments: tuple[Argument, ...], context: Context) -> None:
        self._arguments = arguments
        self._context = context

    def __getitem__(self, index: int) -> Argument:
        return self._arguments[index]

    def expr(self, index: int) -> Expr:
        """An expression as it is."""
        argument = self._arguments[index]
        assert isinstance(argument, Expr)
        return argument

    def data(self, index: int) -> Data:
        """A value to read."""
        return self._context.expressions.data(self.expr(index))

    def write(self, index: int) -> Write:
        """Something to write to."""
        target = self.expr(index)
        assert isinstance(target, LValue)
        return self._context.expressions.writer(target)

    def header(self, index: int) -> HeaderOf:
        """A header."""
        return self._context.expressions.header(self.expr(index))

    def union(self, index: int) -> UnionOf:
        """A header union."""
        return self._context.expressions.union(self.expr(index))


def compile_primitive(call: Primitive, context: Context) -> Run:
    """The closure of a primitive call; with a trace, it also reports the fields it changed."""
    run = _COMPILERS[call.op](Arguments(call.arguments, context), context)
    return run if context.trace is None else _traced(call, run, context.layout, context.trace)


def _traced(call: Primitive, run: Run, layout: Layout, trace: TraceSink) -> Run:
    def traced(packet: Packet) -> None:
        before = packet.fields.copy()
        try:
            run(packet)
        finally:
            trace(PrimitiveRun(packet.id, call.op, call.source, changes(layout, before, packet.fields)))

    return traced


def changes(layout: Layout, before: Fields, after: Fields) -> tuple[FieldChange, ...]:
    """The fields that differ."""
    compared = zip(layout.names, before, after, strict=True)
    return tuple(FieldChange(name, old, new) for name, old, new in compared if old != new)


# Assignment


def _assign(args: Arguments, _: Context) -> Run:
    write, source = args.write(0), args.data(1)
    return lambda packet: write(packet.fields, source(packet.fields))


def _in_place(operate: Callable[[int, int], int]) -> Callable[[Arguments, Context], Run]:
    """target = target op value."""

    def compiled(args: Arguments, _: Context) -> Run:
        write, old, value = args.write(0), args.data(0), args.data(1)
        return lambda packet: write(packet.fields, operate(old(packet.fields), value(packet.fields)))

    return compiled


def _from_two(operate: Callable[[int, int], int]) -> Callable[[Arguments, Context], Run]:
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


# Headers


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
    pairs = [
        (to, origin)
        for a, b in zip(target.elements, source.elements, strict=True)
        for to, origin in zip(_headers(a), _headers(b), strict=True)
    ]

    def run(packet: Packet) -> None:
        f = packet.fields
        f[target.next] = f[source.next]
        for to, origin in pairs:
            _copy_header(f, to, origin)

    return run


def _headers(element: object) -> tuple[HeaderSlots, ...]:
    return (element,) if isinstance(element, HeaderSlots) else element.members  # type: ignore[attr-defined]


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


def _shift_stack(direction: int) -> Callable[[Arguments, Context], Run]:
    def compiled(args: Arguments, context: Context) -> Run:
        stack, count = context.expressions.stack(args.expr(0)), args.data(1)
        size = len(stack.elements)

        def run(packet: Packet) -> None:
            amount = min(max(count(packet.fields), 0), size)
            if amount:
                stack.shift(packet.fields, direction * amount)

        return run

    return compiled


# State


def _count(args: Arguments, context: Context) -> Run:
    definition, index = args[0], args.data(1)
    assert isinstance(definition, CounterDef)
    counter = context.state.counter(definition.name)
    return lambda packet: counter.count(index(packet.fields), packet.ingress_length)


def _execute_meter(args: Arguments, context: Context) -> Run:
    definition, index, write = args[0], args.data(1), args.write(2)
    assert isinstance(definition, MeterDef)
    meter, clock = context.state.meter(definition.name), context.state.clock

    def run(packet: Packet) -> None:
        at = index(packet.fields)
        if 0 <= at < meter.size:
            write(packet.fields, meter.execute(at, packet.ingress_length, clock()))

    return run


def _register_read(args: Arguments, context: Context) -> Run:
    write, definition, index = args.write(0), args[1], args.data(2)
    assert isinstance(definition, RegisterDef)
    register = context.state.register(definition.name)

    def run(packet: Packet) -> None:
        at = index(packet.fields)
        if 0 <= at < register.size:
            write(packet.fields, register.get(at))

    return run


def _register_write(args: Arguments, context: Context) -> Run:
    definition, index, value = args[0], args.data(1), args.data(2)
    assert isinstance(definition, RegisterDef)
    register = context.state.register(definition.name)
    return lambda packet: register.put(index(packet.fields), value(packet.fields))


# Hashes and random numbers


def _hash(args: Arguments, context: Context) -> Run:
    write, base, definition, size = args.write(0), args.data(1), args[2], args.data(3)
    assert isinstance(definition, CalculationDef)
    calculation = context.calculations[definition]

    def run(packet: Packet) -> None:
        f = packet.fields
        modulus = min(size(f), _MAX_U64) or 1
        write(f, calculation(packet) % modulus + base(f) & _MAX_U64)

    return run


def _random(args: Arguments, context: Context) -> Run:
    write, low, high = args.write(0), args.data(1), args.data(2)

    def run(packet: Packet) -> None:
        smallest, largest = low(packet.fields), high(packet.fields)
        if smallest <= largest:
            write(packet.fields, context.random.randint(smallest, largest))

    return run


# What happens to the packet


def _drop(_args: Arguments, context: Context) -> Run:
    return _drop_through(
        context.standard("standard_metadata.egress_spec"),
        context.standard("intrinsic_metadata.mcast_grp"),
        context,
    )


def _mark_to_drop(args: Arguments, context: Context) -> Run:
    header = getattr(args.expr(0), "header", None)
    assert isinstance(header, Header)
    refs = (header.type.find(name) for name in ("egress_spec", "mcast_grp"))
    egress_spec, group = (FieldRef(header, field) if field else None for field in refs)
    return _drop_through(egress_spec, group, context)


def _drop_through(egress_spec: FieldRef | None, group: FieldRef | None, context: Context) -> Run:
    assert egress_spec is not None
    write, drop_port = field_writer(context.layout.spec(egress_spec)), context.drop_port
    group_slot = context.layout.slot(group) if group is not None else None

    def run(packet: Packet) -> None:
        write(packet.fields, drop_port)
        if group_slot is not None:
            packet.fields[group_slot] = 0

    return run


def _clone(args: Arguments, _: Context) -> Run:
    session, field_list = args.data(0), args.data(1)

    def run(packet: Packet) -> None:
        packet.clone_session = min(session(packet.fields), _MAX_U16) & _SESSION_MASK
        packet.clone_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _resubmit(args: Arguments, _: Context) -> Run:
    field_list = args.data(0)

    def run(packet: Packet) -> None:
        packet.resubmit_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _recirculate(args: Arguments, _: Context) -> Run:
    field_list = args.data(0)

    def run(packet: Packet) -> None:
        packet.recirculate_list = min(field_list(packet.fields), _MAX_U16)

    return run


def _generate_digest(args: Arguments, _: Context) -> Run:
    digest = args.data(1)  # the receiver, argument 0, is not used

    def run(packet: Packet) -> None:
        packet.digest = min(digest(packet.fields), _MAX_U16)

    return run


def _truncate(args: Arguments, _: Context) -> Run:
    length = args.data(0)

    def run(packet: Packet) -> None:
        wanted = max(length(packet.fields), 0)
        packet.limit = wanted if packet.limit is None else min(wanted, packet.limit)

    return run


def _exit(_args: Arguments, _: Context) -> Run:
    def run(packet: Packet) -> None:
        packet.exited = True

    return run


def _no_op(_args: Arguments, _: Context) -> Run:
    return lambda packet: None


# For people


def _assert(args: Arguments, _: Context) -> Run:
    holds = args.data(0)

    def run(packet: Packet) -> None:
        if holds(packet.fields) == 0:
            raise PacketDropped("an assertion of the program does not hold")

    return run


_PLACEHOLDER = re.compile(r"\\([{}])|\{[^}]*\}")


def _log_message(args: Arguments, context: Context) -> Run:
    template, items = args[0], args[1]
    assert isinstance(template, str)
    assert isinstance(items, tuple)
    values = [context.expressions.data(item) for item in items]

    def run(packet: Packet) -> None:
        left = iter(values)

        def substitute(found: re.Match[str]) -> str:
            if found[1]:
                return found[1]
            value = next(left, None)
            return found[0] if value is None else str(value(packet.fields))

        message = _PLACEHOLDER.sub(substitute, template)
        log.info("%s", message)
        if context.trace is not None:
            context.trace(Logged(packet.id, message))

    return run


_COMPILERS: dict[str, Callable[[Arguments, Context], Run]] = {
    "add": _from_two(int.__add__),
    "add_header": _add_header,
    "add_header_fast": _add_header_fast,
    "add_to_field": _in_place(int.__add__),
    "assert": _assert,
    "assign": _assign,
    "assign_VL": _assign_varbit,
    "assign_header": _assign_header,
    "assign_header_stack": _assign_stack,
    "assign_union": _assign_union,
    "assign_union_stack": _assign_stack,
    "assume": _assert,
    "bit_and": _from_two(int.__and__),
    "bit_or": _from_two(int.__or__),
    "bit_xor": _from_two(int.__xor__),
    "clone_egress_pkt_to_egress": _clone,
    "clone_ingress_pkt_to_egress": _clone,
    "copy_header": _assign_header,
    "count": _count,
    "drop": _drop,
    "execute_meter": _execute_meter,
    "exit": _exit,
    "generate_digest": _generate_digest,
    "log_msg": _log_message,
    "mark_to_drop": _mark_to_drop,
    "modify_field": _assign,
    "modify_field_rng_uniform": _random,
    "modify_field_with_hash_based_offset": _hash,
    "no_op": _no_op,
    "pop": _shift_stack(-1),
    "push": _shift_stack(1),
    "recirculate": _recirculate,
    "register_read": _register_read,
    "register_write": _register_write,
    "remove_header": _remove_header,
    "resubmit": _resubmit,
    "shift_left": _from_two(_shift_left),
    "shift_right": _from_two(_shift_right),
    "subtract": _from_two(int.__sub__),
    "subtract_from_field": _in_place(int.__sub__),
    "truncate": _truncate,
}
