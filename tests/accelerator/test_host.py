"""An accelerator's interface: what it sends, answers and refuses, and how a multi-homed one chooses its link."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelerator.host import Host
from accelerator.interface import Interface
from accelerator.packets import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ETHERTYPE_IPV4,
    ICMP,
    Ipv4Packet,
    PacketError,
    decode_ethernet,
    decode_ipv4,
    echo,
    ethernet,
    internet_checksum,
)

HERE, THERE = IPv4Address("10.0.0.1"), IPv4Address("40.0.0.7")
MAC, ROUTER = bytes.fromhex("020000000001"), bytes.fromhex("020100010002")


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def host(sent: list[bytes]) -> Host:
    host = Host(HERE, Interface(MAC))
    host.interface.attach(sent.append, ROUTER)
    return host


def test_a_ping_and_its_answer(host: Host, sent: list[bytes]) -> None:
    host.ping(THERE, sequence=3, data=b"abc")
    destination, source, ether_type, payload = decode_ethernet(sent[0])
    assert (destination, source, ether_type) == (ROUTER, MAC, ETHERTYPE_IPV4)
    packet = decode_ipv4(payload)
    assert (packet.source, packet.destination, packet.ttl, packet.protocol) == (HERE, THERE, 64, ICMP)
    assert packet.payload[0] == ECHO_REQUEST
    assert internet_checksum(packet.payload) == 0

    request = Ipv4Packet(THERE, HERE, ICMP, echo(ECHO_REQUEST, 7, 9, b"data")).encode()
    host.interface.receive(ethernet(MAC, ROUTER, ETHERTYPE_IPV4, request))
    answer = decode_ipv4(decode_ethernet(sent[1])[3])
    assert (answer.source, answer.destination) == (HERE, THERE)
    assert answer.payload == echo(ECHO_REPLY, 7, 9, b"data")
    assert len(host.received) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ethernet(ROUTER, MAC, ETHERTYPE_IPV4, Ipv4Packet(THERE, HERE, ICMP, b"").encode()),
        ethernet(MAC, ROUTER, 0x0806, b""),
        ethernet(MAC, ROUTER, ETHERTYPE_IPV4, Ipv4Packet(THERE, THERE, ICMP, b"").encode()),
        ethernet(MAC, ROUTER, ETHERTYPE_IPV4, b"\x45" + bytes(30)),
    ],
)
def test_what_is_not_for_it_is_counted_and_forgotten(host: Host, frame: bytes) -> None:
    host.interface.receive(frame)
    assert (host.interface.refused, len(host.received)) == (1, 0)


@given(st.binary(max_size=100))
def test_any_frame_is_received_or_refused(frame: bytes) -> None:
    host = Host(HERE, Interface(MAC))
    host.interface.receive(frame)
    host.interface.receive(ethernet(MAC, ROUTER, ETHERTYPE_IPV4, frame))
    assert host.interface.refused + len(host.received) == 2


def test_a_flow_keeps_its_link_and_leaves_one_that_is_down() -> None:
    host, links, up = Host(HERE, Interface(MAC)), [[], []], [True, True]  # type: tuple[Host, list[list[bytes]], list[bool]]
    for number in (0, 1):
        host.interface.attach(links[number].append, ROUTER, lambda number=number: up[number])  # type: ignore[misc]
    for port in range(64):
        for _ in range(2):
            host.send_udp(THERE, port, 4791, b"x")
    assert all(len(link) % 2 == 0 and len(link) > 32 for link in links)
    host.ping(THERE, sequence=1)
    host.ping(THERE, sequence=2)
    assert sorted(len(link) % 2 for link in links) == [0, 0]
    up[0] = False
    before = len(links[0])
    for port in range(64):
        host.send_udp(THERE, port, 4791, b"x")
    assert len(links[0]) == before


def test_a_host_without_a_link_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"02:00:00:00:00:01 is not attached"):
        Host(HERE, Interface(MAC)).ping(THERE)


@given(
    st.builds(
        Ipv4Packet,
        st.ip_addresses(v=4),
        st.ip_addresses(v=4),
        st.integers(0, 255),
        st.binary(max_size=64),
        st.integers(0, 255),
        st.integers(0, 63),
        st.integers(0, 3),
        st.integers(0, 0xFFFF),
    ),
    st.binary(max_size=20),
)
def test_packets_survive_their_encoding(packet: Ipv4Packet, padding: bytes) -> None:
    assert decode_ipv4(packet.encode() + padding) == packet


@given(st.binary(max_size=60))
def test_octets_that_are_no_packet_are_named(octets: bytes) -> None:
    try:
        packet = decode_ipv4(octets)
    except PacketError as error:
        assert str(error).startswith("ipv4")  # noqa: PT017
    else:
        assert internet_checksum(octets[: (octets[0] & 15) * 4]) == 0
        assert len(packet.payload) <= len(octets)
