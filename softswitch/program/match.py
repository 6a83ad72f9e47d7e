"""What a table entry asks of one key field.

Values are non-negative integers of the field's width; a signed field is compared in two's complement.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exact:
    """The field equals value."""

    value: int


@dataclass(frozen=True, slots=True)
class Lpm:
    """The first prefix_len bits equal those of value; prefix_len 0 matches everything."""

    value: int
    prefix_len: int


@dataclass(frozen=True, slots=True)
class Ternary:
    """The field equals value in every bit that is set in mask; mask 0 matches everything."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Range:
    """low <= field <= high."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Optional_:  # noqa: N801 - typing.Optional is taken
    """The field equals value; None matches everything."""

    value: int | None


MatchValue = Exact | Lpm | Ternary | Range | Optional_
Match = tuple[MatchValue, ...]


def prefix_mask(length: int, width: int) -> int:
    """The first length bits of a field of that width."""
    return ((1 << length) - 1) << (width - length)
