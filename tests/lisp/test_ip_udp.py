"""Internet checksums, and UDP in IP packets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lisp import (
    DecodeError,
    UdpPacket,
    decode_udp_packet,
    encode_udp_packet,
    internet_checksum,
    is_udp_checksum_valid,
    udp_checksum,
)

V4, V4_OTHER = IPv4Address("192.0.2.11"), IPv4Address("40.0.0.7")
V6, V6_OTHER = IPv6Address("2001:db8::11"), IPv6Address("2001:db8::7")
PACKETS = [UdpPacket(V4, V4_OTHER, 61000, 4342, b"payload", 64), UdpPacket(V6, V6_OTHER, 61000, 4342, b"payload", 64)]


def checksum_by_words(octets: bytes) -> int:
    """RFC 1071 as it is told: add 16-bit words, carry around, complement."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=80))
def test_internet_checksum_is_the_sum_of_words(octets: bytes) -> None:
    assert internet_checksum(octets) == checksum_by_words(octets)


@pytest.mark.parametrize(
    "octets", [b"", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\x00\x01\xff\xfe", b"\xff", b"\0"]
)
def test_internet_checksum_at_the_edges(octets: bytes) -> None:
    assert internet_checksum(octets) == checksum_by_words(octets)


def test_published_ipv4_header() -> None:
    header = bytes.fromhex("45000073000040004011 0000 c0a80001c0a800c7")
    assert internet_checksum(header) == 0xB861


@given(st.binary(max_size=40), st.sampled_from([(V4, V4_OTHER), (V6, V6_OTHER)]))
def test_udp_checksum_is_never_zero_and_notices_damage(
    payload: bytes, addresses: tuple[IPv4Address, IPv4Address]
) -> None:
    source, destination = addresses
    head = bytes.fromhex("ee4810f6") + (8 + len(payload)).to_bytes(2, "big")
    checksum = udp_checksum(source, destination, head + b"\0\0" + payload)
    assert 1 <= checksum <= 0xFFFF
    datagram = head + checksum.to_bytes(2, "big") + payload
    assert is_udp_checksum_valid(source, destination, datagram)
    assert not is_udp_checksum_valid(source, destination, head + b"\0\0" + payload)
    assert not is_udp_checksum_valid(source, destination, bytes((datagram[0] ^ 1,)) + datagram[1:])
    third = type(source)(int(source) ^ 1)
    assert not is_udp_checksum_valid(third, destination, datagram)


def test_udp_sum_of_zero_is_sent_as_ffff() -> None:
    zeros = bytes.fromhex("0000000000080000")
    for last in range(0x10000):
        datagram = zeros[:2] + last.to_bytes(2, "big") + zeros[4:]
        if internet_checksum(V4.packed + V4_OTHER.packed + b"\0\x11\0\x08" + datagram) == 0:
            assert udp_checksum(V4, V4_OTHER, datagram) == 0xFFFF
            return
    pytest.fail("no port makes the sum zero")


@pytest.mark.parametrize("packet", PACKETS)
def test_packets_both_ways(packet: UdpPacket) -> None:
    octets = encode_udp_packet(packet)
    assert decode_udp_packet(octets, 0) == packet
    assert decode_udp_packet(b"in front" + octets, 8) == packet


@pytest.mark.parametrize("packet", PACKETS)
def test_every_flipped_bit_is_noticed_or_harmless(packet: UdpPacket) -> None:
    octets = encode_udp_packet(packet)
    # Of IPv6 no checksum covers traffic class, flow label and hop limit; of them only the last is returned.
    unprotected = {*range(4, 32), *range(56, 64)} if packet.source.version == 6 else set()
    for bit in range(8 * len(octets)):
        changed = bytearray(octets)
        changed[bit // 8] ^= 0x80 >> bit % 8
        if bit in unprotected:
            assert decode_udp_packet(bytes(changed), 0)._replace(ttl=64) == packet
        else:
            with pytest.raises(DecodeError):
                decode_udp_packet(bytes(changed), 0)


def with_header_checksum(header: bytes, rest: bytes) -> bytes:
    blank = header[:10] + b"\0\0" + header[12:]
    return blank[:10] + internet_checksum(blank).to_bytes(2, "big") + blank[12:] + rest


@pytest.mark.parametrize(
    ("at", "new", "field"),
    [
        (0, b"\x55", "ip.version"),
        (0, b"\x44", "ipv4.header-length"),
        (0, b"\x4f", "ipv4.header-length"),
        (2, b"\x00\x10", "ipv4.total-length"),
        (6, b"\x20\x00", "ipv4.fragment"),
        (6, b"\x00\x01", "ipv4.fragment"),
        (9, b"\x06", "ipv4.protocol"),
    ],
)
def test_ipv4_headers_that_do_not_fit(at: int, new: bytes, field: str) -> None:
    octets = encode_udp_packet(PACKETS[0])
    header = octets[:at] + new + octets[at + len(new) : 20]
    with pytest.raises(DecodeError) as caught:
        decode_udp_packet(with_header_checksum(header, octets[20:]), 0)
    assert caught.value.field == field


def test_ipv4_options_are_stepped_over() -> None:
    octets = encode_udp_packet(PACKETS[0])
    header = b"\x46" + octets[1:2] + (len(octets) + 4).to_bytes(2, "big") + octets[4:20] + b"\1\1\1\0"
    assert decode_udp_packet(with_header_checksum(header, octets[20:]), 0) == PACKETS[0]


def test_nothing_where_a_packet_should_be() -> None:
    with pytest.raises(DecodeError, match=r"^ip.version = 0x at octet 4: truncated"):
        decode_udp_packet(b"\x80\0\0\0", 4)


def test_udp_length_must_be_that_of_the_packet() -> None:
    octets = encode_udp_packet(PACKETS[0])
    with pytest.raises(DecodeError, match=r"^udp.length = 14 at octet 24: the packet holds 15 octets"):
        decode_udp_packet(octets[:24] + b"\0\x0e" + octets[26:], 0)
