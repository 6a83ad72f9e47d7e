"""How control messages travel: the interface of a transport, and the one that stays inside a process.

The in-process network delivers datagrams in order and without loss, and keeps a record of what passed: the record is
what `lispfabric run` tells its story from, and what it writes as a capture.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controller.lisp import Datagram, IPAddress
from controller.lisp.ip_udp import UdpPacket, encode_udp_packet

Receiver = Callable[[Datagram], None]
BatchReceiver = Callable[[Sequence[Datagram]], None]

# Datagrams kept in the record; the oldest go first.
RECORD_LIMIT = 100_000

_LINKTYPE_RAW = 101  # packets begin with their IP header


class Transport(Protocol):
    """Sends control messages, and hands over those that arrive at the addresses that listen."""

    def listen(self, address: IPAddress, receiver: Receiver) -> None:
        """From now on `receiver` gets what is sent to `address`."""

    def listen_all(self, address: IPAddress, receiver: BatchReceiver) -> None:
        """The same for a receiver that takes whatever came together at once."""

    def send(self, datagram: Datagram) -> None:
        """Sends without waiting; what cannot be delivered is lost, as on any network."""

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        """Sends several, in their order."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A datagram that passed: event loop time in seconds, and whether anybody listened at its destination."""

    time: float
    datagram: Datagram
    delivered: bool


class InProcessNetwork:
    """Joins the processes of one event loop.

    Attributes:
        record: what passed, oldest first; passed: how much that was in all.
        lost: datagrams that nobody listened for.
        taps: are given everything that passes.
        drop: a datagram for which it returns True is lost on its way; for tests and for failure drills.
    """

    def __init__(self) -> None:
        self._receivers: dict[IPAddress, Receiver] = {}
        self._in_flight = 0
        self.record: deque[Recorded] = deque(maxlen=RECORD_LIMIT)
        self.taps: list[Callable[[Recorded], None]] = []
        self.passed = 0
        self.lost = 0
        self.drop: Callable[[Datagram], bool] = lambda _: False

    @property
    def idle(self) -> bool:
        """Whether no datagram is under way."""
        return self._in_flight == 0

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
        """Delivers in the event loop's next turn, so that a machine never runs inside another."""
        loop = asyncio.get_running_loop()
        receiver = self._receivers.get(datagram.destination.address)
        delivered = receiver is not None and not self.drop(datagram)
        self._note(Recorded(loop.time(), datagram, delivered))
        if not delivered or receiver is None:
            return
        self._in_flight += 1
        loop.call_soon(self._deliver, receiver, datagram)

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        """Delivers each in the event loop's next turn."""
        for datagram in datagrams:
            self.send(datagram)

    def _note(self, item: Recorded) -> None:
        """Takes a datagram down."""
        self.record.append(item)
        self.passed += 1
        self.lost += not item.delivered
        for tap in self.taps:
            tap(item)

    def _deliver(self, receiver: Receiver, datagram: Datagram) -> None:
        self._in_flight -= 1
        receiver(datagram)


def raw_packet(datagram: Datagram) -> bytes:
    """The IP packet that a datagram travels as."""
    source, destination = datagram.source, datagram.destination
    ends = (source.address, destination.address, source.port, destination.port)
    return encode_udp_packet(UdpPacket(*ends, datagram.payload, ttl=64))


def write_pcap(file: Path, recorded: Iterable[Recorded]) -> int:
    """Writes datagrams as a capture of raw IP packets, times in microseconds; returns how many."""
    count = 0
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _LINKTYPE_RAW))
        for item in recorded:
            packet = raw_packet(item.datagram)
            seconds, fraction = divmod(item.time, 1)
            out.write(struct.pack("<IIII", int(seconds), int(fraction * 1e6), len(packet), len(packet)))
            out.write(packet)
            count += 1
    return count
