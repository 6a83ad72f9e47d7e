"""The parser: from octets to headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softswitch.program.expressions import Expr, FieldValue, LastField
from softswitch.program.headers import FieldRef, Header, HeaderStack
from softswitch.program.model import Program
from softswitch.program.parser import (
    Advance,
    CallPrimitive,
    Extract,
    Lookahead,
    ParserKey,
    ParserOp,
    ParseStateDef,
    SetField,
    UnionStackField,
    UnionStackMember,
    ValueSetTransition,
    ValueTransition,
    Verify,
)
from softswitch.reference.checksums import Verification
from softswitch.reference.expressions import Data, field_writer
from softswitch.reference.layout import ALWAYS, HeaderSlots
from softswitch.reference.packet import Packet
from softswitch.reference.primitives import Context, changes, compile_primitive
from softswitch.reference.trace import Extracted, NamedValue, ParserError, PrimitiveRun, StateEntered, Transition

_MAX_INT = (1 << 31) - 1


class _Rejected(Exception):  # noqa: N818 - ends the parser, not the packet
    def __init__(self, error: int) -> None:
        self.error = error


class _Reader:
    """The packet's octets and how far they have been taken."""

    __slots__ = ("data", "packet", "position")

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.data = packet.data
        self.position = 0


_Op = Callable[[_Reader], None]
_Target = Callable[[Packet], HeaderSlots]  # where the next header goes
_KeyPart = Callable[[_Reader], int]
_Select = Callable[[tuple[int, ...]], str | None]


@dataclass(slots=True)
class _State:
    definition: ParseStateDef
    ops: list[_Op]
    key: list[_KeyPart]
    select: _Select


