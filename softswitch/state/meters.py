"""Two-rate three-color meters (RFC 2698, color-blind).

As in bmv2, a bucket is filled in whole tokens counted from a fixed origin, so that rounding never adds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from softswitch.state.errors import InvalidEntry, OutOfRange

GREEN, YELLOW, RED = 0, 1, 2
_NS_PER_US = 1000
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Rates in bytes or packets per second, bursts in bytes or packets."""

    cir: int
    cburst: int
    pir: int
    pburst: int


class _Bucket:
    """Tokens of one rate."""

    __slots__ = ("burst", "filled", "rate", "tokens")

    def __init__(self, rate: int, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.filled = 0

    def take(self, amount: int, elapsed_us: int) -> bool:
        """Fill up to now, then take amount if there is enough."""
        produced = elapsed_us * self.rate // _US_PER_S
        self.tokens = min(self.burst, self.tokens + produced - self.filled)
        self.filled = produced
        if self.tokens < amount:
            return False
        self.tokens -= amount
        return True


class MeterCell:
    """One meter. Until it is configured every packet is green."""

    __slots__ = ("_committed", "_origin_ns", "_peak", "config", "unit")

    def __init__(self, unit: Literal["bytes", "packets"], now_ns: int) -> None:
        self.unit = unit
        self.config: MeterConfig | None = None
        self._origin_ns = now_ns
        self._peak = self._committed = _Bucket(0, 0)

    def set_config(self, cir: int, cburst: int, pir: int, pburst: int) -> None:
        """Set both rates and fill both buckets. InvalidEntry if a value is negative or pir < cir."""
        for name, value in (("cir", cir), ("cburst", cburst), ("pir", pir), ("pburst", pburst)):
            if value < 0:
                raise InvalidEntry(f"meter {name} {value} is negative")
        if pir < cir:
            raise InvalidEntry(f"meter pir {pir} is less than cir {cir}")
        self.config = MeterConfig(cir, cburst, pir, pburst)
        self._peak, self._committed = _Bucket(pir, pburst), _Bucket(cir, cburst)

    def reset(self) -> None:
        """Back to unconfigured."""
        self.config = None

    def execute(self, packet_bytes: int, now_ns: int) -> int:
        """Account a packet and return its color."""
        if self.config is None:
            return GREEN
        elapsed_us = (now_ns - self._origin_ns) // _NS_PER_US
        amount = packet_bytes if self.unit == "bytes" else 1
        if not self._peak.take(amount, elapsed_us):
            return RED
        if not self._committed.take(amount, elapsed_us):
            return YELLOW
        return GREEN


class MeterArray:
    """An array of meters; cells come into being when configured."""

    __slots__ = ("_cells", "_origin_ns", "name", "size", "unit")

    def __init__(self, name: str, size: int, unit: Literal["bytes", "packets"], now_ns: int) -> None:
        self.name = name
        self.size = size
        self.unit = unit
        self._origin_ns = now_ns
        self._cells: dict[int, MeterCell] = {}

    def _check(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise OutOfRange(f"meter {self.name}: index {index} not in 0..{self.size - 1}")

    def set_config(self, index: int, cir: int, cburst: int, pir: int, pburst: int) -> None:
        """Configure one meter. OutOfRange, InvalidEntry."""
        self._check(index)
        cell = self._cells.get(index) or MeterCell(self.unit, self._origin_ns)
        cell.set_config(cir, cburst, pir, pburst)
        self._cells[index] = cell

    def reset(self, index: int) -> None:
        """Back to unconfigured. OutOfRange."""
        self._check(index)
        self._cells.pop(index, None)

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
