"""Expressions, as trees whose names are already resolved to definitions.

Every node has a ``type``. Data expressions are integers of unlimited precision; a value is cut to a width
only when it is written to a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from softswitch.program.headers import FieldRef, Header, HeaderStack, HeaderUnion, HeaderUnionStack
from softswitch.program.stateful import RegisterDef


class ExprType(Enum):
    """What an expression evaluates to."""

    DATA = "data"
    BOOL = "bool"
    HEADER = "header"
    HEADER_STACK = "header stack"
    UNION = "header union"
    UNION_STACK = "header union stack"


@dataclass(frozen=True, slots=True)
class Const:
    """An integer constant, possibly negative."""

    value: int
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class BoolConst:
    """true or false."""

    value: bool
    type: ClassVar[ExprType] = ExprType.BOOL


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field of a header instance."""

    ref: FieldRef
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class LastField:
    """A field of the last valid header of a stack; index is the field's position in the header type."""

    stack: HeaderStack
    index: int
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class Local:
    """In an action, its index-th run-time parameter; in the length of an extracted header, the header's
    own index-th field.
    """

    index: int
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class RegisterCell:
    """One cell of a register array."""

    register: RegisterDef
    index: Expr
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class HeaderRef:
    """A header instance."""

    header: Header
    type: ClassVar[ExprType] = ExprType.HEADER


@dataclass(frozen=True, slots=True)
class StackRef:
    """A header stack."""

    stack: HeaderStack
    type: ClassVar[ExprType] = ExprType.HEADER_STACK


@dataclass(frozen=True, slots=True)
class UnionRef:
    """A header union."""

    union: HeaderUnion
    type: ClassVar[ExprType] = ExprType.UNION


@dataclass(frozen=True, slots=True)
class UnionStackRef:
    """A header union stack."""

    stack: HeaderUnionStack
    type: ClassVar[ExprType] = ExprType.UNION_STACK


@dataclass(frozen=True, slots=True)
class Element:
    """stack[index]: a header of a header stack, or a union of a union stack."""

    stack: StackRef | UnionStackRef
    index: Expr

    @property
    def type(self) -> ExprType:
        """HEADER or UNION, by the kind of stack."""
        return ExprType.HEADER if isinstance(self.stack, StackRef) else ExprType.UNION


@dataclass(frozen=True, slots=True)
class FieldOf:
    """The index-th field of a header known only at run time."""

    header: Expr
    index: int
    type: ClassVar[ExprType] = ExprType.DATA


@dataclass(frozen=True, slots=True)
class MemberOf:
    """The index-th header of a union known only at run time."""

    union: Expr
    index: int
    type: ClassVar[ExprType] = ExprType.HEADER


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator of one or two operands, named as in the bmv2 JSON format."""

    op: str
    operands: tuple[Expr, ...]
    type: ExprType


@dataclass(frozen=True, slots=True)
class Choice:
    """condition ? if_true : if_false; only the chosen side is evaluated."""

    condition: Expr
    if_true: Expr
    if_false: Expr

    @property
    def type(self) -> ExprType:
        """The type of both sides."""
        return self.if_true.type


Expr = (
    Const
    | BoolConst
    | FieldValue
    | LastField
    | Local
    | RegisterCell
    | HeaderRef
    | StackRef
    | UnionRef
    | UnionStackRef
    | Element
    | FieldOf
    | MemberOf
    | Operation
    | Choice
)
LValue = FieldValue | LastField | RegisterCell | FieldOf
