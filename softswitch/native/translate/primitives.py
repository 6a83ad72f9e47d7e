"""The primitives of v1model, each written into the function of its action."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from softswitch.native.errors import UntranslatableError
from softswitch.native.runtime.buffers import buffer_release, buffer_take
from softswitch.native.runtime.events import event_put
from softswitch.native.runtime.hashes import random_word
from softswitch.native.runtime.meters import meter_execute
from softswitch.native.runtime.structs import (
    BUF_AREA,
    CTX_CLONE_LIST,
    CTX_CLONE_SESSION,
    CTX_DIGEST,
    CTX_EXITED,
    CTX_INGRESS_LENGTH,
    CTX_LIMIT,
    CTX_RECIRCULATE,
    CTX_RESUBMIT,
    LOG,
    METER_BYTES,
    SW_DROP_PORT,
    SW_HUB,
    SW_NOW,
)
from softswitch.native.translate import headers
from softswitch.native.translate.body import Body
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.hashing import calculation
from softswitch.native.words import WORD, u64, word
from softswitch.program.actions import Argument, Primitive
from softswitch.program.calculations import CalculationDef
from softswitch.program.expressions import Expr, LValue, Operation, RegisterCell
from softswitch.program.expressions import ExprType as Type
from softswitch.program.headers import FieldRef
from softswitch.program.stateful import CounterDef, MeterDef, RegisterDef

_MAX_U16 = (1 << 16) - 1
_MAX_U64 = (1 << 64) - 1
_SESSION_MASK = (1 << 15) - 1


class Call:
    """A primitive call and where it is written to."""

    def __init__(self, call: Primitive, expressions: Expressions) -> None:
        self.call = call
        self.expressions = expressions
        self.body: Body = expressions.body

    def __getitem__(self, index: int) -> Argument:
        return self.call.arguments[index]

    def expr(self, index: int) -> Expr:
        """An expression."""
        argument = self.call.arguments[index]
        assert isinstance(argument, Expr)
        return argument

    def target(self, index: int) -> LValue:
        """Something to write to."""
        argument = self.call.arguments[index]
        assert isinstance(argument, LValue)
        return argument


def write_primitive(call: Primitive, expressions: Expressions) -> None:
    """Write one primitive."""
    if call.op not in _WRITERS:
        raise UntranslatableError(f"primitive {call.op}")
    _WRITERS[call.op](Call(call, expressions))


Writer = Callable[[Call], None]


# Assignment


def _assign(call: Call) -> None:
    call.expressions.assign(call.target(0), call.expr(1))


def _in_place(op: str) -> Writer:
    def write(call: Call) -> None:
        call.expressions.assign(call.target(0), Operation(op, (call.expr(0), call.expr(1)), Type.DATA))

    return write


def _from_two(op: str) -> Writer:
    def write(call: Call) -> None:
        call.expressions.assign(call.target(0), Operation(op, (call.expr(1), call.expr(2)), Type.DATA))

    return write


def assign_variable(body: Body, target: FieldRef, source: FieldRef) -> None:
    """Copy a variable-length field, its length included."""
    to, origin = body.slot(target), body.slot(source)
    if to.storage < origin.storage:
        raise UntranslatableError(f"{target.name} has less room than {source.name}")
    a, b = body.header(target.header).pointer, body.header(source.header).pointer
    body.store(body.load(body.offset(b, origin.length)), body.offset(a, to.length))
    body.copy(body.offset(a, to.offset), body.offset(b, origin.offset), origin.storage // 8)


def _assign_variable(call: Call) -> None:
    target, source = call[0], call[1]
    assert isinstance(target, FieldRef)
    assert isinstance(source, FieldRef)
    assign_variable(call.body, target, source)


# Headers


def _assign_header(call: Call) -> None:
    target, source = (call.expressions.header(call.expr(i)) for i in (0, 1))
    headers.assign_header(call.body, target, source)


def _add_header_fast(call: Call) -> None:
    call.body.make_valid(call.expressions.header(call.expr(0)))


# State


def _count(call: Call) -> None:
    definition = call[0]
    assert isinstance(definition, CounterDef)
    body, b = call.body, call.body.b
    at, inside = call.expressions.inside(call.expressions.exact(call.expr(1)), definition.size)

    def count() -> None:
        cell = body.offset(body.pointer(body.object_address(definition)), b.mul(at, WORD(16)))
        octets = body.offset(cell, 8)
        body.store(b.add(body.load(cell), WORD(1)), cell)
        body.store(b.add(body.load(octets), body.context_word(CTX_INGRESS_LENGTH)), octets)

    body.when(inside, count)


def meter_color(body: Body, definition: MeterDef, cell: ir.Value) -> ir.Value:
    """Account the packet at a meter; its color."""
    amount = body.context_word(CTX_INGRESS_LENGTH) if definition.unit == "bytes" else WORD(1)
    return body.call(meter_execute, cell, amount, body.switch_word(SW_NOW))


def _execute_meter(call: Call) -> None:
    definition = call[0]
    assert isinstance(definition, MeterDef)
    body = call.body
    at, inside = call.expressions.inside(call.expressions.exact(call.expr(1)), definition.size)

    def execute() -> None:
        cell = body.b.add(body.object_address(definition), body.b.mul(at, WORD(METER_BYTES)))
        call.expressions.assign_word(call.target(2), meter_color(body, definition, cell))

    body.when(inside, execute)


def _register_read(call: Call) -> None:
    definition = call[1]
    assert isinstance(definition, RegisterDef)
    index = call.expressions.exact(call.expr(2))
    _, inside = call.expressions.inside(index, definition.size)
    cell = RegisterCell(definition, call.expr(2))
    call.body.when(inside, lambda: call.expressions.assign(call.target(0), cell))


def _register_write(call: Call) -> None:
    definition = call[0]
    assert isinstance(definition, RegisterDef)
    value = call.expressions.low(call.expr(2), definition.width)
    call.expressions.put_cell(definition, call.expressions.exact(call.expr(1)), value)


def _hash(call: Call) -> None:
    definition = call[2]
    assert isinstance(definition, CalculationDef)
    body, b = call.body, call.body.b
    base, size = call.expressions.word(call.expr(1)), call.expressions.at_most(call.expr(3), _MAX_U64)
    modulus = b.select(b.icmp_unsigned("==", size, WORD(0)), WORD(1), size)
    hashed = b.call(calculation(body.unit, definition), [body.switch, body.context])
    call.expressions.assign_word(call.target(0), b.add(b.urem(hashed, modulus), base))


def _random(call: Call) -> None:
    body, b = call.body, call.body.b
    low, high = (call.expressions.exact(call.expr(i)) for i in (1, 2))
    if max(low.value.type.width, high.value.type.width) > 64 or low.signed or high.signed:
        raise UntranslatableError("a random number of more than 64 bits, or a signed one")
    least, most = body.resize(low.value, 64), body.resize(high.value, 64)

    def draw() -> None:
        span = b.add(b.sub(most, least), WORD(1))
        drawn = body.call(random_word, body.switch)
        whole = b.icmp_unsigned("==", span, WORD(0))
        chosen = b.urem(drawn, b.select(whole, WORD(1), span))
        call.expressions.assign_word(call.target(0), b.add(least, b.select(whole, drawn, chosen)))

    body.when(b.icmp_unsigned("<=", least, most), draw)


# Fate


def _drop(call: Call) -> None:
    program = call.body.unit.program
    egress_spec = program.field("standard_metadata.egress_spec")
    assert egress_spec is not None
    _drop_through(call, egress_spec, program.field("intrinsic_metadata.mcast_grp"))


def _mark_to_drop(call: Call) -> None:
    header = getattr(call.expr(0), "header", None)
    assert header is not None
    egress_spec, group = (header.type.find(name) for name in ("egress_spec", "mcast_grp"))
    _drop_through(call, FieldRef(header, egress_spec), FieldRef(header, group) if group else None)


def _drop_through(call: Call, egress_spec: FieldRef, group: FieldRef | None) -> None:
    body = call.body
    pointer = body.header(egress_spec.header).pointer
    call.expressions.write_word(pointer, body.slot(egress_spec), body.switch_word(SW_DROP_PORT))
    if group is not None:
        slot = body.slot(group)
        body.write(body.header(group.header).pointer, slot, ir.IntType(slot.bits)(0))


def _clone(call: Call) -> None:
    session = call.expressions.at_most(call.expr(0), _MAX_U16)
    call.body.set_context_word(CTX_CLONE_SESSION, call.body.b.and_(session, WORD(_SESSION_MASK)))
    call.body.set_context_word(CTX_CLONE_LIST, call.expressions.at_most(call.expr(1), _MAX_U16))


def _mark(offset: int, argument: int) -> Writer:
    def write(call: Call) -> None:
        call.body.set_context_word(offset, call.expressions.at_most(call.expr(argument), _MAX_U16))

    return write


def _truncate(call: Call) -> None:
    body, b = call.body, call.body.b
    low, _ = call.expressions.ranges.of(call.expr(0))
    wanted = call.expressions.at_most(call.expr(0), (1 << 63) - 1)
    if low < 0:
        wanted = b.select(b.icmp_signed("<", wanted, WORD(0)), WORD(0), wanted)
    limit = body.context_word(CTX_LIMIT)
    body.set_context_word(CTX_LIMIT, b.select(b.icmp_unsigned("<", wanted, limit), wanted, limit))


def _exit(call: Call) -> None:
    call.body.set_context_word(CTX_EXITED, 1)


def _no_op(_call: Call) -> None:
    """Nothing."""


# Diagnostics


def _assert(call: Call) -> None:
    number = call.expressions.exact(call.expr(0)).value
    holds = call.body.b.icmp_unsigned("!=", number, number.type(0))
    call.body.require(holds, call.body.dropped)


@word
def note(switch: int, kind: int, number: int, words: int, count: int) -> None:
    """An event with some words."""
    hub = u64[switch + SW_HUB]
    buffer = buffer_take(hub, 8 * count)
    if buffer == 0:
        return
    data = buffer + BUF_AREA
    for i in range(count):
        u64[data + 8 * i] = u64[words + 8 * i]
    if event_put(switch, kind, 0, buffer, data, 8 * count, number) == 0:
        buffer_release(hub, buffer)


def message_words(widths: list[int]) -> int:
    """Words that the values of a message take."""
    return sum((width + 63) // 64 for width in widths)


def _log_message(call: Call) -> None:
    items = call[1]
    assert isinstance(items, tuple)
    body = call.body
    numbers = [call.expressions.exact(item) for item in items]
    count = message_words([number.value.type.width for number in numbers])
    space = body.alloca(ir.ArrayType(WORD, max(count, 1)))
    at = 0
    for number in numbers:
        words = (number.value.type.width + 63) // 64
        body.store(body.resize(number.value, 64 * words, number.signed), body.offset(space, 8 * at))
        at += words
    body.call(note, body.switch, LOG, body.unit.objects.messages[call.call], space, count)


_WRITERS: dict[str, Writer] = {
    "add": _from_two("+"),
    "add_header": lambda call: headers.add_header(call.body, call.expressions.header(call.expr(0))),
    "add_header_fast": _add_header_fast,
    "add_to_field": _in_place("+"),
    "assert": _assert,
    "assign": _assign,
    "assign_VL": _assign_variable,
    "assign_header": _assign_header,
    "assign_header_stack": lambda call: headers.assign_stack(call.expressions, call.expr(0), call.expr(1)),
    "assign_union": lambda call: headers.assign_union(call.expressions, call.expr(0), call.expr(1)),
    "assign_union_stack": lambda call: headers.assign_stack(call.expressions, call.expr(0), call.expr(1)),
    "assume": _assert,
    "bit_and": _from_two("&"),
    "bit_or": _from_two("|"),
    "bit_xor": _from_two("^"),
    "clone_egress_pkt_to_egress": _clone,
    "clone_ingress_pkt_to_egress": _clone,
    "copy_header": _assign_header,
    "count": _count,
    "drop": _drop,
    "execute_meter": _execute_meter,
    "exit": _exit,
    "generate_digest": _mark(CTX_DIGEST, 1),
    "log_msg": _log_message,
    "mark_to_drop": _mark_to_drop,
    "modify_field": _assign,
    "modify_field_rng_uniform": _random,
    "modify_field_with_hash_based_offset": _hash,
    "no_op": _no_op,
    "pop": lambda call: headers.shift_stack(call.expressions, call.expr(0), call.expr(1), push=False),
    "push": lambda call: headers.shift_stack(call.expressions, call.expr(0), call.expr(1), push=True),
    "recirculate": _mark(CTX_RECIRCULATE, 0),
    "register_read": _register_read,
    "register_write": _register_write,
    "remove_header": lambda call: headers.remove_header(call.body, call.expressions.header(call.expr(0))),
    "resubmit": _mark(CTX_RESUBMIT, 0),
    "shift_left": _from_two("<<"),
    "shift_right": _from_two(">>"),
    "subtract": _from_two("-"),
    "subtract_from_field": _in_place("-"),
    "truncate": _truncate,
}
