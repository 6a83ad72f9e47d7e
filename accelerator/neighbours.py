"""Which interface leads to a router, by the kernel's neighbour table over netlink (rtnetlink(7)); without privilege."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NDA_LLADDR = 2
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_NEIGHBOUR = struct.Struct("=BxHiHBB")  # family, padding, interface, state, flags, type
_ATTRIBUTE = struct.Struct("=HH")  # length, type


def interface_to(mac: bytes) -> str | None:
    """The name of the interface on which `mac` (six octets) is a neighbour; None if it is on none. Raises OSError."""
    return next((socket.if_indextoname(index) for index, found in _neighbours() if found == mac), None)


def _neighbours() -> Iterator[tuple[int, bytes]]:
    """Of both IP versions: number of the interface, and link-layer address."""
    request = _NEIGHBOUR.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0)
    header = _HEADER.pack(_HEADER.size + len(request), _RTM_GETNEIGH, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(header + request)
        while True:
            answer, at = sock.recv(1 << 16), 0
            while at < len(answer):
                length, kind, *_ = _HEADER.unpack_from(answer, at)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    return
                if kind == _RTM_NEWNEIGH:
                    yield from _lladdr(answer[at + _HEADER.size : at + length])
                at += -(-length // 4) * 4


def _lladdr(message: bytes) -> Iterator[tuple[int, bytes]]:
    _, _, index, *_ = _NEIGHBOUR.unpack_from(message)
    at = _NEIGHBOUR.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _NDA_LLADDR:
            yield index, message[at + _ATTRIBUTE.size : at + length]
        at += max(-(-length // 4) * 4, _ATTRIBUTE.size)
