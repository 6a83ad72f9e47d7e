"""Control messages over real UDP: port 4342 of every address that listens.

asyncio's own datagram endpoint wakes up once for each datagram. Here a wake-up takes what has come in one system
call, but no more than a budget of datagrams: then timers and the other sockets have their turn, and a flood delays
them by a bounded time only. What comes faster than it is worked off waits in the kernel's buffer, and is dropped
there.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final, TypeAlias

from controller.app.network import BatchReceiver, Receiver
from controller.app.udp_addresses import KernelAddresses, Peers, socket_address
from controller.app.udp_batch import SEND_ROOM, receive, send
from controller.app.udp_socket import kernel_drops, open_control_socket
from controller.lisp import CONTROL_PORT, Datagram, Endpoint, IPAddress
from controller.lisp.constants import UNFRAGMENTED_IPV4, UNFRAGMENTED_IPV6

log = logging.getLogger(__name__)

_IPV4_HEADERS: Final = 20 + 8  # octets of IP and UDP
_IPV6_HEADERS: Final = 40 + 8

_SocketAddress: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class UdpCounters:
    """What passed through a transport, in datagrams since it was made.

    `delayed` had to wait for room in the kernel before they were sent. Lost on their way out: `overflowed` when too
    many waited already, `refused` when the kernel would not send them (no route, longer than an IP packet),
    `unbound` when nothing listens at their source. `oversized` were sent in packets longer than every path is known
    to carry whole (RFC 9301 section 5). `failed`: reads for which the kernel reported an error instead of a datagram.
    """

    received: int = 0
    sent: int = 0
    delayed: int = 0
    overflowed: int = 0
    refused: int = 0
    unbound: int = 0
    oversized: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class UdpOptions:
    """How a transport uses the network.

    `port` stands for the control port on this network: what is sent to 4342 goes to it, and what comes from it is
    shown as coming from 4342. Only tests and several networks on one host need another.

    `reuse_port`: other processes may listen at the same addresses, and each sender is served by one of them. That is
    of use only where they share what they know.

    `path_mtu`: octets of an IP packet that every path is known to carry; None means what RFC 9301 section 5 allows
    without such knowledge, 576 over IPv4 and 1280 over IPv6.

    `budget`: datagrams received, and datagrams sent from the queue, in one turn of the event loop. `queue`:
    datagrams per address that may wait for room in the kernel. `receive_buffer`: octets per address that may wait in
    the kernel.

    Raises ValueError for a number out of its range.
    """

    port: int = CONTROL_PORT
    reuse_port: bool = False
    path_mtu: int | None = None
    budget: int = 128
    queue: int = 1024
    receive_buffer: int = 4 << 20

    def __post_init__(self) -> None:
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"port = {self.port}: must be 1 to 65535")
        if self.path_mtu is not None and self.path_mtu < UNFRAGMENTED_IPV4:
            raise ValueError(f"path_mtu = {self.path_mtu}: must be at least {UNFRAGMENTED_IPV4}")
        for name in ("budget", "queue", "receive_buffer"):
            if not 0 < getattr(self, name) < 1 << 30:
                raise ValueError(f"{name} = {getattr(self, name)}: must be 1 to {(1 << 30) - 1}")


class UdpTransport:
    """A `Transport` over the sockets of this host. One for any number of addresses, in one event loop.

    Attributes:
        counters: what passed and what was lost.
    """

    def __init__(
        self, options: UdpOptions | None = None, sockets: Mapping[IPAddress, socket.socket] | None = None
    ) -> None:
        """`sockets`: those of addresses that are open already; they are closed when nobody listens any more."""
        self.counters = UdpCounters()
        self._options = options or UdpOptions()
        self._sockets = dict(sockets or {})
        self._bound: dict[IPAddress, _BoundAddress] = {}

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped at the open sockets: no room in a buffer, or no checksum."""
        return sum(bound.kernel_drops for bound in self._bound.values())

    def listen(self, address: IPAddress, receiver: Receiver) -> None:
        """Gives everything that is sent to `address` to `receiver`. Needs a running event loop.

        Raises ValueError when something of this transport listens there or it is no address of one host, OSError
        when the kernel refuses: no address of this host, or another process listens.
        """

        def one_by_one(datagrams: Sequence[Datagram]) -> None:
            for datagram in datagrams:
                if address not in self._bound:
                    return
                try:
                    receiver(datagram)
                except Exception as error:
                    context = {"message": f"{address}: the receiver of a datagram failed", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)

        self._listen(address, one_by_one)

    def listen_all(self, address: IPAddress, receiver: BatchReceiver) -> None:
        """The same for a receiver that takes what came together at once: at most `budget` datagrams."""
        self._listen(address, receiver)

    def _listen(self, address: IPAddress, receiver: BatchReceiver) -> None:
        if address in self._bound:
            raise ValueError(f"{address}: something listens there already")
        if address.is_unspecified or address.is_multicast:
            # Without a source address of its own an answer would leave with whichever the kernel likes.
            raise ValueError(f"{address}: no address of one host")
        self._bound[address] = _BoundAddress(
            address, receiver, self._options, self.counters, self._sockets.pop(address, None)
        )

    def forget(self, address: IPAddress) -> None:
        """Nobody listens at `address` any more, and nothing is sent from it: what waited is lost."""
        bound = self._bound.pop(address, None)
        if bound is not None:
            bound.close()

    def send(self, datagram: Datagram) -> None:
        """Sends from the address and port that are the source, which must listen; else the datagram is lost."""
        source = datagram.source
        bound = self._bound.get(source.address)
        if bound is None or source.port != CONTROL_PORT:
            self.counters.unbound += 1
            _warn(self.counters.unbound, "lost, nothing listens at its source: %s to %s", source, datagram.destination)
            return
        bound.send(datagram)

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        """Sends several, in their order; those from one source in one system call."""
        start = 0
        while start < len(datagrams):
            source = datagrams[start].source
            end = start + 1
            while end < len(datagrams) and datagrams[end].source is source:
                end += 1
            bound = self._bound.get(source.address)
            if end - start < 2 or bound is None or source.port != CONTROL_PORT:
                self.send(datagrams[start])
                start += 1
            else:
                bound.send_all(datagrams[start:end])
                start = end

    def close(self) -> None:
        """Closes every socket. What is sent from now on is lost."""
        for address in list(self._bound):
            self.forget(address)
        for unused in self._sockets.values():
            unused.close()

    def __enter__(self) -> UdpTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _BoundAddress:
    """One address that listens: its socket, and what waits to leave by it."""

    def __init__(
        self,
        address: IPAddress,
        receiver: BatchReceiver,
        options: UdpOptions,
        counters: UdpCounters,
        opened: socket.socket | None,
    ) -> None:
        self._endpoint = Endpoint(address, CONTROL_PORT)
        self._receiver = receiver
        self._options = options
        self._counters = counters
        headers, mtu = (
            (_IPV4_HEADERS, UNFRAGMENTED_IPV4) if address.version == 4 else (_IPV6_HEADERS, UNFRAGMENTED_IPV6)
        )
        self._longest = (options.path_mtu or mtu) - headers
        self._batchable = min(self._longest, SEND_ROOM)
        self._address_length = len(socket_address(self._endpoint))
        self._addresses = KernelAddresses(options.port)
        self._peers = Peers(options.port)
        self._queue: deque[tuple[bytes, _SocketAddress]] = deque()
        self._loop = asyncio.get_running_loop()
        self._socket = opened or open_control_socket(
            Endpoint(address, options.port), reuse_port=options.reuse_port, receive_buffer=options.receive_buffer
        )
        self._loop.add_reader(self._socket, self._receive)

    @property
    def kernel_drops(self) -> int:
        return kernel_drops(self._socket)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._queue.clear()
        self._socket.close()

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        together = list(datagrams)
        at = 0
        while at < len(together):
            sent = 0
            if not self._queue:  # else it would overtake what waits
                addresses = self._addresses
                how = self._batchable, self._address_length, addresses.known, addresses.find
                sent = send(self._socket.fileno(), together, at, *how)
                self._counters.sent += sent
            if not sent:  # what is wrong with the first of them comes out here
                self.send(together[at])
                sent = 1
            at += sent

    def send(self, datagram: Datagram) -> None:
        payload, destination = datagram.payload, datagram.destination
        counters = self._counters
        if destination.address.version != self._endpoint.address.version:
            counters.refused += 1
            _warn(counters.refused, "lost, not of one IP version: %s to %s", self._endpoint, destination)
            return
        if len(payload) > self._longest:
            counters.oversized += 1
            text = "%d octets to %s: paths are known to carry %d whole"
            _warn(counters.oversized, text, len(payload), destination, self._longest)
        to = _text(destination.address), self._options.port if destination.port == CONTROL_PORT else destination.port
        if not self._queue:  # else it would overtake what waits
            if self._hand_over(payload, to):
                return
            self._loop.add_writer(self._socket, self._flush)
        if len(self._queue) == self._options.queue:
            counters.overflowed += 1
            _warn(counters.overflowed, "lost, %d datagrams wait already: %s", self._options.queue, destination)
            return
        counters.delayed += 1
        self._queue.append((payload, to))

    def _hand_over(self, payload: bytes, to: _SocketAddress) -> bool:
        """Whether the kernel is done with a datagram: it took it or refused it, and did not ask to wait."""
        try:
            self._socket.sendto(payload, to)
        except BlockingIOError:
            return False
        except OSError as error:
            self._counters.refused += 1
            _warn(self._counters.refused, "lost, %d octets to %s: %s", len(payload), to, error)
        else:
            self._counters.sent += 1
        return True

    def _flush(self) -> None:
        for _ in range(min(self._options.budget, len(self._queue))):
            if not self._hand_over(*self._queue[0]):
                return
            self._queue.popleft()
        if not self._queue:
            self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        counters, peers = self._counters, self._peers
        try:
            limit = self._options.budget
            received = receive(self._socket.fileno(), limit, self._endpoint, peers.known, peers.meet, Datagram)
        except BlockingIOError:
            return
        except OSError as error:  # such as an ICMP message about something sent; the socket is as good as before
            counters.failed += 1
            _warn(counters.failed, "%s: %s", self._endpoint, error)
            return
        counters.received += len(received)
        self._receiver(received)


def _warn(count: int, text: str, *values: object) -> None:
    """Logs the 1st, 2nd, 4th, 8th, ... time that something happens: a flood must not fill the log."""
    if count & (count - 1) == 0:
        log.warning(text + " (%d so far)", *values, count)


@lru_cache(maxsize=1 << 13)
def _text(address: IPAddress) -> str:
    return str(address)
