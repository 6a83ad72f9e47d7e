"""Data of P4 types: values survive, and values of another type are refused by name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from p4.config.v1 import p4types_pb2
from p4.v1 import p4data_pb2

from controller.p4rt.errors import DecodingError, EncodingError, P4InfoError
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
from controller.p4rt.typetable import TypeTable

_ETHERNET = Header("ethernet_t", (("dst", Bits(48)), ("type", Bits(16))))
_UNION = HeaderUnion("either", (("ethernet", _ETHERNET), ("tag", Header("tag_t", (("id", Bits(12)),)))))


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> tuple[DataType, Any]:
    """A type and a value of it."""
    simple = ["bits", "signed", "bool", "varbit", "enum", "serializable", "header", "union", "stack", "unions"]
    match draw(st.sampled_from(simple + (["tuple", "struct"] if depth else []))):
        case "bits":
            width = draw(st.integers(1, 130))
            return Bits(width), draw(st.integers(0, (1 << width) - 1))
        case "signed":
            width = draw(st.integers(1, 130))
            return Bits(width, signed=True), draw(st.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1))
        case "bool":
            return Bool(), draw(st.booleans())
        case "varbit":
            width = draw(st.integers(0, 64))
            return Varbit(64), (draw(st.integers(0, (1 << width) - 1)), width)
        case "enum":
            return Symbol("color", "enum", ("RED", "GREEN")), draw(st.sampled_from(["RED", "GREEN"]))
        case "serializable":
            return SerializableEnum(Bits(8)), draw(st.integers(0, 255))
        case "header":
            return _ETHERNET, draw(headers)
        case "union":
            return _UNION, draw(st.none() | headers.filter(bool).map(lambda fields: ("ethernet", fields)))
        case "stack":
            return Stack(_ETHERNET, 2), (draw(headers), draw(headers))
        case "unions":
            return Stack(_UNION, 1), (draw(st.none() | st.just(("tag", {"id": 5}))),)
        case "tuple":
            parts = draw(st.lists(typed(depth - 1), max_size=3))
            return Tuple(tuple(kind for kind, _ in parts)), tuple(value for _, value in parts)
        case _:
            parts = draw(st.lists(typed(depth - 1), max_size=3))
            members = tuple((f"m{number}", kind) for number, (kind, _) in enumerate(parts))
            return Struct("thing", members), {f"m{number}": value for number, (_, value) in enumerate(parts)}


headers = st.none() | st.fixed_dictionaries(
    {"dst": st.integers(0, (1 << 48) - 1), "type": st.integers(0, (1 << 16) - 1)}
)


@given(typed())
def test_a_value_of_any_type_survives(pair: tuple[DataType, Any]) -> None:
    kind, value = pair
    assert kind.decode(p4data_pb2.P4Data.FromString(kind.encode(value).SerializeToString())) == value


@given(typed(), typed())
def test_data_of_another_type_is_refused_or_means_something_in_this_one(
    pair: tuple[DataType, Any], other: tuple[DataType, Any]
) -> None:
    kind, data = pair[0], other[0].encode(other[1])
    with suppress(DecodingError):
        value = kind.decode(data)
        if not isinstance(kind, Varbit | Stack):  # which may be longer than the program allows
            assert kind.decode(kind.encode(value)) == value


@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        (Bits(8), 256, "bit<8>"),
        (Bits(8), "x", "bit<8>"),
        (Struct("learn_t", (("mac", Bits(48)),)), {"port": 1}, "struct learn_t"),
        (Tuple((Bits(1),)), (), "tuple<bit<1>>"),
        (Symbol("color", "enum", ("RED",)), "BLUE", "color"),
        (Stack(_ETHERNET, 2), (None,), r"header ethernet_t\[2\]"),
        (Varbit(8), (1, 9), "varbit<8>"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(kind: DataType, value: Any, named: str) -> None:
    with pytest.raises(EncodingError, match=named):
        kind.encode(value)


def _types(text: str) -> TypeTable:
    return TypeTable(text_format.Parse(text, p4types_pb2.P4TypeInfo()))


def _spec(text: str) -> p4types_pb2.P4DataTypeSpec:
    return text_format.Parse(text, p4types_pb2.P4DataTypeSpec())


def test_named_types_are_resolved() -> None:
    types = _types(
        """
        headers { key: "h" value { members { name: "f" type_spec { bit { bitwidth: 9 } } } } }
        header_unions { key: "u" value { members { name: "h" header { name: "h" } } } }
        structs { key: "s" value { members { name: "h" type_spec { header { name: "h" } } } } }
        enums { key: "e" value { members { name: "A" } } }
        serializable_enums { key: "n" value { underlying_type { bitwidth: 8 } } }
        new_types { key: "id" value { translated_type { sdn_bitwidth: 32 } } }
        new_types { key: "alias" value { original_type { bitstring { int { bitwidth: 5 } } } } }
        error { members: "NoError" }
        """
    )
    header = Header("h", (("f", Bits(9)),))
    expected: dict[str, DataType] = {
        'struct { name: "s" }': Struct("s", (("h", header),)),
        'header_stack { header { name: "h" } size: 3 }': Stack(header, 3),
        'header_union_stack { header_union { name: "u" } size: 2 }': Stack(HeaderUnion("u", (("h", header),)), 2),
        'enum { name: "e" }': Symbol("enum e", "enum", ("A",)),
        "error {}": Symbol("error", "error", ("NoError",)),
        'serializable_enum { name: "n" }': SerializableEnum(Bits(8)),
        'new_type { name: "id" }': Bits(32),
        'new_type { name: "alias" }': Bits(5, signed=True),
        "tuple { members { bool {} } members { bitstring { varbit { max_bitwidth: 7 } } } }": Tuple(
            (Bool(), Varbit(7))
        ),
    }
    for text, kind in expected.items():
        assert types.resolve(_spec(text), "here") == kind


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("", "here.*no type"),
        ('struct { name: "nowhere" }', "here.*'nowhere'"),
        ("bitstring {}", "here.*width"),
        ('struct { name: "self" }', "here.*contains itself"),
        ('new_type { name: "port" }', "here.*'port'.*string"),
    ],
)
def test_a_type_that_is_none_is_refused_by_place(spec: str, named: str) -> None:
    types = _types(
        """
        structs { key: "self" value { members { name: "m" type_spec { struct { name: "self" } } } } }
        new_types { key: "port" value { translated_type { sdn_string {} } } }
        """
    )
    with pytest.raises(P4InfoError, match=named):
        types.resolve(_spec(spec), "here")
