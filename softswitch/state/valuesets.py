"""Parser value sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from softswitch.program.match import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary, prefix_mask
from softswitch.program.stateful import ValueSetDef


def _matches(wanted: MatchValue, value: int, width: int, mask: int) -> bool:
    match wanted:
        case Exact(exact):
            return (value ^ exact) & mask == 0
        case Lpm(prefix, prefix_len):
            return (value ^ prefix) & mask & prefix_mask(prefix_len, width) == 0
        case Ternary(pattern, care):
            return (value ^ pattern) & mask & care == 0
        case Range(low, high):
            return low <= value & mask <= high
        case Optional_(optional):
            return optional is None or (value ^ optional) & mask == 0


class ValueSet:
    """Members are tuples of match values, one for each field of the set, in order."""

    __slots__ = ("definition", "members", "name", "observer")

    def __init__(self, definition: ValueSetDef) -> None:
        self.definition = definition
        self.name = definition.name
        self.members: tuple[Match, ...] = ()
        self.observer: Callable[[], None] | None = None

    def set_members(self, members: Iterable[Match]) -> None:
        """Replace all members."""
        self.members = tuple(members)
        if self.observer is not None:
            self.observer()

    def contains(self, values: Sequence[int], widths: Sequence[int], masks: Sequence[int]) -> bool:
        """Whether a member matches the parser's key. A member of another shape never does."""
        return any(
            len(member) == len(values) and all(map(_matches, member, values, widths, masks)) for member in self.members
        )

    def clear(self) -> None:
        """Remove all members."""
        self.set_members(())
