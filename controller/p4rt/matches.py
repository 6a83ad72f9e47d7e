"""The ways a table entry can match a field of its table's key (P4Runtime section "Match Format")."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from controller.p4rt.values import Value, ValueLike, as_int, as_value, show


@dataclass(frozen=True, slots=True, init=False)
class Exact:
    """The field equals `value`."""

    value: Value

    def __init__(self, value: ValueLike) -> None:
        object.__setattr__(self, "value", as_value(value))

    def __str__(self) -> str:
        return show(self.value)


@dataclass(frozen=True, slots=True, init=False)
class Lpm:
    """The field's first `prefix_len` bits equal those of `value`, whose other bits are zero."""

    value: int
    prefix_len: int

    def __init__(self, value: ValueLike, prefix_len: int) -> None:
        object.__setattr__(self, "value", as_int(value))
        object.__setattr__(self, "prefix_len", prefix_len)

    @classmethod
    def network(cls, prefix: IPv4Network | IPv6Network) -> Lpm:
        """The match of an IP prefix."""
        return cls(prefix.network_address, prefix.prefixlen)

    def __str__(self) -> str:
        return f"{show(self.value)}/{self.prefix_len}"


@dataclass(frozen=True, slots=True, init=False)
class Ternary:
    """The field's bits under `mask` equal those of `value`, whose other bits are zero."""

    value: int
    mask: int

    def __init__(self, value: ValueLike, mask: ValueLike) -> None:
        object.__setattr__(self, "value", as_int(value))
        object.__setattr__(self, "mask", as_int(mask))

    def __str__(self) -> str:
        return f"{show(self.value)}&{show(self.mask)}"


@dataclass(frozen=True, slots=True, init=False)
class Range:
    """The field lies between `low` and `high`, both included."""

    low: int
    high: int

    def __init__(self, low: ValueLike, high: ValueLike) -> None:
        object.__setattr__(self, "low", as_int(low))
        object.__setattr__(self, "high", as_int(high))

    def __str__(self) -> str:
        return f"{show(self.low)}..{show(self.high)}"


@dataclass(frozen=True, slots=True, init=False)
class Optional:
    """The field equals `value`; leave the field out of the match to accept any."""

    value: Value

    def __init__(self, value: ValueLike) -> None:
        object.__setattr__(self, "value", as_value(value))

    def __str__(self) -> str:
        return show(self.value)


Match = Exact | Lpm | Ternary | Range | Optional
"""Any of them."""


def matches_all(match: Match) -> bool:
    """Whether `match` accepts every value, so that P4Runtime wants it left out."""
    return (isinstance(match, Lpm) and match.prefix_len == 0) or (isinstance(match, Ternary) and match.mask == 0)
