"""Two-rate three-color meters (RFC 2698, color-blind).

As in bmv2, a bucket is filled in whole tokens counted from a fixed origin, so that rounding never adds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from softswitch.state.errors import InvalidEntry, OutOfRange
from softswitch.state.memory import METER_WORDS, Cell, Memory

GREEN, YELLOW, RED = 0, 1, 2
MAX_RATE: Final = 1 << 44  # of a meter and of its burst, so that a second's tokens fit a word
_NS_PER_US = 1000
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Rates in bytes or packets per second, bursts in bytes or packets."""

    cir: int
    cburst: int
    pir: int
    pburst: int


# Words of a cell: whether it is configured, its origin in ns, and two buckets of four words.
_CONFIGURED, _ORIGIN, _PEAK, _COMMITTED = 0, 1, 2, 6
_RATE, _BURST, _TOKENS, _FILLED = range(4)


def _take(bucket: Cell, amount: int, elapsed_us: int) -> bool:
    """Fill a bucket up to now, then take amount if there is enough."""
    produced = elapsed_us * bucket[_RATE] // _US_PER_S
    tokens = min(bucket[_BURST], bucket[_TOKENS] + produced - bucket[_FILLED])
    enough = tokens >= amount
    bucket[_TOKENS] = tokens - amount if enough else tokens
    bucket[_FILLED] = produced
    return enough


class MeterCell:
    """One meter, in words of a memory. Until it is configured every packet is green."""

    __slots__ = ("cell", "unit")

    def __init__(self, unit: Literal["bytes", "packets"], now_ns: int, cell: Cell | None = None) -> None:
        self.unit = unit
        self.cell = Cell(Memory(8 * METER_WORDS), 0) if cell is None else cell
        self.cell.fill([0, now_ns])

    @property
    def config(self) -> MeterConfig | None:
        """Rates and bursts, None when unconfigured."""
        cell = self.cell
        if not cell[_CONFIGURED]:
            return None
        return MeterConfig(
            cell[_COMMITTED + _RATE], cell[_COMMITTED + _BURST], cell[_PEAK + _RATE], cell[_PEAK + _BURST]
        )

    def set_config(self, cir: int, cburst: int, pir: int, pburst: int) -> None:
        """Set both rates and fill both buckets. InvalidEntry if a value is out of range or pir < cir."""
        for name, value in (("cir", cir), ("cburst", cburst), ("pir", pir), ("pburst", pburst)):
            if value < 0:
                raise InvalidEntry(f"meter {name} {value} is negative")
            if value >= 1 << 63 or (name in ("cir", "pir") and value > MAX_RATE):
                raise InvalidEntry(f"meter {name} {value} is too large, the limit is {MAX_RATE}")
        if pir < cir:
            raise InvalidEntry(f"meter pir {pir} is less than cir {cir}")
        self.cell.part(_PEAK).fill([pir, pburst, pburst, 0])
        self.cell.part(_COMMITTED).fill([cir, cburst, cburst, 0])
        self.cell[_CONFIGURED] = 1

    def reset(self) -> None:
        """Back to unconfigured."""
        self.cell[_CONFIGURED] = 0

    def __copy__(self) -> MeterCell:
        copied = MeterCell(self.unit, 0)
        copied.copy_from(self)
        return copied

    def copy_from(self, other: MeterCell) -> None:
        """Take over the state of another meter."""
        self.cell.fill(other.cell.words(METER_WORDS))

    def execute(self, packet_bytes: int, now_ns: int) -> int:
        """Account a packet and return its color."""
        if not self.cell[_CONFIGURED]:
            return GREEN
        elapsed_us = (now_ns - self.cell[_ORIGIN]) // _NS_PER_US
        amount = packet_bytes if self.unit == "bytes" else 1
        if not _take(self.cell.part(_PEAK), amount, elapsed_us):
            return RED
        if not _take(self.cell.part(_COMMITTED), amount, elapsed_us):
            return YELLOW
        return GREEN


class MeterArray:
    """An array of meters in one piece of memory."""

    __slots__ = ("_cells", "_origin_ns", "memory", "name", "size", "unit")

    def __init__(self, name: str, size: int, unit: Literal["bytes", "packets"], now_ns: int) -> None:
        self.name = name
        self.size = size
        self.unit = unit
        self.memory = Memory(8 * METER_WORDS * size)
        self._origin_ns = now_ns
        self._cells: dict[int, MeterCell] = {}

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"meter {self.name}: index {index} not in 0..{self.size - 1}")

    def set_config(self, index: int, cir: int, cburst: int, pir: int, pburst: int) -> None:
        """Configure one meter. OutOfRange, InvalidEntry."""
        self._check(index)
        cell = self._cells.get(index)
        if cell is None:
            cell = MeterCell(self.unit, self._origin_ns, Cell(self.memory, METER_WORDS * index))
        cell.set_config(cir, cburst, pir, pburst)
        self._cells[index] = cell

    def reset(self, index: int) -> None:
        """Back to unconfigured. OutOfRange."""
        self._check(index)
        cell = self._cells.pop(index, None)
        if cell is not None:
            cell.reset()

    def read(self, index: int) -> MeterConfig | None:
        """The configuration, None when unconfigured. OutOfRange."""
        self._check(index)
        cell = self._cells.get(index)
        return cell.config if cell else None

    def execute(self, index: int, packet_bytes: int, now_ns: int) -> int:
        """For the data plane: account a packet and return its color."""
        cell = self._cells.get(index)
        return cell.execute(packet_bytes, now_ns) if cell else GREEN

    def clear(self) -> None:
        """Back to unconfigured, all of them."""
        self._cells.clear()
        self.memory.clear()
