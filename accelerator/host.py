"""An accelerator as an IP endpoint: sends to its access routers, answers echo requests, keeps what it received."""

from __future__ import annotations

from collections import deque
from ipaddress import IPv4Address

from accelerator.interface import Interface
from accelerator.packets import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ETHERTYPE_IPV4,
    ICMP,
    UDP,
    Ipv4Packet,
    PacketError,
    decode_ipv4,
    echo,
    udp,
)

RECEIVED_KEPT = 65536
BROADCAST = IPv4Address("255.255.255.255")


class Host:
    """The IPv4 address of one accelerator.

    Attributes:
        received: the IPv4 packets that came for this address, oldest first, at most `RECEIVED_KEPT`.
        groups: multicast addresses that it listens to, besides the broadcast address.
    """

    def __init__(self, address: IPv4Address, interface: Interface) -> None:
        self.address = address
        self.interface = interface
        self.received: deque[Ipv4Packet] = deque(maxlen=RECEIVED_KEPT)
        self.groups: set[IPv4Address] = set()
        self.answers_echo = True
        interface.handle(ETHERTYPE_IPV4, self._receive)

    def send(self, packet: Ipv4Packet) -> None:
        """Sends a packet; its flow is named by its addresses and UDP ports. Raises RuntimeError without a link."""
        flow = packet.source.packed + packet.destination.packed + bytes([packet.protocol])
        if packet.protocol == UDP:
            flow += packet.payload[:4]  # its ports
        self.interface.send(ETHERTYPE_IPV4, packet.encode(), flow)

    def ping(self, destination: IPv4Address, sequence: int = 1, data: bytes = b"lispfabric", ttl: int = 64) -> None:
        """Sends an ICMP echo request; its answer will be in `received`."""
        body = echo(ECHO_REQUEST, int(self.address) & 0xFFFF, sequence, data)
        self.send(Ipv4Packet(self.address, destination, ICMP, body, ttl))

    def send_udp(self, destination: IPv4Address, source_port: int, destination_port: int, data: bytes) -> None:
        """Sends a UDP datagram."""
        body = udp(self.address, destination, source_port, destination_port, data)
        self.send(Ipv4Packet(self.address, destination, UDP, body))

    def _receive(self, payload: bytes) -> None:
        packet = decode_ipv4(payload)
        if packet.destination not in (self.address, BROADCAST) and packet.destination not in self.groups:
            raise PacketError(f"ipv4.destination = {packet.destination}: not for {self.address}")
        self.received.append(packet)
        if (
            packet.destination == self.address
            and self.answers_echo
            and packet.protocol == ICMP
            and packet.payload[:1] == bytes([ECHO_REQUEST])
        ):
            identifier, sequence = (int.from_bytes(packet.payload[at : at + 2], "big") for at in (4, 6))
            body = echo(ECHO_REPLY, identifier, sequence, packet.payload[8:])
            self.send(Ipv4Packet(self.address, packet.source, ICMP, body))
