"""A whole program: packets in, routed packets out, checked by another implementation of the formats."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from softswitch.state import ActionCall, Exact, Lpm
from softswitch.switch import Switch
from tests.softswitch.engine.support import only, switch_with

A, B = "00:00:00:00:00:0a", "00:00:00:00:00:0b"


@pytest.fixture
def router() -> Switch:
    switch = switch_with("router")
    routes, next_hops = switch.state.table("MainIngress.routes"), switch.state.table("MainIngress.next_hops")
    for prefix, length, hop in ((0x0A000000, 8, 1), (0x0A010000, 16, 2), (0x0A010200, 24, 3), (0, 0, 4)):
        routes.insert((Lpm(prefix, length),), ActionCall("MainIngress.route_to", (hop,)))
    for hop, port in ((1, 11), (2, 12), (3, 13)):
        next_hops.insert((Exact(hop),), ActionCall("MainIngress.forward", (port, 0xB)))
    switch.state.table("MainEgress.port_addresses").insert(
        (Exact(12),), ActionCall("MainEgress.rewrite_source", (0xC,))
    )
    return switch


def packet(destination: str, ttl: int = 64, payload: bytes = b"some payload") -> bytes:
    return bytes(Ether(dst=A, src=B) / IP(src="192.0.2.1", dst=destination, ttl=ttl) / UDP(sport=7, dport=9) / payload)


@pytest.mark.parametrize(
    ("destination", "port"),
    [("10.9.9.9", 11), ("10.1.9.9", 12), ("10.1.2.9", 13), ("10.1.2.255", 13), ("10.1.3.0", 12)],
)
def test_the_longest_prefix_wins(router: Switch, destination: str, port: int) -> None:
    only(router.process(0, packet(destination)), port)


def test_the_packet_is_rewritten_and_its_checksums_are_right(router: Switch) -> None:
    sent = packet("10.1.2.3", payload=b"odd")
    received = Ether(only(router.process(0, sent), 13))
    expected = Ether(sent)
    expected[Ether].dst = B
    expected[IP].ttl = 63
    del expected[IP].chksum
    del expected[UDP].chksum
    assert bytes(received) == bytes(expected)


def test_egress_rewrites_by_port(router: Switch) -> None:
    assert Ether(only(router.process(0, packet("10.1.0.1")), 12)).src == "00:00:00:00:00:0c"
    assert Ether(only(router.process(0, packet("10.0.0.1")), 11)).src == B


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ttl": 1}, 3),
        ({"ttl": 0}, 3),
        ({"chksum": 0x1234}, 3),
        ({"dst": "172.16.0.1"}, 2),  # the default route leads to a next hop that is not there
    ],
)
def test_drops_are_counted_by_reason(router: Switch, change: dict[str, object], reason: int) -> None:
    ip = IP(src="192.0.2.1", dst="10.1.2.3")
    for field, value in change.items():
        setattr(ip, field, value)
    sent = bytes(Ether(dst=A, src=B) / ip / UDP() / b"x")
    assert router.process(0, sent) == []
    assert router.state.counter("MainIngress.drops").read(reason) == (1, len(sent))


def test_a_route_counts_its_packets(router: Switch) -> None:
    sent = [packet("10.1.2.3", payload=bytes(length)) for length in (0, 9, 99)]
    for each in sent:
        router.process(0, each)
    entry = router.state.table("MainIngress.routes").get((Lpm(0x0A010200, 24),))
    assert (entry.packets, entry.bytes) == (3, sum(map(len, sent)))


def test_without_a_route_the_constant_default_drops(router: Switch) -> None:
    router.state.table("MainIngress.routes").delete((Lpm(0, 0),))
    assert router.process(0, packet("172.16.0.1")) == []
    assert router.state.counter("MainIngress.drops").read(1).packets == 1


def test_what_the_parser_does_not_know_passes_unread(router: Switch) -> None:
    """Fragments have no UDP header to rewrite, whatever their octets look like."""
    fragment = Ether(dst=A, src=B) / IP(src="192.0.2.1", dst="10.1.2.3", frag=5, proto=17) / Raw(bytes(range(40)))
    assert only(router.process(0, bytes(fragment)), 13)[34:] == bytes(range(40))


def test_a_packet_that_ends_in_a_header_is_dropped_by_the_program(router: Switch) -> None:
    whole = packet("10.1.2.3")
    assert all(router.process(0, whole[:length]) == [] for length in range(34))
