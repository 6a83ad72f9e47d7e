"""Control flow: tables, conditionals and action calls as linked nodes."""

from __future__ import annotations

from collections.abc import Callable

from softswitch.program.pipeline import (
    ActionCallDef,
    ConditionalDef,
    NextByAction,
    NextByHit,
    NodeDef,
    PipelineDef,
    TableDef,
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

Node = Callable[[Packet], str | None]  # runs, and returns the name of what follows
"""A step of a pipeline."""


class Pipeline:
    """Runs packets through the nodes of a control, until there is no next one or the program exits.

    A node is compiled when the first packet comes to it: most switches of a fabric use a small part of their program.
    """

    def __init__(self, definition: PipelineDef, context: Context, actions: ActionCompiler) -> None:
        self._name = definition.name
        self._trace = context.trace
        self._context = context
        self._actions = actions
        self._first = definition.first
        self._definitions = definition.nodes
        self._nodes: dict[str, Node] = {}

    def apply(self, packet: Packet) -> None:
        """Run one packet."""
        if self._trace is not None:
            self._trace(PipelineEntered(packet.id, self._name))
        name = self._first
        while name is not None and not packet.exited:
            node = self._nodes.get(name) or self._compile(self._definitions[name])
            name = node(packet)

    def _compile(self, definition: NodeDef) -> Node:
        match definition:
            case TableDef():
                node: Node = TableNode(definition, self._context, self._actions).apply
            case ConditionalDef():
                node = self._conditional(definition)
            case ActionCallDef():
                node = self._action_call(definition)
        self._nodes[definition.name] = node
        return node

    def _conditional(self, node: ConditionalDef) -> Node:
        holds = self._context.expressions.truth(node.expression)
        trace = self._trace

        def branch(packet: Packet) -> str | None:
            result = holds(packet.fields)
            if trace is not None:
                trace(ConditionEvaluated(packet.id, node.name, node.source, result))
            return node.if_true if result else node.if_false

        return branch

    def _action_call(self, node: ActionCallDef) -> Node:
        action, trace = self._actions.compile(node.action), self._trace

        def call(packet: Packet) -> str | None:
            if trace is not None:
                trace(ActionRun(packet.id, node.action.name))
            action(packet, ())
            return node.next

        return call


class TableNode:
    """A table in the pipeline: looks up, accounts, chooses an action, runs it."""

    def __init__(self, definition: TableDef, context: Context, actions: ActionCompiler) -> None:
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
        self._compile = actions.compile
        # For every action that has been called, by name: the closure, the node after a hit, the node after a miss.
        self._actions: dict[str, tuple[Action, str | None, str | None]] = {}
        self._hit, self._miss = _outcomes(definition)
        self._no_action = (self._hit(None), self._miss(None))
        self._select = _compile_selector(definition, context)

    def apply(self, packet: Packet) -> str | None:
        """Run one packet through the table; the name of the node that follows."""
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
        action, after_hit, after_miss = self._actions.get(call.name) or self._prepare(call.name)
        action(packet, call.params)
        return after_hit if entry is not None else after_miss

    def _prepare(self, name: str) -> tuple[Action, str | None, str | None]:
        action = self._definition.actions[name]
        self._actions[name] = (self._compile(action), self._hit(action.id), self._miss(action.id))
        return self._actions[name]

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
