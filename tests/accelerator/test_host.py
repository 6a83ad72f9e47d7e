"""An accelerator's interface: what it sends, answers and refuses, and how a multi-homed one chooses its link."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.igmp import IGMPv3_MR
from scapy.layers.inet6 import ICMPv6MLReport2, IPv6, IPv6ExtHdrHopByHop, in6_chksum
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import checksum

from accelerator.ethernet import PacketError, decode_ethernet, ethernet, internet_checksum
from accelerator.host import Host
from accelerator.interface import Interface
from accelerator.ip import ETHERTYPES, ICMP, ICMPV6, UDP, Echo, IPAddress, IpPacket, decode_ip, echo_in, udp

PAIRS = [
    (ip_address("10.0.0.1"), ip_address("40.0.0.7")),
    (ip_address("2001:db8:a::1"), ip_address("2001:db8:d::7")),
]
HERE, THERE = PAIRS[0]
MAC, ROUTER = bytes.fromhex("020000000001"), bytes.fromhex("020100010002")


def attached(address: IPAddress = HERE) -> tuple[Host, list[bytes]]:
    sent: list[bytes] = []
    host = Host(address, Interface(MAC))
    host.interface.attach(sent.append, ROUTER)
    return host, sent


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_ping_and_its_answer(here: IPAddress, there: IPAddress) -> None:
    host, sent = attached(here)
    host.ping(there, sequence=3, data=b"abc")
    destination, source, ether_type, payload = decode_ethernet(sent[0])
    assert (destination, source, ether_type) == (ROUTER, MAC, ETHERTYPES[here.version])
    packet = decode_ip(payload)
    assert (packet.source, packet.destination, packet.ttl) == (here, there, 64)
    assert packet.protocol == (ICMP if here.version == 4 else ICMPV6)
    assert echo_in(packet) == Echo(False, int(here) & 0xFFFF, 3, b"abc")

    request = Echo(False, 7, 9, b"data").packet(there, here).encode()
    host.interface.receive(ethernet(MAC, ROUTER, ETHERTYPES[here.version], request))
    answer = decode_ip(decode_ethernet(sent[1])[3])
    assert (answer.source, answer.destination) == (here, there)
    assert echo_in(answer) == Echo(True, 7, 9, b"data")
    assert len(host.received) == 1


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_checksums_are_those_of_the_rfcs(here: IPAddress, there: IPAddress) -> None:
    """Over pseudo-header and payload the one's complement sum is all ones."""
    for protocol, body in (
        (UDP, udp(here, there, 1, 2, b"abc")),
        (ICMPV6, Echo(True, 1, 2, b"odd").packet(here, there).payload),
    ):
        if here.version == 4 and protocol == ICMPV6:
            assert internet_checksum(body) == 0
            continue
        length = len(body).to_bytes(4, "big") if here.version == 6 else len(body).to_bytes(2, "big")
        tail = length + bytes([0, 0, 0, protocol]) if here.version == 6 else bytes([0, protocol]) + length
        assert internet_checksum(here.packed + there.packed + tail + body) == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(13),
        ethernet(ROUTER, ROUTER, 0x0800, IpPacket(THERE, HERE, UDP, b"").encode()),
        ethernet(MAC, ROUTER, 0x86DD, IpPacket(THERE, HERE, UDP, b"").encode()),
        ethernet(MAC, ROUTER, 0x0800, IpPacket(HERE, THERE, UDP, b"").encode()),
        ethernet(MAC, ROUTER, 0x0800, b"\x46" + IpPacket(THERE, HERE, UDP, b"").encode()[1:]),
        ethernet(MAC, ROUTER, 0x0800, IpPacket(THERE, HERE, UDP, bytes(60)).encode()[:-1]),
    ],
)
def test_what_is_not_for_it_is_refused(frame: bytes) -> None:
    host, _ = attached()
    host.interface.receive(frame)
    assert (host.interface.refused, len(host.received)) == (1, 0)


