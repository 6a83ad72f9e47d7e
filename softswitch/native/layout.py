"""Where the fields of a packet are, in octets from the beginning of its fields.

A header begins with its validity octet; every field has storage of its own, so that reading it is one load. Elements of
a stack follow each other, and behind the last is one more that serves any wrong index. All metadata is in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from softswitch.native.errors import UntranslatableError
from softswitch.program.headers import Field, Header, HeaderStack, HeaderType, HeaderUnion, HeaderUnionStack
from softswitch.program.model import Program

_MAX_VARIABLE = 1 << 16


def storage_bits(width: int) -> int:
    """Size in memory of an integer of that width: a power of two up to 64, then whole words."""
    for bits in (8, 16, 32, 64):
        if width <= bits:
            return bits
    return (width + 63) // 64 * 64


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A field in its header.

    bits:     width as a number. A signed field needs one more than on the wire, see the reference's field_writer
    storage:  of the number in memory; for a variable-length field, the octets it can have, times eight
    length:   offset of the length in bits of a variable-length field
    """

    offset: int
    width: int
    bits: int
    storage: int
    signed: bool
    variable: bool
    length: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HeaderLayout:
    """The fields of a header type; the validity octet is at offset 0."""

    type: HeaderType
    slots: tuple[Slot, ...]
    size: int

    @property
    def wire(self) -> tuple[Slot, ...]:
        """The fields found in a packet."""
        return self.slots[:-1]

    @property
    def variable(self) -> Slot | None:
        """The variable-length field."""
        return next((slot for slot in self.slots if slot.variable), None)


def _header_layout(kind: HeaderType) -> HeaderLayout:
    slots: list[Slot] = []
    offset = 1
    for field in kind.fields:
        slot, offset = _slot(kind, field, offset)
        slots.append(slot)
    return HeaderLayout(kind, tuple(slots), _aligned(offset, 8))


def _slot(kind: HeaderType, field: Field, offset: int) -> tuple[Slot, int]:
    if field.hidden:
        return Slot(0, 1, 1, 8, False, False), offset
    if field.variable:
        if kind.max_bytes is None:
            raise UntranslatableError(f"header type {kind.name} has a variable-length field without a limit")
        if sum(f.width for f in kind.wire_fields[: field.index]) % 8:
            raise UntranslatableError(f"field {kind.name}.{field.name} of variable length begins inside an octet")
        octets = min(max(kind.max_bytes - kind.fixed_bits // 8, 0), _MAX_VARIABLE)
        offset = _aligned(offset, 8)
        return Slot(offset + 8, 0, 0, 8 * octets, False, True, offset), offset + 8 + octets
    bits = max(field.width + field.signed, 1)
    storage = storage_bits(bits)
    offset = _aligned(offset, min(storage // 8, 8))
    return Slot(offset, field.width, bits, storage, field.signed, False), offset + storage // 8


def _aligned(offset: int, to: int) -> int:
    return (offset + to - 1) // to * to


@dataclass(frozen=True, slots=True, eq=False)
class UnionLayout:
    """Offsets of the members of a union, and their layouts."""

    members: tuple[HeaderLayout, ...]
    offsets: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class StackPlace:
    """A stack: its first element, the distance between elements, their number, and its fill counter (a word)."""

    start: int
    stride: int
    count: int
    next: int
    element: HeaderLayout | UnionLayout


class Layout:
    """The places of a program's fields."""

    def __init__(self, program: Program) -> None:
        self._types: dict[HeaderType, HeaderLayout] = {}
        self.headers: dict[Header, int] = {}
        self.unions: dict[HeaderUnion, int] = {}
        self.union_of: dict[Header, HeaderUnion] = {}
        self.stacks: dict[HeaderStack, StackPlace] = {}
        self.union_stacks: dict[HeaderUnionStack, StackPlace] = {}
        self._end = 0
        for union in program.header_unions.values():
            self.union_of.update(dict.fromkeys(union.headers, union))
        for union_stack in program.header_union_stacks.values():
            self._place_union_stack(union_stack)
        for stack in program.header_stacks.values():
            self._place_stack(stack)
        for union in program.header_unions.values():
            if union not in self.unions:
                self._place_union(union)
        headers = list(program.headers.values())
        self._place_headers(h for h in headers if not h.metadata and h not in self.headers)
        self.metadata_start = self._end
        self._place_headers(h for h in headers if h.metadata)
        self.metadata_end = self._end
        self.size = _aligned(self._end, 64)

    def of(self, kind: HeaderType) -> HeaderLayout:
        """The layout of a header type."""
        if kind not in self._types:
            self._types[kind] = _header_layout(kind)
        return self._types[kind]

    def union(self, union: HeaderUnion | HeaderUnionStack) -> UnionLayout:
        """The layout of a union's type."""
        members = tuple(self.of(kind) for _, kind in union.type.members)
        offsets: list[int] = []
        end = 0
        for member in members:
            offsets.append(end)
            end += member.size
        return UnionLayout(members, tuple(offsets), end)

    def _reserve(self, octets: int) -> int:
        start, self._end = self._end, self._end + octets
        return start

    def _place_headers(self, headers: Iterable[Header]) -> None:
        for header in headers:
            self.headers[header] = self._reserve(self.of(header.type).size)

    def _place_union(self, union: HeaderUnion) -> None:
        layout = self.union(union)
        if union in self.unions or any(header in self.headers for header in union.headers):
            raise UntranslatableError(f"header union {union.name} is part of two others")
        self.unions[union] = start = self._reserve(layout.size)
        self.headers.update({h: start + offset for h, offset in zip(union.headers, layout.offsets, strict=True)})

    def _place_stack(self, stack: HeaderStack) -> None:
        if any(header in self.headers for header in stack.headers):
            raise UntranslatableError(f"header stack {stack.name} shares a header with another, or with a union")
        layout = self.of(stack.type)
        start = self._end
        self._place_headers(stack.headers)
        self._reserve(layout.size)
        self.stacks[stack] = StackPlace(start, layout.size, len(stack.headers), self._reserve(8), layout)

    def _place_union_stack(self, stack: HeaderUnionStack) -> None:
        layout = self.union(stack)
        start = self._end
        for union in stack.unions:
            self._place_union(union)
        self._reserve(layout.size)
        self.union_stacks[stack] = StackPlace(start, layout.size, len(stack.unions), self._reserve(8), layout)
