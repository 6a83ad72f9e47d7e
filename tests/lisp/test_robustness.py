"""Whatever arrives, the decoder returns a message or raises DecodeError."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    DecodeError,
    Ecm,
    Eid,
    EidRecord,
    Message,
    Metadata,
    TunnelHeader,
    decode,
    decode_metadata,
    decode_udp_packet,
    encode,
    encode_metadata,
)
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT, VXLAN_PORT
from tests.lisp import strategies as make
from tests.lisp.vectors import CONTROL_VECTORS, DATA_VECTORS, octets_of


def use(message: Message) -> None:
    """Touch what state machines touch; none of it may raise after the decoder has accepted the message."""
    if isinstance(message, Ecm):
        decode_or_refuse(message.payload)
        return
    for record in message.records:
        assert Eid.from_wire(*record.key.to_wire()) == record.key
        assert str(record.key).startswith(f"[{record.key.iid}] ")
        if isinstance(record, EidRecord):
            for locator in record.locators:
                assert locator.rloc is None or locator.rloc.version in (4, 6)
                assert locator.metadata is None or isinstance(locator.metadata, Metadata)
            assert EidRecord.for_eid(record.key, record.ttl, record.locators).key == record.key


def attempt(octets: bytes) -> Message | DecodeError:
    try:
        return decode(octets)
    except DecodeError as error:
        return error


def decode_or_refuse(octets: bytes) -> None:
    result = attempt(octets)
    if not isinstance(result, DecodeError):
        use(result)
        return
    assert result.field
    assert result.reason
    assert result.offset is not None
    assert 0 <= result.offset <= len(octets)
    assert str(result).startswith(f"{result.field} = ")
    assert f" at octet {result.offset}: " in str(result)


@pytest.mark.parametrize("name", CONTROL_VECTORS)
def test_every_truncation_is_refused(name: str) -> None:
    octets = octets_of(name)
    for length in range(len(octets)):
        with pytest.raises(DecodeError) as caught:
            decode(octets[:length])
        assert caught.value.offset is not None
        assert caught.value.offset <= length


@pytest.mark.parametrize("name", CONTROL_VECTORS)
def test_every_octet_too_many_is_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        decode(octets_of(name) + b"\0")


@pytest.mark.parametrize("name", CONTROL_VECTORS)
def test_every_flipped_bit_is_read_or_refused(name: str) -> None:
    octets = octets_of(name)
    for bit in range(8 * len(octets)):
        changed = bytearray(octets)
        changed[bit // 8] ^= 0x80 >> bit % 8
        decode_or_refuse(bytes(changed))


@given(st.binary(max_size=120))
@settings(max_examples=300)
def test_random_octets(octets: bytes) -> None:
    decode_or_refuse(octets)


@given(st.integers(0, 255), st.binary(min_size=8, max_size=120))
@settings(max_examples=200)
def test_random_octets_behind_a_plausible_header(first: int, octets: bytes) -> None:
    for kind in (1, 2, 3, 4, 5, 8):
        head = bytes((kind << 4 | first & 0x0F, 0, 0, 1))
        decode_or_refuse(head + octets)
        decode_or_refuse(head + octets[:8] + bytes((1, 2, 0, 0)) + octets[8:])


@given(make.messages, st.data())
@settings(max_examples=100)
def test_damaged_messages(message: Message, data: st.DataObject) -> None:
    octets = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(bytes(octets))
    decode_or_refuse(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


@given(st.binary(max_size=24))
def test_random_metadata(octets: bytes) -> None:
    try:
        metadata = decode_metadata(octets)
    except DecodeError:
        return
    assert decode_metadata(encode_metadata(metadata)) == metadata


@given(st.binary(max_size=12), st.sampled_from([DATA_PORT, VXLAN_PORT, VXLAN_GPE_PORT, 4342]))
def test_random_tunnel_headers(octets: bytes, port: int) -> None:
    try:
        header = TunnelHeader.decode(octets, port)
    except DecodeError:
        return
    assert TunnelHeader.decode(header.encode(), port) == header


@pytest.mark.parametrize("name", DATA_VECTORS)
def test_truncated_data_packets(name: str) -> None:
    octets = octets_of(name)
    port = int.from_bytes(octets[22:24], "big")
    for length in range(8):
        with pytest.raises(DecodeError, match="truncated"):
            TunnelHeader.decode(octets[28 : 28 + length], port)
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_udp_packet(octets[:length], 0)
