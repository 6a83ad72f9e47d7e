"""Table entries and what they refer to."""

from __future__ import annotations

from dataclasses import dataclass

from softswitch.program.match import Match
from softswitch.state.memory import CELL_WORDS, Cell, detached
from softswitch.state.meters import MeterCell


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action of a table, by name, with its run-time parameters as non-negative integers."""

    name: str
    params: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberRef:
    """A member of the table's action profile."""

    id: int


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A group of the table's action selector."""

    id: int


Target = ActionCall | MemberRef | GroupRef


_PACKETS, _BYTES, _LAST_HIT = range(CELL_WORDS)


class Entry:
    """An installed entry.

    priority:        larger wins; 0 in exact and lpm tables
    handle:          order of allocation, breaks ties between equal priorities
    idle_timeout_ns: 0 for never
    cell:            words that the data plane writes: packets, bytes, time of the last hit, and the direct meter
    """

    __slots__ = ("_meter", "cell", "handle", "idle_timeout_ns", "match", "priority", "target")

    def __init__(
        self, match: Match, priority: int, target: Target, handle: int, cell: Cell, meter: MeterCell | None = None
    ) -> None:
        self.match = match
        self.priority = priority
        self.target = target
        self.handle = handle
        self.idle_timeout_ns = 0
        self.cell = cell
        self._meter = meter

    def __repr__(self) -> str:
        return f"Entry({self.match}, priority={self.priority}, {self.target}, handle={self.handle})"

    @property
    def packets(self) -> int:
        """Direct counter: packets."""
        return self.cell[_PACKETS]

    @packets.setter
    def packets(self, value: int) -> None:
        self.cell[_PACKETS] = value

    @property
    def bytes(self) -> int:
        """Direct counter: octets."""
        return self.cell[_BYTES]

    @bytes.setter
    def bytes(self, value: int) -> None:
        self.cell[_BYTES] = value

    @property
    def last_hit_ns(self) -> int:
        """Clock of the switch at the last hit, or at insertion."""
        return self.cell[_LAST_HIT]

    @last_hit_ns.setter
    def last_hit_ns(self, value: int) -> None:
        self.cell[_LAST_HIT] = value

    @property
    def meter(self) -> MeterCell | None:
        """Direct meter, None unless the table has one. Setting it takes over the state of another meter."""
        return self._meter

    @meter.setter
    def meter(self, value: MeterCell | None) -> None:
        if self._meter is not None and value is not None:
            self._meter.copy_from(value)

    def detach(self, words: int) -> None:
        """The entry leaves its table: it keeps what was counted, its cell will be another entry's."""
        self.cell = detached(self.cell.words(words))
        if self._meter is not None:
            self._meter.cell = self.cell.part(CELL_WORDS)
