"""How many messages a second one core of a Map-Server serves, over real UDP and with its SQLite store.

Run `python bench/bench_map_server.py [--quick] [--million]`. Each round puts a burst of messages into the server's
socket and measures the processor time until all are answered, so that other work on the machine does not count; of
all rounds the best and the median are shown. Everything of the server counts: event loop, transport, HMAC-SHA-256 of
both messages, replay check, leases, and the store's transaction before any answer leaves.

The ratios are to what others reach, and to what this project aims at. OpenOverlayRouter's Map-Server, in C, with
HMAC-SHA-1, without replay check and without store, is measured in the same run and in the same way where `oor` is on
the PATH and the user is root (`oor_peer.py`); elsewhere an earlier figure stands for it, 47 000 Map-Registers a second.
OpenDaylight published 88 000 Map-Requests a second.

* refreshes: Map-Registers that change nothing, with one record and with 20 (path MTU 1500). Those with one record are
  measured with what is compiled here (`controller/lisp/compiled.py`), and in Python alone.
* changes: every record has another priority than before.
* publication: from a change to the last of the Map-Notifies to 1 024 subscribers.
* population: memory, time and longest pauses for many registrations; a million with --million, which takes a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from controller.app.mapping_system import MappingSystem
from controller.app.pauses import avoid_long_pauses
from controller.app.udp import UdpOptions, UdpTransport
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
from controller.lisp.compiled import VARIABLE, compiled
from controller.mapping import AuthorisedXtr, MapServer, MapServerConfig, Pod, Send, pod_map_server
from controller.mapping.sqlite_store import SqliteStore

BURST = 128  # fits the smallest buffer that a system gives by default
IID = 0x1001
SITE = 40
KEY = Key(1, Algorithm.HMAC_SHA256_128, b"a pre-shared key of usual length")
SERVER = IPv4Address("127.2.0.1")
CLIENT = IPv4Address("127.2.1.0")
FIRST_HOST = int(IPv4Address("40.0.0.0"))

COMPILED = ("controller.lisp._hmac", "controller.mapping._refresh", "controller.app._udp_batch")
PER_MESSAGE = 20  # records; their Map-Notify has 832 octets
PATH_MTU = 1500
OOR_REGISTERS = 47_000
ODL_REQUESTS = 88_000


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


def config_for(clients: Sequence[Client]) -> MapServerConfig:
    """The Map-Server of a PoD that these clients are the xTRs of. It answers the same question again and again."""
    xtrs = tuple(AuthorisedXtr(client.identity.xtr_id, (client.address,)) for client in clients)
    config = pod_map_server(SERVER, Pod(SITE, (Eid.of(IID, "40.0.0.0/8"),), (KEY,), xtrs))
    return replace(config, reply_interval=1e-6, path_mtu=PATH_MTU)


class Rig:
    """A mapping system on UDP, and the sockets of its clients."""

    def __init__(self, clients: Sequence[Client], file: Path) -> None:
        self.clients = clients
        self.transport = UdpTransport(UdpOptions(path_mtu=PATH_MTU))
        self.store = SqliteStore(file)
        self.system = MappingSystem("bench", config_for(clients), self.transport, self.store)
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


async def requests(rig: Rig, rounds: int) -> Rates:
    """Map-Requests in ECMs for registered hosts, each answered by proxy with a Map-Reply."""
    found: list[float] = []
    for number in range(rounds + 8):
        burst: list[tuple[Client, bytes]] = []
        for index in range(BURST):
            client = rig.clients[index % len(rig.clients)]
            burst.append((client, client.request(host(index % len(rig.clients) * 4096 + index // len(rig.clients)))))
        seconds = await rig.burst(burst, BURST)
        assert len(rig.heard()) == BURST
        if number >= 8:
            found.append(BURST / seconds)
    return Rates(max(found), statistics.median(found))


async def publication(rig: Rig, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from a change to the last of the datagrams that tell all clients but one: of processor, and of clock."""
    owner, *others = rig.clients
    await rig.burst([(owner, owner.register([host(0)]))], 1)
    for at in range(0, len(others), BURST):
        portion = others[at : at + BURST]
        await rig.burst([(client, client.request(host(0), subscribe=True)) for client in portion], len(portion))
        await acknowledge(rig)
    processor: list[float] = []
    clock: list[float] = []
    for number in range(rounds):
        message = owner.register([host(0)], 2 + number)
        begin = time.perf_counter()
        processor.append(await rig.burst([(owner, message)], 1 + len(others)))
        clock.append(time.perf_counter() - begin)
        assert await acknowledge(rig) == 1 + len(others)
    return processor, clock


