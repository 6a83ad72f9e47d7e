"""A kernel socket for LISP control messages: bound to one address, and deaf to what RFC 9301 section 5 refuses.

Every control message has a UDP checksum, and one without or with a wrong one is dropped (PR-UDP-1). The kernel
computes the checksum of what is sent and verifies the checksum of what arrives, but over IPv4 it takes a checksum of
zero for "none" and lets the datagram in. A classic BPF program on the socket looks at that field before the datagram
is queued: a filter of a UDP socket sees the UDP header. It needs no privilege, and what it refuses costs no system
call here. Over IPv6 the kernel refuses zero by itself (RFC 8200 section 8.1).
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from controller.lisp import Endpoint

# Of Linux's socket.h, where the standard library has no name for it.
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55

_MEMINFO: Final = struct.Struct("=9I")
_MEMINFO_DROPS: Final = 8

Instruction: TypeAlias = tuple[int, int, int, int]
"""Of a BPF program: code, jump if true, jump if false, operand (linux/filter.h)."""

_CHECKSUM_OFFSET: Final = 6  # octets into the UDP header
_REQUIRE_CHECKSUM: Final = (
    (0x28, 0, 0, _CHECKSUM_OFFSET),  # ldh [6]
    (0x15, 0, 1, 0),  # jeq #0
    (0x06, 0, 0, 0),  # ret #0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: the whole datagram
)


def open_control_socket(endpoint: Endpoint, *, reuse_port: bool, receive_buffer: int) -> socket.socket:
    """Return a non-blocking UDP socket bound to `endpoint`, an address of this host.

    `reuse_port`: other sockets may be bound there too, and the kernel spreads the senders over them.
    `receive_buffer`: octets that may wait in the kernel; more only as root than the system's `rmem_max`.

    Raises OSError, which names the endpoint.
    """
    version = endpoint.address.version
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
        _require_checksum(sock)  # before the bind, so that nothing slips in between
        sock.bind((str(endpoint.address), endpoint.port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen at {endpoint}: {error.strerror}") from None
    return sock


def kernel_drops(sock: socket.socket) -> int:
    """How many datagrams the kernel dropped at this socket: no room in its buffer, or no checksum.

    Datagrams with a wrong checksum are usually dropped before their socket is looked up, and show only in the
    host's own counter, `InCsumErrors` in /proc/net/snmp.
    """
    drops: int = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_MEMINFO_DROPS]
    return drops


def _require_checksum(sock: socket.socket) -> None:
    attach_program(sock, _SO_ATTACH_FILTER, _REQUIRE_CHECKSUM)


def attach_program(sock: socket.socket, option: int, instructions: Sequence[Instruction]) -> None:
    """Give a socket a classic BPF program by one of the options that take one. Raises OSError if it is refused."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    octets = ctypes.create_string_buffer(program, len(program))  # must live until the kernel has copied it
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", len(instructions), ctypes.addressof(octets)))
