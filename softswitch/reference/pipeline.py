"""Control flow: tables, conditionals and action calls as linked nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from softswitch.program.pipeline import (
    ActionCallDef,
    ConditionalDef,
    NextByAction,
    NextByHit,
    NodeDef,
    PipelineDef,
    TableDef,
    in_reverse,
)
from softswitch.reference.actions import Action, ActionCompiler
from softswitch.reference.calculations import compile_gather
from softswitch.reference.expressions import field_writer
from softswitch.reference.hashes import make_hash
from softswitch.reference.keys import compile_key
from softswitch.reference.packet import Packet
from softswitch.reference.primitives import Context
from softswitch.reference.trace import (
    ActionRun,
    ConditionEvaluated,
    NamedValue,
    PipelineEntered,
    TableApplied,
)
from softswitch.state import ActionCall, Entry, GroupRef, MemberRef, Table, Target

Node = Callable[[Packet], Optional["Node"]]  # runs, and returns what follows
"""A step of a pipeline."""


class Pipeline:
    """Runs packets through the nodes of a control, until there is no next one or the program exits."""

    def __init__(self, definition: PipelineDef, context: Context, actions: ActionCompiler) -> None:
        self._name = definition.name
        self._trace = context.trace
        compiler = _NodeCompiler(context, actions)
        for node in in_reverse(definition.nodes):
            compiler.compile(node)
        self._first = compiler.node(definition.first)

    def apply(self, packet: Packet) -> None:
        """Run one packet."""
        if self._trace is not None:
            self._trace(PipelineEntered(packet.id, self._name))
        node = self._first
        while node is not None and not packet.exited:
            node = node(packet)


class _NodeCompiler:
    """Compiles nodes, each after those that can follow it."""

    def __init__(self, context: Context, actions: ActionCompiler) -> None:
        self._context = context
        self._actions = actions
        self._compiled: dict[str, Node] = {}

    def node(self, name: str | None) -> Node | None:
        """A node that has been compiled."""
        return None if name is None else self._compiled[name]

    def compile(self, definition: NodeDef) -> None:
        """Compile one node."""
        match definition:
            case TableDef():
                node: Node = TableNode(definition, self._context, self._actions, self.node).apply
            case ConditionalDef():
                node = self._conditional(definition)
            case ActionCallDef():
                node = self._action_call(definition)
        self._compiled[definition.name] = node

    def _conditional(self, node: ConditionalDef) -> Node:
        holds = self._context.expressions.truth(node.expression)
        if_true, if_false = self.node(node.if_true), self.node(node.if_false)
        trace = self._context.trace

        def branch(packet: Packet) -> Node | None:
            result = holds(packet.fields)
            if trace is not None:
                trace(ConditionEvaluated(packet.id, node.name, node.source, result))
            return if_true if result else if_false

        return branch

    def _action_call(self, node: ActionCallDef) -> Node:
        action, following = self._actions.compile(node.action), self.node(node.next)
        trace = self._context.trace

        def call(packet: Packet) -> Node | None:
            if trace is not None:
                trace(ActionRun(packet.id, node.action.name))
            action(packet, ())
            return following

        return call


class TableNode:
    """A table in the pipeline: looks up, accounts, chooses an action, runs it."""

    def __init__(
        self,
        definition: TableDef,
        context: Context,
        actions: ActionCompiler,
        node: Callable[[str | None], Node | None],
    ) -> None:
        self._definition = definition
        self._table: Table = context.state.table(definition.name)
        self._clock = context.state.clock
        self._trace = context.trace
        self._key = compile_key(definition.keys, context.layout)
        self._with_counters = definition.with_counters
        self._with_timeout = definition.support_timeout
        self._write_color = None
        if definition.direct_meter is not None:
            result = context.state.program.meters[definition.direct_meter].result
            assert result is not None
            self._write_color = field_writer(context.layout.spec(result))
        # For every action by name: the closure, the node after a hit, the node after a miss.
        self._actions: dict[str, tuple[Action, Node | None, Node | None]] = {}
        hit, miss = _outcomes(definition)
        for action in definition.actions.values():
            compiled = actions.compile(action)
            self._actions[action.name] = (compiled, node(hit(action.id)), node(miss(action.id)))
        self._no_action = (node(hit(None)), node(miss(None)))
        self._select = _compile_selector(definition, context)

    def apply(self, packet: Packet) -> Node | None:
        """Run one packet through the table; the node that follows."""
        key = self._key(packet.fields)
        entry = self._table.find(key)
        if entry is not None:
            self._account(packet, entry)
            target: Target | None = entry.target
        else:
            target = self._table.default
        member: int | None = None
        call: ActionCall | None
        if target is None or isinstance(target, ActionCall):
            call = target
        else:
            call, member = self._call_of(packet, target)
        if self._trace is not None:
            self._report(packet, key, entry, call, member)
        if call is None:
            return self._no_action[entry is None]
        action, after_hit, after_miss = self._actions[call.name]
        action(packet, call.params)
        return after_hit if entry is not None else after_miss

    def _account(self, packet: Packet, entry: Entry) -> None:
        if self._with_counters:
            entry.packets += 1
            entry.bytes += packet.ingress_length
        if self._with_timeout:
            entry.last_hit_ns = self._clock()
        if self._write_color is not None and entry.meter is not None:
            self._write_color(packet.fields, entry.meter.execute(packet.ingress_length, self._clock()))

    def _call_of(self, packet: Packet, target: Target) -> tuple[ActionCall | None, int | None]:
        profile = self._table.profile
        assert profile is not None
        match target:
            case MemberRef(id):
                return profile.get_member(id).call, id
            case GroupRef(id):
                assert self._select is not None
                member = profile.choose(id, self._select(packet))
                return (member.call, member.id) if member is not None else (None, None)
            case ActionCall():
                return target, None

    def _report(
        self, packet: Packet, key: tuple[int, ...], entry: Entry | None, call: ActionCall | None, member: int | None
    ) -> None:
        assert self._trace is not None
        values = tuple(
            NamedValue(part.name, value, part.width) for part, value in zip(self._definition.keys, key, strict=True)
        )
        params: tuple[NamedValue, ...] = ()
        if call is not None:
            declared = self._definition.actions[call.name].params
            params = tuple(NamedValue(p.name, value, p.width) for p, value in zip(declared, call.params, strict=True))
        self._trace(
            TableApplied(packet.id, self._definition.name, values, entry, member, call.name if call else None, params)
        )


def _outcomes(
    definition: TableDef,
) -> tuple[Callable[[int | None], str | None], Callable[[int | None], str | None]]:
    """The node after a hit and after a miss, by the id of the action that ran; None if none did."""
    match definition.next:
        case NextByHit(hit, miss):
            return lambda _action: hit, lambda _action: miss
        case NextByAction(by_action, miss):

            def following(action: int | None) -> str | None:
                return miss if action is None else by_action[action]

            return following, following


def _compile_selector(definition: TableDef, context: Context) -> Callable[[Packet], int] | None:
    if definition.action_profile is None:
        return None
    selector = context.state.program.action_profiles[definition.action_profile].selector
    if selector is None:
        return None
    gather, function = compile_gather(selector.inputs, context.layout), make_hash(selector.algorithm)
    return lambda packet: function(gather(packet))
