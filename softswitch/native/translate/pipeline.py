"""Controls as functions: a block for each table, conditional and action call."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from softswitch.native.objects import key_form, profile_actions
from softswitch.native.runtime.classifier import find_exact, find_masked
from softswitch.native.runtime.selectors import choose
from softswitch.native.runtime.structs import (
    CELL_BYTES,
    CELL_LAST_HIT,
    CELL_METER,
    CELL_PACKETS,
    CTX_EXITED,
    CTX_INGRESS_LENGTH,
    M_ACTION,
    M_DATA,
    NO_ACTION,
    OF_GROUP,
    OF_MEMBER,
    R_ACTION,
    R_CELL,
    R_DATA,
    SW_NOW,
    T_ACTION,
    T_DATA,
)
from softswitch.native.translate.actions import action_function
from softswitch.native.translate.body import Body, Unit
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.hashing import hash_of
from softswitch.native.translate.primitives import meter_color
from softswitch.native.words import BIT, POINTER, WORD
from softswitch.program.actions import ActionDef
from softswitch.program.headers import Header
from softswitch.program.pipeline import (
    ActionCallDef,
    ConditionalDef,
    KeyDef,
    NextByHit,
    PipelineDef,
    TableDef,
)


def write_pipeline(unit: Unit, definition: PipelineDef, hook: Callable[..., int]) -> None:
    """The hook of a control."""
    function = unit.linker.define(hook.__name__, WORD, [POINTER, POINTER])
    body = Body(unit, function, switch=function.args[0], context=function.args[1])
    _Pipeline(body, definition).write()
    body.finish()


def may_drop(action: ActionDef) -> bool:
    """Whether an action can end the packet at once."""
    return any(call.op in ("assert", "assume") or call.op.startswith("_jump") for call in action.primitives)


def may_exit(action: ActionDef) -> bool:
    """Whether an action can end the control."""
    return any(call.op == "exit" for call in action.primitives)


class _Pipeline:
    def __init__(self, body: Body, definition: PipelineDef) -> None:
        self._body = body
        self._definition = definition
        self._end = body.block("end_of_control")
        self._blocks = {name: body.block(f"node_{name}") for name in definition.nodes}

    def write(self) -> None:
        body = self._body
        body.b.branch(self._block(self._definition.first))
        for name, node in self._definition.nodes.items():
            body.at(self._blocks[name])
            match node:
                case TableDef():
                    _Table(body, node, self._block, self._end).write()
                case ConditionalDef():
                    holds = Expressions(body).truth(node.expression)
                    body.b.cbranch(holds, self._block(node.if_true), self._block(node.if_false))
                case ActionCallDef():
                    run_action(body, node.action, POINTER(None), self._end)
                    body.b.branch(self._block(node.next))
        body.at(self._end)

    def _block(self, name: str | None) -> ir.Block:
        return self._end if name is None else self._blocks[name]


def run_action(body: Body, action: ActionDef, parameters: ir.Value, end: ir.Block) -> None:
    """Call an action, and go to the end of the control if it says so."""
    if not action.primitives:
        return
    dropped = body.b.call(action_function(body.unit, action), [body.switch, body.context, parameters])
    if may_drop(action):
        body.require(body.b.icmp_unsigned("==", dropped, WORD(0)), body.dropped)
    if may_exit(action):
        body.require(body.b.icmp_unsigned("==", body.context_word(CTX_EXITED), WORD(0)), end)


class _Table:
    """Looks up, accounts, chooses an action, runs it."""

    def __init__(
        self, body: Body, definition: TableDef, block: Callable[[str | None], ir.Block], end: ir.Block
    ) -> None:
        self._body = body
        self._definition = definition
        self._block = block
        self._end = end
        self._action = body.alloca(WORD)
        self._data = body.alloca(WORD)

    def write(self) -> None:
        body, b, table = self._body, self._body.b, self._body.object_address(self._definition)
        record = self._find(table)
        hit = b.icmp_unsigned("!=", record, WORD(0))
        found = b.inttoptr(record, POINTER)
        here = body.pointer(table)

        def on_hit() -> None:
            self._account(found)
            body.store(body.load(body.offset(found, R_ACTION)), self._action)
            body.store(body.load(body.offset(found, R_DATA)), self._data)

        def on_miss() -> None:
            body.store(body.load(body.offset(here, T_ACTION)), self._action)
            body.store(body.load(body.offset(here, T_DATA)), self._data)

        if self._definition.keys:
            body.when(hit, on_hit, on_miss)
        else:
            on_miss()
        if self._definition.action_profile is not None:
            self._resolve()
        self._dispatch(hit)

    def _find(self, table: ir.Value) -> ir.Value:
        form = key_form(self._definition)
        if not self._definition.keys:
            return WORD(0)
        body, b = self._body, self._body.b
        space = body.alloca(ir.ArrayType(WORD, form.words))
        if form.plain:
            kind = ir.IntType(64 * form.plain_words)
            joined: ir.Value = None
            for key in form.plain:
                value = body.resize(self._key(key), kind.width)
                joined = value if joined is None else b.or_(b.shl(joined, kind(key.width)), value)
            body.store(joined, space)
        for i, key in enumerate(form.ranges):
            value = body.resize(self._key(key), 64 * form.range_words)
            body.store(value, body.offset(space, 8 * (form.plain_words + i * form.range_words)))
        if self._definition.match_type == "exact":
            return body.call(find_exact, table, space, form.words)
        return body.call(find_masked, table, space, form.words, int(self._definition.match_type == "range"))

    def _key(self, key: KeyDef) -> ir.Value:
        """A field as an unsigned number, zero if its header is invalid."""
        body, b = self._body, self._body.b
        if isinstance(key.target, Header):
            return body.is_valid(body.header(key.target))
        place, slot = body.header(key.target.header), body.slot(key.target)
        if slot.width == 0:
            return BIT(0)
        value = body.read_wire(place.pointer, slot)
        if key.mask is not None:
            value = b.and_(value, value.type(key.mask))
        if place.metadata or key.target.field.hidden:
            return value
        return b.select(body.is_valid(place), value, value.type(0))

    def _account(self, record: ir.Value) -> None:
        body, b, table = self._body, self._body.b, self._definition
        if not (table.with_counters or table.support_timeout or table.direct_meter):
            return
        cell = body.pointer(body.load(body.offset(record, R_CELL)))
        octets = body.context_word(CTX_INGRESS_LENGTH)
        if table.with_counters:
            for offset, more in ((CELL_PACKETS, WORD(1)), (CELL_BYTES, octets)):
                at = body.offset(cell, offset)
                body.store(b.add(body.load(at), more), at)
        if table.support_timeout:
            body.store(body.switch_word(SW_NOW), body.offset(cell, CELL_LAST_HIT))
        if table.direct_meter is not None:
            meter = body.unit.program.meters[table.direct_meter]
            assert meter.result is not None
            color = meter_color(body, meter, body.offset(cell, CELL_METER))
            place, slot = body.header(meter.result.header), body.slot(meter.result)
            Expressions(body).write_word(place.pointer, slot, color)

    def _resolve(self) -> None:
        """From a group to a member, from a member to its action."""
        body, b = self._body, self._body.b
        profile = body.unit.program.action_profiles[self._definition.action_profile or ""]

        def of_member(member: ir.Value) -> None:
            pointer = body.pointer(member)
            body.store(body.load(body.offset(pointer, M_ACTION)), self._action)
            body.store(body.load(body.offset(pointer, M_DATA)), self._data)

        def of_group() -> None:
            assert profile.selector is not None
            counter = body.object_address(profile) if profile.selector.algorithm == "round_robin" else None
            hashed = hash_of(body, profile.selector.algorithm, profile.selector.inputs, counter=counter)
            member = body.call(choose, body.switch, body.load(self._data), hashed)
            body.store(WORD(NO_ACTION), self._action)
            body.when(b.icmp_unsigned("!=", member, WORD(0)), lambda: of_member(member))

        if profile.selector is not None:
            body.when(b.icmp_unsigned("==", body.load(self._action), WORD(OF_GROUP)), of_group)
        is_member = b.icmp_unsigned("==", body.load(self._action), WORD(OF_MEMBER))
        body.when(is_member, lambda: of_member(body.load(self._data)))

    def _dispatch(self, hit: ir.Value) -> None:
        body, table = self._body, self._definition
        none = body.block("no_action")
        data = body.load(self._data)
        switch = body.b.switch(body.load(self._action), none)
        shared = profile_actions(body.unit.program, table.action_profile) if table.action_profile else table.actions
        for name, action in table.actions.items():
            block = body.block("run")
            for number in {body.unit.objects.actions[action], body.unit.objects.actions[shared[name]]}:
                switch.add_case(WORD(number), block)
            body.at(block)
            run_action(body, action, body.pointer(data), self._end)
            self._go_on(hit, action.id)
        body.at(none)
        self._go_on(hit, None)

    def _go_on(self, hit: ir.Value, action: int | None) -> None:
        following = self._definition.next
        if isinstance(following, NextByHit):
            self._body.b.cbranch(hit, self._block(following.hit), self._block(following.miss))
        else:
            name = following.miss if action is None else following.by_action[action]
            self._body.b.branch(self._block(name))
