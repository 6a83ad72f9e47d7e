"""Every vector of the wire reference, from objects to octets and back; MACs and derived keys octet by octet."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from controller.lisp import (
    Algorithm,
    AuthenticationError,
    Ecm,
    InstanceId,
    MapRegister,
    MapRequest,
    Metadata,
    RlocRecord,
    Tunnel,
    TunnelHeader,
    decode,
    decode_udp_packet,
    derive_key,
    encode,
    internet_checksum,
    sign,
    verify,
)
from controller.lisp.constants import MessageType, NextProtocol
from tests.lisp.vectors import (
    ACC_7,
    CONTROL_VECTORS,
    DATA_VECTORS,
    GOLDEN,
    HOST,
    SECRET,
    SIGNED,
    SUBSCRIPTION,
    XTR,
    message_of,
    octets_of,
)

KINDS = {"V3": MessageType.MAP_REGISTER, "V10": MessageType.MAP_NOTIFY, "V11": MessageType.MAP_NOTIFY_ACK}


def test_corpus_is_complete() -> None:
    names = {f"V{int(path.stem[1:])}" for path in GOLDEN.glob("*.hex")}
    assert names == {*CONTROL_VECTORS, *DATA_VECTORS} == {f"V{number}" for number in range(1, 21)}


@pytest.mark.parametrize("name", CONTROL_VECTORS)
@pytest.mark.requirement("GEN-8", "SO-REG-4", "SO-REG-11", "SO-SUB-3", "SU-REG-4", "SU-REG-8", "SU-SUB-2", "SU-MAP-4")
def test_vector_both_ways(name: str) -> None:
    assert encode(message_of(name)).hex() == octets_of(name).hex()
    assert decode(octets_of(name)) == message_of(name)


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.requirement("PR-AUTH-1", "PR-AUTH-2")
def test_vector_is_signed_octet_by_octet(name: str) -> None:
    vector = SIGNED[name]
    octets = sign(vector.message, vector.key, mac_scope=vector.scope, full_length=vector.full_length)
    assert octets.hex() == octets_of(name).hex()


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.requirement("PR-AUTH-1", "PR-AUTH-2")
def test_vector_verifies(name: str) -> None:
    vector, octets = SIGNED[name], octets_of(name)
    message = decode(octets)
    assert isinstance(message, type(vector.message))
    verify(octets, message, vector.key)
    verify(octets, message, vector.key, strict_scope=vector.scope)
    if message.xtr is not None:
        other = "whole" if vector.scope == "records" else "records"
        with pytest.raises(AuthenticationError):
            verify(octets, message, vector.key, strict_scope=other)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.requirement("PR-AUTH-2")
def test_key_of_one_message(name: str) -> None:
    vector = SIGNED[name]
    assert vector.algorithm is Algorithm.HMAC_SHA256_128_HKDF
    assert derive_key(SECRET, vector.message.nonce, KINDS[name]).hex() == vector.message_key


@pytest.mark.requirement("SO-SEG-1", "SO-SEG-2", "SO-MAP-4", "ARCH-8")
def test_ip_eid_is_an_instance_id_lcaf() -> None:
    # AFI 16387, two zero octets, type 2, IID mask-len 0, length 10, instance-ID 0x1001, AFI 1, 40.0.0.7
    lcaf = bytes.fromhex("4003 0000 02 00 000a 00001001 0001 28000007")
    for name, at in (("V1", 42), ("V9", 42), ("V17", 22), ("V7", 38)):
        octets = octets_of(name)
        assert octets[at : at + len(lcaf)] == lcaf, name
        message = decode(octets)
        assert not isinstance(message, Ecm)
        assert message.records[0].key == HOST


@pytest.mark.requirement("SU-REG-3", "SU-SEG-1", "SU-SEG-2", "SU-MAP-2", "SU-MAP-3", "SU-MAP-5", "ARCH-7", "PR-DN-2")
def test_accelerator_name_is_a_name_inside_an_instance_id_lcaf() -> None:
    octets = octets_of("V3")
    name = b"POD-D-AccID-7\0"
    assert octets[42:68] == bytes.fromhex("4003 0000 02 00 0014 00002001 0011") + name[:12]
    assert octets[56:70] == name
    assert octets[37] == 8 * len(name)  # mask-len covers the NUL too
    message = decode(octets)
    assert isinstance(message, MapRegister)
    assert message.records[0].key == ACC_7
    assert [locator.rloc for locator in message.records[0].locators] == [IPv4Address("192.0.2.1")]


@pytest.mark.requirement("SO-SUB-3", "SU-SUB-2")
@pytest.mark.parametrize(("name", "record_at"), [("V6", 20), ("V7", 36)])
def test_subscription_bits(name: str, record_at: int) -> None:
    octets = octets_of(name)
    assert int.from_bytes(octets[:4], "big") & 0x00100000  # I: xTR-ID and Site-ID follow
    assert octets[record_at] == 0x80  # N
    assert octets[-24:] == XTR.xtr_id + XTR.site_id.to_bytes(8, "big")


def test_metadata_stands_beside_the_rloc() -> None:
    message = decode(octets_of("V16"))
    assert isinstance(message, MapRegister)
    (locator,) = message.records[0].locators
    assert locator.rloc == IPv4Address("192.0.2.1")
    assert locator.metadata == Metadata(model="GPU0")
    assert RlocRecord(IPv4Address("192.0.2.1")).metadata is None


def test_encapsulated_request() -> None:
    message = decode(octets_of("V14"))
    assert isinstance(message, Ecm)
    assert decode(message.payload) == SUBSCRIPTION
    inner = octets_of("V14")[4:]
    assert internet_checksum(inner[:20]) == 0


@pytest.mark.requirement("DP-6")
def test_lisp_data_packet() -> None:
    outer, header, payload = split_data_packet("V18")
    assert outer == (IPv4Address("192.0.2.11"), IPv4Address("192.0.2.1"), 0xC123)
    assert header == TunnelHeader(Tunnel.LISP, iid=0x1001)
    assert header.encode().hex() == "0800000000100100"
    assert decode_udp_packet(payload, 0).payload == b"ping"


@pytest.mark.requirement("DP-4", "DP-6", partial=True)  # the octets, not the data plane
def test_lisp_gpe_data_packet() -> None:
    _, header, payload = split_data_packet("V19")
    assert header == TunnelHeader(Tunnel.LISP_GPE, iid=0x1001, next_protocol=NextProtocol.IPV4)
    assert header.encode().hex() == "0c00000100100100"
    assert decode_udp_packet(payload, 0).payload == b"ping"


@pytest.mark.requirement("DP-3", "DP-4", partial=True)  # the octets, not the data plane
def test_vxlan_gpe_data_packet() -> None:
    outer, header, payload = split_data_packet("V20")
    assert outer == (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), 0xC456)
    assert header == TunnelHeader(Tunnel.VXLAN_GPE, iid=0x2001, next_protocol=NextProtocol.ETHERNET)
    assert header.encode().hex() == "0c00000300200100"
    assert payload[12:] == b"\x88\x88" + b"SU-payload"


def split_data_packet(name: str) -> tuple[tuple[IPv4Address, IPv4Address, int], TunnelHeader, bytes]:
    """Take the outer headers of a data packet apart; return addresses and source port, tunnel header, payload."""
    octets = octets_of(name)
    assert octets[0] == 0x45
    assert octets[9] == 17
    assert internet_checksum(octets[:20]) == 0
    assert int.from_bytes(octets[2:4], "big") == len(octets)
    assert int.from_bytes(octets[24:26], "big") == len(octets) - 20
    assert octets[26:28] == b"\0\0"  # no UDP checksum on data packets
    source_port, destination_port = (int.from_bytes(octets[at : at + 2], "big") for at in (20, 22))
    header = TunnelHeader.decode(octets[28:], destination_port)
    assert header.encode() == octets[28:36]
    return (IPv4Address(octets[12:16]), IPv4Address(octets[16:20]), source_port), header, octets[36:]


def test_source_eid_of_the_subscription() -> None:
    message = decode(octets_of("V7"))
    assert isinstance(message, MapRequest)
    assert message.source_eid == InstanceId(0x1001, IPv4Address("10.0.0.1"))
