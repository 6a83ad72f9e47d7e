"""Actions: run their primitives in order, or along their jumps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from softswitch.program.actions import ActionDef
from softswitch.program.expressions import Const, Expr
from softswitch.reference.expressions import Data
from softswitch.reference.packet import Packet, PacketDropped
from softswitch.reference.primitives import Context, Run, compile_primitive

Action = Callable[[Packet, tuple[int, ...]], None]

MAX_STEPS = 1 << 16  # primitives of one run of an action; only a loop without end gets there


class ActionCompiler:
    """Compiles each action once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._compiled: dict[ActionDef, Action] = {}

    def compile(self, action: ActionDef) -> Action:
        """The closure of an action; it takes the packet and the run-time parameters."""
        if action not in self._compiled:
            self._compiled[action] = self._compile(action)
        return self._compiled[action]

    def _compile(self, action: ActionDef) -> Action:
        start = self._context.layout.locals
        end = start + len(action.params)
        if any(call.op.startswith("_jump") for call in action.primitives):
            body = self._with_jumps(action)
        else:
            body = _in_order([compile_primitive(call, self._context) for call in action.primitives])
        if not action.params:
            return lambda packet, _params: body(packet)

        def run(packet: Packet, params: tuple[int, ...]) -> None:
            packet.fields[start:end] = params
            body(packet)

        return run

    def _with_jumps(self, action: ActionDef) -> Run:
        """Steps return the index of the next step, None for the one that follows."""
        steps: list[Callable[[Packet], int | None]] = []
        for call in action.primitives:
            if not call.op.startswith("_jump"):
                steps.append(compile_primitive(call, self._context))
                continue
            target = call.arguments[-1]
            assert isinstance(target, Const)
            if call.op == "_jump":
                steps.append(partial(_jump, target.value))
            else:
                condition = call.arguments[0]
                assert isinstance(condition, Expr)
                steps.append(partial(_jump_if_zero, self._context.expressions.data(condition), target.value))

        def run(packet: Packet) -> None:
            at = 0
            for _ in range(MAX_STEPS):
                if at >= len(steps):
                    return
                target = steps[at](packet)
                at = at + 1 if target is None else target
            raise PacketDropped(f"action {action.name} did not end after {MAX_STEPS} primitives")

        return run


def _in_order(primitives: list[Run]) -> Run:
    if len(primitives) == 1:
        return primitives[0]

    def run(packet: Packet) -> None:
        for primitive in primitives:
            primitive(packet)

    return run


def _jump(target: int, _packet: Packet) -> int:
    return target


def _jump_if_zero(condition: Data, target: int, packet: Packet) -> int | None:
    return None if condition(packet.fields) else target
