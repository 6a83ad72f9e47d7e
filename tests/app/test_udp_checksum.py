"""PR-UDP-1: every control message has a UDP checksum, and one without or with a wrong one is dropped."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random

import pytest

from controller.app.mapping_system import MappingSystem
from controller.app.udp import UdpOptions, UdpTransport
from controller.lisp import (
    CONTROL_PORT,
    IPAddress,
    MapNotify,
    UdpPacket,
    decode,
    decode_udp_packet,
    is_udp_checksum_valid,
    udp_checksum,
)
from tests.app.own_network import in_own_network, ip, needs_own_network, needs_raw_sockets, open_tun
from tests.app.udp_support import (
    IPV6_LOOPBACK,
    a_moment,
    between,
    eventually,
    family_of,
    free_port,
    listening,
    local,
    plain_socket,
    register,
    server_config,
)

SO_NO_CHECK = 11
UDP_NO_CHECK6_TX = 101


@pytest.mark.requirement("PR-UDP-1")
@pytest.mark.parametrize("address", [local(1), IPV6_LOOPBACK], ids=["IPv4", "IPv6"])
async def test_a_message_without_checksum_is_dropped(address: IPAddress) -> None:
    options = UdpOptions(port=free_port(address))
    async with listening(address, options=options) as here:
        with plain_socket(address) as sender:
            level, option = (
                (socket.SOL_SOCKET, SO_NO_CHECK) if address.version == 4 else (socket.IPPROTO_UDP, UDP_NO_CHECK6_TX)
            )
            to = (str(address), options.port)
            sender.setsockopt(level, option, 1)
            sender.sendto(b"no checksum", to)
            sender.sendto(bytes(500), to)
            sender.setsockopt(level, option, 0)
            sender.sendto(b"checksum", to)
            await here.hears(b"checksum")
        if address.version == 4:
            assert here.transport.kernel_drops == 2


@pytest.mark.requirement("PR-UDP-1")
@needs_raw_sockets
@pytest.mark.parametrize("address", [local(1), IPV6_LOOPBACK], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("length", [20, 500])
async def test_a_message_with_a_wrong_checksum_is_dropped(address: IPAddress, length: int) -> None:
    """The kernel verifies short datagrams at once and longer ones when they are read or filtered."""
    options = UdpOptions(port=free_port(address))
    async with listening(address, options=options) as here:
        for octet in range(1, 4):
            send_raw(address, address, options.port, bytes([octet]) * length, checksum_error=octet)
        send_raw(address, address, options.port, b"right", checksum_error=0)
        await here.hears(b"right")


@pytest.mark.requirement("PR-UDP-1")
@needs_raw_sockets
async def test_a_registration_counts_only_with_the_right_checksum() -> None:
    server, rloc = local(1), local(2)
    datagram = register(rloc, server)
    with UdpTransport() as transport, plain_socket(rloc, CONTROL_PORT) as peer:
        system = MappingSystem("SU-D", server_config(server, rloc), transport)
        system.listen()
        send_raw(rloc, server, CONTROL_PORT, datagram.payload, checksum_error=1)
        await a_moment()
        assert system.machine.registrations() == []
        assert not system.events
        send_raw(rloc, server, CONTROL_PORT, datagram.payload, checksum_error=0)
        await eventually(system.machine.registrations)
        assert isinstance(decode(peer.recv(65535)), MapNotify)
        system.stop()


@pytest.mark.requirement("PR-UDP-1")
@needs_own_network
def test_what_is_sent_has_a_right_checksum() -> None:
    """The test is the wire: packets leave through a TUN device, so no device takes the checksum's work over."""
    if not Path("/dev/net/tun").exists():
        pytest.skip("NOT OBSERVED: no /dev/net/tun")
    payload = Random(1).randbytes(200)
    pairs: list[tuple[IPAddress, IPAddress]] = [
        (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")),
        (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")),
    ]

    async def scenario(tun: int) -> None:
        with UdpTransport() as transport:
            for source, destination in pairs:
                transport.listen(source, lambda _: None)
                transport.send(between(source, destination, payload))
            found: list[UdpPacket] = []
            while len(found) < len(pairs):
                packet = await next_packet(tun)
                if packet[0] >> 4 == 4 or packet[6] == socket.IPPROTO_UDP:  # a new device also sends ICMPv6
                    found.append(decode_udp_packet(packet, 0))
            assert [(packet.source, packet.destination) for packet in found] == pairs
            assert {(packet.source_port, packet.destination_port) for packet in found} == {(CONTROL_PORT, CONTROL_PORT)}
            assert [packet.payload for packet in found] == [payload, payload]

    def run() -> None:
        tun = open_tun("wire")
        try:
            ip("address add 192.0.2.1/24 dev wire")
            ip("link set wire up")
            ip("-6 address add 2001:db8::1/64 dev wire nodad")
            asyncio.run(scenario(tun))
        finally:
            os.close(tun)

    in_own_network(run=run)


async def next_packet(tun: int) -> bytes:
    async with asyncio.timeout(5):
        while True:
            try:
                return os.read(tun, 65535)
            except BlockingIOError:
                await asyncio.sleep(0.005)


def send_raw(source: IPAddress, destination: IPAddress, port: int, payload: bytes, checksum_error: int) -> None:
    """Send a datagram from port 4342 whose UDP checksum is off by `checksum_error`."""
    header = struct.pack("!HHHH", CONTROL_PORT, port, 8 + len(payload), 0)
    checksum = udp_checksum(source, destination, header + payload) ^ checksum_error
    datagram = header[:6] + checksum.to_bytes(2, "big") + payload
    assert is_udp_checksum_valid(source, destination, datagram) == (checksum_error == 0)
    with socket.socket(family_of(source), socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.bind((str(source), 0))
        raw.sendto(datagram, (str(destination), 0))
