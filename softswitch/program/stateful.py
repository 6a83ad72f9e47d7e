"""Objects that keep state from packet to packet: counters, meters, registers, value sets; and digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from softswitch.program.headers import FieldRef


@dataclass(frozen=True, slots=True, eq=False)
class CounterDef:
    """A counter array; a direct one has a cell for each entry of its table."""

    name: str
    id: int
    size: int
    direct: bool
    table: str | None


@dataclass(frozen=True, slots=True, eq=False)
class MeterDef:
    """A meter array, two rates and three colors when rate_count is 2.

    result: where a direct meter leaves the color (0 green, 1 yellow, 2 red)
    """

    name: str
    id: int
    size: int
    unit: Literal["bytes", "packets"]
    rate_count: int
    direct: bool
    table: str | None
    result: FieldRef | None


@dataclass(frozen=True, slots=True, eq=False)
class RegisterDef:
    """A register array of ``size`` cells, each ``width`` bits."""

    name: str
    id: int
    size: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class ValueSetDef:
    """A parser value set; width is the sum of its fields' bits, without padding."""

    name: str
    id: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class DigestDef:
    """A digest (bmv2: learn list): the fields sampled for the control plane."""

    name: str
    id: int
    fields: tuple[FieldRef, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FieldListDef:
    """Metadata fields kept by clone, resubmit and recirculate."""

    id: int
    name: str
    fields: tuple[FieldRef, ...]
