"""A Map-Server that another process kills: it says what it is about to process, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from unittest.mock import patch

from controller.lisp import Datagram, IPAddress, MapNotify, RlocRecord, decode
from controller.mapping import etcd_store, refresh, sqlite_store
from controller.mapping.etcd_store import EtcdStore
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import Bench, Peer, eid, sends

HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 30)]


@dataclass(frozen=True, slots=True)
class Offered:
    """Datagrams that came together, which the Map-Server is about to receive."""

    datagrams: tuple[Datagram, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What it sent, after its store had taken the changes."""

    datagrams: tuple[Datagram, ...]


def serve_until_killed(place: Path | tuple[str, str], seed: int, nonce: int, told: Connection) -> None:
    """Receive registrations, withdrawals and subscriptions without end; their nonces begin above `nonce`.

    `place`: an SQLite file, or endpoint and name in etcd. Lives with an even seed are led by compiled code where there
    is some, the others by Python: each goes on with what the other left.
    """
    if seed % 2:
        patch.object(refresh, "_compiled", None).start()
    # Short stretches, so that the log is being taken over at most moments.
    patch.multiple(sqlite_store, _STRETCH_OCTETS=100_000).start()
    patch.multiple(etcd_store, _STRETCH_OCTETS=10_000, _PART_OCTETS=2000, _TAKE_OVER_LEAST=3).start()
    told.send("ready")
    bench = Bench(SqliteStore(place) if isinstance(place, Path) else EtcdStore(place[:1], place[1]))
    peers = [bench.d1, bench.d2, bench.d3, bench.d4]
    for peer in peers:
        peer.nonce = nonce
    by_address: dict[IPAddress, Peer] = {peer.address: peer for peer in peers}
    random = Random(seed)
    traffic = endless_traffic(random, bench, peers)
    acknowledgements: list[Datagram] = []
    while True:
        # What has come in one turn of the event loop shares one transaction.
        together = (*acknowledgements, *islice(traffic, random.choice([1, 1, 3, 20])))
        told.send(Offered(together))
        answers = sends(bench.server.receive_all(together, 0.0))
        told.send(Answered(tuple(answers)))
        notifies = [one for one in answers if isinstance(decode(one.payload), MapNotify)]
        acknowledgements = [by_address[one.destination.address].ack(one) for one in notifies]


def endless_traffic(random: Random, bench: Bench, peers: list[Peer]) -> Iterator[Datagram]:
    while True:
        peer = random.choice(peers)
        some = random.sample(HOSTS, random.randrange(1, 4))
        kind = random.random()
        if kind < 0.3:
            again = some[: random.randrange(1, 3)]
            yield from (peer.register(bench.endpoint, *again) for _ in range(2))  # the second repeats the first
        elif kind < 0.7:
            locators = [RlocRecord(peer.address, priority=random.randrange(1, 200), local=True)]
            yield peer.register(bench.endpoint, *some, locators=locators)
        elif kind < 0.85:
            yield peer.withdraw(bench.endpoint, *some)
        else:
            yield peer.request(bench.endpoint, some[0], subscribe=True)
