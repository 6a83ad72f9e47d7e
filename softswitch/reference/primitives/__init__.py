"""The primitives of v1model, each compiled to a closure over a packet."""

from __future__ import annotations

from softswitch.program.actions import Primitive
from softswitch.reference.layout import Fields, Layout
from softswitch.reference.packet import Packet
from softswitch.reference.primitives import assignment, diagnostics, fate, headers, stateful
from softswitch.reference.primitives.context import Arguments, Context, Run
from softswitch.reference.trace import FieldChange, PrimitiveRun, TraceSink

__all__ = ["Context", "Run", "changes", "compile_primitive"]

_STRETCH = 64

_COMPILERS = {
    **assignment.COMPILERS,
    **headers.COMPILERS,
    **stateful.COMPILERS,
    **fate.COMPILERS,
    **diagnostics.COMPILERS,
}


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
    """The fields that differ. Of a thousand one or two do: whole stretches are compared first."""
    found: list[FieldChange] = []
    for start in range(0, len(before), _STRETCH):
        old, new = before[start : start + _STRETCH], after[start : start + _STRETCH]
        if old != new:
            names = layout.names[start : start + _STRETCH]
            found += [FieldChange(*one) for one in zip(names, old, new, strict=True) if one[1] != one[2]]
    return tuple(found)
