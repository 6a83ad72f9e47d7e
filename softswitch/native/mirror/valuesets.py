"""Parser value sets, once for each transition that asks one: the widths of its key decide the form."""

from __future__ import annotations

from softswitch.native.heap import Heap, write_octets, write_words
from softswitch.native.runtime.structs import V_MEMBERS
from softswitch.program.match import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary, prefix_mask
from softswitch.program.parser import ParseStateDef
from softswitch.state import ValueSet


class ValueSetMirror:
    """A value set as one transition sees it. address: of what the parser asks."""

    def __init__(self, values: ValueSet, state: ParseStateDef, heap: Heap) -> None:
        self._values = values
        self._widths = [part.width for part in state.key]
        self._octets = 8 * max((width + 63) // 64 for width in self._widths)
        self._heap = heap
        self._members = 0
        self.address = heap.take(V_MEMBERS + 8 + self._octets)
        self.changed()

    def changed(self) -> None:
        """The members are others."""
        members = [m for m in self._values.members if len(m) == len(self._widths)]
        octets = b"".join(self._encode(member) for member in members)
        old, self._members = self._members, self._heap.take(len(octets))
        write_octets(self._members, octets)
        write_words(self.address, len(members), self._members)
        if old:
            self._heap.give(old)

    def _encode(self, member: Match) -> bytes:
        return b"".join(
            number.to_bytes(self._octets, "little")
            for wanted, width in zip(member, self._widths, strict=True)
            for number in self._numbers(wanted, width)
        )

    def _numbers(self, wanted: MatchValue, width: int) -> tuple[int, int, int, int]:
        """Value, care mask, low and high."""
        ones = (1 << 8 * self._octets) - 1
        match wanted:
            case Exact(value) | Optional_(int(value)):
                return value, ones, 0, ones
            case Lpm(value, length):
                return value, prefix_mask(length, width), 0, ones
            case Ternary(value, mask):
                return value, mask, 0, ones
            case Range(low, high):
                return 0, 0, low, high
        return 0, 0, 0, ones
