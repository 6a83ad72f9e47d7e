"""Many datagrams in one system call: Linux's recvmmsg(2) and sendmmsg(2), which the standard library does not have.

A system call for each datagram is nearly half of the time that a small control message takes here.
Socket addresses stay octets, as the kernel has them: whoever keeps them can compare and reuse them at no cost.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from controller.lisp import Datagram, Endpoint
from controller.lisp.compiled import compiled

SEND_ROOM: Final = 2048
"""Octets of the largest datagram that is sent with others."""

_MOST_RECEIVED: Final = 256  # at once
_MOST_SENT: Final = 128

# Memory that no datagram has touched is none. Datagrams that all begin at multiples of a power of two would share a
# few lines of the processor's cache, and drive each other out.
_RECEIVE_ROOM: Final = 65536 + 13 * 64
_ADDRESS_ROOM: Final = 28  # of a sockaddr_in6, the longer one


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint32))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

# Writing a number through a memory view costs a third of setting a field of a structure.
_WORDS: Final = ctypes.sizeof(_MMsgHdr) // 4
_LENGTH_WORD: Final = _MMsgHdr.length.offset // 4
_NAME_LENGTH_WORD: Final = _MsgHdr.name_length.offset // 4


class _Batch:
    """`count` message headers, each with room for one datagram and one address."""

    def __init__(self, count: int, room: int) -> None:
        self.count = count
        self.room = room
        self.payloads = bytearray(count * room)
        self.addresses = bytearray(count * _ADDRESS_ROOM)
        self._vectors = (_IoVec * count)()
        self._headers = (_MMsgHdr * count)()
        payloads = ctypes.addressof(ctypes.c_char.from_buffer(self.payloads))
        addresses = ctypes.addressof(ctypes.c_char.from_buffer(self.addresses))
        vectors = ctypes.addressof(self._vectors)
        for index in range(count):
            self._vectors[index] = _IoVec(payloads + index * room, room)
            header = self._headers[index].header
            header.name, header.name_length = addresses + index * _ADDRESS_ROOM, _ADDRESS_ROOM
            header.vectors, header.vector_count = vectors + index * ctypes.sizeof(_IoVec), 1
        self.headers = ctypes.addressof(self._headers)
        self.words = memoryview(self._headers).cast("B").cast("I")
        self.lengths = memoryview(self._vectors).cast("B").cast("Q")


class ReceiveBatch(_Batch):
    """Takes up to `count` datagrams out of a socket at once."""

    def __init__(self, count: int) -> None:
        super().__init__(count, _RECEIVE_ROOM)

    def receive(self, descriptor: int, limit: int) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` datagrams, each with the socket address it came from.

        Raises OSError; BlockingIOError if there is none.
        """
        got: int = _libc.recvmmsg(descriptor, self.headers, min(limit, self.count), socket.MSG_DONTWAIT, None)
        if got < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        words, payloads, addresses = self.words, self.payloads, bytes(self.addresses[: got * _ADDRESS_ROOM])
        found: list[tuple[bytes, bytes]] = []
        at = begin = 0
        length_at, name_length_at = _LENGTH_WORD, _NAME_LENGTH_WORD
        for _ in range(got):
            payload = bytes(payloads[at : at + words[length_at]])
            found.append((payload, addresses[begin : begin + words[name_length_at]]))
            words[name_length_at] = _ADDRESS_ROOM
            at += _RECEIVE_ROOM
            begin += _ADDRESS_ROOM
            length_at += _WORDS
            name_length_at += _WORDS
        return found


class SendBatch(_Batch):
    """Gives up to `count` datagrams of at most SEND_ROOM octets to a socket at once."""

    def __init__(self, count: int) -> None:
        super().__init__(count, SEND_ROOM)

    def send(self, descriptor: int, datagrams: Sequence[tuple[bytes, bytes]]) -> int:
        """Send them in their order; returns how many the kernel took before it wanted no more.

        Raises OSError if it refused the very first; BlockingIOError if it had no room for it.
        """
        words, lengths, payloads, addresses = self.words, self.lengths, self.payloads, self.addresses
        at = begin = 0
        name_length_at = _NAME_LENGTH_WORD
        index = 1  # a vector is a pointer and a length
        for payload, address in datagrams:
            lengths[index] = length = len(payload)
            payloads[at : at + length] = payload
            words[name_length_at] = length = len(address)
            addresses[begin : begin + length] = address
            at += SEND_ROOM
            begin += _ADDRESS_ROOM
            name_length_at += _WORDS
            index += 2
        sent: int = _libc.sendmmsg(descriptor, self.headers, len(datagrams), socket.MSG_DONTWAIT)
        if sent < 0:
            code = ctypes.get_errno()
            if code == errno.EWOULDBLOCK:
                raise BlockingIOError(code, os.strerror(code))
            raise OSError(code, os.strerror(code))
        return sent


# One set of buffers serves every socket: nothing stays in them between two calls.
@lru_cache(maxsize=1)
def _receive_batch() -> ReceiveBatch:
    return ReceiveBatch(_MOST_RECEIVED)


@lru_cache(maxsize=1)
def _send_batch() -> SendBatch:
    return SendBatch(_MOST_SENT)


def receive_in_python(
    descriptor: int,
    limit: int,
    here: Endpoint,
    known: dict[bytes, Endpoint],
    meet: Callable[[bytes], Endpoint],
    kind: type[Datagram],
) -> list[Datagram]:
    """Return what waits at a socket whose endpoint is `here`, at most `limit` datagrams, as objects of `kind`.

    `known` has the endpoints of senders by their socket addresses; `meet` makes one that is not in it.

    Raises OSError; BlockingIOError if nothing waits.
    """
    found: list[Datagram] = []
    for payload, peer in _receive_batch().receive(descriptor, limit):
        endpoint = known.get(peer)
        if endpoint is None:
            endpoint = meet(peer)
        found.append(tuple.__new__(kind, (endpoint, here, payload)))  # as kind(...) does it, in half of its time
    return found


def send_in_python(
    descriptor: int,
    datagrams: list[Datagram],
    start: int,
    longest: int,
    address_length: int,
    known: dict[int, tuple[Endpoint, bytes]],
    find: Callable[[Endpoint], bytes],
) -> int:
    """Send datagrams from number `start` on; returns how many the kernel took.

    That is 0 where it refuses the first or has no room for it, and where that is longer than `longest` or has a socket
    address of another length: such a one ends what is sent together. `known` has the socket addresses of endpoints by
    their identity, after the endpoints themselves; `find` makes one that is not in it.
    """
    ready: list[tuple[bytes, bytes]] = []
    for _, destination, payload in datagrams[start : start + _MOST_SENT]:
        entry = known.get(id(destination))
        address = entry[1] if entry is not None else find(destination)
        if len(payload) > longest or len(address) != address_length:
            break
        ready.append((payload, address))
    try:
        return _send_batch().send(descriptor, ready) if ready else 0
    except OSError:
        return 0


Receive: TypeAlias = Callable[
    [int, int, Endpoint, dict[bytes, Endpoint], Callable[[bytes], Endpoint], type[Datagram]], list[Datagram]
]
Send: TypeAlias = Callable[
    [int, list[Datagram], int, int, int, dict[int, tuple[Endpoint, bytes]], Callable[[Endpoint], bytes]], int
]
_compiled = compiled("controller.app._udp_batch")
receive: Final[Receive] = _compiled.receive if _compiled is not None else receive_in_python
send: Final[Send] = _compiled.send if _compiled is not None else send_in_python
