"""A Map-Server that another process kills: it says what it is about to process, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from controller.lisp import Datagram, IPAddress, MapNotify, RlocRecord, decode
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import Bench, Peer, eid, sends

HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 30)]


@dataclass(frozen=True, slots=True)
class Offered:
    """A datagram that the Map-Server is about to receive."""

    datagram: Datagram


@dataclass(frozen=True, slots=True)
class Answered:
    """What it sent, after its store had taken the changes."""

    datagrams: tuple[Datagram, ...]


def serve_until_killed(file: Path, seed: int, nonce: int, told: Connection) -> None:
    """Receive registrations, withdrawals and subscriptions without end; their nonces begin above `nonce`."""
    told.send("ready")
    bench = Bench(SqliteStore(file))
    peers = [bench.d1, bench.d2, bench.d3, bench.d4]
    for peer in peers:
        peer.nonce = nonce
    by_address: dict[IPAddress, Peer] = {peer.address: peer for peer in peers}
    for datagram in endless_traffic(Random(seed), bench, peers):
        todo = [datagram]
        while todo:
            offered = todo.pop(0)
            told.send(Offered(offered))
            answers = sends(bench.server.receive(offered, 0.0))
            told.send(Answered(tuple(answers)))
            notifies = [one for one in answers if isinstance(decode(one.payload), MapNotify)]
            todo += [by_address[one.destination.address].ack(one) for one in notifies]


def endless_traffic(random: Random, bench: Bench, peers: list[Peer]) -> Iterator[Datagram]:
    while True:
        peer = random.choice(peers)
        some = random.sample(HOSTS, random.randrange(1, 4))
        kind = random.random()
        if kind < 0.7:
            locators = [RlocRecord(peer.address, priority=random.randrange(1, 200), local=True)]
            yield peer.register(bench.endpoint, *some, locators=locators)
        elif kind < 0.85:
            yield peer.withdraw(bench.endpoint, *some)
        else:
            yield peer.request(bench.endpoint, some[0], subscribe=True)
