"""Network interfaces of the machine, through raw sockets (Linux AF_PACKET, needs CAP_NET_RAW).

The interface is put into promiscuous mode. Packets that the machine itself sends on it are not received. A
VLAN tag that the kernel has taken out of a packet is put back.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import socket
import struct

from softswitch.ports.base import Receive
from softswitch.ports.sockets import BUFFER_OCTETS, MAX_PACKET, SocketReader, send_or_lose

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 1, 8, 23
_PACKET_MR_PROMISC = 1
_PACKET_OUTGOING = 4
_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # a classic BPF program
_AUXDATA = struct.Struct("IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid
_STATUS_VLAN_VALID, _STATUS_VLAN_TPID_VALID = 0x10, 0x40
_VLAN_AT = 12  # octets of the two addresses, the tag stands behind them
_ANCILLARY = socket.CMSG_SPACE(_AUXDATA.size)


class InterfacePort:
    """A network interface."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._socket: socket.socket | None = None
        self._reader: SocketReader | None = None
        self._receiving = True
        self.lost = 0

    @property
    def name(self) -> str:
        """The interface."""
        return self._interface

    @property
    def is_up(self) -> bool:
        """Whether the interface is up and has a carrier."""
        if self._socket is None:
            return False
        request = struct.pack("16sH14x", self._interface.encode(), 0)
        try:
            answer = fcntl.ioctl(self._socket.fileno(), _SIOCGIFFLAGS, request)
        except OSError:
            return False
        flags: int = struct.unpack_from("H", answer, 16)[0]
        return flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING

    def open(self, receive: Receive) -> None:
        """Begin to receive, in the running event loop. OSError: no such interface, or no permission."""
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            with contextlib.suppress(OSError):  # Linux before 4.20; _take() passes such packets over
                sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
            index = socket.if_nametoindex(self._interface)
            promiscuous = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
            sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, promiscuous)
            sock.bind((self._interface, _ETH_P_ALL))
            self._reader = SocketReader(self._interface, sock, receive, _take, self.close)
        except BaseException:
            sock.close()
            raise
        self._socket = sock

    @property
    def socket(self) -> socket.socket | None:
        """The socket while it is open."""
        return self._socket

    def set_receiving(self, on: bool) -> None:
        """Whether this socket receives, or somebody else does so for it; it can send all the same."""
        if self._socket is not None and self._reader is not None and self._receiving != on:
            self._receiving = on
            if on:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            else:
                program = ctypes.create_string_buffer(_RETURN_NOTHING)
                fprog = struct.pack("HL", 1, ctypes.addressof(program))
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)

    def close(self) -> None:
        """Cease to receive and leave promiscuous mode."""
        if self._reader is not None:
            self._reader.close()
        self._reader = self._socket = None

    def send(self, packet: bytes) -> None:
        """Send; lost if the interface does not take it at once."""
        if self._socket is None or not send_or_lose(self._socket, packet):
            self.lost += 1


def _take(sock: socket.socket) -> bytes | None:
    packet, ancillary, _flags, address = sock.recvmsg(MAX_PACKET, _ANCILLARY)
    if address[2] == _PACKET_OUTGOING:
        return None
    for level, kind, data in ancillary:
        if level == _SOL_PACKET and kind == _PACKET_AUXDATA and len(data) >= _AUXDATA.size:
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
            if status & _STATUS_VLAN_VALID:
                tpid = tpid if status & _STATUS_VLAN_TPID_VALID else 0x8100
                tag = struct.pack("!HH", tpid, tci)
                return packet[:_VLAN_AT] + tag + packet[_VLAN_AT:]
    return packet
