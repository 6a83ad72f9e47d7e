"""The run loop: batches of packets for each switch in turn, all in machine code."""

from __future__ import annotations

from softswitch.native.runtime.buffers import buffer_release, buffer_take
from softswitch.native.runtime.events import event_room
from softswitch.native.runtime.links import activate, arrive
from softswitch.native.runtime.ring_receive import ring_receive
from softswitch.native.runtime.ring_send import ring_flush
from softswitch.native.runtime.structs import (
    BUF_AREA,
    HEADROOM,
    HUB_ACTIVE_HEAD,
    HUB_ACTIVE_TAIL,
    HUB_RINGS,
    HUB_TIME,
    PR_NEXT,
    SW_ACTIVE,
    SW_ACTIVE_NEXT,
    SW_CLOCK,
    SW_HUB,
    SW_NOW,
    SW_PROCESS,
    SW_RING_HEAD,
    SW_RING_TAIL,
)
from softswitch.native.words import call, copy, external, fence, u64, word

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
def rings_receive(hub: int) -> None:
    """Take frames of all network interfaces in."""
    ring = u64[hub + HUB_RINGS]
    while ring != 0:
        ring_receive(ring)
        ring = u64[ring + PR_NEXT]


@word
def rings_flush(hub: int) -> None:
    """Have all frames sent."""
    ring = u64[hub + HUB_RINGS]
    while ring != 0:
        ring_flush(ring)
        ring = u64[ring + PR_NEXT]


@word
def run(hub: int, budget: int) -> int:
    """Process packets until none is left, the budget is used up or Python has events to take; how many it were."""
    done = 0
    rings_receive(hub)
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
        if u64[hub + HUB_ACTIVE_HEAD] == 0:
            rings_flush(hub)
            rings_receive(hub)
    rings_flush(hub)
    return done


@word
def copy_often(target: int, source: int, octets: int, count: int) -> None:
    """The limit to compare with: a packet copied count times."""
    for _i in range(count):
        copy(target, source, octets)
        fence()


@word
def flood(switch: int, port: int, octets: int, length: int, count: int) -> int:
    """A generator for measurements: a packet arrives count times, and all that it causes is done."""
    done = 0
    while done < count:
        for _i in range(BATCH):
            inject(switch, port, octets, length)
        done += BATCH
        run(u64[switch + SW_HUB], -1)
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
