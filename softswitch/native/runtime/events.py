"""Events for Python, in a ring of the hub: packets for ports that Python serves, digests, messages, traces."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    EV_BUFFER,
    EV_DATA,
    EV_KIND,
    EV_LENGTH,
    EV_OTHER,
    EV_PORT,
    EV_SWITCH,
    EVENT_BYTES,
    HUB_EVENT_HEAD,
    HUB_EVENT_MASK,
    HUB_EVENT_TAIL,
    HUB_EVENTS,
    HUB_EVENTS_LOST,
    SW_HUB,
    SW_INDEX,
)
from softswitch.native.words import u64, word


@word
def event_room(hub: int) -> int:
    """How many events the ring still takes."""
    return u64[hub + HUB_EVENT_MASK] + 1 - (u64[hub + HUB_EVENT_TAIL] - u64[hub + HUB_EVENT_HEAD])


@word
def event_put(switch: int, kind: int, port: int, buffer: int, data: int, octets: int, other: int) -> int:
    """Append an event, which takes over the reference to the buffer. 0 if there is no room."""
    hub = u64[switch + SW_HUB]
    tail = u64[hub + HUB_EVENT_TAIL]
    if tail - u64[hub + HUB_EVENT_HEAD] > u64[hub + HUB_EVENT_MASK]:
        u64[hub + HUB_EVENTS_LOST] += 1
        return 0
    event = u64[hub + HUB_EVENTS] + EVENT_BYTES * (tail & u64[hub + HUB_EVENT_MASK])
    u64[event + EV_KIND] = kind
    u64[event + EV_SWITCH] = u64[switch + SW_INDEX]
    u64[event + EV_PORT] = port
    u64[event + EV_BUFFER] = buffer
    u64[event + EV_DATA] = data
    u64[event + EV_LENGTH] = octets
    u64[event + EV_OTHER] = other
    u64[hub + HUB_EVENT_TAIL] = tail + 1
    return 1
