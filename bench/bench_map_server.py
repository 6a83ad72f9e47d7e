"""How many messages a second one core of a Map-Server serves, over real UDP and with its SQLite store.

Run `python bench/bench_map_server.py [--quick] [--million]`. Each round puts a burst of messages into the server's
socket and measures the processor time until all are answered, so that other work on the machine does not count; of
all rounds the best and the median are shown. Everything of the server counts: event loop, transport, HMAC-SHA-256 of
both messages, replay check, leases, and the store's transaction before any answer leaves.

The peer is OpenOverlayRouter's C Map-Server where its binary `oor` is on the PATH, measured in the same way in the
same run (HMAC-SHA-1, no replay check, no store); else the rates that were published or measured for others.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from controller.app.mapping_system import MappingSystem
from controller.app.udp import UdpTransport
from controller.lisp import (
    CONTROL_PORT,
    Algorithm,
    Datagram,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
)
from controller.mapping import AuthorisedXtr, MapServer, MapServerConfig, MemoryStore, Pod, Send, pod_map_server
from controller.mapping.sqlite_store import SqliteStore

BURST = 128  # fits the smallest buffer that a system gives by default
IID = 0x1001
SITE = 40
KEY = Key(1, Algorithm.HMAC_SHA256_128, b"a pre-shared key of usual length")
SERVER = IPv4Address("127.2.0.1")
CLIENT = IPv4Address("127.2.1.0")
FIRST_HOST = int(IPv4Address("40.0.0.0"))

OOR_REGISTERS = 47_000  # a second, on one core of a machine like ours: HMAC-SHA-1, no replay check, no store
ODL_REQUESTS = 88_000  # OpenDaylight's published figure
REGISTERS, RECORDS, REFRESHES, PUBLICATION = 94_000, 200_000, 1_000_000, 0.05
"""What this project aims at: Map-Registers, records in messages of 20, refreshed records a second; seconds."""


class Rates(NamedTuple):
    """Messages a second of processor time: the best round, and the median of all."""

    best: float
    median: float


class Client:
    """An xTR of the bench: signs what it says with nonces that count up."""

    def __init__(self, number: int) -> None:
        self.address = CLIENT + number
        self.identity = XtrIdentity(number.to_bytes(16, "big"), SITE)
        self.locators = (RlocRecord(self.address, local=True),)
        self.nonce = 0

    def register(self, eids: Sequence[Eid], priority: int = 1) -> bytes:
        """A Map-Register of `eids`."""
        self.nonce += 1
        locators = (RlocRecord(self.address, priority, local=True),)
        records = tuple(EidRecord.for_eid(eid, 1440, locators) for eid in eids)
        flags: dict[str, Any] = {"merge": True, "want_notify": True, "proxy_reply": True, "xtr": self.identity}
        return sign(MapRegister(self.nonce, records, **flags), KEY)

    def request(self, eid: Eid, subscribe: bool = False) -> bytes:
        """A Map-Request for `eid`, in an ECM."""
        self.nonce += 1
        identity = self.identity if subscribe else None
        records = (RequestRecord.for_eid(eid, subscribe=subscribe),)
        message = encode(MapRequest(self.nonce, (self.address,), records, xtr=identity))
        return encode(Ecm(self.address, IPv4Address(FIRST_HOST), CONTROL_PORT, CONTROL_PORT, message))


def host(number: int) -> Eid:
    """One of the EIDs of the PoD."""
    return Eid.of(IID, IPv4Address(FIRST_HOST + number))


def config_for(clients: Sequence[Client], **options: Any) -> MapServerConfig:
    """The Map-Server of a PoD that these clients are the xTRs of."""
    xtrs = tuple(AuthorisedXtr(client.identity.xtr_id, (client.address,)) for client in clients)
    config = pod_map_server(SERVER, Pod(SITE, (Eid.of(IID, "40.0.0.0/8"),), (KEY,), xtrs))
    return MapServerConfig(SERVER, config.sites, **options)


class Rig:
    """A mapping system on UDP, and the sockets of its clients."""

    def __init__(self, clients: Sequence[Client], file: Path, **options: Any) -> None:
        self.clients = clients
        self.transport = UdpTransport()
        self.store = SqliteStore(file)
        self.system = MappingSystem("bench", config_for(clients, **options), self.transport, self.store)
        self.system.listen()
        self.sockets = {client.address: self._socket(client.address) for client in clients}

    @staticmethod
    def _socket(address: IPv4Address) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((str(address), CONTROL_PORT))
        sock.setblocking(False)
        return sock

    async def burst(self, messages: Sequence[tuple[Client, bytes]], answers: int) -> float:
        """Send them, and return the processor time until `answers` datagrams have left."""
        for client, octets in messages:
            self.sockets[client.address].sendto(octets, (str(SERVER), CONTROL_PORT))
        sent = self.transport.counters.sent + answers
        begin = time.thread_time()
        while self.transport.counters.sent < sent:
            await asyncio.sleep(0)
        return time.thread_time() - begin

    def heard(self) -> list[tuple[IPv4Address, bytes]]:
        """What has come to the clients."""
        found: list[tuple[IPv4Address, bytes]] = []
        for address, sock in self.sockets.items():
            while True:
                try:
                    found.append((address, sock.recv(65535)))
                except BlockingIOError:
                    break
        return found

    def close(self) -> None:
        """The end."""
        self.system.stop()
        self.transport.close()
        self.store.close()
        for sock in self.sockets.values():
            sock.close()


async def registers(rig: Rig, records: int, rounds: int, changing: bool = False) -> Rates:
    """Map-Registers of so many records; `changing`: each with another priority than before, else refreshes."""
    share = [[host(index * 4096 + number) for number in range(8 * records)] for index in range(len(rig.clients))]
    messages = [
        (client, eids[at : at + records])
        for at in range(0, 8 * records, records)
        for client, eids in zip(rig.clients, share, strict=True)
    ]
    found: list[float] = []
    for number in range(rounds + 8):
        first = number * BURST % len(messages)
        priority = 1 + (number // (len(messages) // BURST)) % 100 if changing else 1
        burst = [(client, client.register(eids, priority)) for client, eids in messages[first : first + BURST]]
        seconds = await rig.burst(burst, BURST)
        assert len(rig.heard()) == BURST
        if number * BURST >= len(messages):  # the first time everything is new
            found.append(BURST / seconds)
    return Rates(max(found), statistics.median(found))
