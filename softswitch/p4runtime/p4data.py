"""`P4Data`: values of arbitrary P4 types, for registers and digests.

A type is a tree read from the P4Info; the data plane holds its leaves as a flat sequence of unsigned integers, in the
order of declaration (specification section "Representation of Arbitrary P4 Types").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from p4.config.v1 import p4types_pb2
from p4.v1 import p4data_pb2

from softswitch.p4runtime.bytestring import decode_signed, decode_unsigned, encode_signed, encode_unsigned
from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.values import ValueType


class DataType(Protocol):
    """A P4 type."""

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves, None where only the program knows."""

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message.

        Raises:
            P4RuntimeError: INVALID_ARGUMENT if the message has another shape, OUT_OF_RANGE if a number is too wide;
                both name `where`.
        """

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""


@dataclass(frozen=True, slots=True)
class BitType:
    """`bit<width>` or, signed, `int<width>`; also a serializable enum, which travels in another member."""

    width: int
    signed: bool = False
    member: str = "bitstring"

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves."""
        return (self.width,)

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message; see DataType."""
        _expect(data, self.member, where)
        octets: bytes = getattr(data, self.member)
        if self.signed:
            return (decode_signed(octets, self.width, where) % (1 << self.width),)
        return (decode_unsigned(octets, self.width, where),)

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""
        value = next(leaves)
        if self.signed:
            negative = value >> (self.width - 1)
            return p4data_pb2.P4Data(bitstring=encode_signed(value - (negative << self.width)))
        octets = encode_unsigned(value)
        return (
            p4data_pb2.P4Data(enum_value=octets) if self.member == "enum_value" else p4data_pb2.P4Data(bitstring=octets)
        )


@dataclass(frozen=True, slots=True)
class BoolType:
    """`bool`, one bit in the data plane."""

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves."""
        return (1,)

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message; see DataType."""
        _expect(data, "bool", where)
        return (int(data.bool),)

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""
        return p4data_pb2.P4Data(bool=bool(next(leaves)))


@dataclass(frozen=True, slots=True)
class SymbolType:
    """A safe enum or `error`: symbols for the control plane, numbers of the program's choice in the data plane."""

    member: str
    name: str
    numbers: Mapping[str, int]

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves."""
        return (None,)

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message; see DataType."""
        _expect(data, self.member, where)
        symbol: str = getattr(data, self.member)
        if symbol not in self.numbers:
            raise invalid_argument(f"{where}: {self.name} has no member {symbol!r}")
        return (self.numbers[symbol],)

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""
        number = next(leaves)
        symbol = next((name for name, known in self.numbers.items() if known == number), str(number))
        return p4data_pb2.P4Data(enum=symbol) if self.member == "enum" else p4data_pb2.P4Data(error=symbol)


@dataclass(frozen=True, slots=True)
class TranslatedType:
    """A user-defined type that looks different to the control plane; numbers and strings travel as bitstrings."""

    type: ValueType

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves."""
        return (self.type.width,)

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message; see DataType."""
        _expect(data, "bitstring", where)
        return (self.type.decode(data.bitstring, where),)

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""
        return p4data_pb2.P4Data(bitstring=self.type.encode(next(leaves)))


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct or a tuple."""

    member: str
    members: tuple[tuple[str, DataType], ...]

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Bits of its leaves."""
        return tuple(width for _, member in self.members for width in member.widths)

    def decode(self, data: p4data_pb2.P4Data, where: str) -> tuple[int, ...]:
        """The leaves of a message; see DataType."""
        _expect(data, self.member, where)
        given: Sequence[p4data_pb2.P4Data] = getattr(data, self.member).members
        if len(given) != len(self.members):
            raise invalid_argument(f"{where}: {len(given)} members where the type has {len(self.members)}")
        return tuple(
            leaf
            for (name, member), value in zip(self.members, given, strict=True)
            for leaf in member.decode(value, f"{where}.{name}")
        )

    def encode(self, leaves: Iterator[int]) -> p4data_pb2.P4Data:
        """The message of the next leaves."""
        content = p4data_pb2.P4StructLike(members=[member.encode(leaves) for _, member in self.members])
        return p4data_pb2.P4Data(tuple=content) if self.member == "tuple" else p4data_pb2.P4Data(struct=content)


@dataclass(frozen=True, slots=True)
class Symbols:
    """The numbers that the program gave to the members of `error` and of its safe enums."""

    errors: Mapping[str, int]
    enums: Mapping[str, Mapping[str, int]]


