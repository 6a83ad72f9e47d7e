"""Where every field lives: one flat list of integers per packet.

Each header has its fields in a row, the validity bit behind them, and the length of its variable-length field
(in bits) behind that. Then come the fill counters of the stacks, and the locals: the parameters of the running
action, or the fields that the length of a header being extracted depends on.
Slot 0 is always 1: it stands for the validity of what is never invalid.
"""

from __future__ import annotations

from dataclasses import dataclass

from softswitch.program.headers import (
    FieldRef,
    Header,
    HeaderStack,
    HeaderType,
    HeaderUnion,
    HeaderUnionStack,
)
from softswitch.program.model import Program

Fields = list[int]
ALWAYS = 0


@dataclass(frozen=True, slots=True, eq=False)
class FieldSpec:
    """A field on the wire: its slot, width in bits (0 if variable), mask, and whether it is signed."""

    slot: int
    width: int
    mask: int
    signed: bool
    variable: bool


@dataclass(frozen=True, slots=True, eq=False)
class HeaderSlots:
    """The slots of one header.

    start, end:  all its fields, hidden ones and the variable length included
    valid:       1 if the header is valid; ALWAYS for metadata
    length:      bits of the variable-length field, or ALWAYS if there is none
    fixed_bits:  width without the variable-length field
    rivals:      validity slots of the other members of its union
    """

    name: str
    type: HeaderType
    start: int
    end: int
    valid: int
    length: int
    fixed_bits: int
    fields: tuple[FieldSpec, ...]
    rivals: tuple[int, ...]

    def make_valid(self, f: Fields) -> None:
        """Mark valid; in a union that makes the others invalid."""
        for rival in self.rivals:
            f[rival] = 0
        f[self.valid] = 1

    def make_invalid(self, f: Fields) -> None:
        """Mark invalid; metadata stays as it is."""
        if self.valid != ALWAYS:
            f[self.valid] = 0

    def octets(self, f: Fields) -> int:
        """Size on the wire as it is now."""
        return (self.fixed_bits + (f[self.length] if self.length != ALWAYS else 0)) // 8

    def unpack(self, f: Fields, packed: int, variable_bits: int = 0) -> None:
        """Fill the fields from the header's bits."""
        shift = self.fixed_bits + variable_bits
        for field in self.fields:
            if field.variable:
                shift -= variable_bits
                f[field.slot] = packed >> shift & (1 << variable_bits) - 1
                f[self.length] = variable_bits
            else:
                shift -= field.width
                f[field.slot] = packed >> shift & field.mask
                if field.signed and f[field.slot] > field.mask >> 1:
                    f[field.slot] -= field.mask + 1

    def pack(self, f: Fields) -> tuple[int, int]:
        """The header's bits and their number."""
        packed, bits = 0, self.fixed_bits
        for field in self.fields:
            if field.variable:
                variable_bits = f[self.length]
                packed = packed << variable_bits | f[field.slot]
                bits += variable_bits
            else:
                packed = packed << field.width | f[field.slot] & field.mask
        return packed, bits


@dataclass(frozen=True, slots=True, eq=False)
class StackSlots:
    """A header stack: next is the slot that counts the filled elements; outside serves any wrong index."""

    name: str
    elements: tuple[HeaderSlots, ...]
    next: int
    outside: HeaderSlots

    @property
    def headers(self) -> tuple[HeaderSlots, ...]:
        """All headers, in order."""
        return self.elements

    def at(self, index: int) -> HeaderSlots:
        """The element, or outside."""
        return self.elements[index] if 0 <= index < len(self.elements) else self.outside

    def shift(self, f: Fields, count: int) -> None:
        """Push (count > 0) or pop (count < 0) at most the whole stack; what is moved in is invalid."""
        shift_elements(f, [(element.start, element.end) for element in self.elements], count)
        size = len(self.elements)
        for element in self.elements[:count] if count > 0 else self.elements[size + count :]:
            element.make_invalid(f)
        f[self.next] = min(size, max(0, f[self.next] + count))


@dataclass(frozen=True, slots=True, eq=False)
class UnionSlots:
    """A header union."""

    name: str
    members: tuple[HeaderSlots, ...]

    def is_valid(self, f: Fields) -> bool:
        """Whether any member is."""
        return any(f[member.valid] for member in self.members)


@dataclass(frozen=True, slots=True, eq=False)
class UnionStackSlots:
    """A stack of unions."""

    name: str
    elements: tuple[UnionSlots, ...]
    next: int
    outside: UnionSlots

    @property
    def headers(self) -> tuple[HeaderSlots, ...]:
        """All headers of all unions, in order."""
        return tuple(member for element in self.elements for member in element.members)

    def at(self, index: int) -> UnionSlots:
        """The element, or outside."""
        return self.elements[index] if 0 <= index < len(self.elements) else self.outside

    def shift(self, f: Fields, count: int) -> None:
        """Push (count > 0) or pop (count < 0) at most the whole stack; what is moved in is invalid."""
        for members in zip(*(element.members for element in self.elements), strict=True):
            shift_elements(f, [(member.start, member.end) for member in members], count)
        size = len(self.elements)
        for element in self.elements[:count] if count > 0 else self.elements[size + count :]:
            for member in element.members:
                member.make_invalid(f)
        f[self.next] = min(size, max(0, f[self.next] + count))


