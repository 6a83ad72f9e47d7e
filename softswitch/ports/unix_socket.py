"""Unix-domain sockets that keep packet boundaries, for peers on the same machine that need no privileges."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections import deque

from softswitch.ports.backlog import BACKLOG, Backlog
from softswitch.ports.base import Receive
from softswitch.ports.sockets import BUFFER_OCTETS, MAX_PACKET, SocketReader


def _take(sock: socket.socket) -> bytes:
    return sock.recv(MAX_PACKET)


def _take_until_end(sock: socket.socket) -> bytes:
    packet = sock.recv(MAX_PACKET)
    if not packet:  # a sequence ends with an empty packet
        raise ConnectionResetError("the peer closed the connection")
    return packet


def _remove_stale(path: str) -> None:
    """A socket left behind by an earlier run would keep the name taken. Anything else is left alone."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)


class DatagramPort:
    """A SOCK_DGRAM socket: receives at path, sends to peer, whether or not anyone is there yet."""

    def __init__(self, path: str, peer: str) -> None:
        self._path = path
        self._peer = peer
        self._backlog: Backlog | None = None
        self._reader: SocketReader | None = None
        self._lost = 0

    @property
    def name(self) -> str:
        """The path."""
        return self._path

    @property
    def is_up(self) -> bool:
        """Up while the peer's socket exists."""
        return self._backlog is not None and os.path.exists(self._peer)

    @property
    def lost(self) -> int:
        """Packets that the peer was not there for, or did not take fast enough."""
        return self._lost + (self._backlog.lost if self._backlog is not None else 0)

    def open(self, receive: Receive) -> None:
        """Begin to receive, in the running event loop. OSError if the path cannot be bound."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            _remove_stale(self._path)
            sock.bind(self._path)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
            self._reader = SocketReader(self._path, sock, receive, _take, self.close)
        except BaseException:
            sock.close()
            raise
        self._backlog = Backlog(sock, self._peer)

    def close(self) -> None:
        """Cease to receive and remove the socket's name."""
        if self._backlog is not None:
            self._backlog.close()
            self._lost += self._backlog.lost
        if self._reader is not None:
            self._reader.close()
            _remove_stale(self._path)
        self._reader = self._backlog = None

    def send(self, packet: bytes) -> None:
        """Send; what the peer does not take at once waits, up to a limit, and what it is not there for is lost."""
        if self._backlog is not None:
            self._backlog.send(packet)
        else:
            self._lost += 1


class SequencePort:
    """A SOCK_SEQPACKET connection. One side listens at path, for one peer at a time, the other connects.

    The kernel lets as many packets wait as the socket's buffer has room for, not ten as for datagrams.
    """

    def __init__(self, path: str, *, listen: bool) -> None:
        self._path = path
        self._listen = listen
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._reader: SocketReader | None = None
        self._receive: Receive | None = None
        self._waiting: deque[bytes] = deque()
        self.lost = 0

    @property
    def name(self) -> str:
        """The path."""
        return self._path

    @property
    def is_up(self) -> bool:
        """Up while connected."""
        return self._connection is not None

    def open(self, receive: Receive) -> None:
        """Listen or connect, in the running event loop. OSError if that fails."""
        self._receive = receive
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            if self._listen:
                _remove_stale(self._path)
                sock.bind(self._path)
                sock.listen(1)
                sock.setblocking(False)
                asyncio.get_running_loop().add_reader(sock.fileno(), self._accept)
                self._listener = sock
            else:
                sock.connect(self._path)
                self._connected(sock)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """Disconnect, and cease to listen."""
        self._disconnected()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
            _remove_stale(self._path)

    def send(self, packet: bytes) -> None:
        """Send; what the peer does not take at once waits, up to a limit. Lost if not connected."""
        if self._connection is None or len(self._waiting) >= BACKLOG:
            self.lost += 1
        elif self._waiting:
            self._waiting.append(packet)
        elif not self._try(self._connection, packet):
            self._waiting.append(packet)
            asyncio.get_running_loop().add_writer(self._connection.fileno(), self._continue)

    def _try(self, connection: socket.socket, packet: bytes) -> bool:
        """False if the peer has no room now."""
        try:
            connection.send(packet)
        except BlockingIOError:
            return False
        except OSError:
            self.lost += 1
        return True

    def _continue(self) -> None:
        connection = self._connection
        if connection is None:
            return
        while self._waiting:
            if not self._try(connection, self._waiting[0]):
                return
            self._waiting.popleft()
        asyncio.get_running_loop().remove_writer(connection.fileno())

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if self._connection is None:
            self._connected(connection)
        else:
            connection.close()

    def _connected(self, connection: socket.socket) -> None:
        assert self._receive is not None
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
        self._connection = connection
        self._reader = SocketReader(self._path, connection, self._receive, _take_until_end, self._disconnected)

    def _disconnected(self) -> None:
        self.lost += len(self._waiting)
        self._waiting.clear()
        if self._reader is not None:
            self._reader.close()
        self._reader = self._connection = None
