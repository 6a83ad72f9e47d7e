"""Frames for a network interface to send, in memory shared with the kernel (AF_PACKET, TPACKET_V2, packet_mmap.rst)."""

from __future__ import annotations

from softswitch.native.runtime.structs import (
    PR_LOST,
    PR_PLAIN_SOCKET,
    PR_TX,
    PR_TX_AT,
    PR_TX_COUNT,
    PR_TX_OCTETS,
    PR_TX_SOCKET,
    PR_TX_WAITING,
)
from softswitch.native.words import copy, external, fence, u32, u64, word

_STATUS, _LENGTH, _DATA = 0, 4, 32  # struct tpacket2_hdr, and what is behind it
_SEND_REQUEST = 1
_FLAGS = 0x4040  # MSG_DONTWAIT, MSG_NOSIGNAL
_BATCH = 64  # frames sent at once


@external
def send(socket: int, data: int, octets: int, flags: int) -> int:
    """Of the C library."""
    raise NotImplementedError


@word
def ring_flush(ring: int) -> None:
    """Have the kernel send what is in the ring."""
    if u64[ring + PR_TX_WAITING] != 0:
        u64[ring + PR_TX_WAITING] = 0
        send(u64[ring + PR_TX_SOCKET], 0, 0, _FLAGS)


@word
def ring_send(ring: int, data: int, octets: int) -> None:
    """Put a packet into the ring; lost if there is no room."""
    if octets + _DATA > u64[ring + PR_TX_OCTETS]:
        ring_flush(ring)
        if send(u64[ring + PR_PLAIN_SOCKET], data, octets, _FLAGS) != octets:
            u64[ring + PR_LOST] += 1
        return
    at = u64[ring + PR_TX_AT]
    frame = u64[ring + PR_TX] + at * u64[ring + PR_TX_OCTETS]
    if u32[frame + _STATUS] != 0:
        ring_flush(ring)
        fence()
        if u32[frame + _STATUS] != 0:
            u64[ring + PR_LOST] += 1
            return
    copy(frame + _DATA, data, octets)
    u32[frame + _LENGTH] = octets
    fence()
    u32[frame + _STATUS] = _SEND_REQUEST
    at += 1
    u64[ring + PR_TX_AT] = 0 if at == u64[ring + PR_TX_COUNT] else at
    u64[ring + PR_TX_WAITING] += 1
    if u64[ring + PR_TX_WAITING] >= _BATCH:
        ring_flush(ring)
