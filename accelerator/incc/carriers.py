"""What INCC headers travel in: Scale-Up frames, UDP over IPv4 or IPv6 in Ethernet, or a UDP socket's datagrams.

A carrier puts what stands before the header, and takes it off again. The switch writes results' lengths anew, so they
are checked; TTL and hop limit, ECN and source MAC address are not looked at.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from accelerator.ethernet import decode_ethernet, internet_checksum
from accelerator.incc.header import UDP_PORT, InccError
from accelerator.ip import ETHERTYPES, UDP, IPAddress, IpPacket, decode_ip
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, ScaleUpPacket, decode_scale_up
from accelerator.scale_up import HEADER_OCTETS as SCALE_UP_OCTETS

# The next header of a Scale-Up frame whose data is an INCC header.
NEXT_HEADER_INCC = 1
# Where a member receives results over UDP: the switch sends all copies of one to the same port.
MEMBER_PORT = UDP_PORT

_ETHERNET_OCTETS = 14
_SMALLEST_FRAME = 60
_UDP_HEADER = struct.Struct("!HHHH")

Octets = NDArray[np.uint8]


class Carrier(ABC):
    """One way to carry packets of a group between a member and its access router.

    Attributes:
        offset: octets before the INCC header in what is sent and received.
    """

    offset: int

    @abstractmethod
    def prefix(self, octets: int) -> bytes:
        """What stands before an INCC header that has `octets` octets with its values; `self.offset` octets."""

    def finish(self, packets: Octets) -> None:  # noqa: B027 - most have nothing to do
        """Completes packets, one a row, that have everything but what depends on their contents."""

    @abstractmethod
    def is_plain(self, packet: bytes) -> bool:
        """Whether a received packet is for this member, of the group, and as nearly all are: `open` would take it.

        Its INCC header begins at `offset` then, without padding behind it. Says nothing about the INCC header.
        """

    @abstractmethod
    def open(self, packet: bytes) -> bytes:
        """INCC header and values of a received packet, without padding. Raises PacketError for the first fault."""

    def length(self, octets: int) -> int:
        """Octets of a packet whose INCC header has `octets` octets with its values, padding included."""
        return self.offset + octets


class DatagramCarrier(Carrier):
    """The data of datagrams: all else is done by a UDP socket."""

    offset = 0

    def prefix(self, octets: int) -> bytes:
        """Nothing."""
        return b""

    def is_plain(self, packet: bytes) -> bool:
        """Always: the socket sees to it."""
        return True

    def open(self, packet: bytes) -> bytes:
        """All of it."""
        return packet


class _FrameCarrier(Carrier):
    def __init__(self, mac: bytes, router_mac: bytes) -> None:
        for name, value in (("mac", mac), ("router_mac", router_mac)):
            if len(value) != 6:
                raise ValueError(f"{name} = {value.hex(':')!r}: must have six octets")
        self._mac = mac
        self._router_mac = router_mac

    def length(self, octets: int) -> int:
        """With the padding of Ethernet."""
        return max(self.offset + octets, _SMALLEST_FRAME)

    def _payload(self, packet: bytes, ether_type: int) -> bytes:
        destination, _, found, payload = decode_ethernet(packet)
        if destination != self._mac:
            raise InccError(f"ethernet.destination = {destination.hex(':')}: not for {self._mac.hex(':')}")
        if found != ether_type:
            raise InccError(f"ethernet.ether_type = {found:#06x}: must be {ether_type:#06x}")
        return payload


class ScaleUpCarrier(_FrameCarrier):
    """Scale-Up frames of operation 5. They may be spread over paths; the slot would not mind the order."""

    offset = _ETHERNET_OCTETS + SCALE_UP_OCTETS

    def __init__(self, mac: bytes, router_mac: bytes, member: int, group: int) -> None:
        """`mac`, `router_mac`: six octets. `member`, `group`: AccIDs, 32 bits. Raises ValueError."""
        super().__init__(mac, router_mac)
        for name, value in (("member", member), ("group", group)):
            if not 0 <= value <= 0xFFFFFFFF:
                raise ValueError(f"{name} = {value}: an AccID has 32 bits")
        self._member, self._group = member, group
        self._start = ETHERTYPE_SCALE_UP.to_bytes(2, "big") + bytes((0x10 | Operation.COLLECTIVE,))
        self._middle = struct.pack("!BII", NEXT_HEADER_INCC, member, group)

    def prefix(self, octets: int) -> bytes:
        """Ethernet and Scale-Up headers."""
        packet = ScaleUpPacket(
            self._member,
            self._group,
            bytes(octets),
            Operation.COLLECTIVE,
            tolerates_reordering=True,
            next_header=NEXT_HEADER_INCC,
        )
        header = packet.encode()[:SCALE_UP_OCTETS]
        return self._router_mac + self._mac + ETHERTYPE_SCALE_UP.to_bytes(2, "big") + header

    def is_plain(self, packet: bytes) -> bool:
        """By MAC address, EtherType, version, operation, next header, both AccIDs and length."""
        return (
            packet[17:26] == self._middle
            and packet[12:15] == self._start
            and packet[:6] == self._mac
            and int.from_bytes(packet[28:30], "big") == len(packet) - self.offset
        )

    def open(self, packet: bytes) -> bytes:
        """See Carrier."""
        frame = decode_scale_up(self._payload(packet, ETHERTYPE_SCALE_UP))
        for name, found, expected in (
            ("operation", frame.operation, int(Operation.COLLECTIVE)),
            ("next_header", frame.next_header, NEXT_HEADER_INCC),
            ("destination", frame.destination, self._member),
            ("source", frame.source, self._group),
        ):
            if found != expected:
                raise InccError(f"scale-up.{name} = {found}: must be {expected}")
        return frame.payload


class UdpCarrier(_FrameCarrier):
    """UDP over IPv4 or IPv6. Contributions have a checksum; that of a result is zero, or has to be right."""

    def __init__(
        self, mac: bytes, router_mac: bytes, member: IPAddress, group: IPAddress, port: int = MEMBER_PORT
    ) -> None:
        """`port`: the member's own. Raises ValueError."""
        super().__init__(mac, router_mac)
        if member.version != group.version:
            raise ValueError(f"group = {group}: {member} is of the other IP version")
        if not 0 < port <= 0xFFFF:
            raise ValueError(f"port = {port}: must be in 1..65535")
        self._member, self._group, self._port = member, group, port
        self._six = member.version == 6
        self._ip_octets = 40 if self._six else 20
        self.offset = _ETHERNET_OCTETS + self._ip_octets + _UDP_HEADER.size
        self._start = ETHERTYPES[member.version].to_bytes(2, "big")
        self._ports = struct.pack("!HH", UDP_PORT, port)
        self._addresses = group.packed + member.packed
        self._addresses_at = _ETHERNET_OCTETS + (8 if self._six else 12)

    def prefix(self, octets: int) -> bytes:
        """Ethernet, IP and UDP headers; the UDP checksum is left to `finish`."""
        udp = _UDP_HEADER.pack(self._port, UDP_PORT, _UDP_HEADER.size + octets, 0)
        whole = IpPacket(self._member, self._group, UDP, udp + bytes(octets)).encode()
        return self._router_mac + self._mac + self._start + whole[: self._ip_octets + _UDP_HEADER.size]

    def finish(self, packets: Octets) -> None:
        """UDP checksums (RFC 768, RFC 8200 section 8.1)."""
        at = self.offset - 2
        packets[:, at : at + 2] = 0
        # The sum of 16-bit words over addresses, UDP header and data; the pseudo-header's length and protocol extra.
        words = packets[:, self._addresses_at :].view(">u2")
        length = packets.shape[1] - _ETHERNET_OCTETS - self._ip_octets
        total = words.sum(axis=1, dtype=np.uint64) + np.uint64(length + UDP)
        for _ in range(2):
            total = (total & np.uint64(0xFFFF)) + (total >> np.uint64(16))
        checksum = (~total & np.uint64(0xFFFF)).astype(">u2")
        checksum[checksum == 0] = 0xFFFF
        packets[:, at : at + 2] = checksum[:, np.newaxis].view(np.uint8).reshape(-1, 2)

    def is_plain(self, packet: bytes) -> bool:
        """By MAC address, EtherType, addresses, protocol, ports, lengths, a zero checksum, and the IPv4 checksum."""
        at, end = self._addresses_at, self._addresses_at + len(self._addresses)
        length = len(packet) - self.offset + _UDP_HEADER.size
        if not (
            packet[at:end] == self._addresses
            and packet[end : end + 8] == self._ports + length.to_bytes(2, "big") + b"\0\0"
            and packet[12:14] == self._start
            and packet[:6] == self._mac
        ):
            return False
        if self._six:
            return packet[14] >> 4 == 6 and packet[20] == UDP and int.from_bytes(packet[18:20], "big") == length
        return (
            packet[14] == 0x45
            and packet[23] == UDP
            and int.from_bytes(packet[16:18], "big") == length + self._ip_octets
            and internet_checksum(packet[14:34]) == 0
        )

    def open(self, packet: bytes) -> bytes:
        """See Carrier."""
        ip = decode_ip(self._payload(packet, ETHERTYPES[self._member.version]))
        for name, found, expected in (
            ("destination", ip.destination, self._member),
            ("source", ip.source, self._group),
            ("protocol", ip.protocol, UDP),
        ):
            if found != expected:
                raise InccError(f"ip.{name} = {found}: must be {expected}")
        if len(ip.payload) < _UDP_HEADER.size:
            raise InccError(f"udp: {len(ip.payload)} octets are no header")
        source, destination, length, checksum = _UDP_HEADER.unpack_from(ip.payload)
        for name, found, expected in (
            ("source", source, UDP_PORT),
            ("destination", destination, self._port),
            ("length", length, len(ip.payload)),
        ):
            if found != expected:
                raise InccError(f"udp.{name} = {found}: must be {expected}")
        if checksum and self._checksum(ip) != 0:
            raise InccError(f"udp.checksum = {checksum:#06x}: wrong")
        return ip.payload[_UDP_HEADER.size :]

    @staticmethod
    def _checksum(ip: IpPacket) -> int:
        pseudo = ip.source.packed + ip.destination.packed + struct.pack("!HH", UDP, len(ip.payload))
        return internet_checksum(pseudo + ip.payload)