def shift_elements(f: Fields, ranges: list[tuple[int, int]], count: int) -> None:
    """Exchange the contents of equally long ranges, towards the end if count > 0, else the beginning."""
    size = len(ranges)
    moves = (
        ((i, i - count) for i in range(size - 1, count - 1, -1))
        if count > 0
        else ((i, i - count) for i in range(size + count))
    )
    for target, source in moves:
        (a, a_end), (b, b_end) = ranges[target], ranges[source]
        f[a:a_end], f[b:b_end] = f[b:b_end], f[a:a_end]


class Layout:
    """The slots of a program."""

    def __init__(self, program: Program) -> None:
        self.names: list[str] = ["always"]
        self.headers: dict[Header, HeaderSlots] = {}
        self.stacks: dict[HeaderStack, StackSlots] = {}
        self.unions: dict[HeaderUnion, UnionSlots] = {}
        self.union_stacks: dict[HeaderUnionStack, UnionStackSlots] = {}
        self._place_headers(program)
        for union in program.header_unions.values():
            self.unions[union] = UnionSlots(union.name, tuple(self.headers[h] for h in union.headers))
        for stack in program.header_stacks.values():
            self._place_stack(stack)
        for union_stack in program.header_union_stacks.values():
            self._place_union_stack(union_stack)
        counts = [len(action.params) for action in program.actions.values()]
        counts += [len(kind.fields) for kind in program.header_types.values() if kind.variable_field]
        most = max(counts, default=0)
        self.locals = self._reserve(*(f"local {i}" for i in range(most)))
        self.metadata = [slots for header, slots in self.headers.items() if header.metadata]

    def fresh(self) -> Fields:
        """The fields of a packet that has not been parsed: all zero, nothing valid."""
        return [1] + [0] * (len(self.names) - 1)

    def slot(self, ref: FieldRef) -> int:
        """Where a field is."""
        return self.headers[ref.header].start + ref.field.index

    def spec(self, ref: FieldRef) -> FieldSpec:
        """Where a field is and how it is written."""
        field = ref.field
        return FieldSpec(self.slot(ref), field.width, (1 << field.width) - 1, field.signed, field.variable)

    def _reserve(self, *names: str) -> int:
        self.names.extend(names)
        return len(self.names) - len(names)

    def _place_headers(self, program: Program) -> None:
        validity: dict[Header, int] = {}
        starts: dict[Header, int] = {}
        for header in program.headers.values():
            starts[header] = self._reserve(*(f"{header.name}.{f.name}" for f in header.type.fields))
            validity[header] = ALWAYS if header.metadata else len(self.names) - 1
            if header.type.variable_field is not None:
                self._reserve(f"{header.name}.$length$")
        rivals: dict[Header, tuple[int, ...]] = {}
        for union in program.header_unions.values():
            for header in union.headers:
                rivals[header] = tuple(validity[other] for other in union.headers if other is not header)
        for header, start in starts.items():
            self.headers[header] = _header_slots(
                header.name, header.type, start, validity[header], rivals.get(header, ())
            )

    def _outside(self, name: str, header_type: HeaderType) -> HeaderSlots:
        start = self._reserve(*(f"{name}[outside].{f.name}" for f in header_type.fields))
        valid = len(self.names) - 1
        if header_type.variable_field is not None:
            self._reserve(f"{name}[outside].$length$")
        return _header_slots(f"{name}[outside]", header_type, start, valid, ())

    def _place_stack(self, stack: HeaderStack) -> None:
        elements = tuple(self.headers[header] for header in stack.headers)
        next_slot = self._reserve(f"{stack.name}.$next$")
        self.stacks[stack] = StackSlots(stack.name, elements, next_slot, self._outside(stack.name, stack.type))

    def _place_union_stack(self, stack: HeaderUnionStack) -> None:
        elements = tuple(self.unions[union] for union in stack.unions)
        next_slot = self._reserve(f"{stack.name}.$next$")
        name = f"{stack.name}[outside]"
        outside = UnionSlots(
            name, tuple(self._outside(f"{name}.{member}", kind) for member, kind in stack.type.members)
        )
        self.union_stacks[stack] = UnionStackSlots(stack.name, elements, next_slot, outside)


def _header_slots(name: str, header_type: HeaderType, start: int, valid: int, rivals: tuple[int, ...]) -> HeaderSlots:
    fields = tuple(
        FieldSpec(start + f.index, f.width, (1 << f.width) - 1, f.signed, f.variable) for f in header_type.wire_fields
    )
    end = start + len(header_type.fields)
    length = ALWAYS if header_type.variable_field is None else end
    if length != ALWAYS:
        end += 1
    return HeaderSlots(name, header_type, start, end, valid, length, header_type.fixed_bits, fields, rivals)
