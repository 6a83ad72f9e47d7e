"""Data of arbitrary P4 types: what registers hold and digests carry.

P4Info describes a type (`P4DataTypeSpec`), the switch sends values (`P4Data`); here a type is a small object
that turns one into plain Python and back (P4Runtime section "Representation of Arbitrary P4 Types"):

===========================  ==========================================
P4                           Python
===========================  ==========================================
``bit<W>``, ``int<W>``       int
``varbit<W>``                ``(value, width in bits)``
``bool``                     bool
tuple, header stack          tuple
struct, header               dict by member; None for an invalid header
header union                 ``(member, dict)``; None if none is valid
enum, error                  str
===========================  ==========================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from p4.v1 import p4data_pb2

from controller.p4rt.errors import DecodingError, EncodingError
from controller.p4rt.values import decode_signed, decode_unsigned, encode_signed, encode_unsigned


class DataType(ABC):
    """A P4 type; its string is the type's P4 name."""

    @abstractmethod
    def decode(self, data: p4data_pb2.P4Data) -> Any:  # noqa: ANN401  # the table above
        """The Python value of `data`; raises DecodingError if it is of another type."""

    @abstractmethod
    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """`value` as P4Data; raises EncodingError if it is not of this type."""

    def _check(self, data: p4data_pb2.P4Data, member: str) -> None:
        found = data.WhichOneof("data")
        if found != member:
            raise DecodingError(f"expected {self}, not {found or 'nothing'}")

    def _refuse(self, value: object) -> EncodingError:
        return EncodingError(f"{value!r} is no {self}")


@dataclass(frozen=True, slots=True)
class Bits(DataType):
    """``bit<width>`` or ``int<width>``."""

    width: int
    signed: bool = False

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'bit'}<{self.width}>"

    def decode(self, data: p4data_pb2.P4Data) -> int:
        """The number."""
        self._check(data, "bitstring")
        return self.from_bytes(data.bitstring)

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The number's canonical string."""
        return p4data_pb2.P4Data(bitstring=self.to_bytes(value))

    def from_bytes(self, data: bytes) -> int:
        """The number of a bare bitstring, as in headers."""
        return decode_signed(data, self.width) if self.signed else decode_unsigned(data, self.width)

    def to_bytes(self, value: Any) -> bytes:  # noqa: ANN401
        """The bare bitstring of a number."""
        if not isinstance(value, int):
            raise self._refuse(value)
        return encode_signed(value, self.width) if self.signed else encode_unsigned(value, self.width)


@dataclass(frozen=True, slots=True)
class Varbit(DataType):
    """``varbit<max_width>``."""

    max_width: int

    def __str__(self) -> str:
        return f"varbit<{self.max_width}>"

    def decode(self, data: p4data_pb2.P4Data) -> tuple[int, int]:
        """The number and its width in bits."""
        self._check(data, "varbit")
        if data.varbit.bitwidth == 0:
            return 0, 0
        return decode_unsigned(data.varbit.bitstring, data.varbit.bitwidth), data.varbit.bitwidth

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The number in its own width."""
        number, width = value
        if width > self.max_width:
            raise EncodingError(f"{width} bits do not fit {self}")
        text = encode_unsigned(number, width) if width else b""
        return p4data_pb2.P4Data(varbit=p4data_pb2.P4Varbit(bitstring=text, bitwidth=width))


@dataclass(frozen=True, slots=True)
class Bool(DataType):
    """``bool``."""

    def __str__(self) -> str:
        return "bool"

    def decode(self, data: p4data_pb2.P4Data) -> bool:
        """The truth value."""
        self._check(data, "bool")
        return data.bool

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The truth value."""
        return p4data_pb2.P4Data(bool=bool(value))


@dataclass(frozen=True, slots=True)
class Symbol(DataType):
    """An ``enum`` without numbers, or ``error``: one of its members' names."""

    name: str
    member: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    def decode(self, data: p4data_pb2.P4Data) -> str:
        """The member's name."""
        self._check(data, self.member)
        return str(getattr(data, self.member))

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The member's name."""
        if value not in self.names:
            raise self._refuse(value)
        return p4data_pb2.P4Data(**{self.member: value})


@dataclass(frozen=True, slots=True)
class SerializableEnum(DataType):
    """An ``enum bit<width>``; its values are numbers and need not be members."""

    bits: Bits

    def __str__(self) -> str:
        return f"enum {self.bits}"

    def decode(self, data: p4data_pb2.P4Data) -> int:
        """The number."""
        self._check(data, "enum_value")
        return self.bits.from_bytes(data.enum_value)

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The number's canonical string."""
        return p4data_pb2.P4Data(enum_value=self.bits.to_bytes(value))


@dataclass(frozen=True, slots=True)
class Tuple(DataType):
    """A tuple: members without names."""

    members: tuple[DataType, ...]

    def __str__(self) -> str:
        return f"tuple<{', '.join(str(member) for member in self.members)}>"

    def decode(self, data: p4data_pb2.P4Data) -> tuple[Any, ...]:
        """The members' values."""
        self._check(data, "tuple")
        return tuple(_zip_decode(self.members, data.tuple.members, self))

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The members' values."""
        if not isinstance(value, Sequence) or len(value) != len(self.members):
            raise self._refuse(value)
        members = [kind.encode(item) for kind, item in zip(self.members, value, strict=True)]
        return p4data_pb2.P4Data(tuple=p4data_pb2.P4StructLike(members=members))


