"""One collective, from the first chunk to the last: what this member contributes to each, and what it keeps.

A chunk is what one packet carries. A collective's chunks are numbered from 0 here; the core adds where they begin in
the life of the group.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.blocks import Blocks
from accelerator.incc.coding import Coding, Values
from accelerator.incc.errors import SaturatedError
from accelerator.incc.header import EVERYBODY

# A source: nobody contributes values.
NOBODY = -1

# Rows that are decoded at once.
_DECODED_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Piece:
    """Successive blocks of a collective that come from the same and go to the same.

    `source`: the rank that has their values; None: everybody; NOBODY. `target`: the rank that wants the result, or
    EVERYBODY. `rows`: how many blocks.
    """

    source: int | None
    target: int
    rows: int


@dataclass(slots=True)
class Prepared:
    """What chunks contribute: `values` (chunks, values) or None if they are EMPTY; `scales` and `targets` of each.

    `answers`: whether each chunk's result will have values for this member.
    """

    count: int
    values: NDArray[Any] | None
    scales: Values
    targets: NDArray[Any]
    answers: NDArray[Any]


Finish = Callable[[NDArray[Any] | None], object]


class Work:
    """A collective under way.

    Attributes:
        name: what the caller asked for, with its parameters. index: its number in the group, once submitted.
        chunks: how many there are. first: the first one's number in the life of the group.
        remaining: chunks without a result. saturated: chunks whose sum did not fit.
        signature: 16 bits, the same from all members.
        result: what `finish` made of the blocks that this member wanted. error: why there is none.
        cancelled: nobody wants the result any more.
    """

    def __init__(
        self,
        name: str,
        pieces: Sequence[Piece],
        coding: Coding,
        blocks: Blocks,
        rank: int,
        lag: int,
        finish: Finish,
    ) -> None:
        """`blocks`: of the pieces to which this member contributes, which follow each other. `lag`: chunks by which the
        agreement on scales is ahead. `finish`: is given the decoded blocks that this member wants, one a row.
        """
        self.name = name
        self.index = 0
        self.coding = coding
        self.operation = coding.operation
        self.data = sum(piece.rows for piece in pieces)
        self.lead = min(lag, self.data) if coding.scaled else 0
        self.chunks = self.lead + coding.passes * self.data
        self.first = 0
        self.remaining = self.chunks
        self.saturated: list[int] = []
        self.signature = 0
        self.result: object = None
        self.error: Exception | None = None
        self.cancelled = False
        self.finished = False
        self.started: float | None = None
        self.ended: float | None = None
        self._blocks = blocks
        self._finish = finish
        rows = [piece.rows for piece in pieces]
        mine = [piece.source is None or piece.source == rank for piece in pieces]
        wants = [piece.source != NOBODY and piece.target in (rank, EVERYBODY) for piece in pieces]
        self._targets = np.repeat(np.array([piece.target for piece in pieces], np.uint16), rows)
        self._mine = np.repeat(np.array(mine, bool), rows)
        self._answers = np.repeat(np.array(wants, bool), rows)
        begins = np.flatnonzero(self._mine)
        self._mine_from = int(begins[0]) if len(begins) else 0
        # Where the answers of the chunks go: the row of each, in the order of the chunks.
        self._kept = int(self._answers.sum())
        self._row: list[int] | range = range(self.data)
        if self._kept != self.data:
            self._row = (np.cumsum(self._answers) - 1).tolist()
        self._octets = 0
        self._raw = bytearray()
        self._agreed = np.zeros(self.data if coding.scaled else 0, np.int32)
        self._lag = self.lead or (self.data if coding.passes == 2 else self.chunks)

    def start(self, first: int, index: int, values: int) -> None:
        """Gives it its place in the group's life. `values`: of a packet."""
        self.first, self.index = first, index
        self._octets = 4 * values
        rows = self.data if self.coding.passes == 2 else self._kept
        self._raw = bytearray(rows * self.coding.passes * self._octets)
        text = zlib.crc32(f"{index}/{self.name}".encode())
        self.signature = (text ^ text >> 16) & 0xFFFF

    def abandon(self) -> None:
        """Nobody wants the result. This member goes on taking part, or the others would wait; from a copy."""
        self.cancelled = True
        self._blocks.keep()

    def ready(self, done: int) -> int:
        """How many chunks can be prepared when the first `done` ones have their results."""
        return min(self._lag + done, self.chunks)

    def prepare(self, first: int, stop: int) -> Prepared:
        """What to contribute to chunks from `first` on, of which `stop` - 1 is the last: as many as are of one kind."""
        begin, offset = self._kind(first)
        stop = min(stop, begin)
        lead = first < self.lead
        low, high = first - offset, stop - offset  # the blocks, as numbered in a pass
        if not lead:
            change = np.flatnonzero(self._mine[low:high] != self._mine[low])
            high = low + int(change[0]) if len(change) else high
        count = high - low
        scales = np.zeros(count, np.int32)
        if self.coding.scaled:
            ahead = low if lead else low + self.lead
            known = self._blocks.rows(ahead, min(ahead + count, self.data))
            scales[: len(known)] = self.coding.scales(known) if len(known) else 0
        if lead:
            return Prepared(count, None, scales, np.full(count, EVERYBODY, np.uint16), np.zeros(count, bool))
        targets, answers = self._targets[low:high], self._answers[low:high]
        first_of_two = self.coding.passes == 2 and first < self.data
        if first_of_two:  # everybody needs the upper halves
            targets, answers = np.full(count, EVERYBODY, np.uint16), np.ones(count, bool)
        values = None
        if self._mine[low]:
            block = self._blocks.rows(low - self._mine_from, high - self._mine_from)
            if self.coding.passes == 2 and not first_of_two:
                values = self.coding.encode_second(block, self._rows(low, high))
            else:
                values = self.coding.encode(block, self._agreed[low:high])
        return Prepared(count, values, scales, targets, answers)

    def deliver(self, chunk: int, packet: bytes, at: int, scale: int) -> None:
        """Takes the result of a chunk, whose values, if it has any, stand at `at` in the packet."""
        if self.coding.scaled and chunk < self.data:
            self._agreed[chunk] = scale
        if len(packet) >= at + self._octets and chunk >= self.lead:
            block = chunk - self.lead
            row = block if block >= self.data or self.coding.passes == 2 else self._row[block]
            self._raw[row * self._octets : (row + 1) * self._octets] = packet[at : at + self._octets]

    def finish(self) -> None:
        """All chunks have their results: makes the caller's."""
        self.finished = True
        if self.error is not None or self.cancelled:
            self._raw = bytearray()
            return
        if self.saturated and self.coding.checked:
            chunk = self.saturated[0] - self.lead
            self.error = SaturatedError(
                f"{self.describe()}: a sum does not fit into 32 bits, in {len(self.saturated)} of {self.data} chunks, "
                f"first in chunk {chunk} (elements from {chunk * self.coding.elements} on)"
            )
        else:
            self.result = self._finish(self._decoded() if self._kept else None)
        self._raw, self._blocks = bytearray(), Blocks([], 1)  # the core keeps works a while

    def describe(self) -> str:
        """For people: name and number."""
        return f"{self.name} #{self.index}"

    def _kind(self, chunk: int) -> tuple[int, int]:
        """Where the part of the collective ends that a chunk is in, and where that part's blocks begin."""
        if chunk < self.lead:
            return self.lead, 0
        if self.coding.passes == 2 and chunk >= self.data:
            return self.chunks, self.data
        return self.lead + self.data, self.lead

    def _rows(self, first: int, stop: int) -> NDArray[Any]:
        size = self._octets
        return np.frombuffer(self._raw, ">i4", (stop - first) * size // 4, first * size).reshape(stop - first, -1)

    def _decoded(self) -> NDArray[Any]:
        """The elements of all blocks that this member wants, one block a row."""
        if self.coding.passes == 2:
            kept = np.flatnonzero(self._answers)
            both = self._rows(0, self.data)[kept], self._rows(self.data, 2 * self.data)[kept]
            return self.coding.decode(np.concatenate(both, axis=1), self._agreed)
        agreed = self._agreed[self._answers] if len(self._agreed) else self._agreed
        parts = []
        for first in range(0, self._kept, _DECODED_AT_ONCE):
            stop = min(first + _DECODED_AT_ONCE, self._kept)
            parts.append(self.coding.decode(self._rows(first, stop), agreed[first:stop]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
