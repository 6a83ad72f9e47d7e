"""Frames that an interface has received, in memory shared with the kernel (AF_PACKET, TPACKET_V2, packet_mmap.rst).

A frame that was cut because it is larger than the frames of the ring is fetched whole from the socket, where the kernel
keeps a copy. A VLAN tag that the kernel has taken out is put back.
"""

from __future__ import annotations

from softswitch.native.runtime.buffers import buffer_release, buffer_take
from softswitch.native.runtime.links import arrive
from softswitch.native.runtime.structs import (
    BUF_AREA,
    HEADROOM,
    PR_LOST,
    PR_PORT,
    PR_RX,
    PR_RX_AT,
    PR_RX_COUNT,
    PR_RX_OCTETS,
    PR_RX_SOCKET,
    PR_SWITCH,
    SW_HUB,
    SW_RING_HEAD,
    SW_RING_MASK,
    SW_RING_TAIL,
)
from softswitch.native.words import copy, external, fence, swap, u8, u16, u32, u64, word

# struct tpacket2_hdr, and the sockaddr_ll behind it
_STATUS, _LENGTH, _SNAPPED, _MAC, _TCI, _TPID = 0, 4, 8, 12, 24, 26
_PACKET_TYPE = 32 + 10
_TO_USER, _COPIED, _VLAN_VALID, _TPID_VALID = 1, 2, 0x10, 0x40
_OUTGOING = 4
_DONT_WAIT = 0x40
_VLAN_AT = 12  # octets of the two addresses, the tag stands behind them
_LARGEST = 1 << 17
_BATCH = 64  # frames taken at once


@external
def recv(socket: int, data: int, octets: int, flags: int) -> int:
    """Of the C library."""
    raise NotImplementedError


@word
def ring_receive(ring: int) -> int:
    """Take frames in, as far as the switch has room; how many."""
    switch = u64[ring + PR_SWITCH]
    room = u64[switch + SW_RING_MASK] + 1 - (u64[switch + SW_RING_TAIL] - u64[switch + SW_RING_HEAD])
    taken = 0
    while taken < min(room, _BATCH):
        at = u64[ring + PR_RX_AT]
        frame = u64[ring + PR_RX] + at * u64[ring + PR_RX_OCTETS]
        status = u32[frame + _STATUS]
        if status & _TO_USER == 0:
            return taken
        fence()
        if u8[frame + _PACKET_TYPE] != _OUTGOING:
            frame_take(ring, switch, frame, status)
        fence()
        u32[frame + _STATUS] = 0
        at += 1
        u64[ring + PR_RX_AT] = 0 if at == u64[ring + PR_RX_COUNT] else at
        taken += 1
    return taken


@word
def frame_take(ring: int, switch: int, frame: int, status: int) -> None:
    """One received frame."""
    hub = u64[switch + SW_HUB]
    octets = u32[frame + _SNAPPED]
    whole = u32[frame + _LENGTH]
    buffer = 0
    if octets == whole:
        buffer = buffer_take(hub, HEADROOM + octets)
        data = buffer + BUF_AREA + HEADROOM
        if buffer != 0:
            copy(data, frame + u16[frame + _MAC], octets)
    elif status & _COPIED:
        buffer = buffer_take(hub, HEADROOM + _LARGEST)
        data = buffer + BUF_AREA + HEADROOM
        if buffer != 0:
            octets = recv(u64[ring + PR_RX_SOCKET], data, _LARGEST, _DONT_WAIT) & 0xFFFFFFFF
            if octets > _LARGEST:
                buffer_release(hub, buffer)
                buffer = 0
    if buffer == 0:
        u64[ring + PR_LOST] += 1
        return
    if status & _VLAN_VALID and octets >= _VLAN_AT:
        data -= 4
        u64[data] = u64[data + 4]
        u32[data + 8] = u32[data + 12]
        u16[data + _VLAN_AT] = swap(u16[frame + _TPID] if status & _TPID_VALID else 0x8100, 16)
        u16[data + _VLAN_AT + 2] = swap(u16[frame + _TCI], 16)
        octets += 4
    arrive(switch, u64[ring + PR_PORT], buffer, data, octets)
