"""The parser as one function: a block for each state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llvmlite import ir

from softswitch.native.layout import HeaderLayout
from softswitch.native.objects import value_set_transitions
from softswitch.native.runtime.program import p4_parse
from softswitch.native.runtime.structs import (
    CTX_CHECKSUM_ERROR,
    CTX_DATA,
    CTX_DATA_LENGTH,
    CTX_ERROR,
    CTX_PAYLOAD,
    CTX_PAYLOAD_LENGTH,
)
from softswitch.native.runtime.valuesets import value_set_contains
from softswitch.native.translate.bits import read_bits
from softswitch.native.translate.body import Body, Place, UnionPlace, Unit
from softswitch.native.translate.checksums import write_verification
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.primitives import assign_variable, write_primitive
from softswitch.native.translate.ranges import field_range
from softswitch.native.words import BIT, POINTER, WORD
from softswitch.program.expressions import Expr, FieldValue, LastField
from softswitch.program.headers import FieldRef, Header, HeaderStack, HeaderUnionStack
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

_STATES_OF_EMPTY, _STATES_PER_OCTET = 1024, 8  # states a packet may pass through, as in the reference
_MAX_INT = (1 << 31) - 1

Blocks = Callable[[str | None], ir.Block]  # of states by name
LocalReader = Callable[[int], tuple[ir.Value, int, bool]]


def write_parser(unit: Unit) -> None:
    """The hook p4_parse."""
    function = unit.linker.define(p4_parse.__name__, WORD, [POINTER, POINTER])
    body = Body(unit, function, switch=function.args[0], context=function.args[1])
    _Parser(body).write()
    body.finish()


class _Parser:
    def __init__(self, body: Body) -> None:
        self._body = body
        self._unit = body.unit
        self._definition = body.unit.program.parser
        self._errors = body.unit.program.errors
        self._expressions = Expressions(body)
        self._data = body.pointer(body.context_word(CTX_DATA))
        self._octets = body.context_word(CTX_DATA_LENGTH)
        self._position = body.alloca(WORD)
        self._error = body.alloca(WORD)
        self._count = body.alloca(WORD) if _has_cycle(self._definition.states) else None
        self._blocks: dict[str, ir.Block] = {}
        self._done = body.block("parsed")
        self._rejections: dict[int, ir.Block] = {}

    def write(self) -> None:
        body, b = self._body, self._body.b
        body.store(WORD(0), self._position)
        body.store(WORD(self._errors["NoError"]), self._error)
        if self._count is not None:
            body.store(WORD(0), self._count)
        start = self._definition.first
        accept = body.block("accept")
        self._blocks = {name: body.block(f"state_{name}") for name in self._definition.states}
        b.branch(accept if start is None else self._blocks[start])
        for name, state in self._definition.states.items():
            body.at(self._blocks[name])
            self._state(state, accept)
        body.at(accept)
        self._within_limit()
        b.branch(self._done)
        for code, block in self._rejections.items():
            body.at(block)
            body.store(WORD(code), self._error)
            b.branch(self._done)
        body.at(self._done)
        taken = body.load(self._position)
        body.set_context_word(CTX_PAYLOAD, b.add(body.address(self._data), taken))
        body.set_context_word(CTX_PAYLOAD_LENGTH, b.sub(self._octets, taken))
        body.set_context_word(CTX_ERROR, body.load(self._error))
        body.set_context_word(CTX_CHECKSUM_ERROR, 0)
        for checksum in self._unit.program.checksums:
            if checksum.verify:
                write_verification(body, checksum)

    def _reject(self, name: str) -> ir.Block:
        """Where the parser ends with an error of the core library."""
        code = self._errors[name]
        if code not in self._rejections:
            self._rejections[code] = self._body.block(f"error_{name}")
        return self._rejections[code]

    def _within_limit(self) -> None:
        if self._count is None:
            return
        b, count = self._body.b, self._body.load(self._count)
        limit = b.add(b.mul(self._octets, WORD(_STATES_PER_OCTET)), WORD(_STATES_OF_EMPTY))
        self._body.require(b.icmp_unsigned("<", count, limit), self._reject("ParserTimeout"))
        self._body.store(b.add(count, WORD(1)), self._count)

    def _state(self, state: ParseStateDef, accept: ir.Block) -> None:
        self._within_limit()
        for op in state.ops:
            self._op(op)
        keys = [self._key_part(part) for part in state.key]
        targets = {name: self._blocks[name] for name in self._blocks}

        def block(name: str | None) -> ir.Block:
            return accept if name is None else targets[name]

        if not state.key:
            self._body.b.branch(block(state.default_next))
        elif all(isinstance(t, ValueTransition) and is_exact(t, state.key) for t in state.transitions):
            self._switch(state, keys, block)
        else:
            self._tests(state, keys, block)

    def _switch(self, state: ParseStateDef, keys: list[ir.Value], block: Blocks) -> None:
        """Transitions on whole values."""
        body = self._body
        total = sum(part.width for part in state.key)
        joined: ir.Value = None
        for part, key in zip(state.key, keys, strict=True):
            wide = body.resize(key, total)
            joined = wide if joined is None else body.b.or_(body.b.shl(joined, wide.type(part.width)), wide)
        switch = body.b.switch(joined, block(state.default_next))
        known: set[int] = set()
        for transition in state.transitions:
            assert isinstance(transition, ValueTransition)
            value, possible = 0, True
            for part, wanted in zip(state.key, transition.values, strict=True):
                possible &= wanted < 1 << part.width
                value = value << part.width | wanted
            if possible and value not in known:
                known.add(value)
                switch.add_case(joined.type(value), block(transition.next_state))

    def _tests(self, state: ParseStateDef, keys: list[ir.Value], block: Blocks) -> None:
        """Transitions under masks or by value sets, in their order."""
        body = self._body
        for transition in state.transitions:
            following = body.block("next_transition")
            if isinstance(transition, ValueTransition):
                holds = self._matches(state.key, keys, transition)
            else:
                holds = self._in_set(state, keys, transition)
            body.b.cbranch(holds, block(transition.next_state), following)
            body.at(following)
        body.b.branch(block(state.default_next))

    def _matches(self, key: tuple[ParserKey, ...], keys: list[ir.Value], transition: ValueTransition) -> ir.Value:
        b, holds = self._body.b, BIT(1)
        for part, found, value, mask in zip(key, keys, transition.values, transition.masks, strict=True):
            kept = mask & (1 << part.width) - 1
            if value & ~kept:
                return BIT(0)
            holds = b.and_(holds, b.icmp_unsigned("==", b.and_(found, found.type(kept)), found.type(value)))
        return holds

    def _in_set(self, state: ParseStateDef, keys: list[ir.Value], transition: ValueSetTransition) -> ir.Value:
        """Key and masks as words, each part of the key as wide as the widest."""
        body = self._body
        widest = value_set_words(state)
        space = [body.alloca(ir.ArrayType(WORD, widest * len(keys))) for _ in range(2)]
        masks = transition.masks or tuple((1 << part.width) - 1 for part in state.key)
        for i, (key, mask) in enumerate(zip(keys, masks, strict=True)):
            kind = ir.IntType(64 * widest)
            body.store(body.resize(key, kind.width), body.offset(space[0], 8 * widest * i))
            body.store(kind(mask & (1 << kind.width) - 1), body.offset(space[1], 8 * widest * i))
        assert transition in value_set_transitions(state)
        found = body.call(value_set_contains, body.object_address((state, transition)), *space, len(keys), widest)
        return body.b.icmp_unsigned("!=", found, WORD(0))

    # Operations

    def _op(self, op: ParserOp) -> None:
        body = self._body
        match op:
            case Extract():
                self._extract(op)
            case SetField(target, FieldRef() as source):
                assign_variable(body, target, source)
            case SetField(target, Lookahead() as ahead):
                value = self._lookahead(ahead)
                pointer, slot = self._expressions.target(FieldValue(target))
                if slot.signed:
                    self._expressions.write_word(pointer, slot, body.resize(value, 64))
                else:
                    body.write(pointer, slot, body.resize(value, slot.bits))
            case SetField(target, value):
                assert isinstance(value, Expr)
                self._expressions.assign(FieldValue(target), value)
            case Verify(condition, error):
                self._verify(condition, error)
            case Advance(bits):
                self._advance(bits)
            case CallPrimitive(primitive):
                write_primitive(primitive, self._expressions)

    def _verify(self, condition: Expr, error: Expr) -> None:
        body = self._body
        holds = self._expressions.truth(condition)
        failed, following = body.block("refuted"), body.block("verified")
        body.b.cbranch(holds, following, failed)
        body.at(failed)
        body.store(self._expressions.word(error), self._error)
        body.b.branch(self._done)
        body.at(following)

    def _advance(self, bits: Expr) -> None:
        body, b = self._body, self._body.b
        number = self._expressions.exact(bits)
        amount = body.resize(number.value, max(number.value.type.width + 1, 66), number.signed)
        odd = b.and_(amount, amount.type(7))
        body.require(b.icmp_unsigned("==", odd, amount.type(0)), self._reject("ParserInvalidArgument"))
        position = body.load(self._position)
        left = body.resize(b.sub(self._octets, position), amount.type.width)
        octets = b.lshr(amount, amount.type(3))
        body.require(b.icmp_unsigned("<=", octets, left), self._reject("PacketTooShort"))
        body.store(b.add(position, body.resize(octets, 64)), self._position)

    def _has(self, octets: ir.Value) -> ir.Value:
        """The position, if that many octets are left; else the packet is too short."""
        body, b = self._body, self._body.b
        position = body.load(self._position)
        fits = b.icmp_unsigned("<=", octets, b.sub(self._octets, position))
        body.require(fits, self._reject("PacketTooShort"))
        return position

    def _extract(self, op: Extract) -> None:
        body = self._body
        place, filled = self._target(op)
        if op.length is None:
            octets = place.layout.type.fixed_bits // 8
            position = self._has(WORD(octets))
            self._unpack(place, body.offset(self._data, position))
            body.store(body.b.add(position, WORD(octets)), self._position)
        else:
            self._take_variable(place, op.length, op.by_header)
        body.make_valid(place)
        if filled is not None:
            at = body.offset(body.fields, filled)
            body.store(body.b.add(body.load(at), WORD(1)), at)

    def _target(self, op: Extract) -> tuple[Place, int | None]:
        """Where the header goes, and the fill counter to advance."""
        body, layout = self._body, self._unit.layout
        match op.target:
            case Header() as header:
                return body.header(header), None
            case HeaderStack() as stack:
                place = layout.stacks[stack]
                filled = self._expressions.filled(place)
                inside = body.b.icmp_unsigned("<", filled, WORD(place.count))
                body.require(inside, self._reject("StackOutOfBounds"))
                return Place(self._expressions.element(place, filled), layout.of(stack.type)), place.next
            case UnionStackMember(union_stack, member):
                place = layout.union_stacks[union_stack]
                filled = self._expressions.filled(place)
                inside = body.b.icmp_unsigned("<", filled, WORD(place.count))
                body.require(inside, self._reject("StackOutOfBounds"))
                return self._union_member(union_stack, self._expressions.element(place, filled), member), place.next

    def _union_member(self, stack: HeaderUnionStack, pointer: ir.Value, member: int) -> Place:
        return self._expressions.members(UnionPlace(pointer, self._unit.layout.union(stack)))[member]

    def _unpack(self, place: Place, data: ir.Value, variable: ir.Value = None) -> None:
        """Fill the fields; variable is the number of octets of the variable-length field, None for none at all."""
        body, position = self._body, 0
        for slot in place.layout.wire:
            if slot.variable:
                octets = WORD(0) if variable is None else variable
                body.store(body.b.shl(octets, WORD(3)), body.offset(place.pointer, slot.length))
                if variable is not None:
                    body.copy(body.offset(place.pointer, slot.offset), body.offset(data, position // 8), variable)
                    data, position = body.offset(body.offset(data, position // 8), variable), 0
            elif slot.width:
                value = read_bits(body, data, position, slot.width)
                body.write(place.pointer, slot, body.resize(value, slot.bits, slot.signed))
                position += slot.width

    def _take_variable(self, place: Place, length: Expr, by_header: bool) -> None:
        body, b = self._body, self._body.b
        kind = place.layout.type
        expressions = self._expressions
        if by_header:
            position = self._has(WORD(kind.fixed_bits // 8))
            self._unpack(place, body.offset(self._data, position))
            expressions = Expressions(body, tuple(field_range(f) for f in kind.fields))
            body.local = _locals(body, place.layout, place.pointer)
        low, _ = expressions.ranges.of(length)
        bits = expressions.at_most(length, _MAX_INT)
        body.local = None
        right = b.icmp_unsigned("==", b.and_(bits, WORD(7)), WORD(0))
        if low < 0:
            right = b.and_(right, b.icmp_signed(">=", bits, WORD(0)))
        body.require(right, self._reject("ParserInvalidArgument"))
        octets = b.lshr(b.add(bits, WORD(kind.fixed_bits)), WORD(3))
        position = self._has(octets)
        assert kind.max_bytes is not None
        short = b.icmp_unsigned("<=", octets, WORD(kind.max_bytes))
        body.require(short, self._reject("HeaderTooShort"))
        self._unpack(place, body.offset(self._data, position), b.lshr(bits, WORD(3)))
        body.store(b.add(position, octets), self._position)

    def _lookahead(self, ahead: Lookahead) -> ir.Value:
        position = self._has(WORD((ahead.offset + ahead.width + 7) // 8))
        return read_bits(self._body, self._body.offset(self._data, position), ahead.offset, ahead.width)

    def _key_part(self, key: ParserKey) -> ir.Value:
        match key.part:
            case Lookahead() as ahead:
                return self._lookahead(ahead)
            case UnionStackField(stack, member, index, _):
                pointer = self._expressions.last_element(self._unit.layout.union_stacks[stack])
                place = self._union_member(stack, pointer, member)
                return self._body.read_wire(place.pointer, place.layout.slots[index])
            case FieldRef() as ref:
                return self._expressions.low(FieldValue(ref), key.width)
            case LastField() as last:
                return self._expressions.low(last, key.width)


def _locals(body: Body, layout: HeaderLayout, pointer: ir.Value) -> LocalReader:
    def local(index: int) -> tuple[ir.Value, int, bool]:
        slot = layout.slots[index]
        return body.read(pointer, slot), slot.bits, slot.signed

    return local


def value_set_words(state: ParseStateDef) -> int:
    """Words for each part of a state's key, when a value set is asked."""
    return max((part.width + 63) // 64 for part in state.key)


def is_exact(transition: ValueTransition, key: tuple[ParserKey, ...]) -> bool:
    """Whether the masks leave no bit of the key out."""
    return all(~mask & (1 << part.width) - 1 == 0 for mask, part in zip(transition.masks, key, strict=True))


def _has_cycle(states: Mapping[str, ParseStateDef]) -> bool:
    """Whether a state can be reached from itself."""
    following = {
        name: [n for n in (*(t.next_state for t in state.transitions), state.default_next) if n is not None]
        for name, state in states.items()
    }
    done: set[str] = set()
    on_path: set[str] = set()

    def visit(name: str) -> bool:
        if name in on_path:
            return True
        if name in done:
            return False
        on_path.add(name)
        found = any(visit(n) for n in following[name])
        on_path.discard(name)
        done.add(name)
        return found

    return any(visit(name) for name in following)
