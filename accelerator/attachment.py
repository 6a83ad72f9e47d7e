"""How an accelerator's frames get to its access router: Unix sockets, an interface, UDP, or a link in this process.

An attachment takes and gives packets in batches, and never blocks: what does not fit into a full socket waits, up to a
limit, and then is lost, as at any full queue. Whoever sends has to repeat anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from accelerator.interface import Interface
from accelerator.ip import IPAddress
from accelerator.links import Link

# Is given packets that came together.
ReceiveBatch = Callable[[Sequence[bytes]], None]

BACKLOG = 4096
_BURST = 128  # packets taken before the event loop gets its turn again
_LARGEST = 65536
_BUFFER = 4 << 20
_UDP_NO_CHECK6_RX = 102  # linux/udp.h: take datagrams over IPv6 whose checksum is zero (RFC 6936)


class Attachment(Protocol):
    """A way for packets in and out.

    Attributes:
        mac: the accelerator's MAC address, six octets; None where packets are UDP datagrams without headers.
        lost: packets that could not be sent.
    """

    lost: int

    @property
    def mac(self) -> bytes | None:
        """See above."""

    def open(self, receive: ReceiveBatch) -> None:
        """Begins to receive, in the running event loop. Raises OSError."""

    def send(self, packets: Iterable[bytes]) -> None:
        """Sends packets in their order."""

    def close(self) -> None:
        """Ceases to receive; may be called more than once."""


class _SocketAttachment:
    """What those on sockets have in common: receives on one socket, sends on a connected one, maybe the same."""

    def __init__(self) -> None:
        self.lost = 0
        self._receive: ReceiveBatch | None = None
        self._in: socket.socket | None = None
        self._out: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _start(self, receive: ReceiveBatch, incoming: socket.socket, outgoing: socket.socket | None) -> None:
        self._receive, self._in, self._out = receive, incoming, outgoing
        for sock in (incoming, outgoing):
            if sock is not None:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(incoming.fileno(), self._drain)

    def close(self) -> None:
        """Ceases to receive."""
        if self._loop is not None and self._in is not None:
            self._loop.remove_reader(self._in.fileno())
            self._stop_waiting()
        for sock in (self._in, self._out):
            if sock is not None:
                sock.close()
        self._in = self._out = None

    def send(self, packets: Iterable[bytes]) -> None:
        """Sends packets; those that the socket has no room for now wait, at most `BACKLOG`."""
        if self._waiting:
            self._wait(packets)
            return
        out = self._outgoing()
        if out is None:
            self.lost += sum(1 for _ in packets)
            return
        rest = iter(packets)
        for packet in rest:
            try:
                out.send(packet)
            except (BlockingIOError, InterruptedError):
                self._wait((packet, *rest))
                if self._loop is not None:
                    self._loop.add_writer(out.fileno(), self._continue)
                return
            except OSError:
                self.lost += 1
                self._failed()
                self.lost += sum(1 for _ in rest)
                return

    def _outgoing(self) -> socket.socket | None:
        return self._out

    def _failed(self) -> None:
        """The socket could not send: for those that may connect anew."""

    def _wait(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            if len(self._waiting) < BACKLOG:
                self._waiting.append(packet)
            else:
                self.lost += 1

    def _continue(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        self._stop_waiting()
        self.send(waiting)

    def _stop_waiting(self) -> None:
        self.lost += len(self._waiting)
        self._waiting.clear()
        if self._loop is not None and self._out is not None:
            self._loop.remove_writer(self._out.fileno())

    def _drain(self) -> None:
        packets: list[bytes] = []
        take = packets.append
        sock = self._in
        assert sock is not None
        receive = sock.recv
        # An interface that is down, or a peer that was not there, raises once; the socket can still be used.
        with contextlib.suppress(OSError):
            for _ in range(_BURST):
                packet = receive(_LARGEST)
                if not packet and self._ended():
                    break
                take(packet)
        if packets and self._receive is not None:
            self._receive(packets)

    def _ended(self) -> bool:
        """Nothing was received: whether a connection is at its end, which it is not where datagrams may be empty."""
        return False


class UnixAttachment(_SocketAttachment):
    """A link of a running fabric (`accelerator.links`), whether or not the switch is there yet."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self._lock: int | None = None
        self._taker: ReceiveBatch | None = None

    @property
    def mac(self) -> bytes:
        """The accelerator's MAC address."""
        return self.link.mac

    def open(self, receive: ReceiveBatch) -> None:
        """Becomes the accelerator's end. Raises OSError, also when another process is that."""
        lock = os.open(self.link.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise OSError(f"{self.link.lock}: another process is this accelerator") from error
        self._lock, self._taker = lock, receive
        self._connect()

    def close(self) -> None:
        """Ceases to receive and gives the lock back."""
        super().close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connect(self) -> None:
        """To the switch, if it is there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            sock.connect(self.link.socket)
        except OSError:
            sock.close()
            return
        assert self._taker is not None
        self._start(self._taker, sock, sock)

    def _outgoing(self) -> socket.socket | None:
        if self._out is None and self._lock is not None:
            self._connect()
        return self._out

    def _ended(self) -> bool:
        self._failed()
        return True

    def _failed(self) -> None:
        # The fabric has ended, or was restarted, and its socket is another one now.
        super().close()


class PacketAttachment(_SocketAttachment):
    """A network interface, through a raw socket (Linux AF_PACKET, needs CAP_NET_RAW).

    Args:
        interface: its name.
        ether_type: of the frames to receive.
    """

    def __init__(self, interface: str, ether_type: int) -> None:
        super().__init__()
        self._interface = interface
        self._ether_type = ether_type
        self._mac = bytes(6)

    @property
    def mac(self) -> bytes:
        """The interface's MAC address, once it is open."""
        return self._mac

    def open(self, receive: ReceiveBatch) -> None:
        """Begins to receive. Raises OSError: no such interface, or no permission."""
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            sock.bind((self._interface, self._ether_type))
            self._mac = sock.getsockname()[4]
            self._start(receive, sock, sock)
        except BaseException:
            sock.close()
            raise


class UdpAttachment(_SocketAttachment):
    """A UDP socket of this machine or network namespace; packets are the datagrams' data.

    Args:
        local: address to send from, maybe with a port; 0 for one that the system chooses.
        group: the group's address and port.
        interface: to send and receive on, where a host has several; None: as its routes say.
    """

    mac = None

    def __init__(
        self, local: tuple[IPAddress, int], group: tuple[IPAddress, int], interface: str | None = None
    ) -> None:
        super().__init__()
        self._local = local
        self._group = group
        self._interface = interface

    def open(self, receive: ReceiveBatch) -> None:
        """Begins to receive, from the group only. Raises OSError."""
        six = self._local[0].version == 6
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if six:
                sock.setsockopt(socket.IPPROTO_UDP, _UDP_NO_CHECK6_RX, 1)
            if self._interface is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode() + b"\0")
            sock.bind((str(self._local[0]), self._local[1]))
            sock.connect((str(self._group[0]), self._group[1]))
            self._start(receive, sock, sock)
        except BaseException:
            sock.close()
            raise


