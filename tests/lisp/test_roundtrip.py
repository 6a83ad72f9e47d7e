"""decode(encode(x)) == x, over all messages, all LCAFs, all lookup keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    Address,
    Algorithm,
    Authenticated,
    AuthenticationError,
    DecodeError,
    Eid,
    EidRecord,
    InstanceId,
    Key,
    MacAddress,
    MapRegister,
    Message,
    Metadata,
    MulticastInfo,
    decode,
    decode_metadata,
    encode,
    encode_metadata,
    sign,
    verify,
)
from controller.lisp.address_decode import decode_address
from controller.lisp.address_encode import encode_address
from controller.lisp.options import DEFAULT_OPTIONS
from tests.lisp import strategies as make


@given(make.messages)
@settings(max_examples=400)
def test_messages(message: Message) -> None:
    assert decode(encode(message)) == message


@given(make.addresses, st.binary(max_size=3))
@settings(max_examples=400)
def test_addresses_end_where_their_length_says(address: Address, behind: bytes) -> None:
    octets = encode_address(address)
    decoded, end = decode_address(octets + behind, 0, len(octets) + len(behind), DEFAULT_OPTIONS)
    assert decoded == address
    assert end == len(octets)
    if isinstance(address, MacAddress) and isinstance(decoded, MacAddress):
        assert decoded.afi == address.afi


@given(make.eids)
@pytest.mark.requirement("SO-SEG-1", "SU-SEG-1", "SO-MAP-4")
def test_eids_and_their_form_on_the_wire(eid: Eid) -> None:
    address, mask_len = eid.to_wire()
    assert Eid.from_wire(address, mask_len) == eid
    assert hash(Eid.from_wire(address, mask_len)) == hash(eid)
    assert 0 <= mask_len <= 255
    if isinstance(eid.target, MulticastInfo):
        assert isinstance(address, MulticastInfo)
        assert address.iid == eid.iid
    else:  # every EID outside of the default instance is wrapped in its instance-ID
        assert isinstance(address, InstanceId) == (eid.iid != 0)


@given(make.eid_records)
def test_keys_of_decoded_records(record: EidRecord) -> None:
    decoded = decode(encode(MapRegister(1, (record,))))
    assert isinstance(decoded, MapRegister)
    assert decoded.records[0].key == record.key
    assert decoded.records[0].key.to_wire() == (record.eid, record.mask_len)


@given(make.metadata)
def test_metadata(metadata: Metadata) -> None:
    assert decode_metadata(encode_metadata(metadata)) == metadata


keys = st.builds(Key, st.integers(0, 255), st.sampled_from(list(Algorithm)), st.binary(min_size=1, max_size=70))
authenticated: st.SearchStrategy[Authenticated] = st.one_of(make.map_registers, make.map_notifies, make.map_notify_acks)


@given(authenticated, keys, st.sampled_from(["records", "whole"]), st.booleans())
@settings(max_examples=150)
def test_signed_messages_verify(message: Authenticated, key: Key, scope: str, full: bool) -> None:
    octets = sign(message, key, mac_scope=scope, full_length=full)  # type: ignore[arg-type]
    decoded = decode(octets)
    assert isinstance(decoded, type(message))
    assert (decoded.nonce, decoded.records, decoded.xtr) == (message.nonce, message.records, message.xtr)
    verify(octets, decoded, key)
    verify(octets, decoded, key, strict_scope=scope)  # type: ignore[arg-type]


@given(st.data(), authenticated)
@settings(max_examples=150)
def test_no_flipped_bit_verifies(data: st.DataObject, message: Authenticated) -> None:
    """Reserved bits included: the MAC covers the octets, not what was understood of them."""
    algorithm = data.draw(st.sampled_from([a for a in Algorithm if a is not Algorithm.NONE]))
    key = Key(1, algorithm, b"secret")
    octets = bytearray(sign(message, key, mac_scope="whole"))
    bit = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[bit // 8] ^= 0x80 >> bit % 8
    try:
        decoded = decode(bytes(octets))
    except DecodeError:
        return
    assert isinstance(decoded, Authenticated)
    with pytest.raises(AuthenticationError):
        verify(bytes(octets), decoded, key, strict_scope="whole")
