"""What is answered to packets that do not fit into a tunnel; scapy judges the answers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, defragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from controller.app.too_big import answers

GATEWAYS = [ip_address("10.0.0.254"), ip_address("fd00::fe")]
V4 = IP(src="10.0.0.1", dst="40.0.0.7", id=77, flags="DF")
V6 = IPv6(src="fd00::1", dst="fd01::1")


def answered(packet: Packet, mtu: int = 1464) -> list[Packet]:
    return [Ether(frame) for frame in answers(bytes(Ether() / packet), mtu, GATEWAYS)]


def recomputed(packet: Packet) -> Packet:
    """The packet with every length and checksum worked out by scapy."""
    copy = packet.copy()
    for layer in copy.iterpayloads():
        for field in ("len", "chksum", "plen", "cksum"):
            if field in layer.fields:
                delattr(layer, field)
        if isinstance(layer, ICMP | ICMPv6PacketTooBig):
            break
    return copy


@pytest.mark.requirement("PR-MTU-1", partial=True)
def test_the_sender_of_a_packet_that_may_not_be_cut_is_told() -> None:
    packet = V4 / UDP(sport=1, dport=2) / Raw(bytes(2000))
    (answer,) = answered(packet)
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type, answer[ICMP].code) == ("10.0.0.254", "10.0.0.1", 3, 4)
    assert answer[ICMP].nexthopmtu == 1464
    assert bytes(answer[ICMP])[8:] == bytes(packet)[: 576 - 28]
    assert bytes(recomputed(answer)) == bytes(answer)


@pytest.mark.requirement("PR-MTU-1", partial=True)
def test_the_sender_of_an_ipv6_packet_is_told() -> None:
    packet = V6 / UDP(sport=1, dport=2) / Raw(bytes(2000))
    (answer,) = answered(packet, 1444)
    assert (answer[IPv6].src, answer[IPv6].dst, answer[ICMPv6PacketTooBig].mtu) == ("fd00::fe", "fd00::1", 1444)
    assert bytes(answer[ICMPv6PacketTooBig])[8:] == bytes(packet)[: 1280 - 48]
    assert bytes(recomputed(answer)) == bytes(answer)


@pytest.mark.parametrize(
    "packet",
    [
        V4 / ICMP(type=3, code=4) / Raw(bytes(1600)),
        V4 / ICMP(type=11) / Raw(bytes(1600)),
        IP(src="10.0.0.1", dst="239.1.1.1", flags="DF") / Raw(bytes(1600)),
        IP(src="0.0.0.0", dst="40.0.0.7", flags="DF") / Raw(bytes(1600)),
        IP(src="239.1.1.1", dst="40.0.0.7", flags="DF") / Raw(bytes(1600)),
        IP(src="10.0.0.1", dst="40.0.0.7", flags="DF", frag=9) / Raw(bytes(1600)),
        V6 / ICMPv6DestUnreach() / Raw(bytes(1600)),
        IPv6(src="::", dst="fd01::1") / Raw(bytes(1600)),
        Raw(b""),
        Raw(b"\x45" + bytes(18)),
        Raw(b"\x60" + bytes(38)),
        Raw(bytes(1600)),
    ],
)
def test_what_must_not_be_answered_is_not(packet: Packet) -> None:
    assert answered(packet) == []


def test_a_query_is_answered_and_nobody_speaks_without_a_gateway() -> None:
    query = V4 / ICMP(type=8) / Raw(bytes(1600))
    assert len(answered(query)) == 1
    assert answers(bytes(Ether() / query), 1464, GATEWAYS[1:]) == []
    assert answers(bytes(Ether() / V6 / Raw(bytes(1600))), 1464, GATEWAYS[:1]) == []


@pytest.mark.requirement("PR-MTU-1", partial=True)
@given(st.binary(min_size=9, max_size=5000), st.integers(28, 1500), st.integers(0, 63), st.booleans())
def test_fragments_fit_and_are_the_packet(data: bytes, mtu: int, tos: int, more: bool) -> None:
    packet = IP(src="10.0.0.1", dst="40.0.0.7", id=5, ttl=9, tos=tos, proto=253, flags="MF" if more else 0) / Raw(data)
    pieces = answered(packet, mtu)
    assert len(pieces) >= 2
    for piece in pieces:
        assert len(piece[IP]) <= mtu
        assert (piece[IP].ttl, piece[IP].tos, piece[IP].id) == (9, tos, 5)
        assert bytes(recomputed(piece)) == bytes(piece)
    sizes = [len(piece[IP].payload) for piece in pieces]
    assert max(sizes) - min(sizes) < 8 * len(sizes)
    assert b"".join(bytes(piece[IP].payload) for piece in pieces) == data
    assert [piece[IP].frag * 8 for piece in pieces] == [sum(sizes[:n]) for n in range(len(sizes))]
    assert bool(pieces[-1][IP].flags.MF) is more
    assert all(piece[IP].flags.MF for piece in pieces[:-1])


def test_a_fragment_that_is_cut_keeps_its_place() -> None:
    packet = IP(src="10.0.0.1", dst="40.0.0.7", id=5, proto=17, frag=10, flags="MF") / Raw(bytes(2000))
    whole = IP(src="10.0.0.1", dst="40.0.0.7", id=5, proto=17, flags="MF") / Raw(bytes(80))
    end = IP(src="10.0.0.1", dst="40.0.0.7", id=5, proto=17, frag=260) / Raw(b"end")
    pieces = [piece[IP] for piece in answered(packet)]
    (datagram,) = defragment(  # type: ignore[no-untyped-call]
        [whole, *pieces, end]
    )
    assert bytes(datagram[IP].payload) == bytes(2080) + b"end"


def test_padding_of_the_link_is_not_cut_into_the_packet() -> None:
    packet = IP(src="10.0.0.1", dst="40.0.0.7", proto=17, len=20 + 1500) / Raw(bytes(1500) + b"padding")
    assert sum(len(piece[IP].payload) for piece in answered(packet)) == 1500
