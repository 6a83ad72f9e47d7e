"""Header types and the header instances, stacks and unions declared by a program.

Definitions are compared by identity: two headers of one type are different headers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VALID_FIELD = "$valid$"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One member of a header type.

    index:    position in the header type
    width:    bits; 0 for a variable-length field, whose length is known only once extracted
    signed:   two's complement
    hidden:   not on the wire (only ``$valid$``, the validity bit every header carries)
    """

    name: str
    index: int
    width: int
    signed: bool = False
    variable: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class HeaderType:
    """The layout of a header. The last field is always the hidden validity bit.

    max_bytes: upper bound of the whole header when a field is variable, else None
    """

    name: str
    id: int
    fields: tuple[Field, ...]
    max_bytes: int | None = None

    @property
    def wire_fields(self) -> tuple[Field, ...]:
        """The fields found in a packet, in order."""
        return self.fields[:-1]

    @property
    def variable_field(self) -> Field | None:
        """The variable-length field, if the type has one."""
        return next((f for f in self.fields if f.variable), None)

    @property
    def fixed_bits(self) -> int:
        """Width in bits, counting the variable-length field as empty."""
        return sum(f.width for f in self.wire_fields)

    def find(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """A header (or metadata) instance. Metadata is always valid and never on the wire."""

    name: str
    id: int
    type: HeaderType = field(repr=False)
    metadata: bool


@dataclass(frozen=True, slots=True, eq=False)
class HeaderStack:
    """A fixed-size array of headers of one type; headers[0] is the outermost."""

    name: str
    id: int
    type: HeaderType = field(repr=False)
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeaderUnionType:
    """Names and types of the members of which at most one is valid."""

    name: str
    id: int
    members: tuple[tuple[str, HeaderType], ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeaderUnion:
    """A union instance; headers are in the order of the type's members."""

    name: str
    id: int
    type: HeaderUnionType = field(repr=False)
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeaderUnionStack:
    """A fixed-size array of unions of one type."""

    name: str
    id: int
    type: HeaderUnionType = field(repr=False)
    unions: tuple[HeaderUnion, ...]


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A field of a particular header instance."""

    header: Header
    field: Field

    @property
    def name(self) -> str:
        """``header.field``, as in the program."""
        return f"{self.header.name}.{self.field.name}"

    @property
    def width(self) -> int:
        """Width in bits."""
        return self.field.width
