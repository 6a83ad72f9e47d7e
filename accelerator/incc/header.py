"""The INCC header and its values, one packet at a time (docs/incc.md); `batch` builds many at once."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from accelerator.ethernet import PacketError

VERSION = 1
UDP_PORT = 49169
EVERYBODY = 0xFFFF

# version and kind, operation, flags, generation, group, rank, slot, round, target, signature, scale, cookie
HEADER = struct.Struct("!BBBBHHHHHHiI")
HEADER_OCTETS = HEADER.size
# Version to round: a member knows these octets of every result that it waits for.
KEY_OCTETS = 12


class Kind(IntEnum):
    """What a packet is; 4 bits."""

    CONTRIBUTION = 0
    RESULT = 1
    CLEAR = 2


class Operation(IntEnum):
    """How values are combined; 8 bits. Sums are signed and saturate, minimum and maximum are signed."""

    SUM = 0
    MINIMUM = 1
    MAXIMUM = 2
    AND = 3
    OR = 4
    XOR = 5


class Flags(IntFlag):
    """8 bits. EMPTY: no values follow. OVERFLOW: a sum was saturated. MISMATCH: signatures or operations differ."""

    NONE = 0
    EMPTY = 1
    OVERFLOW = 2
    MISMATCH = 4


class InccError(PacketError):
    """Octets that are no packet of a collective; the text names field, value and what it may be."""


@dataclass(frozen=True, slots=True)
class InccPacket:
    """A header, and its values as big-endian octets, none if EMPTY.

    `generation`: 8 bits. `group`, `rank`, `slot`, `round`, `target`, `signature`: 16 bits. `scale`: 32 bits, signed.
    `cookie`: 32 bits.
    """

    kind: Kind
    operation: Operation
    generation: int
    group: int
    rank: int
    slot: int
    round: int
    target: int = EVERYBODY
    signature: int = 0
    scale: int = 0
    cookie: int = 0
    flags: Flags = Flags.NONE
    values: bytes = b""

    def encode(self) -> bytes:
        """Header and values. Raises InccError naming what does not fit."""
        if bool(self.flags & Flags.EMPTY) != (not self.values) or len(self.values) % 4:
            raise InccError(f"incc.flags = {int(self.flags):#04x}: {len(self.values)} octets of values follow")
        try:
            return HEADER.pack(
                VERSION << 4 | self.kind,
                self.operation,
                self.flags,
                self.generation,
                self.group,
                self.rank,
                self.slot,
                self.round,
                self.target,
                self.signature,
                self.scale,
                self.cookie,
            ) + bytes(self.values)
        except struct.error as error:
            raise InccError(f"incc: a field of {self} does not fit: {error}") from None


def decode_incc(octets: bytes, values: int) -> InccPacket:
    """Reads a packet of `values` 32-bit values, or none. Raises InccError; octets that follow are an error too."""
    if len(octets) < HEADER_OCTETS:
        raise InccError(f"incc: {len(octets)} octets are no header")
    first, operation, flags, *numbers = HEADER.unpack_from(octets)
    version, kind = first >> 4, first & 15
    if version != VERSION:
        raise InccError(f"incc.version = {version}: must be {VERSION}")
    if kind > Kind.CLEAR:
        raise InccError(f"incc.kind = {kind}: must be at most {Kind.CLEAR.value}")
    if operation > Operation.XOR:
        raise InccError(f"incc.operation = {operation}: must be at most {Operation.XOR.value}")
    if flags >= 2 * Flags.MISMATCH:  # the complement of a Flag is within its members
        raise InccError(f"incc.flags = {flags:#04x}: 0x01, 0x02 and 0x04 are known")
    expected = 0 if flags & Flags.EMPTY else 4 * values
    if len(octets) - HEADER_OCTETS != expected:
        raise InccError(f"incc: {len(octets) - HEADER_OCTETS} octets of values follow, must be {expected}")
    generation, group, rank, slot, turn, target, signature, scale, cookie = numbers
    return InccPacket(
        Kind(kind),
        Operation(operation),
        generation,
        group,
        rank,
        slot,
        turn,
        target,
        signature,
        scale,
        cookie,
        Flags(flags),
        octets[HEADER_OCTETS:],
    )