class Parser:
    """Parses packets, then verifies their checksums."""

    def __init__(self, program: Program, context: Context, verifications: list[Verification]) -> None:
        self._context = context
        self._errors = program.errors
        self._error_names = {value: name for name, value in program.errors.items()}
        self._verifications = verifications
        self._first = program.parser.first
        self._states = {name: self._state(state) for name, state in program.parser.states.items()}

    def parse(self, packet: Packet) -> None:
        """Fill the packet's fields from its data; what is left becomes its payload.

        An error ends the parser and is left in ``packet.error``. A packet that makes the parser go round
        without end is stopped with ParserTimeout.
        """
        packet.error = self._errors["NoError"]
        packet.checksum_error = False
        reader = _Reader(packet)
        name = self._first
        try:
            for _ in range(1024 + 8 * len(reader.data)):
                if name is None:
                    break
                name = self._run(self._states[name], reader)
            else:
                raise _Rejected(self._errors["ParserTimeout"])
        except _Rejected as rejection:
            packet.error = rejection.error
            if self._context.trace is not None:
                error = self._error_names.get(rejection.error, str(rejection.error))
                self._context.trace(ParserError(packet.id, name or "", error))
        packet.payload = reader.data[reader.position :]
        for verify in self._verifications:
            if not verify(packet):
                packet.checksum_error = True

    def _run(self, state: _State, reader: _Reader) -> str | None:
        trace = self._context.trace
        if trace is not None:
            trace(StateEntered(reader.packet.id, state.definition.name))
        for op in state.ops:
            op(reader)
        key = tuple([part(reader) for part in state.key])
        following = state.select(key)
        if trace is not None:
            values = tuple(
                NamedValue(_key_name(part), value, part.width)
                for part, value in zip(state.definition.key, key, strict=True)
            )
            trace(Transition(reader.packet.id, state.definition.name, values, following))
        return following

    def _reject(self, name: str) -> _Rejected:
        return _Rejected(self._errors[name])

    def _state(self, definition: ParseStateDef) -> _State:
        return _State(
            definition,
            [self._traced(op, self._op(op)) for op in definition.ops],
            [self._key_part(part) for part in definition.key],
            self._select(definition),
        )

    def _op(self, op: ParserOp) -> _Op:
        match op:
            case Extract():
                return self._extract(op)
            case SetField(target, FieldRef() as source):
                return self._set_varbit(target, source)
            case SetField(target, Lookahead() as ahead):
                write, peek = field_writer(self._context.layout.spec(target)), self._lookahead(ahead)
                return lambda reader: write(reader.packet.fields, peek(reader))
            case SetField(target, value):
                assert isinstance(value, Expr)
                return self._set(target, value)
            case Verify(condition, error):
                return self._verify(condition, error)
            case Advance(bits):
                return self._advance(self._context.expressions.data(bits))
            case CallPrimitive(primitive):
                run = compile_primitive(primitive, self._context)
                return lambda reader: run(reader.packet)

    def _traced(self, definition: ParserOp, op: _Op) -> _Op:
        """Assignments report what they changed; the other operations have events of their own."""
        trace = self._context.trace
        if trace is None or not isinstance(definition, SetField):
            return op

        def traced(reader: _Reader) -> None:
            packet, before = reader.packet, reader.packet.fields.copy()
            op(reader)
            changed = changes(self._context.layout, before, packet.fields)
            trace(PrimitiveRun(packet.id, "set", None, changed))

        return traced

    def _set(self, target: FieldRef, source: Expr) -> _Op:
        write = field_writer(self._context.layout.spec(target))
        value = self._context.expressions.data(source)
        return lambda reader: write(reader.packet.fields, value(reader.packet.fields))

    def _set_varbit(self, target: FieldRef, source: FieldRef) -> _Op:
        layout = self._context.layout
        to, origin = layout.slot(target), layout.slot(source)
        to_length, origin_length = (layout.headers[ref.header].length for ref in (target, source))

        def op(reader: _Reader) -> None:
            f = reader.packet.fields
            f[to], f[to_length] = f[origin], f[origin_length]

        return op

    def _verify(self, condition: Expr, error: Expr) -> _Op:
        holds = self._context.expressions.truth(condition)
        code = self._context.expressions.data(error)

        def op(reader: _Reader) -> None:
            if not holds(reader.packet.fields):
                raise _Rejected(code(reader.packet.fields))

        return op

    def _advance(self, bits: Data) -> _Op:
        def op(reader: _Reader) -> None:
            amount = bits(reader.packet.fields)
            if amount % 8:
                raise self._reject("ParserInvalidArgument")
            if not 0 <= amount // 8 <= len(reader.data) - reader.position:
                raise self._reject("PacketTooShort")
            reader.position += amount // 8

        return op

    def _extract(self, op: Extract) -> _Op:
        target, filled = self._target(op)
        take = self._take_fixed if op.length is None else self._take_variable(op.length, op.by_header)
        trace = self._context.trace

        def extract(reader: _Reader) -> None:
            packet = reader.packet
            header = target(packet)
            take(reader, header)
            header.make_valid(packet.fields)
            if filled is not None:
                packet.fields[filled] += 1
            if trace is not None:
                trace(Extracted(packet.id, header.name, _header_values(packet, header)))

        return extract

    def _target(self, op: Extract) -> tuple[_Target, int | None]:
        """Where the header goes, and the fill counter to advance."""
        layout = self._context.layout
        match op.target:
            case Header() as header:
                fixed = layout.headers[header]
                return lambda packet: fixed, None
            case HeaderStack() as stack:
                slots = layout.stacks[stack]

                def next_header(packet: Packet) -> HeaderSlots:
                    at = packet.fields[slots.next]
                    if at >= len(slots.elements):
                        raise self._reject("StackOutOfBounds")
                    return slots.elements[at]

                return next_header, slots.next
            case UnionStackMember(union_stack, member):
                unions = layout.union_stacks[union_stack]

                def next_member(packet: Packet) -> HeaderSlots:
                    at = packet.fields[unions.next]
                    if at >= len(unions.elements):
                        raise self._reject("StackOutOfBounds")
                    return unions.elements[at].members[member]

                return next_member, unions.next

    def _take_fixed(self, reader: _Reader, header: HeaderSlots) -> None:
        octets = header.fixed_bits // 8
        end = reader.position + octets
        if end > len(reader.data):
            raise self._reject("PacketTooShort")
        header.unpack(reader.packet.fields, int.from_bytes(reader.data[reader.position : end]))
        reader.position = end

    def _take_variable(self, length: Expr, by_header: bool) -> Callable[[_Reader, HeaderSlots], None]:
        bits_of = self._context.expressions.data(length)
        first_local = self._context.layout.locals

        def take(reader: _Reader, header: HeaderSlots) -> None:
            left = len(reader.data) - reader.position
            f = reader.packet.fields
            if by_header:
                fixed = header.fixed_bits // 8
                if fixed > left:
                    raise self._reject("PacketTooShort")
                header.unpack(f, int.from_bytes(reader.data[reader.position : reader.position + fixed]))
                count = len(header.type.fields)
                f[first_local : first_local + count] = f[header.start : header.start + count]
            bits = min(bits_of(f), _MAX_INT)
            if bits < 0 or bits % 8:
                raise self._reject("ParserInvalidArgument")
            octets = (header.fixed_bits + bits) // 8
            if octets > left:
                raise self._reject("PacketTooShort")
            if header.type.max_bytes is not None and octets > header.type.max_bytes:
                raise self._reject("HeaderTooShort")
            end = reader.position + octets
            header.unpack(f, int.from_bytes(reader.data[reader.position : end]), bits)
            reader.position = end

        return take

    def _lookahead(self, ahead: Lookahead) -> _KeyPart:
        first, past = ahead.offset // 8, (ahead.offset + ahead.width + 7) // 8
        shift, mask = 8 * past - ahead.offset - ahead.width, (1 << ahead.width) - 1

        def peek(reader: _Reader) -> int:
            if reader.position + past > len(reader.data):
                raise self._reject("PacketTooShort")
            octets = reader.data[reader.position + first : reader.position + past]
            return int.from_bytes(octets) >> shift & mask

        return peek

    def _key_part(self, key: ParserKey) -> _KeyPart:
        mask = (1 << key.width) - 1  # shows a signed field's bits
        match key.part:
            case Lookahead() as ahead:
                return self._lookahead(ahead)
            case UnionStackField(stack, member, index, _):
                unions = self._context.layout.union_stacks[stack]
                return lambda reader: (
                    reader.packet.fields[unions.at(reader.packet.fields[unions.next] - 1).members[member].start + index]
                    & mask
                )
            case FieldRef() as ref:
                value = self._context.expressions.data(FieldValue(ref))
            case LastField() as last:
                value = self._context.expressions.data(last)
        return lambda reader: value(reader.packet.fields) & mask

    def _select(self, state: ParseStateDef) -> _Select:
        default = state.default_next
        if not state.key:
            return lambda key: default
        if all(isinstance(t, ValueTransition) and _is_exact(t, state.key) for t in state.transitions):
            table: dict[tuple[int, ...], str | None] = {}
            for transition in state.transitions:
                assert isinstance(transition, ValueTransition)
                table.setdefault(transition.values, transition.next_state)
            return lambda key: table.get(key, default)
        tests = [(self._test(t, state.key), t.next_state) for t in state.transitions]

        def select(key: tuple[int, ...]) -> str | None:
            for test, following in tests:
                if test(key):
                    return following
            return default

        return select

    def _test(
        self, transition: ValueTransition | ValueSetTransition, key: tuple[ParserKey, ...]
    ) -> Callable[[tuple[int, ...]], bool]:
        match transition:
            case ValueTransition(values, masks, _):
                triples = list(zip(range(len(values)), values, masks, strict=True))
                return lambda found: all(found[i] & mask == value for i, value, mask in triples)
            case ValueSetTransition(definition, set_masks, _):
                value_set = self._context.state.value_set(definition.name)
                widths = [part.width for part in key]
                masks = set_masks or tuple((1 << width) - 1 for width in widths)
                return lambda found: value_set.contains(found, widths, masks)


def _is_exact(transition: ValueTransition, key: tuple[ParserKey, ...]) -> bool:
    """Whether the masks leave no bit of the key out."""
    return all(~mask & (1 << part.width) - 1 == 0 for mask, part in zip(transition.masks, key, strict=True))


def _key_name(key: ParserKey) -> str:
    match key.part:
        case FieldRef() as ref:
            return ref.name
        case LastField(stack, index):
            return f"{stack.name}.last.{stack.type.fields[index].name}"
        case UnionStackField(union_stack, member, index, _):
            name, kind = union_stack.type.members[member]
            return f"{union_stack.name}.last.{name}.{kind.fields[index].name}"
        case Lookahead(offset, width):
            return f"lookahead({offset}, {width})"


def _header_values(packet: Packet, header: HeaderSlots) -> tuple[NamedValue, ...]:
    values = []
    for definition, spec in zip(header.type.wire_fields, header.fields, strict=True):
        width = packet.fields[header.length] if spec.variable and header.length != ALWAYS else spec.width
        values.append(NamedValue(definition.name, packet.fields[spec.slot] & (1 << width) - 1, width))
    return tuple(values)
