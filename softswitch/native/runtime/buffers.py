"""Packet buffers, from free lists of two sizes; what is larger comes from the C library and returns there."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    BUF_AREA,
    BUF_CLASS,
    BUF_NEXT,
    BUF_REFERENCES,
    HUB_BUFFERS,
    HUB_LARGE,
    HUB_SMALL,
    LARGE_AREA,
    SLACK,
    SMALL_AREA,
)
from softswitch.native.words import external, inline, u64, word

_HUGE = 1 << 32


@external
def malloc(octets: int) -> int:
    """Of the C library."""
    raise NotImplementedError


@external
def free(address: int) -> int:
    """Of the C library."""
    raise NotImplementedError


@word
def buffer_new(hub: int, area: int, list_at: int) -> int:
    """A new buffer of one of the classes, or one of its own for list_at = _HUGE. 0 when memory is out."""
    buffer = malloc(BUF_AREA + area)
    if buffer != 0:
        u64[buffer + BUF_CLASS] = list_at
        u64[buffer + BUF_REFERENCES] = 1
        u64[hub + HUB_BUFFERS] += 1
    return buffer


@inline
def buffer_take(hub: int, octets: int) -> int:
    """A buffer for that many octets, headroom included; referred to once. 0 when memory is out."""
    octets = octets + SLACK
    if octets > LARGE_AREA:
        return buffer_new(hub, octets, _HUGE)
    list_at = HUB_SMALL if octets <= SMALL_AREA else HUB_LARGE
    buffer = u64[hub + list_at]
    if buffer == 0:
        return buffer_new(hub, SMALL_AREA if octets <= SMALL_AREA else LARGE_AREA, list_at)
    u64[hub + list_at] = u64[buffer + BUF_NEXT]
    u64[buffer + BUF_REFERENCES] = 1
    return buffer


@inline
def buffer_release(hub: int, buffer: int) -> None:
    """One reference less."""
    left = u64[buffer + BUF_REFERENCES] - 1
    u64[buffer + BUF_REFERENCES] = left
    if left == 0:
        list_at = u64[buffer + BUF_CLASS]
        if list_at == _HUGE:
            u64[hub + HUB_BUFFERS] -= 1
            free(buffer)
        else:
            u64[buffer + BUF_NEXT] = u64[hub + list_at]
            u64[hub + list_at] = buffer
