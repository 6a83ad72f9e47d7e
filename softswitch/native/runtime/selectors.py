"""Selector groups: the slot a hash chooses among those whose watched port is up."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    PORT_BYTES,
    PORT_COUNT,
    PORT_UP,
    S_COUNT,
    S_SLOTS,
    S_WATCHED,
    SLOT_BYTES,
    SLOT_MEMBER,
    SLOT_WATCH,
    SW_PORTS,
)
from softswitch.native.words import inline, u64, word


@inline
def is_passed_over(switch: int, slot: int) -> int:
    """Whether the port that a slot watches is down."""
    port = u64[slot + SLOT_WATCH]
    return port < PORT_COUNT and u64[u64[switch + SW_PORTS] + PORT_BYTES * port + PORT_UP] == 0


@word
def choose(switch: int, group: int, hashed: int) -> int:
    """The member for a hash, 0 when the group is empty or all its watched ports are down."""
    count = u64[group + S_COUNT]
    if count == 0:
        return 0
    slots = u64[group + S_SLOTS]
    if u64[group + S_WATCHED] == 0:
        return u64[slots + SLOT_BYTES * (hashed % count) + SLOT_MEMBER]
    active = 0
    for i in range(count):
        active += 1 - is_passed_over(switch, slots + SLOT_BYTES * i)
    if active == 0:
        return 0
    left = hashed % active
    for i in range(count):
        slot = slots + SLOT_BYTES * i
        if is_passed_over(switch, slot) == 0:
            if left == 0:
                return u64[slot + SLOT_MEMBER]
            left -= 1
    return 0
