"""Properties of the small codecs: packets, P4Data, device configs, P4Info binding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from p4.config.v1 import p4info_pb2, p4types_pb2
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.binding import bind
from softswitch.p4runtime.device_config import unwrap
from softswitch.p4runtime.errors import Code, P4RuntimeError
from softswitch.p4runtime.p4data import Symbols, read_type
from softswitch.p4runtime.packets import parse, serialise
from softswitch.p4runtime.schema import PacketHeader, Param
from softswitch.p4runtime.values import Bits, Names, SdnString
from softswitch.program import load_program
from tests.softswitch.p4runtime.p4 import load, octets
from tests.softswitch.p4runtime.patience import patient

ResultT = TypeVar("ResultT")


def attempt(step: Callable[[], ResultT]) -> tuple[Code | None, ResultT | None]:
    """The code of a refusal, or the result; anything but a refusal is a failure of the test."""
    try:
        return None, step()
    except P4RuntimeError as error:
        return error.code, None


fields = st.lists(st.integers(1, 70), min_size=1, max_size=6).flatmap(
    lambda widths: st.tuples(st.just(widths), st.tuples(*[st.integers(0, (1 << width) - 1) for width in widths]))
)


@patient
@given(fields, st.binary(max_size=20))
def test_packet_headers_come_back(content: tuple[list[int], tuple[int, ...]], payload: bytes) -> None:
    widths, values = content
    header = PacketHeader(
        "packet_out", tuple(Param(i + 1, f"f{i}", Bits(width, width)) for i, width in enumerate(widths))
    )
    metadata = [p4rt.PacketMetadata(metadata_id=i + 1, value=octets(value)) for i, value in enumerate(values)]
    packet = serialise(header, p4rt.PacketOut(payload=payload, metadata=metadata[::-1]))
    # The fields side by side, then zero bits up to the next octet.
    joined = "".join(f"{value:0{width}b}" for value, width in zip(values, widths, strict=True))
    padded = joined.ljust((len(joined) + 7) // 8 * 8, "0")
    assert packet == int(padded, 2).to_bytes(len(padded) // 8, "big") + payload
    assert parse(header, packet) == p4rt.PacketIn(payload=payload, metadata=metadata)
    assert parse(header, packet[: header.size - 1]) is None


INFO = p4types_pb2.P4TypeInfo()
INFO.structs["inner"].members.add(name="flag", type_spec=p4types_pb2.P4DataTypeSpec(bool=p4types_pb2.P4BoolType()))
INFO.structs["outer"].members.add(name="number").type_spec.bitstring.int.bitwidth = 9
INFO.structs["outer"].members.add(name="inner").type_spec.struct.name = "inner"
INFO.structs["outer"].members.add(name="kind").type_spec.serializable_enum.name = "kind_t"
INFO.structs["outer"].members.add(name="color").type_spec.enum.name = "color_t"
INFO.structs["outer"].members.add(name="error").type_spec.error.SetInParent()
INFO.structs["outer"].members.add(name="pair").type_spec.tuple.members.add().bitstring.bit.bitwidth = 20
INFO.structs["outer"].members[-1].type_spec.tuple.members.add().new_type.name = "port_t"
INFO.structs["loop"].members.add(name="again").type_spec.struct.name = "loop"
INFO.serializable_enums["kind_t"].underlying_type.bitwidth = 4
INFO.enums["color_t"].members.add(name="red")
INFO.enums["color_t"].members.add(name="blue")
INFO.new_types["label_t"].original_type.bitstring.bit.bitwidth = 20
INFO.new_types["port_t"].translated_type.sdn_bitwidth = 32
SYMBOLS = Symbols({"NoError": 0, "PacketTooShort": 1}, {"color_t": {"red": 4, "blue": 5}})
WIDTHS = (9, 1, 4, 3, 8, 20, 9)


def translate(name: str, width: int, _where: str) -> Bits:
    return Bits(width, INFO.new_types[name].translated_type.sdn_bitwidth)


@patient
@given(
    st.tuples(
        st.integers(0, 511),
        st.integers(0, 1),
        st.integers(0, 15),
        st.sampled_from([4, 5]),
        st.integers(0, 1),
        st.integers(0, (1 << 20) - 1),
        st.integers(0, 511),
    )
)
def test_structured_data_comes_back(leaves: tuple[int, ...]) -> None:
    spec = p4types_pb2.P4DataTypeSpec(struct=p4types_pb2.P4NamedType(name="outer"))
    data_type = read_type(spec, INFO, SYMBOLS, "x", WIDTHS, translate)
    assert data_type.widths == (9, 1, 4, None, None, 20, 9)
    message = data_type.encode(iter(leaves))
    assert data_type.decode(message, "x") == leaves
    number, inner, kind, color, error, pair = message.struct.members
    signed = leaves[0] - 512 if leaves[0] > 255 else leaves[0]
    assert int.from_bytes(number.bitstring, "big", signed=True) == signed
    assert inner.struct.members[0].bool == bool(leaves[1])
    assert kind.enum_value == bytes([leaves[2]])
    assert color.enum == {4: "red", 5: "blue"}[leaves[3]]
    assert error.error == ("NoError", "PacketTooShort")[leaves[4]]
    assert [member.bitstring for member in pair.tuple.members] == [octets(leaf) for leaf in leaves[5:]]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (p4types_pb2.P4DataTypeSpec(), "kind unset"),
        (p4types_pb2.P4DataTypeSpec(struct=p4types_pb2.P4NamedType(name="loop")), "contains itself"),
        (p4types_pb2.P4DataTypeSpec(struct=p4types_pb2.P4NamedType(name="gone")), "no struct 'gone'"),
        (p4types_pb2.P4DataTypeSpec(enum=p4types_pb2.P4NamedType(name="gone")), "no enum 'gone'"),
        (
            p4types_pb2.P4DataTypeSpec(
                tuple=p4types_pb2.P4TupleTypeSpec(
                    members=[p4types_pb2.P4DataTypeSpec(new_type=p4types_pb2.P4NamedType(name="port_t"))] * 8
                )
            ),
            "x.7: the program has only 7 fields there",
        ),
        (p4types_pb2.P4DataTypeSpec(header=p4types_pb2.P4NamedType(name="h")), "kind header"),
        (p4types_pb2.P4DataTypeSpec(bitstring=p4types_pb2.P4BitstringLikeTypeSpec()), "kind unset"),
        (
            p4types_pb2.P4DataTypeSpec(
                bitstring=p4types_pb2.P4BitstringLikeTypeSpec(bit=p4types_pb2.P4BitTypeSpec(bitwidth=-1))
            ),
            "-1 is not positive",
        ),
    ],
)
def test_types_that_cannot_be(spec: p4types_pb2.P4DataTypeSpec, complaint: str) -> None:
    with pytest.raises(P4RuntimeError, match=complaint) as caught:
        read_type(spec, INFO, SYMBOLS, "x", WIDTHS, translate)
    assert caught.value.code == Code.INVALID_ARGUMENT


@patient
@given(st.binary(max_size=40))
def test_any_data_is_decoded_or_refused(encoded: bytes) -> None:
    spec = p4types_pb2.P4DataTypeSpec(struct=p4types_pb2.P4NamedType(name="outer"))
    try:
        data = p4data_pb2.P4Data.FromString(encoded)
    except DecodeError:
        return
    with pytest.raises(P4RuntimeError, match=r"^[A-Z_]+: x"):
        read_type(spec, INFO, SYMBOLS, "x", WIDTHS, translate).decode(data, "x")


@patient
@given(st.binary(max_size=60))
def test_any_device_config_is_unwrapped_or_refused(config: bytes) -> None:
    refused, unwrapped = attempt(lambda: unwrap(config))
    if unwrapped is not None:
        assert unwrapped.lstrip().startswith(b"{")
    else:
        assert refused == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["edge", "balance", "translated"])
def test_any_p4info_is_bound_or_refused(name: str) -> None:
    program = load_program(load(name).json)
    encoded = load(name).p4info.SerializeToString()

    @settings(patient, max_examples=60)
    @given(st.lists(st.tuples(st.integers(0, len(encoded) - 1), st.integers(0, 255)), min_size=1, max_size=3))
    def holds(changes: list[tuple[int, int]]) -> None:
        changed = bytearray(encoded)
        for position, octet in changes:
            changed[position] = octet
        try:
            p4info = p4info_pb2.P4Info.FromString(bytes(changed))
        except DecodeError:
            return
        refused, _ = attempt(lambda: bind(p4info, program))
        assert refused in (None, Code.INVALID_ARGUMENT)

    holds()


@patient
@given(st.lists(st.text(min_size=1, max_size=4), max_size=20), st.integers(1, 8))
def test_names_and_numbers_stay_one_to_one(words: list[str], width: int) -> None:
    strings = SdnString(Names(width))
    known: dict[str, int] = {}
    for word in words:
        refused, value = attempt(lambda word=word: strings.decode(word.encode(), "x"))  # type: ignore[misc]
        if value is None:
            assert (refused, len(known)) == (Code.RESOURCE_EXHAUSTED, 1 << width)
            continue
        assert 0 <= value < 1 << width
        assert known.setdefault(word, value) == value
        assert strings.encode(value) == word.encode()
    assert len(set(known.values())) == len(known)
