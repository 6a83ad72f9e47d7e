"""Actions: a function each, of the switch, the context and the address of the parameters."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.layout import storage_bits
from softswitch.native.objects import parameter_form
from softswitch.native.translate.body import Body, Unit
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.primitives import write_primitive
from softswitch.native.words import POINTER, WORD
from softswitch.program.actions import ActionDef
from softswitch.program.expressions import Const, Expr
from softswitch.reference.actions import MAX_STEPS


def action_function(unit: Unit, action: ActionDef) -> ir.Function:
    """The function of an action; it answers 1 when the packet is dropped."""
    if action not in unit.actions:
        function = unit.linker.define(f"action_{unit.objects.actions[action]}", WORD, [POINTER, POINTER, POINTER])
        unit.actions[action] = function
        _write(unit, action, function)
    return unit.actions[action]


def _write(unit: Unit, action: ActionDef, function: ir.Function) -> None:
    switch, context, parameters = function.args
    body = Body(unit, function, switch=switch, context=context, parameters=parameters)
    form = parameter_form(action)

    def local(index: int) -> tuple[ir.Value, int, bool]:
        width = max(action.params[index].width, 1)
        value = body.load(body.offset(parameters, form.offsets[index]), storage_bits(width))
        return body.resize(value, width), width, False

    body.local = local
    expressions = Expressions(body, tuple((0, (1 << param.width) - 1) for param in action.params))
    if any(call.op.startswith("_jump") for call in action.primitives):
        _with_jumps(body, expressions, action)
    else:
        for call in action.primitives:
            write_primitive(call, expressions)
    body.finish()


def _with_jumps(body: Body, expressions: Expressions, action: ActionDef) -> None:
    """A block for each primitive. Where there are jumps back, steps are counted, and what never ends is dropped."""
    blocks = [body.block(f"step_{i}") for i in range(len(action.primitives) + 1)]
    steps = None
    if any(_target(call.arguments[-1]) <= i for i, call in enumerate(action.primitives) if call.op.startswith("_jump")):
        steps = body.alloca(WORD)
        body.store(WORD(0), steps)
    body.b.branch(blocks[0])
    for i, call in enumerate(action.primitives):
        body.at(blocks[i])
        if steps is not None:
            taken = body.load(steps)
            body.require(body.b.icmp_unsigned("<", taken, WORD(MAX_STEPS)), body.dropped)
            body.store(body.b.add(taken, WORD(1)), steps)
        if call.op == "_jump":
            body.b.branch(blocks[_target(call.arguments[-1])])
        elif call.op == "_jump_if_zero":
            condition = call.arguments[0]
            assert isinstance(condition, Expr)
            number = expressions.exact(condition).value
            zero = body.b.icmp_unsigned("==", number, number.type(0))
            body.b.cbranch(zero, blocks[_target(call.arguments[-1])], blocks[i + 1])
        else:
            write_primitive(call, expressions)
            body.b.branch(blocks[i + 1])
    body.at(blocks[-1])


def _target(argument: object) -> int:
    assert isinstance(argument, Const)
    return argument.value
