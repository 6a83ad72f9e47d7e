"""What ports on sockets have in common: a non-blocking socket served by the event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from softswitch.ports.base import Receive
from softswitch.ports.burst import burst

log = logging.getLogger(__name__)

MAX_PACKET = 65536  # octets; the largest that is received whole
BURST = 256  # packets taken before the event loop gets its turn again
BUFFER_OCTETS = 4 << 20


class SocketReader:
    """Takes packets from a socket whenever there are any.

    take: receives one packet, None for one to be passed over; raises BlockingIOError when there is none
    lost: called once when the socket has failed for good
    """

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        receive: Receive,
        take: Callable[[socket.socket], bytes | None],
        lost: Callable[[], None],
    ) -> None:
        self._name = name
        self._socket = sock
        self._receive = receive
        self._take = take
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._drain)

    def close(self) -> None:
        """Stop and close the socket."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())  # of whoever waits for room to send
            self._socket.close()

    def _drain(self) -> None:
        with burst:
            self._take_all()

    def _take_all(self) -> None:
        for _ in range(BURST):
            try:
                packet = self._take(self._socket)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if self._socket.fileno() >= 0 and _is_passing(error):
                    return
                gone = isinstance(error, ConnectionResetError)  # as peers do that have done what they wanted
                log.log(logging.INFO if gone else logging.WARNING, "port %s: %s", self._name, error)
                self.close()
                self._lost()
                return
            if packet is not None:
                self._receive(packet)
            if self._socket.fileno() < 0:
                return  # closed by what the packet set off


def _is_passing(error: OSError) -> bool:
    """Errors after which a socket can still be used: an interface that is down, a peer that was not there."""
    return error.errno in (errno.ENETDOWN, errno.ECONNREFUSED, errno.ENOBUFS)


def send_or_lose(sock: socket.socket, packet: bytes) -> bool:
    """Send without waiting; False if the packet is lost."""
    try:
        return sock.send(packet) == len(packet)
    except OSError:
        return False
