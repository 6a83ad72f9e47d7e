"""Packets of accelerators that do not fit into the tunnels of Figure 1 (RFC 9300 section 7.1)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from accelerator.ethernet import ETHERTYPE_IPV4, internet_checksum
from accelerator.ip import UDP, IpPacket, udp
from controller.dataplane.entries import DEFAULT_MTU
from tests.fabric.observe import Observer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE, THERE = IPv4Address("10.0.0.1"), IPv4Address("40.0.0.7")
ROOM = DEFAULT_MTU - 36  # outer IPv4, UDP and tunnel header
FRAGMENTATION_NEEDED = bytes([3, 4])


def packet(octets: int, *, df: bool) -> bytes:
    """A UDP packet of so many octets from acc1 to acc7."""
    data = bytes(n & 0xFF for n in range(octets - 28))
    header = bytearray(IpPacket(HERE, THERE, UDP, udp(HERE, THERE, 40000, 40001, data)).encode())
    header[6:8] = b"\x40\0" if df else b"\0\0"
    header[10:12] = b"\0\0"
    header[10:12] = internet_checksum(bytes(header[:20])).to_bytes(2, "big")
    return bytes(header)


@pytest.mark.requirement("PR-MTU-1")
async def test_the_sender_of_a_packet_that_may_not_be_cut_is_told_what_fits(fabric: Observer) -> None:
    await fabric.resolve("acc1", "40.0.0.7")
    host, target = fabric.fabric.hosts["acc1"], fabric.fabric.hosts["acc7"]
    for octets, fits in ((ROOM, True), (ROOM + 1, False)):
        told, arrived = len(host.received), len(target.received)
        host.interface.send(ETHERTYPE_IPV4, packet(octets, df=True), b"flow")
        await fabric.settle()
        assert len(target.received) - arrived == fits
        assert len(host.received) - told == (not fits)
    message = host.received[-1]
    assert message.protocol == 1
    assert message.payload[:2] == FRAGMENTATION_NEEDED
    assert struct.unpack_from("!H", message.payload, 6) == (ROOM,)


@pytest.mark.requirement("PR-MTU-1", partial=True)
async def test_a_packet_that_may_be_cut_arrives_in_two_pieces(fabric: Observer) -> None:
    await fabric.resolve("acc1", "40.0.0.7")
    target = fabric.fabric.hosts["acc7"]
    arrived = len(target.received)
    whole = packet(ROOM + 1, df=False)
    fabric.fabric.hosts["acc1"].interface.send(ETHERTYPE_IPV4, whole, b"flow")
    await fabric.settle()
    pieces = list(target.received)[arrived:]
    assert len(pieces) == 2
    assert b"".join(piece.payload for piece in pieces) == whole[20:]
