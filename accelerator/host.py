"""An accelerator as an IP endpoint: sends to its access routers, answers echo requests, keeps what it received.

Multi-homed accelerators send every flow over one of their links, chosen by a hash of its addresses and ports, so that
packets of a flow stay in order.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from accelerator.packets import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ETHERTYPE_IPV4,
    ICMP,
    UDP,
    Ipv4Packet,
    PacketError,
    decode_ethernet,
    decode_ipv4,
    echo,
    ethernet,
    udp,
)

RECEIVED_KEPT = 65536


@dataclass(frozen=True, slots=True)
class Uplink:
    """A link to an access router: how to send on it, the address of the router's port, and whether there is carrier."""

    send: Callable[[bytes], None]
    router_mac: bytes
    is_up: Callable[[], bool]


class Host:
    """One accelerator's interface.

    Attributes:
        received: the IPv4 packets that came for this address, oldest first, at most `RECEIVED_KEPT`.
        refused: frames that could not be read or were for somebody else.
    """

    def __init__(self, address: IPv4Address, mac: bytes) -> None:
        self.address = address
        self.mac = mac
        self.uplinks: list[Uplink] = []
        self.received: deque[Ipv4Packet] = deque(maxlen=RECEIVED_KEPT)
        self.refused = 0
        self.answers_echo = True

    def attach(self, send: Callable[[bytes], None], router_mac: bytes, is_up: Callable[[], bool] = lambda: True) -> int:
        """Adds a link; returns its index."""
        self.uplinks.append(Uplink(send, router_mac, is_up))
        return len(self.uplinks) - 1

    def send(self, packet: Ipv4Packet) -> None:
        """Sends a packet over the link of its flow, one of those that are up. Raises RuntimeError without a link."""
        if not self.uplinks:
            raise RuntimeError(f"{self.address} is not attached")
        flow = packet.source.packed + packet.destination.packed + bytes([packet.protocol])
        if packet.protocol == UDP:
            flow += packet.payload[:4]  # its ports
        usable = [uplink for uplink in self.uplinks if uplink.is_up()] or self.uplinks
        uplink = usable[zlib.crc32(flow) % len(usable)]
        uplink.send(ethernet(uplink.router_mac, self.mac, ETHERTYPE_IPV4, packet.encode()))

    def ping(self, destination: IPv4Address, sequence: int = 1, data: bytes = b"lispfabric", ttl: int = 64) -> None:
        """Sends an ICMP echo request; its answer will be in `received`."""
        body = echo(ECHO_REQUEST, int(self.address) & 0xFFFF, sequence, data)
        self.send(Ipv4Packet(self.address, destination, ICMP, body, ttl))

    def send_udp(self, destination: IPv4Address, source_port: int, destination_port: int, data: bytes) -> None:
        """Sends a UDP datagram."""
        body = udp(self.address, destination, source_port, destination_port, data)
        self.send(Ipv4Packet(self.address, destination, UDP, body))

    def receive(self, frame: bytes) -> None:
        """Takes a frame from the wire; a bad one is counted and forgotten."""
        try:
            destination, _, ether_type, payload = decode_ethernet(frame)
            if destination != self.mac or ether_type != ETHERTYPE_IPV4:
                raise PacketError(f"ethernet.destination = {destination.hex(':')}: not for {self.mac.hex(':')}")
            packet = decode_ipv4(payload)
            if packet.destination != self.address:
                raise PacketError(f"ipv4.destination = {packet.destination}: not for {self.address}")
        except PacketError:
            self.refused += 1
            return
        self.received.append(packet)
        if self.answers_echo and packet.protocol == ICMP and packet.payload[:1] == bytes([ECHO_REQUEST]):
            identifier, sequence = (int.from_bytes(packet.payload[at : at + 2], "big") for at in (4, 6))
            body = echo(ECHO_REPLY, identifier, sequence, packet.payload[8:])
            self.send(Ipv4Packet(self.address, packet.source, ICMP, body))