@given(st.binary(max_size=100))
def test_any_frame_is_received_or_refused(frame: bytes) -> None:
    host, _ = attached()
    host.interface.receive(frame)
    host.interface.receive(ethernet(MAC, ROUTER, 0x0800, frame))
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


def test_a_packet_is_of_one_version() -> None:
    with pytest.raises(PacketError, match=r"10\.0\.0\.1 cannot send to 2001:db8:d::7"):
        IpPacket(PAIRS[0][0], PAIRS[1][1], UDP, b"").encode()


def packets(version: int) -> st.SearchStrategy[IpPacket]:
    address = st.ip_addresses(v=4) if version == 4 else st.ip_addresses(v=6)
    return st.builds(
        IpPacket,
        address,
        address,
        st.integers(0, 255),
        st.binary(max_size=64),
        st.integers(0, 255),
        st.integers(0, 63),
        st.integers(0, 3),
        st.integers(0, 0xFFFF) if version == 4 else st.just(0),
    )


@given(packets(4) | packets(6), st.binary(max_size=20))
def test_packets_survive_their_encoding(packet: IpPacket, padding: bytes) -> None:
    assert decode_ip(packet.encode() + padding) == packet


@given(st.binary(max_size=60))
def test_octets_that_are_no_packet_are_named(octets: bytes) -> None:
    try:
        packet = decode_ip(octets)
    except PacketError as error:
        assert str(error).startswith("ip")  # noqa: PT017
    else:
        assert len(packet.payload) <= len(octets)


def test_ipv6_octet_by_octet() -> None:
    source, destination = PAIRS[1]
    octets = IpPacket(source, destination, UDP, b"data", ttl=63, dscp=46, ecn=1).encode()
    addresses = socket.inet_pton(socket.AF_INET6, str(source)) + socket.inet_pton(socket.AF_INET6, str(destination))
    assert octets == bytes.fromhex("6b900000 0004 11 3f") + addresses + b"data"


@pytest.mark.parametrize(
    ("here", "group", "to", "layer"),
    [
        ("10.0.0.1", "239.129.1.1", "01:00:5e:00:00:16", IGMPv3_MR),
        ("2001:db8:a::1", "ff0e::1:1", "33:33:00:00:00:16", ICMPv6MLReport2),
    ],
)
def test_groups_are_reported_on_every_link(here: str, group: str, to: str, layer: type[Packet]) -> None:
    """As scapy reads and checks it."""
    host, sent = attached(ip_address(here))
    host.interface.attach(sent.append, ROUTER)
    host.interface.attach(sent.append, ROUTER, lambda: False)
    host.join(ip_address(group))
    assert host.groups == {ip_address(group)}
    host.leave(ip_address(group))
    assert host.groups == set()
    assert len(sent) == 4
    assert (sent[0], sent[2]) == (sent[1], sent[3])
    for frame, kind in ((sent[0], 4), (sent[2], 3)):
        packet = Ether(frame)
        (record,) = packet[layer].records
        assert (packet.dst, record.rtype, record.maddr if layer is IGMPv3_MR else record.dst) == (to, kind, group)
        assert packet.payload.fields["ttl" if layer is IGMPv3_MR else "hlim"] == 1
        if layer is IGMPv3_MR:
            assert (checksum(frame[14:34]), checksum(frame[34:])) == (0, 0)
        else:
            assert packet[IPv6ExtHdrHopByHop].options[0].otype == 5
            assert in6_chksum(ICMPV6, packet[IPv6], frame[62:]) == 0  # type: ignore[no-untyped-call]


def test_only_groups_of_its_version_are_joined() -> None:
    host, sent = attached()
    for group in ("ff0e::1", "10.0.0.9"):
        with pytest.raises(PacketError, match=rf"group = {group}"):
            host.join(ip_address(group))
    assert not sent
    assert not host.groups
