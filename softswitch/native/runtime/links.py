"""From switch to switch: rings of received packets, and what transmits into them."""

from __future__ import annotations

from softswitch.native.runtime.buffers import buffer_release
from softswitch.native.runtime.events import event_put
from softswitch.native.runtime.ring_send import ring_send
from softswitch.native.runtime.structs import (
    DESC_BUFFER,
    DESC_DATA,
    DESC_LENGTH,
    DESC_PORT,
    DESCRIPTOR_BYTES,
    HUB_ACTIVE_HEAD,
    HUB_ACTIVE_TAIL,
    LINK,
    OUTPUT,
    PORT_BYTES,
    PORT_COUNT,
    PORT_KIND,
    PORT_LOST,
    PORT_PEER,
    PORT_PEER_PORT,
    PORT_RX_BYTES,
    PORT_RX_PACKETS,
    PORT_TX_BYTES,
    PORT_TX_PACKETS,
    RING,
    SW_ACTIVE,
    SW_ACTIVE_NEXT,
    SW_COLLECT,
    SW_CPU_PORT,
    SW_HUB,
    SW_PORTS,
    SW_RING,
    SW_RING_HEAD,
    SW_RING_MASK,
    SW_RING_TAIL,
    SW_UNSENT,
    TO_PYTHON,
)
from softswitch.native.words import inline, u64, word


@inline
def enqueue(switch: int, port: int, buffer: int, data: int, octets: int) -> int:
    """A packet arrives at a switch; 0 if its ring is full. The reference to the buffer goes along."""
    tail = u64[switch + SW_RING_TAIL]
    if tail - u64[switch + SW_RING_HEAD] > u64[switch + SW_RING_MASK]:
        return 0
    descriptor = u64[switch + SW_RING] + DESCRIPTOR_BYTES * (tail & u64[switch + SW_RING_MASK])
    u64[descriptor + DESC_BUFFER] = buffer
    u64[descriptor + DESC_DATA] = data
    u64[descriptor + DESC_LENGTH] = octets
    u64[descriptor + DESC_PORT] = port
    u64[switch + SW_RING_TAIL] = tail + 1
    if u64[switch + SW_ACTIVE] == 0:
        activate(switch)
    return 1


@word
def activate(switch: int) -> None:
    """Put a switch in the list of those that have something to do."""
    hub = u64[switch + SW_HUB]
    u64[switch + SW_ACTIVE] = 1
    u64[switch + SW_ACTIVE_NEXT] = 0
    if u64[hub + HUB_ACTIVE_TAIL] == 0:
        u64[hub + HUB_ACTIVE_HEAD] = switch
    else:
        u64[u64[hub + HUB_ACTIVE_TAIL] + SW_ACTIVE_NEXT] = switch
    u64[hub + HUB_ACTIVE_TAIL] = switch


@word
def arrive(switch: int, port: int, buffer: int, data: int, octets: int) -> int:
    """A packet arrives at a port: counted, and lost if the ring is full. Whether it was taken."""
    at = u64[switch + SW_PORTS] + PORT_BYTES * port
    u64[at + PORT_RX_PACKETS] += 1
    u64[at + PORT_RX_BYTES] += octets
    if enqueue(switch, port, buffer, data, octets) == 0:
        u64[at + PORT_LOST] += 1
        buffer_release(u64[switch + SW_HUB], buffer)
        return 0
    return 1


@word
def transmit(switch: int, port: int, buffer: int, data: int, octets: int) -> None:
    """A packet leaves a switch. The reference to the buffer goes along."""
    if u64[switch + SW_COLLECT] != 0 or port == u64[switch + SW_CPU_PORT]:
        if event_put(switch, OUTPUT, port, buffer, data, octets, 0) == 0:
            buffer_release(u64[switch + SW_HUB], buffer)
        return
    kind = 0
    at = u64[switch + SW_PORTS]
    if port < PORT_COUNT:
        at += PORT_BYTES * port
        kind = u64[at + PORT_KIND]
    if kind == 0:
        u64[switch + SW_UNSENT] += 1
        buffer_release(u64[switch + SW_HUB], buffer)
        return
    u64[at + PORT_TX_PACKETS] += 1
    u64[at + PORT_TX_BYTES] += octets
    if kind == LINK:
        arrive(u64[at + PORT_PEER], u64[at + PORT_PEER_PORT], buffer, data, octets)
    elif kind == RING:
        ring_send(u64[at + PORT_PEER], data, octets)
        buffer_release(u64[switch + SW_HUB], buffer)
    elif kind != TO_PYTHON or event_put(switch, OUTPUT, port, buffer, data, octets, 0) == 0:
        buffer_release(u64[switch + SW_HUB], buffer)
