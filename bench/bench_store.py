"""How fast the stores (SQLite, etcd) commit and load, and what durability costs a Map-Server.

Run `python bench/bench_store.py [--quick] [--folder F]`. The files are made in a temporary folder, by default where
the system has such folders; the disk under it matters only to `power safe`.

* Commits: what one Map-Register changes (a contribution and a receipt), alone and a hundred in one commit. The limit
  is SQLite itself with the same settings, given the octets of the same rows; the ratio is to it.
* Map-Server: Map-Registers a second, signed, verified and answered, of new EIDs and as refreshes. The peer is the
  memory store, which keeps nothing; the ratio is to it.
* etcd: the same commits to a cluster of one on this machine, with its data beside the files. The peer is the SQLite
  store, power safe, which waits for the disk as etcd does; the ratio is to it. Not run where `etcd` is not installed.
* Opening: seconds from opening a file to its whole content as objects, for one contribution of each of many xTRs.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from controller.lisp import (
    CONTROL_PORT,
    Algorithm,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapRegister,
    RlocRecord,
    XtrIdentity,
    sign,
)
from controller.mapping import (
    AuthorisedXtr,
    Change,
    Contribution,
    MapServer,
    MemoryStore,
    Pod,
    Receipt,
    Send,
    Store,
    XtrKey,
    pod_map_server,
)
from controller.mapping.content import Terms
from controller.mapping.etcd_store import EtcdStore
from controller.mapping.sqlite_store import SqliteStore
from controller.mapping.store_log import Rows, body_of
from controller.mapping.store_rows import encode_change

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.mapping.etcd_process import INSTALLED, MISSING, running_etcd

REPEATS = 3  # the best counts: others may use the disk
BATCH = 100
XTR = XtrIdentity(bytes(range(16)), 40)
RLOC = IPv4Address("192.0.40.1")
SERVER = IPv4Address("192.0.40.100")
KEY = Key(1, Algorithm.HMAC_SHA256_128, b"a pre-shared key of usual length")
T = TypeVar("T")
FIRST_HOST = int(IPv4Address("40.0.0.0"))


class Measured(NamedTuple):
    """Things done a second, and the longest that one of them took, in seconds."""

    rate: float
    longest: float


def host(number: int) -> Eid:
    """One of the EIDs of the PoD."""
    return Eid.of(0x1001, IPv4Address(FIRST_HOST + number % (1 << 16)))


def all_changes(numbers: Iterable[int]) -> Iterator[Change]:
    """What the Map-Server stores for a Map-Register with one EID from each of so many xTRs."""
    for number in numbers:
        xtr = XtrKey(40, number.to_bytes(16, "big"))
        yield Contribution(host(number), xtr, Terms.of(1440, (RlocRecord(RLOC, local=True),), 180.0, True), number)
        yield Receipt(xtr, 1, number, bytes(32), bytes(76), Endpoint(RLOC, CONTROL_PORT))


def commits(commit: Callable[[Sequence[T]], None], whats: Sequence[T], size: int, seconds: float) -> Measured:
    """Commit `size` of `whats` at a time, round and round, for so many seconds of commits."""
    spent, longest, done = 0.0, 0.0, 0
    while spent < seconds:
        start = done * size % len(whats)
        portion = whats[start : start + size]
        before = time.perf_counter()
        commit(portion)
        took = time.perf_counter() - before
        spent, longest, done = spent + took, max(longest, took), done + 1
    return Measured(done / spent, longest)


class BareSqlite:
    """The same transactions, with rows that were encoded beforehand."""

    def __init__(self, file: Path, power_safe: bool) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        synchronous = "FULL" if power_safe else "NORMAL"
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", f"synchronous = {synchronous}"):
            self._connection.execute(f"PRAGMA {setting}").fetchall()
        for table in ("contribution", "receipt"):
            self._connection.execute(
                f"CREATE TABLE {table} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"
            )

    def commit(self, rows: Sequence[tuple[str, tuple[bytes, bytes | None]]]) -> None:
        """One transaction; each row is its statement and the statement's values."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for statement, values in rows:
            execute(statement, values)
        execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def compare_commits(files: Iterator[Path], seconds: float) -> None:
    """Print the table of commits."""
    changes = list(all_changes(range(BATCH * 100)))
    statement = "INSERT INTO {} VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
    rows: list[tuple[str, tuple[bytes, bytes | None]]] = []
    for change in changes:
        encoded = Rows({}, 0)
        encode_change(change, encoded)
        rows += [
            (statement.format(table), (key, body_of(body)))
            for table, latest in encoded.latest.items()
            for key, body in latest.items()
        ]
    print(f"{'commits':30} {'commits/s':>11} {'rows/s':>11} {'longest ms':>11} {'limit/s':>11} {'ratio':>7}")
    for power_safe in (False, True):
        for registers_in_one in (1, BATCH):
            size = 2 * registers_in_one
            limits, founds = [], []
            for _ in range(REPEATS):
                bare = BareSqlite(next(files), power_safe)
                limits.append(commits(bare.commit, rows, size, seconds))
                bare.close()
                with SqliteStore(next(files), power_safe=power_safe) as store:
                    founds.append(commits(store.commit, changes, size, seconds))
            limit, found = max(limits), max(founds)
            name = f"{registers_in_one} Map-Register{'s' * (size > 2)}{', power safe' * power_safe}"
            print(
                f"{name:30} {found.rate:11,.0f} {found.rate * size:11,.0f} {found.longest * 1e3:11.1f}"
                f" {limit.rate:11,.0f} {found.rate / limit.rate:7.3f}"
            )


