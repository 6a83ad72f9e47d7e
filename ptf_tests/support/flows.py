"""Many flows, and how they spread."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Mapping
from math import sqrt
from typing import TypeVar

from scapy.packet import Packet

from ptf_tests.support.packets import udp

T = TypeVar("T", bound=Hashable)


def udp_flows(count: int, *, source: str = "10.0.0.1", subnet: str = "40.0") -> list[Packet]:
    """Packets of `count` UDP flows from `source` to hosts of the /16 `subnet`, alike but for hosts and ports."""
    chance = random.Random(count)
    flows: dict[tuple[str, int, int], Packet] = {}
    while len(flows) < count:
        host = f"{subnet}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        ports = chance.randrange(1024, 65536), chance.randrange(1024, 65536)
        flows[(host, *ports)] = udp(source, host, sport=ports[0], dport=ports[1])
    return list(flows.values())


def misfit(counts: Counter[T], shares: Mapping[T, int]) -> str | None:
    """Why `counts` are not the outcome of random choices in proportion to `shares`; None when they may well be.

    Each count may be off by five standard deviations of its binomial distribution: a sound hash of distinct flows stays
    within that, a wrong weight does not.
    """
    strangers = set(counts) - set(shares)
    if strangers:
        return f"{strangers} should get nothing: {dict(counts)}"
    flows, weights = counts.total(), sum(shares.values())
    for name, share in shares.items():
        expected = flows * share / weights
        tolerance = 5 * sqrt(expected * (1 - share / weights))
        if abs(counts[name] - expected) > tolerance:
            return f"{name} should get {expected:.0f} of {flows} flows, give or take {tolerance:.0f}: {dict(counts)}"
    return None
