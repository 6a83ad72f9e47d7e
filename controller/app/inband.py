"""Control messages that travel through the switches themselves, as packets of the underlay.

A message leaves through the CPU port of its sender's switch (packet-out) towards the RLOC or Map-Server address that it
is for. The switches on the way forward it like any other packet of the underlay; the one that has the address hands it
to the controller (packet-in, TO_LOCAL_RLOC). So a message shares the links with the traffic, and their failures.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from controller.app.network import RECORD_LIMIT, BatchReceiver, Receiver, Recorded
from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import PuntReason
from controller.dataplane.entries import NextHop, mac
from controller.lisp import CONTROL_PORT, Datagram, DecodeError, EncodeError, Endpoint, IPAddress
from controller.lisp.ip_udp import UdpPacket, decode_udp_packet, encode_udp_packet
from controller.p4rt.packetio import PacketIn

log = logging.getLogger(__name__)

_ETHERNET_OCTETS: Final = 14
_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}
_HOPS: Final = 64
# Seconds without any message after which none is thought to be under way: the longest that one may take.
_QUIET: Final = 0.1


@dataclass(slots=True)
class _Gate:
    """A switch that messages enter and leave the underlay at."""

    control: SwitchControl
    routes: Mapping[IPAddress, Sequence[NextHop]]
    down: set[int] = field(default_factory=set)


class InBandNetwork:
    """Joins the control planes of one process through their switches; the interface is `InProcessNetwork`'s.

    Attributes:
        record: what was sent, oldest first.
        lost: messages that could not be sent or that nobody listened for; what switches lose is not in it.
        drop: a datagram for which it returns True is lost before it is sent.
    """

    def __init__(self) -> None:
        self._gates: dict[str, _Gate] = {}
        self._home: dict[IPAddress, str] = {}
        self._receivers: dict[IPAddress, Receiver] = {}
        self._last = float("-inf")
        self.record: deque[Recorded] = deque(maxlen=RECORD_LIMIT)
        self.lost = 0
        self.drop: Callable[[Datagram], bool] = lambda _: False

    @property
    def idle(self) -> bool:
        """Whether no message has been sent or received for a while."""
        return asyncio.get_running_loop().time() - self._last > _QUIET

    def add_switch(
        self, control: SwitchControl, addresses: Iterable[IPAddress], routes: Mapping[IPAddress, Sequence[NextHop]]
    ) -> None:
        """A switch has these addresses, and these equal-cost ways to others. Raises ValueError for a taken one."""
        name = control.name
        for address in addresses:
            if self._home.setdefault(address, name) != name:
                raise ValueError(f"{address}: is at {self._home[address]} already, not at {name}")
        self._gates[name] = _Gate(control, routes)
        control.on_local = lambda packet: self._arrived(name, packet)

    def port_status(self, switch: str, port: int, up: bool) -> None:
        """No message leaves by a port that is down while there is another way."""
        down = self._gates[switch].down
        (down.discard if up else down.add)(port)

    def listen(self, address: IPAddress, receiver: Receiver) -> None:
        """Gives everything that is sent to `address` to `receiver`. Raises ValueError when it is taken."""
        if address in self._receivers:
            raise ValueError(f"{address}: something listens there already")
        self._receivers[address] = receiver

    def listen_all(self, address: IPAddress, receiver: BatchReceiver) -> None:
        """The same; here every datagram comes alone."""
        self.listen(address, lambda datagram: receiver((datagram,)))

    def forget(self, address: IPAddress) -> None:
        """Nobody listens at `address` any more."""
        self._receivers.pop(address, None)

    def send(self, datagram: Datagram) -> None:
        """Hands a message to its sender's switch; what is on that switch too is delivered in the next turn."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        source, destination = datagram.source.address, datagram.destination.address
        gate = self._gates.get(self._home.get(source, ""))
        sent = gate is not None and not self.drop(datagram)
        if sent and gate is not None:
            if self._home.get(destination) == gate.control.name:
                loop.call_soon(self._deliver, datagram)
            else:
                sent = self._transmit(gate, datagram)
        self.lost += not sent
        self.record.append(Recorded(loop.time(), datagram, sent))

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        """Sends each."""
        for datagram in datagrams:
            self.send(datagram)

    def _transmit(self, gate: _Gate, datagram: Datagram) -> bool:
        source, destination = datagram.source, datagram.destination
        ways = gate.routes.get(destination.address, ())
        ways = [hop for hop in ways if hop.port not in gate.down] or ways
        if not ways:
            log.warning("%s: no way to %s", gate.control.name, destination.address)
            return False
        ends = (source.address, destination.address, source.port, destination.port)
        try:
            packet = encode_udp_packet(UdpPacket(*ends, datagram.payload, ttl=_HOPS))
        except EncodeError as error:
            log.warning("%s: a message to %s is not sent: %s", gate.control.name, destination, error)
            return False
        hop = ways[crc32(repr(ends).encode()) % len(ways)]
        header = mac(hop.next_hop_mac) + mac(hop.port_mac) + _ETHERTYPES[destination.address.version]
        gate.control.packet_out(header + packet, port=hop.port)
        return True

    def _arrived(self, switch: str, packet: PacketIn) -> bool:
        """Takes a packet for an address of a switch; False for any other packet."""
        if packet.metadata["reason"] != PuntReason.TO_LOCAL_RLOC:
            return False
        try:
            found = decode_udp_packet(packet.payload, _ETHERNET_OCTETS)
        except DecodeError as error:
            log.info("%s: a packet of %d octets for the router itself: %s", switch, len(packet.payload), error)
            return True
        if found.destination_port == CONTROL_PORT and self._home.get(found.destination) == switch:
            source = Endpoint(found.source, found.source_port)
            self._last = asyncio.get_running_loop().time()
            self._deliver(Datagram(source, Endpoint(found.destination, CONTROL_PORT), found.payload))
        return True

    def _deliver(self, datagram: Datagram) -> None:
        receiver = self._receivers.get(datagram.destination.address)
        if receiver is None:
            self.lost += 1
        else:
            receiver(datagram)