Translate = Callable[[str, int, str], ValueType]
"""How values of a translated type travel: its name, its bits in the data plane, and the place for messages."""


def read_type(
    spec: p4types_pb2.P4DataTypeSpec,
    info: p4types_pb2.P4TypeInfo,
    symbols: Symbols,
    where: str,
    widths: Sequence[int],
    translate: Translate,
) -> DataType:
    """The type that a `P4DataTypeSpec` describes.

    Args:
        widths: bits of the leaves in the program, in their order.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`, for an unknown type name, a type that contains itself, or a
            type that bmv2 can put neither into a register nor into a digest (headers, unions and stacks).
    """
    return _Reader(info, symbols, translate, widths).read(spec, where)


@dataclass(frozen=True, slots=True)
class _Reader:
    info: p4types_pb2.P4TypeInfo
    symbols: Symbols
    translate: Translate
    widths: Sequence[int]
    inside: tuple[str, ...] = ()

    def read(self, spec: p4types_pb2.P4DataTypeSpec, where: str, before: int = 0) -> DataType:
        """A type; `before` leaves stand before it."""
        info = self.info
        match spec.WhichOneof("type_spec"):
            case "bitstring":
                return _read_bits(spec.bitstring, where)
            case "bool":
                return BoolType()
            case "tuple":
                named = [(str(index), member) for index, member in enumerate(spec.tuple.members)]
                return self._struct("tuple", named, where, before)
            case "struct":
                name = _known(spec.struct.name, info.structs, "struct", where)
                if name in self.inside:
                    raise invalid_argument(f"{where}: the struct {name!r} contains itself")
                named = [(member.name, member.type_spec) for member in info.structs[name].members]
                return self._in(name)._struct("struct", named, where, before)
            case "serializable_enum":
                name = _known(spec.serializable_enum.name, info.serializable_enums, "serializable enum", where)
                width = info.serializable_enums[name].underlying_type.bitwidth
                return BitType(_positive(width, where), member="enum_value")
            case "enum":
                name = _known(spec.enum.name, info.enums, "enum", where)
                declared = {member.name: number for number, member in enumerate(info.enums[name].members)}
                return SymbolType("enum", name, self.symbols.enums.get(name, declared))
            case "error":
                return SymbolType("error", "error", self.symbols.errors)
            case "new_type":
                name = _known(spec.new_type.name, info.new_types, "type", where)
                if info.new_types[name].WhichOneof("representation") == "translated_type":
                    if before >= len(self.widths):
                        raise invalid_argument(f"{where}: the program has only {len(self.widths)} fields there")
                    return TranslatedType(self.translate(name, self.widths[before], where))
                if name in self.inside:
                    raise invalid_argument(f"{where}: the type {name!r} contains itself")
                return self._in(name).read(info.new_types[name].original_type, where, before)
            case other:
                raise invalid_argument(f"{where}: a type of kind {other or 'unset'} is not supported in P4Data")

    def _struct(
        self, kind: str, members: Sequence[tuple[str, p4types_pb2.P4DataTypeSpec]], where: str, before: int
    ) -> StructType:
        read: list[tuple[str, DataType]] = []
        for name, spec in members:
            read.append((name, self.read(spec, f"{where}.{name}", before)))
            before += len(read[-1][1].widths)
        return StructType(kind, tuple(read))

    def _in(self, name: str) -> _Reader:
        return _Reader(self.info, self.symbols, self.translate, self.widths, (*self.inside, name))


def _read_bits(spec: p4types_pb2.P4BitstringLikeTypeSpec, where: str) -> BitType:
    kind = spec.WhichOneof("type_spec")
    if kind == "bit":
        return BitType(_positive(spec.bit.bitwidth, where))
    if kind == "int":
        return BitType(_positive(spec.int.bitwidth, where), signed=True)
    raise invalid_argument(f"{where}: a bitstring of kind {kind or 'unset'} is not supported in P4Data")


def _positive(width: int, where: str) -> int:
    if width <= 0:
        raise invalid_argument(f"{where}: the bit width {width} is not positive")
    return width


def _known(name: str, table: Mapping[str, object], kind: str, where: str) -> str:
    if name not in table:
        raise invalid_argument(f"{where}: the P4Info describes no {kind} {name!r}")
    return name


def _expect(data: p4data_pb2.P4Data, member: str, where: str) -> None:
    given = data.WhichOneof("data")
    if given != member:
        raise invalid_argument(f"{where}: the data is of kind {given or 'unset'} where the type is of kind {member}")
