"""Contributions of many chunks, built at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.carriers import Carrier
from accelerator.incc.header import HEADER_OCTETS, KEY_OCTETS, VERSION, Flags, Kind, Operation
from accelerator.incc.work import Prepared

_HEADER = np.dtype(
    [
        ("kind", "u1"),
        ("operation", "u1"),
        ("flags", "u1"),
        ("generation", "u1"),
        ("group", ">u2"),
        ("rank", ">u2"),
        ("slot", ">u2"),
        ("round", ">u2"),
        ("target", ">u2"),
        ("signature", ">u2"),
        ("scale", ">i4"),
        ("cookie", ">u4"),
    ]
)
assert _HEADER.itemsize == HEADER_OCTETS

_RESULT = VERSION << 4 | Kind.RESULT
_COOKIE_AT = HEADER_OCTETS - 4
# A cookie with this bit is a repeat's: 16 bits are its sender's rank, the lowest 15 tell that sender's repeats apart.
REPEAT = 1 << 31
_REPEATS = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Who sends, and how chunks are numbered: `slots` and `values` of the group, `round` of slot 0's first use."""

    group: int
    rank: int
    generation: int
    slots: int
    values: int
    first_round: int = 1


class PacketBuilder:
    """Builds the packets of one generation of a group."""

    def __init__(self, place: Place, carrier: Carrier) -> None:
        self.place = place
        self.carrier = carrier
        full = HEADER_OCTETS + 4 * place.values
        self._prefixes = {octets: np.frombuffer(carrier.prefix(octets), np.uint8) for octets in (HEADER_OCTETS, full)}

    def build(
        self, number: int, operation: Operation, signature: int, prepared: Prepared
    ) -> tuple[list[bytes], list[bytes]]:
        """The packets of chunks from `number` on, numbered in this generation, and the first octets of their results.

        Those are the INCC headers up to the round, as they are without OVERFLOW and MISMATCH.
        """
        place, count = self.place, prepared.count
        numbers = np.arange(number, number + count)
        header = np.zeros(count, _HEADER)
        header["kind"] = VERSION << 4 | Kind.CONTRIBUTION
        header["operation"] = operation
        header["flags"] = Flags.EMPTY if prepared.values is None else 0
        header["generation"] = place.generation
        header["group"] = place.group
        header["rank"] = place.rank
        header["slot"] = numbers % place.slots
        header["round"] = (numbers // place.slots + place.first_round) & 0xFFFF
        header["target"] = prepared.targets
        header["signature"] = signature
        header["scale"] = prepared.scales
        header["cookie"] = numbers % REPEAT
        packets = self._packets(header.view(np.uint8).reshape(count, HEADER_OCTETS), prepared.values)
        header["kind"] = _RESULT
        header["flags"] = np.where(prepared.answers, 0, Flags.EMPTY)
        keys = header.view(np.uint8).reshape(count, HEADER_OCTETS)[:, :KEY_OCTETS]
        return packets, _rows(keys)

    def move(self, number: int, packet: bytes, key: bytes) -> tuple[bytes, bytes]:
        """A packet that was built in another generation, as chunk `number` of this one."""
        at, place = self.carrier.offset, self.place
        header = np.frombuffer(packet, _HEADER, 1, at).copy()
        header["generation"] = place.generation
        header["group"], header["rank"] = place.group, place.rank
        header["slot"] = number % place.slots
        header["round"] = (number // place.slots + place.first_round) & 0xFFFF
        header["cookie"] = number % REPEAT
        values = None
        if not header["flags"][0] & Flags.EMPTY:
            values = np.frombuffer(packet, ">i4", place.values, at + HEADER_OCTETS).reshape(1, -1)
        packets = self._packets(header.view(np.uint8).reshape(1, HEADER_OCTETS), values)
        start = header.tobytes()[:KEY_OCTETS]
        return packets[0], key[:3] + start[3:]

    def cookie(self, repeat: int) -> int:
        """Of this member's `repeat`-th repeat of any packet."""
        return REPEAT | self.place.rank << 15 | repeat & _REPEATS

    def is_own(self, cookie: int) -> bool:
        """Whether a result answers a repeat of this member."""
        return cookie & ~_REPEATS == self.cookie(0)

    def again(self, packet: bytes, cookie: int) -> bytes:
        """A packet as it is repeated."""
        at = self.carrier.offset + _COOKIE_AT
        octets = bytearray(packet)
        octets[at : at + 4] = cookie.to_bytes(4, "big")
        row = np.frombuffer(octets, np.uint8).reshape(1, -1)
        self.carrier.finish(row)
        return row.tobytes()

    def _packets(self, headers: NDArray[np.uint8], values: NDArray[Any] | None) -> list[bytes]:
        at = self.carrier.offset
        octets = HEADER_OCTETS if values is None else HEADER_OCTETS + 4 * self.place.values
        packets = np.zeros((len(headers), self.carrier.length(octets)), np.uint8)
        packets[:, :at] = self._prefixes[octets]
        packets[:, at : at + HEADER_OCTETS] = headers
        if values is not None:
            big = np.ascontiguousarray(values, ">i4")
            packets[:, at + HEADER_OCTETS :] = big.view(np.uint8)
        self.carrier.finish(packets)
        return _rows(packets)


def _rows(array: NDArray[np.uint8]) -> list[bytes]:
    octets, width = array.tobytes(), array.shape[1]
    return [octets[at : at + width] for at in range(0, len(octets), width)]
