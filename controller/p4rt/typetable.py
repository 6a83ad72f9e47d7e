"""A program's named types: resolves P4Info's type descriptions to `DataType`."""

from __future__ import annotations

from typing import Any

from p4.config.v1 import p4types_pb2

from controller.p4rt.errors import P4InfoError
from controller.p4rt.p4types import (
    Bits,
    Bool,
    DataType,
    Header,
    HeaderUnion,
    SerializableEnum,
    Stack,
    Struct,
    Symbol,
    Tuple,
    Varbit,
)


class TypeTable:
    """The named types of a program; resolves type descriptions to `DataType`."""

    def __init__(self, info: p4types_pb2.P4TypeInfo) -> None:
        self._info = info

    def resolve(self, spec: p4types_pb2.P4DataTypeSpec, place: str) -> DataType:
        """The type that `spec` describes; raises P4InfoError, naming `place`, if it names an unknown one."""
        kind = spec.WhichOneof("type_spec")
        try:
            match kind:
                case "bitstring":
                    return self._bitstring(spec.bitstring, place)
                case "bool":
                    return Bool()
                case "tuple":
                    return Tuple(tuple(self.resolve(member, place) for member in spec.tuple.members))
                case "struct":
                    found = self._named("structs", spec.struct.name, place)
                    members = ((m.name, self.resolve(m.type_spec, place)) for m in found.members)
                    return Struct(spec.struct.name, tuple(members))
                case "header":
                    return self._header(spec.header.name, place)
                case "header_union":
                    return self._union(spec.header_union.name, place)
                case "header_stack":
                    return Stack(self._header(spec.header_stack.header.name, place), spec.header_stack.size)
                case "header_union_stack":
                    stack = spec.header_union_stack
                    return Stack(self._union(stack.header_union.name, place), stack.size)
                case "enum":
                    names = tuple(m.name for m in self._named("enums", spec.enum.name, place).members)
                    return Symbol(f"enum {spec.enum.name}", "enum", names)
                case "error":
                    return Symbol("error", "error", tuple(self._info.error.members))
                case "serializable_enum":
                    found = self._named("serializable_enums", spec.serializable_enum.name, place)
                    return SerializableEnum(Bits(found.underlying_type.bitwidth))
                case "new_type":
                    return self._new_type(spec.new_type.name, place)
        except RecursionError:
            raise P4InfoError(f"{place}: its type contains itself") from None
        raise P4InfoError(f"{place}: has no type")

    def _named(self, kind: str, name: str, place: str) -> Any:  # noqa: ANN401
        table = getattr(self._info, kind)
        if name not in table:
            raise P4InfoError(f"{place}: type {name!r} is not among the {kind.replace('_', ' ')}")
        return table[name]

    def _bitstring(self, spec: p4types_pb2.P4BitstringLikeTypeSpec, place: str) -> Bits | Varbit:
        match spec.WhichOneof("type_spec"):
            case "bit":
                return Bits(spec.bit.bitwidth)
            case "int":
                return Bits(spec.int.bitwidth, signed=True)
            case "varbit":
                return Varbit(spec.varbit.max_bitwidth)
        raise P4InfoError(f"{place}: has a bitstring type without a width")

    def _header(self, name: str, place: str) -> Header:
        members = []
        for member in self._named("headers", name, place).members:
            bits = self._bitstring(member.type_spec, f"{place}: {name}.{member.name}")
            if not isinstance(bits, Bits):
                raise P4InfoError(f"{place}: header {name!r} has a varbit, which P4Data cannot carry")
            members.append((member.name, bits))
        return Header(name, tuple(members))

    def _union(self, name: str, place: str) -> HeaderUnion:
        members = self._named("header_unions", name, place).members
        return HeaderUnion(name, tuple((m.name, self._header(m.header.name, place)) for m in members))

    def _new_type(self, name: str, place: str) -> DataType:
        found = self._named("new_types", name, place)
        if found.WhichOneof("representation") == "original_type":
            return self.resolve(found.original_type, place)
        if found.translated_type.WhichOneof("sdn_type") == "sdn_bitwidth":
            return Bits(found.translated_type.sdn_bitwidth)
        raise P4InfoError(f"{place}: type {name!r} is translated to a string, which P4Data cannot carry")