class InterfaceAttachment:
    """A link of an interface of this process, as the accelerators of an emulated fabric have them.

    Args:
        interface: the accelerator's.
        router_mac: of the access router's port to send to.
        wanted: tells frames that are for whoever uses this attachment from others.
    """

    def __init__(self, interface: Interface, router_mac: bytes, wanted: Callable[[bytes], bool]) -> None:
        self.lost = 0
        self._interface = interface
        self._router_mac = router_mac
        self._wanted = wanted
        self._receive: ReceiveBatch | None = None
        self._waiting: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def mac(self) -> bytes:
        """The interface's MAC address."""
        return self._interface.mac

    def open(self, receive: ReceiveBatch) -> None:
        """Begins to receive. Raises OSError if the interface has no link to that router."""
        self._interface.uplink_to(self._router_mac)
        self._receive, self._loop = receive, asyncio.get_running_loop()
        self._interface.taps.append(self._tap)

    def close(self) -> None:
        """Ceases to receive."""
        self._receive = None
        with contextlib.suppress(ValueError):
            self._interface.taps.remove(self._tap)

    def send(self, packets: Iterable[bytes]) -> None:
        """Sends packets to the router."""
        if self._receive is None:
            return
        send = self._interface.uplink_to(self._router_mac).send
        for packet in packets:
            send(packet)

    def _tap(self, frame: bytes) -> bool:
        if not self._wanted(frame):
            return False
        if not self._waiting and self._loop is not None:
            self._loop.call_soon(self._hand_over)
        self._waiting.append(frame)
        return True

    def _hand_over(self) -> None:
        # What a burst of the switches brings is handed over at once.
        packets, self._waiting = self._waiting, []
        if self._receive is not None:
            self._receive(packets)
