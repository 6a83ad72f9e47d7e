"""What primitives are compiled against, and how they see their arguments."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from softswitch.program.actions import Argument
from softswitch.program.calculations import CalculationDef
from softswitch.program.expressions import Expr, LValue
from softswitch.program.headers import FieldRef
from softswitch.reference.calculations import Calculation
from softswitch.reference.expressions import Data, ExpressionCompiler, HeaderOf, UnionOf, Write
from softswitch.reference.layout import Layout
from softswitch.reference.packet import Packet
from softswitch.reference.trace import TraceSink
from softswitch.state import SwitchState

Run = Callable[[Packet], None]


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


Compiler = Callable[[Arguments, Context], Run]
