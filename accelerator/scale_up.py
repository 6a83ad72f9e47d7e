"""Scale-Up frames: how accelerators of one PoD address each other without IP.

A frame is Ethernet with EtherType 0x88B5 and a header of 24 octets, which names the accelerators by AccID
(docs/scale-up-frame.md). The tenant is never in it: the access router knows it from the port.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from accelerator.ethernet import PacketError
from accelerator.interface import Interface

ETHERTYPE_SCALE_UP = 0x88B5
VERSION = 1
BROADCAST = 0xFFFFFFFF
DEFAULT_HOP_LIMIT = 64
RECEIVED_KEPT = 65536

# version and operation, channel and flags, hop limit, next header, destination, source, entropy, length, sequence, tag
_HEADER = struct.Struct("!BBBBIIHHII")
HEADER_OCTETS = _HEADER.size

_CHANNEL_SHIFT = 5
_REORDER = 0x10
_RESERVED = 0x0C
_ECN = 0x03


class Operation(IntEnum):
    """What a frame asks for; 4 bits."""

    MESSAGE = 0
    LOAD = 1
    STORE = 2
    ATOMIC = 3
    RESPONSE = 4
    COLLECTIVE = 5


@dataclass(frozen=True, slots=True)
class ScaleUpPacket:
    """A Scale-Up header and what follows it.

    `source`, `destination`: AccIDs, 32 bits. `channel`: virtual channel, 3 bits. `tolerates_reordering`: routers may
    spread the packets of a flow over several paths. `entropy`, 16 bits: packets that must stay in order have the same.
    `sequence`, `tag`: 32 bits for the receiver. `ecn` as in IP, 2 bits.
    """

    source: int
    destination: int
    payload: bytes = b""
    operation: int = Operation.MESSAGE
    channel: int = 0
    tolerates_reordering: bool = False
    entropy: int = 0
    sequence: int = 0
    tag: int = 0
    hop_limit: int = DEFAULT_HOP_LIMIT
    next_header: int = 0
    ecn: int = 0

    def encode(self) -> bytes:
        """Header and payload. Raises PacketError naming the field that does not fit."""
        flags = self.channel << _CHANNEL_SHIFT | (_REORDER if self.tolerates_reordering else 0) | self.ecn
        try:
            header = _HEADER.pack(
                VERSION << 4 | self.operation,
                flags,
                self.hop_limit,
                self.next_header,
                self.destination,
                self.source,
                self.entropy,
                len(self.payload),
                self.sequence,
                self.tag,
            )
        except struct.error as error:
            raise PacketError(f"scale-up: a field of {self} does not fit: {error}") from None
        if self.operation > 15 or self.ecn > _ECN:
            raise PacketError(f"scale-up: operation {self.operation} has 4 bits, ecn {self.ecn} has 2")
        return header + self.payload


def decode_scale_up(octets: bytes) -> ScaleUpPacket:
    """Reads what follows the Ethernet header; whatever follows `length` is padding. Raises PacketError."""
    if len(octets) < HEADER_OCTETS:
        raise PacketError(f"scale-up: {len(octets)} octets are no header")
    version, flags, hop_limit, next_header, destination, source, entropy, length, sequence, tag = _HEADER.unpack_from(
        octets
    )
    if version >> 4 != VERSION:
        raise PacketError(f"scale-up.version = {version >> 4}: must be {VERSION}")
    if HEADER_OCTETS + length > len(octets):
        raise PacketError(f"scale-up.length = {length}: only {len(octets) - HEADER_OCTETS} octets follow the header")
    return ScaleUpPacket(
        source,
        destination,
        octets[HEADER_OCTETS : HEADER_OCTETS + length],
        version & 15,
        flags >> _CHANNEL_SHIFT,
        bool(flags & _REORDER),
        entropy,
        sequence,
        tag,
        hop_limit,
        next_header,
        flags & _ECN,
    )


def flow_of(packet: ScaleUpPacket) -> bytes:
    """What names the flow of a packet: its AccIDs and its entropy."""
    return struct.pack("!IIH", packet.source, packet.destination, packet.entropy)


class ScaleUpEndpoint:
    """The AccID of one accelerator.

    Attributes:
        received: what came for this AccID, its groups or everybody, oldest first, at most `RECEIVED_KEPT`.
        groups: numbers of the groups that it listens to, from 0xF0000000 on.
        on_packet: is given each of them.
    """

    def __init__(self, acc_id: int, interface: Interface) -> None:
        self.acc_id = acc_id
        self.interface = interface
        self.received: deque[ScaleUpPacket] = deque(maxlen=RECEIVED_KEPT)
        self.groups: set[int] = set()
        self.on_packet: Callable[[ScaleUpPacket], None] | None = None
        interface.handle(ETHERTYPE_SCALE_UP, self._receive)

    def send(self, packet: ScaleUpPacket) -> None:
        """Sends a packet over the link of its flow. Raises RuntimeError without a link, PacketError for a bad field."""
        self.interface.send(ETHERTYPE_SCALE_UP, packet.encode(), flow_of(packet))

    def send_message(self, destination: int, payload: bytes, *, entropy: int = 0, sequence: int = 0) -> None:
        """Sends a message to an AccID of the same tenant and PoD."""
        self.send(ScaleUpPacket(self.acc_id, destination, payload, entropy=entropy, sequence=sequence))

    def _receive(self, payload: bytes) -> None:
        packet = decode_scale_up(payload)
        if packet.destination not in (self.acc_id, BROADCAST) and packet.destination not in self.groups:
            raise PacketError(f"scale-up.destination = {packet.destination}: not for {self.acc_id}")
        self.received.append(packet)
        if self.on_packet is not None:
            self.on_packet(packet)
