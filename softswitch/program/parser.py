"""Parser states, their operations and transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from softswitch.program.actions import Primitive
from softswitch.program.expressions import Expr, LastField
from softswitch.program.headers import FieldRef, Header, HeaderStack, HeaderUnionStack
from softswitch.program.stateful import ValueSetDef


@dataclass(frozen=True, slots=True)
class UnionStackMember:
    """One member of the next union of a union stack."""

    stack: HeaderUnionStack
    member: int


@dataclass(frozen=True, slots=True)
class Extract:
    """Take a header from the packet: a header instance, or the next one of a stack.

    length:    bits of the variable-length field, for headers that have one
    by_header: the length depends on fields of the header itself, its locals
    """

    target: Header | HeaderStack | UnionStackMember
    length: Expr | None
    by_header: bool


@dataclass(frozen=True, slots=True)
class Lookahead:
    """Bits of the packet not yet extracted, ``offset`` bits ahead, ``width`` bits wide."""

    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class SetField:
    """Assign to a field."""

    target: FieldRef
    source: Expr | Lookahead | FieldRef


@dataclass(frozen=True, slots=True)
class Verify:
    """Stop with an error unless the condition holds."""

    condition: Expr
    error: Expr


@dataclass(frozen=True, slots=True)
class Advance:
    """Skip bits of the packet; must come to a multiple of eight."""

    bits: Expr


@dataclass(frozen=True, slots=True)
class CallPrimitive:
    """An extern or assignment inside a parser state."""

    primitive: Primitive


ParserOp = Extract | SetField | Verify | Advance | CallPrimitive


@dataclass(frozen=True, slots=True)
class UnionStackField:
    """A field of a member of the last union extracted to a union stack."""

    stack: HeaderUnionStack
    member: int
    index: int
    width: int


KeyPart = FieldRef | LastField | UnionStackField | Lookahead


@dataclass(frozen=True, slots=True)
class ParserKey:
    """One part of a transition key and its width in bits."""

    part: KeyPart
    width: int


@dataclass(frozen=True, slots=True)
class ValueTransition:
    """Taken when every key part equals values[i] in the bits of masks[i]."""

    values: tuple[int, ...]
    masks: tuple[int, ...]
    next_state: str | None


@dataclass(frozen=True, slots=True)
class ValueSetTransition:
    """Taken when the key is in a value set, both ANDed with the mask if there is one."""

    value_set: ValueSetDef
    masks: tuple[int, ...] | None
    next_state: str | None


@dataclass(frozen=True, slots=True, eq=False)
class ParseStateDef:
    """A state: operations, then the first matching transition, else the default.

    A next state of None ends the parser and accepts the packet.
    """

    name: str
    id: int
    ops: tuple[ParserOp, ...]
    key: tuple[ParserKey, ...]
    transitions: tuple[ValueTransition | ValueSetTransition, ...]
    default_next: str | None


@dataclass(frozen=True, slots=True, eq=False)
class ParserDef:
    """A parser."""

    name: str
    id: int
    first: str | None
    states: Mapping[str, ParseStateDef]


@dataclass(frozen=True, slots=True, eq=False)
class DeparserDef:
    """The order in which valid headers are emitted, after the primitives have run."""

    name: str
    id: int
    order: tuple[Header, ...]
    primitives: tuple[Primitive, ...]
