"""Control messages that travel through the switches themselves, as packets of the underlay.

A message leaves through the CPU port of its sender's switch (packet-out) towards the RLOC or Map-Server address that it
is for. The switches on the way forward it like any other packet of the underlay; the one that has the address hands it
to the controller (packet-in, TO_LOCAL_RLOC). So a message shares the links with the traffic, and their failures.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from controller.app.network import InProcessNetwork, Recorded, raw_packet
from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import PuntReason
from controller.dataplane.entries import NextHop, mac
from controller.lisp import CONTROL_PORT, Datagram, DecodeError, EncodeError, Endpoint, IPAddress
from controller.lisp.ip_udp import decode_udp_packet
from controller.p4rt.packetio import PacketIn

log = logging.getLogger(__name__)

_ETHERNET_OCTETS: Final = 14
_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}
# Seconds without any message after which none is thought to be under way: the longest that one may take.
_QUIET: Final = 0.1


@dataclass(slots=True)
class _Gate:
    """A switch that messages enter and leave the underlay at."""

    control: SwitchControl
    routes: Mapping[IPAddress, Sequence[NextHop]]
    down: set[int] = field(default_factory=set)


class InBandNetwork(InProcessNetwork):
    """Joins the control planes of one process through their switches.

    What is recorded is what was sent. `lost` counts what could not be sent or nobody listened for, but not what
    switches lose; `drop` decides before a message is sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gates: dict[str, _Gate] = {}
        self._home: dict[IPAddress, str] = {}
        self._last = float("-inf")

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

    def send(self, datagram: Datagram) -> None:
        """Hands a message to its sender's switch; what is on that switch too is delivered in the next turn."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        source, destination = datagram.source.address, datagram.destination.address
        gate = self._gates.get(self._home.get(source, ""))
        sent = gate is not None and not self.drop(datagram)
        if sent and gate is not None:
            if self._home.get(destination) == gate.control.name:
                loop.call_soon(self._hand_over, datagram)
            else:
                sent = self._transmit(gate, datagram)
        self._note(Recorded(loop.time(), datagram, sent))

    def _transmit(self, gate: _Gate, datagram: Datagram) -> bool:
        source, destination = datagram.source, datagram.destination
        ways = gate.routes.get(destination.address, ())
        ways = [hop for hop in ways if hop.port not in gate.down] or ways
        if not ways:
            log.warning("%s: no way to %s", gate.control.name, destination.address)
            return False
        try:
            packet = raw_packet(datagram)
        except EncodeError as error:
            log.warning("%s: a message to %s is not sent: %s", gate.control.name, destination, error)
            return False
        hop = ways[crc32(repr((source, destination)).encode()) % len(ways)]
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
            self._hand_over(Datagram(source, Endpoint(found.destination, CONTROL_PORT), found.payload))
        return True

    def _hand_over(self, datagram: Datagram) -> None:
        receiver = self._receivers.get(datagram.destination.address)
        if receiver is None:
            self.lost += 1
        else:
            receiver(datagram)
