"""The sockets behind a network interface's packet rings; frames are moved by machine code."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import mmap
import socket
import struct
from typing import Final

from softswitch.native.heap import read_word, write_words
from softswitch.native.hub import Hub
from softswitch.native.runtime.structs import (
    PR_BYTES,
    PR_LOST,
    PR_PLAIN_SOCKET,
    PR_PORT,
    PR_RX,
    PR_SWITCH,
    PR_TX,
)
from softswitch.state.memory import Memory

_SOL_PACKET: Final = 263
_RX_RING, _COPY_THRESH, _VERSION, _TX_RING, _LOSS, _IGNORE_OUTGOING = 5, 7, 10, 13, 14, 23
_TPACKET_V2: Final = 1
_ETH_P_ALL: Final = 0x0003
_SIOCGIFMTU: Final = 0x8921
_REQUEST: Final = struct.Struct("IIII")  # tp_block_size, tp_block_nr, tp_frame_size, tp_frame_nr
_BLOCK: Final = 1 << 18
_RING_OCTETS: Final = 1 << 22  # of each direction
_OVERHEAD: Final = 128  # of a frame: its header, addresses, a VLAN tag


class PacketRings:
    """Rings of one interface, in the service of a port of a native switch.

    plain: a socket on the interface, for packets that are larger than a frame
    """

    def __init__(self, interface: str, plain: socket.socket, hub: Hub, switch: int, port: int) -> None:
        """OSError if the kernel refuses."""
        self._hub = hub
        self._memory = Memory(PR_BYTES)
        self.address = self._memory.address
        frame = 1 << (_mtu(plain, interface) + _OVERHEAD - 1).bit_length()
        frame = min(max(frame, 2048), 1 << 16)
        self._receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._receiver.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            self._receiver.setsockopt(_SOL_PACKET, _COPY_THRESH, 1)
            self._rx = self._ring(self._receiver, _RX_RING, frame)
            self._sender.setsockopt(_SOL_PACKET, _LOSS, 1)
            self._tx = self._ring(self._sender, _TX_RING, frame)
            self._sender.bind((interface, 0))
            self._receiver.bind((interface, _ETH_P_ALL))
        except BaseException:
            self._receiver.close()
            self._sender.close()
            raise
        for offset, ring in ((PR_RX, self._rx), (PR_TX, self._tx)):
            address = ctypes.addressof(ctypes.c_char.from_buffer(ring))
            write_words(self.address + offset, address, _RING_OCTETS // frame, frame, 0)
        write_words(self.address + PR_SWITCH, switch)
        write_words(self.address + PR_PORT, port)
        sockets = (self._receiver, self._sender, plain)
        write_words(self.address + PR_PLAIN_SOCKET - 16, *(s.fileno() for s in sockets))
        hub.add_ring(self.address)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._receiver.fileno(), self._readable)

    @property
    def lost(self) -> int:
        """Packets for which there was no room."""
        return read_word(self.address + PR_LOST)

    def close(self) -> None:
        """The hub does not know the interface any longer."""
        self._hub.remove_ring(self.address)
        self._loop.remove_reader(self._receiver.fileno())
        self._receiver.close()
        self._sender.close()

    def _readable(self) -> None:
        self._receiver.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # or an interface that went down wakes for ever
        self._hub.kick(rings=True)

    @staticmethod
    def _ring(sock: socket.socket, option: int, frame: int) -> mmap.mmap:
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        sock.setsockopt(
            _SOL_PACKET, option, _REQUEST.pack(_BLOCK, _RING_OCTETS // _BLOCK, frame, _RING_OCTETS // frame)
        )
        return mmap.mmap(sock.fileno(), _RING_OCTETS)


def _mtu(sock: socket.socket, interface: str) -> int:
    answer = fcntl.ioctl(sock.fileno(), _SIOCGIFMTU, struct.pack("16sI12x", interface.encode(), 0))
    mtu: int = struct.unpack_from("I", answer, 16)[0]
    return mtu
