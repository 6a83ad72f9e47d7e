"""The in-process network: order, loss, the record, and the capture it writes."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from controller.app.network import InProcessNetwork, write_pcap
from controller.lisp import Datagram, Endpoint, decode_udp_packet
from softswitch.ports import read_pcap

ONE, OTHER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def datagram(payload: bytes, to: IPv4Address = OTHER) -> Datagram:
    return Datagram(Endpoint(ONE, 4342), Endpoint(to, 4342), payload)


async def test_datagrams_arrive_in_order_and_never_at_once() -> None:
    network, received = InProcessNetwork(), []
    network.listen(OTHER, lambda item: received.append(item.payload))
    for number in range(5):
        network.send(datagram(bytes([number])))
    assert received == []
    assert not network.idle
    await asyncio.sleep(0)
    assert received == [bytes([number]) for number in range(5)]
    assert network.idle


async def test_what_nobody_listens_for_or_is_dropped_is_lost_and_recorded() -> None:
    network = InProcessNetwork()
    network.listen(OTHER, lambda item: pytest.fail(f"{item} arrived"))
    network.send(datagram(b"x", ONE))
    network.drop = lambda item: item.payload == b"y"
    network.send(datagram(b"y"))
    await asyncio.sleep(0)
    assert network.lost == 2
    assert [item.delivered for item in network.record] == [False, False]


async def test_an_address_has_one_listener() -> None:
    network = InProcessNetwork()
    network.listen(ONE, lambda _: None)
    with pytest.raises(ValueError, match=r"192\.0\.2\.1: something listens there already"):
        network.listen(ONE, lambda _: None)
    network.forget(ONE)
    network.listen(ONE, lambda _: None)


async def test_the_capture_holds_the_datagrams(tmp_path: Path) -> None:
    network = InProcessNetwork()
    network.listen(OTHER, lambda _: None)
    network.send(datagram(b"first"))
    network.send(datagram(b"second"))
    file = tmp_path / "control.pcap"
    assert write_pcap(file, network.record) == 2
    packets = [decode_udp_packet(packet.data, 0) for packet in read_pcap(file)]
    assert [packet.payload for packet in packets] == [b"first", b"second"]
    assert {(packet.source, packet.destination_port) for packet in packets} == {(ONE, 4342)}
