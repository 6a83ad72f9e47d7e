"""An accelerator as an IP endpoint: sends to its access routers, answers echo requests, keeps what it received."""

from __future__ import annotations

from collections import deque
from ipaddress import IPv4Address

from accelerator.ethernet import PacketError
from accelerator.interface import Interface
from accelerator.ip import ETHERTYPES, UDP, Echo, IPAddress, IpPacket, decode_ip, echo_in, udp
from accelerator.membership import IS_EXCLUDE, TO_EXCLUDE, TO_INCLUDE, link_local, multicast_mac, queried, report

RECEIVED_KEPT = 65536
BROADCAST = IPv4Address("255.255.255.255")


def flow_of(packet: IpPacket) -> bytes:
    """What names the flow of a packet: its addresses, its protocol, and its ports if it is UDP."""
    flow = packet.source.packed + packet.destination.packed + bytes([packet.protocol])
    return flow + packet.payload[:4] if packet.protocol == UDP else flow


class Host:
    """The IP address of one accelerator, of either version.

    Attributes:
        received: the packets that came for this address, oldest first, at most `RECEIVED_KEPT`.
        groups: multicast addresses that it listens to, besides the broadcast address.
    """

    def __init__(self, address: IPAddress, interface: Interface) -> None:
        self.address = address
        self.interface = interface
        self.received: deque[IpPacket] = deque(maxlen=RECEIVED_KEPT)
        self.groups: set[IPAddress] = set()
        self.answers_echo = True
        self._reported: set[IPAddress] = set()
        interface.handle(ETHERTYPES[address.version], self._receive)

    def send(self, packet: IpPacket) -> None:
        """Sends a packet; its flow is named by its addresses and UDP ports. Raises RuntimeError without a link."""
        self.interface.send(ETHERTYPES[packet.version], packet.encode(), flow_of(packet))

    def ping(self, destination: IPAddress, sequence: int = 1, data: bytes = b"lispfabric", ttl: int = 64) -> None:
        """Sends an ICMP echo request; its answer will be in `received`."""
        echo = Echo(False, int(self.address) & 0xFFFF, sequence, data)
        self.send(echo.packet(self.address, destination, ttl))

    def send_udp(self, destination: IPAddress, source_port: int, destination_port: int, data: bytes) -> None:
        """Sends a UDP datagram."""
        body = udp(self.address, destination, source_port, destination_port, data)
        self.send(IpPacket(self.address, destination, UDP, body))

    def join(self, group: IPAddress) -> None:
        """Listens to a group and reports it to all access routers, whose links are up, by IGMPv3 or MLDv2.

        When a router asks, it is reported again, at once. Raises PacketError for a group of the other IP version or
        an address that is none.
        """
        self._report(group, TO_EXCLUDE)
        self._reported.add(group)
        self.groups.add(group)

    def leave(self, group: IPAddress) -> None:
        """Listens to a group no more, and reports it. Raises as `join`."""
        self._report(group, TO_INCLUDE)
        self._reported.discard(group)
        self.groups.discard(group)

    def _report(self, group: IPAddress, record: int) -> None:
        if group.version != self.address.version or not group.is_multicast:
            raise PacketError(f"group = {group}: no group that {self.address} can join")
        source = self.address if group.version == 4 else link_local(self.interface.mac)
        packet = report(group, source, record)
        self.interface.send_to_all(ETHERTYPES[packet.version], packet.encode(), multicast_mac(packet.destination))

    def _receive(self, payload: bytes) -> None:
        packet = decode_ip(payload)
        asked = queried(packet)
        if asked is not None:
            for group in sorted(self._reported, key=int):
                if asked.is_unspecified or asked == group:
                    self._report(group, IS_EXCLUDE)
            return
        if packet.destination not in (self.address, BROADCAST) and packet.destination not in self.groups:
            raise PacketError(f"ip.destination = {packet.destination}: not for {self.address}")
        self.received.append(packet)
        echo = echo_in(packet)
        if self.answers_echo and packet.destination == self.address and echo is not None and not echo.reply:
            self.send(Echo(True, echo.identifier, echo.sequence, echo.data).packet(self.address, packet.source))
