"""What the tests of the UDP transport share: addresses, sockets that are none of ours, and one PoD."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv6Address

from controller.app.udp import UdpOptions, UdpTransport
from controller.lisp import (
    CONTROL_PORT,
    Algorithm,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    IPAddress,
    Key,
    MapRegister,
    RlocRecord,
    XtrIdentity,
    sign,
)
from controller.mapping import AuthorisedXtr, MapServerConfig, Pod, pod_map_server

IPV6_LOOPBACK = IPv6Address("::1")
HOST = Eid.of(0x1001, "40.0.0.7")
KEY = Key(1, Algorithm.HMAC_SHA256_128, b"lab-psk-0040")

# Addresses of this process alone: several runs of the tests may share the host, and all want port 4342.
_BASE = IPv4Address("127.1.0.0") + (os.getpid() % 65536) * 16


def local(number: int) -> IPv4Address:
    return _BASE + number


def control(address: IPAddress) -> Endpoint:
    return Endpoint(address, CONTROL_PORT)


def between(source: IPAddress, destination: IPAddress, payload: bytes) -> Datagram:
    return Datagram(control(source), control(destination), payload)


def free_port(address: IPAddress) -> int:
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.bind((str(address), 0))
        port: int = sock.getsockname()[1]
        return port


def family_of(address: IPAddress) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


@contextmanager
def plain_socket(address: IPAddress, port: int = 0) -> Iterator[socket.socket]:
    """A socket that is none of ours: what another implementation would use."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.bind((str(address), port))
        sock.settimeout(2)
        yield sock


async def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any state may be waited for
            await asyncio.sleep(0.005)


async def a_moment() -> None:
    """Long enough for a datagram that is already queued at a local socket to be worked off."""
    for _ in range(5):
        await asyncio.sleep(0.005)


class Listening:
    """A transport, and the datagrams that came."""

    def __init__(self, transport: UdpTransport, heard: list[Datagram]) -> None:
        self.transport = transport
        self.heard = heard

    @property
    def payloads(self) -> list[bytes]:
        return [datagram.payload for datagram in self.heard]

    async def hears(self, *payloads: bytes) -> None:
        """Exactly these come, in this order."""
        await eventually(lambda: len(self.heard) >= len(payloads))
        assert self.payloads == list(payloads)


@asynccontextmanager
async def listening(*addresses: IPAddress, options: UdpOptions | None = None) -> AsyncIterator[Listening]:
    with UdpTransport(options) as transport:
        heard: list[Datagram] = []
        for address in addresses:
            transport.listen(address, heard.append)
        yield Listening(transport, heard)


def pod(rlocs: tuple[IPAddress, ...]) -> Pod:
    xtrs = tuple(AuthorisedXtr(bytes([number]) * 16, (rloc,)) for number, rloc in enumerate(rlocs))
    return Pod(40, (Eid.of(0x1001, "40.0.0.0/16"),), (KEY,), xtrs)


def server_config(address: IPAddress, *rlocs: IPAddress) -> MapServerConfig:
    return pod_map_server(address, pod(rlocs))


def register(rloc: IPAddress, server: IPAddress, nonce: int = 1) -> Datagram:
    """A Map-Register of HOST by the first xTR of the PoD."""
    records = (EidRecord.for_eid(HOST, 1440, (RlocRecord(rloc, local=True),)),)
    message = MapRegister(nonce, records, merge=True, want_notify=True, xtr=XtrIdentity(bytes(16), 40))
    return between(rloc, server, sign(message, KEY))