@dataclass(frozen=True, slots=True)
class Struct(DataType):
    """A struct: members by name, in the order of the program."""

    name: str
    members: tuple[tuple[str, DataType], ...]

    def __str__(self) -> str:
        return f"struct {self.name}"

    def decode(self, data: p4data_pb2.P4Data) -> dict[str, Any]:
        """The members' values."""
        self._check(data, "struct")
        values = _zip_decode([kind for _, kind in self.members], data.struct.members, self)
        return {name: value for (name, _), value in zip(self.members, values, strict=True)}

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The members' values."""
        if not isinstance(value, Mapping) or set(value) != {name for name, _ in self.members}:
            raise self._refuse(value)
        members = [kind.encode(value[name]) for name, kind in self.members]
        return p4data_pb2.P4Data(struct=p4data_pb2.P4StructLike(members=members))


@dataclass(frozen=True, slots=True)
class Header(DataType):
    """A header: numbers by name, or invalid."""

    name: str
    members: tuple[tuple[str, Bits], ...]

    def __str__(self) -> str:
        return f"header {self.name}"

    def decode(self, data: p4data_pb2.P4Data) -> dict[str, int] | None:
        """The fields, or None if the header is not valid."""
        self._check(data, "header")
        return self.from_header(data.header)

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The fields, or None for an invalid header."""
        return p4data_pb2.P4Data(header=self.to_header(value))

    def from_header(self, header: p4data_pb2.P4Header) -> dict[str, int] | None:
        """The fields of a bare header, as in stacks and unions."""
        if not header.is_valid:
            return None
        if len(header.bitstrings) != len(self.members):
            raise DecodingError(f"{self} has {len(self.members)} fields, not {len(header.bitstrings)}")
        pairs = zip(self.members, header.bitstrings, strict=True)
        return {name: bits.from_bytes(text) for (name, bits), text in pairs}

    def to_header(self, value: Any) -> p4data_pb2.P4Header:  # noqa: ANN401
        """The bare header of fields."""
        if value is None:
            return p4data_pb2.P4Header()
        if not isinstance(value, Mapping) or set(value) != {name for name, _ in self.members}:
            raise self._refuse(value)
        return p4data_pb2.P4Header(
            is_valid=True, bitstrings=[bits.to_bytes(value[name]) for name, bits in self.members]
        )


@dataclass(frozen=True, slots=True)
class HeaderUnion(DataType):
    """A header union: at most one of its headers is valid."""

    name: str
    members: tuple[tuple[str, Header], ...]

    def __str__(self) -> str:
        return f"header_union {self.name}"

    def decode(self, data: p4data_pb2.P4Data) -> tuple[str, dict[str, int]] | None:
        """Name and fields of the valid header, or None."""
        self._check(data, "header_union")
        return self.from_union(data.header_union)

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """Name and fields of the valid header, or None."""
        return p4data_pb2.P4Data(header_union=self.to_union(value))

    def from_union(self, union: p4data_pb2.P4HeaderUnion) -> tuple[str, dict[str, int]] | None:
        """The content of a bare union, as in stacks."""
        if not union.valid_header_name:
            return None
        fields = self._member(union.valid_header_name).from_header(union.valid_header)
        return (union.valid_header_name, fields) if fields is not None else None

    def to_union(self, value: Any) -> p4data_pb2.P4HeaderUnion:  # noqa: ANN401
        """The bare union."""
        if value is None:
            return p4data_pb2.P4HeaderUnion()
        name, fields = value
        header = self._member(name).to_header(fields)
        return p4data_pb2.P4HeaderUnion(valid_header_name=name, valid_header=header)

    def _member(self, name: str) -> Header:
        for known, header in self.members:
            if known == name:
                return header
        raise DecodingError(f"{self} has no header {name!r}")


@dataclass(frozen=True, slots=True)
class Stack(DataType):
    """A stack of `size` headers or header unions."""

    element: Header | HeaderUnion
    size: int

    def __str__(self) -> str:
        return f"{self.element}[{self.size}]"

    def decode(self, data: p4data_pb2.P4Data) -> tuple[Any, ...]:
        """The elements."""
        if isinstance(self.element, Header):
            self._check(data, "header_stack")
            return tuple(self.element.from_header(entry) for entry in data.header_stack.entries)
        self._check(data, "header_union_stack")
        return tuple(self.element.from_union(entry) for entry in data.header_union_stack.entries)

    def encode(self, value: Any) -> p4data_pb2.P4Data:  # noqa: ANN401
        """The elements; their number is the stack's size."""
        if not isinstance(value, Sequence) or len(value) != self.size:
            raise self._refuse(value)
        if isinstance(self.element, Header):
            stack = p4data_pb2.P4HeaderStack(entries=[self.element.to_header(item) for item in value])
            return p4data_pb2.P4Data(header_stack=stack)
        unions = p4data_pb2.P4HeaderUnionStack(entries=[self.element.to_union(item) for item in value])
        return p4data_pb2.P4Data(header_union_stack=unions)


def _zip_decode(kinds: Sequence[DataType], members: Sequence[p4data_pb2.P4Data], whole: DataType) -> list[Any]:
    if len(kinds) != len(members):
        raise DecodingError(f"{whole} has {len(kinds)} members, not {len(members)}")
    return [kind.decode(member) for kind, member in zip(kinds, members, strict=True)]
