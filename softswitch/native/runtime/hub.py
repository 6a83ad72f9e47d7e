"""The run loop: batches of packets for each switch in turn, all in machine code."""

from __future__ import annotations

from softswitch.native.runtime.buffers import buffer_release, buffer_take
from softswitch.native.runtime.events import event_room
from softswitch.native.runtime.links import activate, arrive
from softswitch.native.runtime.structs import (
    BUF_AREA,
    HEADROOM,
    HUB_ACTIVE_HEAD,
    HUB_ACTIVE_TAIL,
    HUB_TIME,
    SW_ACTIVE,
    SW_ACTIVE_NEXT,
    SW_CLOCK,
    SW_HUB,
    SW_NOW,
    SW_PROCESS,
    SW_RING_HEAD,
    SW_RING_TAIL,
)
from softswitch.native.words import call, copy, external, u64, word

BATCH = 32  # packets of one switch before the next has its turn
_EVENT_RESERVE = 4096  # events one batch may cause; the rest is lost
_CLOCK_MONOTONIC = 1


@external
def clock_gettime(clock: int, time: int) -> int:
    """Of the C library."""
    raise NotImplementedError


@word
def monotonic_ns(hub: int) -> int:
    """The machine's monotonic clock."""
    clock_gettime(_CLOCK_MONOTONIC, hub + HUB_TIME)
    return u64[hub + HUB_TIME] * 1000000000 + u64[hub + HUB_TIME + 8]


@word
def run(hub: int, budget: int) -> int:
    """Process packets until none is left, the budget is used up or Python has events to take; how many it were."""
    done = 0
    while u64[hub + HUB_ACTIVE_HEAD] != 0 and done < budget and event_room(hub) > _EVENT_RESERVE:
        switch = u64[hub + HUB_ACTIVE_HEAD]
        u64[hub + HUB_ACTIVE_HEAD] = u64[switch + SW_ACTIVE_NEXT]
        if u64[hub + HUB_ACTIVE_HEAD] == 0:
            u64[hub + HUB_ACTIVE_TAIL] = 0
        u64[switch + SW_ACTIVE] = 0
        now = u64[switch + SW_CLOCK]
        u64[switch + SW_NOW] = monotonic_ns(hub) if now == 0 else now
        done += call(u64[switch + SW_PROCESS], switch, min(BATCH, budget - done))
        if u64[switch + SW_ACTIVE] == 0 and u64[switch + SW_RING_HEAD] != u64[switch + SW_RING_TAIL]:
            activate(switch)
    return done


@word
def inject(switch: int, port: int, octets: int, length: int) -> int:
    """A packet from Python arrives at a port; 1 if it was taken, 0 if the ring is full."""
    buffer = buffer_take(u64[switch + SW_HUB], HEADROOM + length)
    if buffer == 0:
        return 0
    copy(buffer + BUF_AREA + HEADROOM, octets, length)
    return arrive(switch, port, buffer, buffer + BUF_AREA + HEADROOM, length)


@word
def release(hub: int, buffer: int) -> None:
    """Python has taken what it wants from a buffer."""
    buffer_release(hub, buffer)
