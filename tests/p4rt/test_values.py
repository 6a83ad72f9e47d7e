"""Bytestrings in canonical form, and what a value may be written as."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.p4rt.errors import DecodingError, EncodingError
from controller.p4rt.values import (
    FrozenMap,
    as_int,
    as_value,
    decode_signed,
    decode_unsigned,
    encode_signed,
    encode_unsigned,
)

widths = st.integers(1, 300)


@pytest.mark.parametrize(
    ("width", "value", "text"),
    [
        (8, 99, "63"),
        (16, 99, "63"),
        (16, 12388, "3064"),
        (12, 99, "63"),
        (9, 0, "00"),
        (128, 1 << 127, "80" + "00" * 15),
    ],
)
def test_unsigned_examples_of_the_specification(width: int, value: int, text: str) -> None:
    assert encode_unsigned(value, width).hex() == text
    assert decode_unsigned(bytes.fromhex(text), width) == value


@pytest.mark.parametrize(
    ("width", "value", "text"), [(8, 99, "63"), (8, -99, "9d"), (12, -739, "fd1d"), (16, 0, "00"), (8, -128, "80")]
)
def test_signed_examples_of_the_specification(width: int, value: int, text: str) -> None:
    assert encode_signed(value, width).hex() == text
    assert decode_signed(bytes.fromhex(text), width) == value


@pytest.mark.parametrize(
    ("width", "text"), [(8, "0163"), (8, ""), (16, "010063"), (12, "1063"), (12, "010063"), (12, "004063")]
)
def test_unsigned_strings_that_the_specification_calls_invalid(width: int, text: str) -> None:
    with pytest.raises(DecodingError, match=rf"{text or 'empty'}.*bit<{width}>"):
        decode_unsigned(bytes.fromhex(text), width)


@pytest.mark.parametrize(("width", "text"), [(8, "009d"), (12, "8d1d"), (16, "")])
def test_signed_strings_that_the_specification_calls_invalid(width: int, text: str) -> None:
    with pytest.raises(DecodingError, match=rf"int<{width}>"):
        decode_signed(bytes.fromhex(text), width)


@given(widths, st.data())
def test_an_unsigned_value_survives_in_the_fewest_octets(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << width) - 1))
    text = encode_unsigned(value, width)
    assert decode_unsigned(text, width) == value
    assert decode_unsigned(b"\0\0" + text, width) == value
    assert len(text) == 1 or text[0] != 0


@given(widths, st.data())
def test_a_signed_value_survives(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1))
    text = encode_signed(value, width)
    assert decode_signed(text, width) == value
    assert decode_signed((b"\xff" if value < 0 else b"\0") + text, width) == value


@given(widths)
def test_a_value_beyond_its_width_is_refused(width: int) -> None:
    for value in (1 << width, -1):
        with pytest.raises(EncodingError, match=rf"bit<{width}>"):
            encode_unsigned(value, width)
    for value in (1 << (width - 1), -(1 << (width - 1)) - 1):
        with pytest.raises(EncodingError, match=rf"int<{width}>"):
            encode_signed(value, width)


def test_what_stands_for_a_number() -> None:
    assert as_value(7) == as_value(b"\0\7") == 7
    assert as_value(IPv4Address("10.0.0.1")) == 0x0A000001
    assert as_value(IPv6Address("::1")) == 1
    assert as_value("port-1") == "port-1"
    with pytest.raises(TypeError, match="float"):
        as_value(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'10'"):
        as_int("10")


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=4))
def test_a_frozen_map_is_equal_to_its_mapping_and_hashes_by_content(items: dict[str, int]) -> None:
    frozen = FrozenMap(items)
    backwards = FrozenMap(dict(reversed(items.items())))
    assert frozen == items
    assert frozen == backwards
    assert hash(frozen) == hash(backwards)
    assert list(frozen) == sorted(items)
    assert frozen != FrozenMap({**items, "longer than any": 1})
