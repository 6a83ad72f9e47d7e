"""Bytestrings: every length is taken, only values that fit, and the shortest string is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.p4runtime.bytestring import decode_signed, decode_unsigned, encode_signed, encode_unsigned
from softswitch.p4runtime.errors import Code, P4RuntimeError
from tests.softswitch.p4runtime.patience import patient

widths = st.integers(1, 200)


@patient
@given(widths, st.data())
def test_unsigned_values_come_back_and_leading_zeros_do_not_matter(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << width) - 1))
    canonical = encode_unsigned(value)
    padded = bytes(data.draw(st.integers(0, 5))) + canonical
    assert decode_unsigned(padded, width, "x") == value
    assert len(canonical) == 1 or canonical[0] != 0


@patient
@given(widths, st.data())
def test_signed_values_come_back_and_sign_extension_does_not_matter(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1))
    canonical = encode_signed(value)
    extension = (b"\xff" if value < 0 else b"\x00") * data.draw(st.integers(0, 5))
    assert decode_signed(extension + canonical, width, "x") == value
    # No shorter string has this value.
    assert len(canonical) == 1 or int.from_bytes(canonical[1:], "big", signed=True) != value


@patient
@given(widths, st.integers(1))
def test_values_that_need_more_bits_are_out_of_range(width: int, excess: int) -> None:
    for decode, encode, value in (
        (decode_unsigned, encode_unsigned, (1 << width) - 1 + excess),
        (decode_signed, encode_signed, (1 << (width - 1)) - 1 + excess),
        (decode_signed, encode_signed, -(1 << (width - 1)) - excess),
    ):
        with pytest.raises(P4RuntimeError, match="field f") as caught:
            decode(encode(value), width, "field f")
        assert caught.value.code == Code.OUT_OF_RANGE


# The examples of the specification, section "Bytestrings".
@pytest.mark.parametrize(
    ("width", "signed", "data", "value"),
    [
        (8, False, b"\x63", 99),
        (16, False, b"\x00\x63", 99),
        (16, False, b"\x30\x64", 12388),
        (16, False, b"\x00\x30\x64", 12388),
        (12, False, b"\x00\x00\x63", 99),
        (8, True, b"\x9d", -99),
        (8, True, b"\xff\x9d", -99),
        (12, True, b"\xfd\x1d", -739),
        (16, True, b"\x00\x00", 0),
    ],
)
def test_valid_examples(width: int, signed: bool, data: bytes, value: int) -> None:
    decode = decode_signed if signed else decode_unsigned
    assert decode(data, width, "x") == value


@pytest.mark.parametrize(
    ("width", "signed", "data"),
    [
        (8, False, b"\x01\x63"),
        (8, False, b""),
        (16, False, b"\x01\x00\x63"),
        (12, False, b"\x10\x63"),
        (12, False, b"\x00\x40\x63"),
        (8, True, b"\x00\x9d"),
        (12, True, b"\x8d\x1d"),
        (16, True, b""),
    ],
)
def test_invalid_examples(width: int, signed: bool, data: bytes) -> None:
    decode = decode_signed if signed else decode_unsigned
    with pytest.raises(P4RuntimeError) as caught:
        decode(data, width, "x")
    assert caught.value.code == Code.OUT_OF_RANGE
