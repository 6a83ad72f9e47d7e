"""How many control messages a second the UDP transport moves, against asyncio's own endpoint and the machine's limit.

Run `python bench/bench_udp.py [--quick]`. A message moved is one received and one sent back. Each round puts some
datagrams into the socket's buffer and measures the processor time until all are answered, so that other work on
the machine does not count. The servers:

* limit: one blocking socket in a loop, no event loop and no address objects; what Python can do at best.
* asyncio: `create_datagram_endpoint`: one turn of the event loop for each datagram; octets and tuples.
* asyncio, same job: the same, and it hands over and takes `Datagram`s with both endpoints. This is the peer.
* transport: `UdpTransport`: empties the socket in one turn, with one system call for all datagrams each way.

Rates depend on the machine; the ratios to the limit are the result.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address, ip_address
from typing import TypeAlias

from controller.app.udp import UdpTransport
from controller.lisp import CONTROL_PORT, Datagram, Endpoint

BURST = 128  # fits the smallest buffer that a system gives by default
PAYLOAD = bytes(112)  # a Map-Register of one EID
SERVER = IPv4Address("127.1.0.1")
CLIENT = "127.1.0.2"

_ADDRESS = (str(SERVER), CONTROL_PORT)

Answer: TypeAlias = Callable[[int], Awaitable[None]]
"""Answers that many datagrams."""
Server: TypeAlias = Callable[[], AbstractAsyncContextManager[Answer]]


@asynccontextmanager
async def limit() -> AsyncIterator[Answer]:
    """Echo with nothing in between."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(_ADDRESS)

        async def answer(count: int) -> None:
            for _ in range(count):
                payload, peer = sock.recvfrom(65535)
                sock.sendto(payload, peer)

        yield answer


class _Countdown:
    """Wakes somebody up when a number of datagrams came."""

    def __init__(self) -> None:
        self._left = 0
        self._done = asyncio.Event()

    def one(self) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()

    def more(self, count: int) -> None:
        self._left -= count
        if not self._left:
            self._done.set()

    async def wait(self, count: int) -> None:
        self._left = count
        self._done.clear()
        await self._done.wait()


class _Echo(asyncio.DatagramProtocol):
    """Answers with octets and tuples, as they come."""

    def __init__(self, countdown: _Countdown) -> None:
        self.countdown = countdown

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)
        self.countdown.one()


class _DatagramEcho(_Echo):
    """Answers with datagrams."""

    here = Endpoint(SERVER, CONTROL_PORT)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        received = Datagram(Endpoint(ip_address(addr[0]), addr[1]), self.here, data)
        answer = Datagram(received.destination, received.source, received.payload)
        self.transport.sendto(answer.payload, (str(answer.destination.address), answer.destination.port))
        self.countdown.one()


@asynccontextmanager
async def stock(protocol: type[_Echo]) -> AsyncIterator[Answer]:
    """Echo by asyncio's datagram endpoint."""
    countdown = _Countdown()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: protocol(countdown), local_addr=_ADDRESS)
    yield countdown.wait
    transport.close()


@asynccontextmanager
async def ours() -> AsyncIterator[Answer]:
    """Echo by the transport of the control plane."""
    countdown = _Countdown()
    with UdpTransport() as transport:

        def receive(datagrams: Sequence[Datagram]) -> None:
            transport.send_all([Datagram(here, source, payload) for source, here, payload in datagrams])
            countdown.more(len(datagrams))

        transport.listen_all(SERVER, receive)
        yield countdown.wait


async def seconds_per_message(server: Server, rounds: int) -> float:
    """Return the processor time of one message, the median of all rounds."""
    found: list[float] = []
    async with server() as answer:
        await asyncio.sleep(0.01)  # the endpoints register with the event loop
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((CLIENT, 0))
            client.settimeout(5)
            for _ in range(rounds):
                for _ in range(BURST):
                    client.sendto(PAYLOAD, _ADDRESS)
                begin = time.thread_time()
                await answer(BURST)
                found.append((time.thread_time() - begin) / BURST)
                for _ in range(BURST):
                    client.recv(65535)
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the UDP transport as a ratio to the machine's limit.")
    parser.add_argument("--quick", action="store_true", help="measure a tenth as long")
    rounds = 50 if parser.parse_args().quick else 500
    servers: dict[str, Server] = {
        "limit": limit,
        "asyncio": lambda: stock(_Echo),
        "asyncio, same job": lambda: stock(_DatagramEcho),
        "transport": ours,
    }
    found = {name: asyncio.run(seconds_per_message(server, rounds)) for name, server in servers.items()}
    print(f"{'server':18} {'messages/s':>12} {'µs':>7} {'ratio':>7}")
    for name, seconds in found.items():
        print(f"{name:18} {1 / seconds:12,.0f} {seconds * 1e6:7.2f} {found['limit'] / seconds:7.3f}")


if __name__ == "__main__":
    main()
