"""Datagrams that wait for a peer whose queue is full.

The kernel lets few datagrams wait at a unix-domain socket (net.unix.max_dgram_qlen, often 10), far fewer than one turn
of a switch can send.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Final

BACKLOG: Final = 4096
"""Datagrams that wait for one peer; more are lost, as at any full queue."""


class Backlog:
    """Sends datagrams from a socket to a path, in their order, as fast as the peer takes them."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.lost = 0
        self._socket = sock
        self._peer = peer
        self._waiting: deque[bytes] = deque()
        # Whether a peer has room can be seen on sockets that are connected to it; this one is for looking only.
        self._watch: socket.socket | None = None
        self._loop = asyncio.get_running_loop()

    def send(self, packet: bytes) -> None:
        """Now, or when the peer has room; lost if the peer is not there."""
        if self._waiting:
            self._append(packet)
        elif not self._try(packet):
            self._append(packet)
            self._begin()

    def close(self) -> None:
        """What waits is lost."""
        self.lost += len(self._waiting)
        self._waiting.clear()
        if self._watch is not None:
            self._loop.remove_writer(self._watch)
            self._watch.close()
            self._watch = None

    def _append(self, packet: bytes) -> None:
        if len(self._waiting) < BACKLOG:
            self._waiting.append(packet)
        else:
            self.lost += 1

    def _try(self, packet: bytes) -> bool:
        """False if the peer has no room now."""
        try:
            self._socket.sendto(packet, self._peer)
        except BlockingIOError:
            return False
        except OSError:
            self.lost += 1
        return True

    def _begin(self) -> None:
        watch = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            watch.connect(self._peer)
            self._loop.add_writer(watch, self._continue)
        except OSError:  # the peer has gone meanwhile, or takes packets from another one only
            watch.close()
            self.close()
            return
        self._watch = watch

    def _continue(self) -> None:
        while self._waiting:
            if not self._try(self._waiting[0]):
                return
            self._waiting.popleft()
        self.close()