async def acknowledge(rig: Rig) -> int:
    """Acknowledge every Map-Notify that came; returns how many came."""
    heard = rig.heard()
    clients = {client.address: client for client in rig.clients}
    for at in range(0, len(heard), BURST):
        before = rig.transport.counters.received
        portion = heard[at : at + BURST]
        for address, octets in portion:
            message = decode(octets)
            assert isinstance(message, MapNotify)
            clients[address].nonce = max(clients[address].nonce, message.nonce)
            ack = sign(MapNotifyAck(message.nonce, message.records), KEY)
            rig.sockets[address].sendto(ack, (str(SERVER), CONTROL_PORT))
        while rig.transport.counters.received < before + len(portion):
            await asyncio.sleep(0)
    return len(heard)


def resident() -> int:
    """Octets of memory that the process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Population(NamedTuple):
    """What many registrations cost: octets each, new records a second, and seconds of the longest pauses.

    `collection`: the longest collection of garbage. `turn`: the longest that a message had to wait for another.
    """

    octets: float
    rate: float
    collection: float
    turn: float


def population(total: int, file: Path) -> Population:
    """Register a thousand EIDs an xTR, in messages of PER_MESSAGE, and then change some of all of them."""
    clients = [Client(number) for number in range(max(1, total // 1000))]
    store = SqliteStore(file)
    server = MapServer(config_for(clients), store, 0.0)
    avoid_long_pauses()
    collections: list[float] = [0.0]
    began = 0.0

    def note(phase: str, _: dict[str, Any]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        else:
            collections.append(time.thread_time() - began)

    gc.callbacks.append(note)
    before, turns = resident(), []
    for number, client in enumerate(clients):
        for at in range(0, 1000, PER_MESSAGE):
            turns.append(told(server, client, range(number * 1000 + at, number * 1000 + at + PER_MESSAGE)))
    gc.collect()
    octets = (resident() - before) / (1000 * len(clients))
    rate = 1000 * len(clients) / sum(turns)
    turns += [
        told(server, client, range(number * 1000, number * 1000 + PER_MESSAGE), 2)
        for number, client in enumerate(clients)
    ]
    gc.callbacks.remove(note)
    store.close()
    return Population(octets, rate, max(collections), max(turns))


def told(server: MapServer, client: Client, hosts: range, priority: int = 1) -> float:
    """Seconds of processor that a Map-Server needs for one Map-Register."""
    here, source = Endpoint(SERVER, CONTROL_PORT), Endpoint(client.address, CONTROL_PORT)
    datagram = Datagram(source, here, client.register([host(number) for number in hosts], priority))
    begin = time.thread_time()
    outputs = server.receive(datagram, 0.0)
    spent = time.thread_time() - begin
    assert any(isinstance(output, Send) for output in outputs)
    return spent


def rate_of_python(rounds: int) -> Rates:
    """Refreshes with one record in another process, in which nothing that is compiled is used."""
    command = [sys.executable, str(Path(__file__)), "--refreshes", str(rounds)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, VARIABLE: "0"}
    )
    best, median = map(float, done.stdout.split())
    return Rates(best, median)


async def refreshes(rounds: int) -> None:
    """Print the two rates of refreshes with one record."""
    with TemporaryDirectory() as folder:
        rig = Rig([Client(number) for number in range(64)], Path(folder) / "small.db")
        avoid_long_pauses()
        print(*await registers(rig, 1, rounds))
        rig.close()


def peer_rate(rounds: int) -> tuple[int, str]:
    """Map-Registers a second of OpenOverlayRouter, and where that is from."""
    if shutil.which("oor") is None or shutil.which("unshare") is None or os.geteuid() != 0:
        return OOR_REGISTERS, "OpenOverlayRouter, stated"
    command = ["unshare", "--net", sys.executable, str(Path(__file__).with_name("oor_peer.py")), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        print(f"OpenOverlayRouter did not run: {done.stderr.strip().splitlines()[-1]}")
        return OOR_REGISTERS, "OpenOverlayRouter, stated"
    return int(float(done.stdout.split()[0])), "OpenOverlayRouter"


async def measure(quick: bool) -> None:
    """Print what goes over UDP."""
    rounds = 30 if quick else 300
    registers_of_oor, oor = peer_rate(rounds)
    form = "compiled" if all(map(compiled, COMPILED)) else "Python"
    in_python = rate_of_python(rounds) if form == "compiled" else None
    with TemporaryDirectory() as folder:
        rig = Rig([Client(number) for number in range(64)], Path(folder) / "small.db")
        avoid_long_pauses()
        print(f"{'one core':34} {'best/s':>11} {'median/s':>11} {'peer or aim':>32} {'ratio':>7}")
        single = await registers(rig, 1, rounds)
        row(f"refreshes, 1 record ({form})", single, registers_of_oor, oor)
        row("", single, 2 * OOR_REGISTERS, "aim: twice the stated")
        if in_python is not None:
            row("refreshes, 1 record (Python)", in_python, registers_of_oor, oor)
        else:
            print("NOT RUN: refreshes by compiled code need a C compiler and Python.h")
        many = await registers(rig, PER_MESSAGE, rounds // 3)
        row(
            f"refreshed records, {PER_MESSAGE} together",
            Rates(*(rate * PER_MESSAGE for rate in many)),
            1_000_000,
            "aim",
        )
        row("changes, 1 record", await registers(rig, 1, rounds // 10, True), registers_of_oor, oor)
        many = await registers(rig, PER_MESSAGE, max(rounds // 20, 9), True)
        row(f"changed records, {PER_MESSAGE} together", Rates(*(rate * PER_MESSAGE for rate in many)), 200_000, "aim")
        row("Map-Requests", await requests(rig, rounds), ODL_REQUESTS, "OpenDaylight")
        rig.close()
        rig = Rig([Client(number) for number in range(1025)], Path(folder) / "large.db")
        processor, clock = await publication(rig, 3 if quick else 10)
        rig.close()
    found = f"{min(processor) * 1e3:.1f} ms of processor, {min(clock) * 1e3:.1f} ms of clock"
    print(f"\npublication to 1 024 subscribers: {found}; aim 50 ms, ratio {0.05 / min(clock):.2f}")


def row(name: str, found: Rates, peer: int, whose: str) -> None:
    """Print one line."""
    print(f"{name:34} {found.best:11,.0f} {found.median:11,.0f} {f'{peer:,} {whose}':>32} {found.best / peer:7.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of a Map-Server on one core.")
    parser.add_argument("--quick", action="store_true", help="measure a tenth as long")
    parser.add_argument("--million", action="store_true", help="a million registrations instead of fifty thousand")
    parser.add_argument("--refreshes", type=int, metavar="ROUNDS", help="refreshes only: best and median a second")
    arguments = parser.parse_args()
    if arguments.refreshes:
        asyncio.run(refreshes(arguments.refreshes))
        return
    asyncio.run(measure(arguments.quick))
    total = 1_000_000 if arguments.million else 50_000
    with TemporaryDirectory() as folder:
        found = population(total, Path(folder) / "population.db")
    aim = f"aim 1,024, ratio {1024 / found.octets:.2f}"
    print(f"population of {total:,}: {found.octets:,.0f} octets each ({aim}), {found.rate:,.0f} new records/s")
    pauses = f"{found.collection * 1e3:.1f} ms in the collector, {found.turn * 1e3:.1f} ms for one message"
    print(f"longest pauses meanwhile: {pauses}; aim 50 ms, ratio {0.05 / max(found[2:]):.2f}")


if __name__ == "__main__":
    main()