def registers(new: bool) -> Iterator[Datagram]:
    """Map-Registers without end: each of another EID, or all of one."""
    for number in count(1):
        record = EidRecord.for_eid(host(number if new else 0), 1440, (RlocRecord(RLOC, local=True),))
        message = MapRegister(number, (record,), merge=True, want_notify=True, xtr=XTR)
        yield Datagram(Endpoint(RLOC, CONTROL_PORT), Endpoint(SERVER, CONTROL_PORT), sign(message, KEY))


def registrations(store: Store, new: bool, total: int) -> Measured:
    """Let a Map-Server process `total` Map-Registers."""
    pod = Pod(40, (Eid.of(0x1001, "40.0.0.0/16"),), (KEY,), (AuthorisedXtr(XTR.xtr_id, (RLOC,)),))
    server = MapServer(pod_map_server(SERVER, pod), store, 0.0)
    source = registers(new)
    datagrams = [next(source) for _ in range(total)]
    longest = 0.0
    begin = now = time.perf_counter()
    for datagram in datagrams:
        before = now
        outputs = server.receive(datagram, 0.0)
        now = time.perf_counter()
        longest = max(longest, now - before)
        assert any(isinstance(output, Send) for output in outputs)
    return Measured(total / (now - begin), longest)


def compare_map_servers(files: Iterator[Path], total: int) -> None:
    """Print the table of Map-Servers."""
    print(f"\n{'Map-Server':30} {'registers/s':>11} {'µs':>11} {'longest ms':>11} {'memory/s':>11} {'ratio':>7}")
    for new in (True, False):
        for power_safe, number in ((False, total), (True, total // 10)):
            peers, founds = [], []
            for _ in range(REPEATS):
                peers.append(registrations(MemoryStore(), new, number))
                with SqliteStore(next(files), power_safe=power_safe) as store:
                    founds.append(registrations(store, new, number))
            peer, found = max(peers), max(founds)
            name = f"{'new EIDs' if new else 'refreshes'}{', power safe' * power_safe}"
            print(
                f"{name:30} {found.rate:11,.0f} {1e6 / found.rate:11.1f} {found.longest * 1e3:11.1f}"
                f" {peer.rate:11,.0f} {found.rate / peer.rate:7.3f}"
            )


def compare_etcd(folder: Path, files: Iterator[Path], seconds: float) -> None:
    """Print the table of commits to etcd."""
    print()
    if not INSTALLED:
        print(MISSING)
        return
    print(f"{'etcd commits':30} {'commits/s':>11} {'rows/s':>11} {'longest ms':>11} {'SQLite/s':>11} {'ratio':>7}")
    changes = list(all_changes(range(BATCH * 100)))
    with running_etcd(folder) as etcd:
        for registers_in_one in (1, BATCH):
            size = 2 * registers_in_one
            peers, founds = [], []
            for number in range(REPEATS):
                with SqliteStore(next(files), power_safe=True) as sqlite:
                    peers.append(commits(sqlite.commit, changes, size, seconds))
                with EtcdStore([etcd.endpoint], f"bench-{registers_in_one}-{number}") as store:
                    founds.append(commits(store.commit, changes, size, seconds))
            peer, found = max(peers), max(founds)
            name = f"{registers_in_one} Map-Register{'s' * (size > 2)}"
            print(
                f"{name:30} {found.rate:11,.0f} {found.rate * size:11,.0f} {found.longest * 1e3:11.1f}"
                f" {peer.rate:11,.0f} {found.rate / peer.rate:7.3f}"
            )


def opening(file: Path, total: int) -> float:
    """Seconds to open and load a file with `total` contributions and as many receipts."""
    with SqliteStore(file) as store:
        for start in range(0, total, 1000):
            store.commit(all_changes(range(start, start + 1000)))
    begin = time.perf_counter()
    with SqliteStore(file) as store:
        snapshot = store.load()
        seconds = time.perf_counter() - begin
    assert len(snapshot.contributions) == len(snapshot.receipts) == total
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the stores as ratios to SQLite and to memory.")
    parser.add_argument("--quick", action="store_true", help="measure a tenth as long")
    parser.add_argument("--folder", type=Path, help="where the files are made")
    arguments = parser.parse_args()
    seconds, total = (0.1, 1000) if arguments.quick else (1.0, 5000)
    with TemporaryDirectory(dir=arguments.folder) as folder:
        files = (Path(folder) / f"{number}.db" for number in count())
        compare_commits(files, seconds)
        compare_map_servers(files, total)
        compare_etcd(Path(folder), files, seconds)
        file = next(files)
        took = opening(file, total)
        octets = file.stat().st_size / total
        print(f"\nopening {total:,} contributions and receipts: {took:.2f} s; {octets:.0f} octets for each pair")


if __name__ == "__main__":
    main()
