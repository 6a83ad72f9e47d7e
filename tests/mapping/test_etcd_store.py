"""The etcd store, against a real etcd: as the SQLite store, and one writer in the whole network."""

from __future__ import annotations

import shutil
import signal
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Datagram, MapNotify, MapReply
from controller.mapping import (
    Change,
    Gone,
    MemoryStore,
    NonceFloor,
    Snapshot,
    StoreError,
    XtrKey,
    etcd_owner,
    etcd_store,
)
from controller.mapping.etcd_cluster import EtcdCluster, Tls, delete, put
from controller.mapping.etcd_store import EtcdStore
from tests.interop.processes import daemon, write
from tests.interop.test_processes import D1, peer, server_settings
from tests.interop.test_processes import HOST as DAEMON_HOST
from tests.mapping.etcd_process import Etcd, make_certificate, needs_etcd, running_etcd
from tests.mapping.harness import Bench, assert_restarts, events, messages, sends
from tests.mapping.test_killed_server import contents as known
from tests.mapping.test_killed_server import live, nonce_of, remembered
from tests.mapping.test_sqlite_store import (
    CONTRIBUTION,
    HOST,
    IN_MEMORY,
    ONE_OF_EACH,
    RECEIPT,
    SUBSCRIPTION,
    XTR,
    contents,
    flipped,
    histories,
    lengthened,
    long_refresh,
    shortened,
)

pytestmark = needs_etcd
_numbers = count()


@pytest.fixture(scope="module")
def etcd() -> Iterator[Etcd]:
    with TemporaryDirectory(dir=IN_MEMORY) as folder, running_etcd(Path(folder)) as process:
        yield process


@pytest.fixture
def name() -> str:
    return f"ms-{next(_numbers)}"


def opened(etcd: Etcd, name: str, **options: Any) -> EtcdStore:
    return EtcdStore([etcd.endpoint], name, **options)


def place(etcd: Etcd, name: str) -> str:
    return f"etcd://{etcd.endpoint}/{name}"


class Raw:
    """The keys of a store, as another client of etcd sees and changes them."""

    def __init__(self, etcd: Etcd, name: str) -> None:
        self._cluster = EtcdCluster([etcd.endpoint], "raw")
        self._prefix = f"/lispfabric/{name}/".encode()

    def content(self, begin: bytes = b"") -> dict[bytes, bytes]:
        at, first = len(self._prefix), self._prefix + begin
        end = first[:-1] + bytes([first[-1] + 1])
        return {found.key[at:]: found.value for found in self._cluster.scan(first, end)}

    def put(self, key: bytes, value: bytes) -> None:
        self._cluster.call("kv/txn", {"success": [put(self._prefix + key, value)]}, 5.0)

    def delete(self, key: bytes) -> None:
        self._cluster.call("kv/txn", {"success": [delete(self._prefix + key)]}, 5.0)


def small(stretch: int, part: int) -> Any:
    """Limits of the store with which few commits are long."""
    return patch.multiple(etcd_store, _STRETCH_KEYS=stretch, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1, _PART_OCTETS=part)


def die(store: EtcdStore) -> None:
    """End as a killed process does: without a word, and without renewing the lease."""
    store._owner._stopped.set()
    store._owner._thread.join()


def lease_ends(etcd: Etcd, name: str) -> None:
    """What etcd does when the lease has run out, at once."""
    Raw(etcd, name).delete(b"owner")


# ---- what is stored ---------------------------------------------------------------------------------------------


@given(histories(), st.sampled_from([1, 2, 1 << 16]), st.sampled_from([50, 1 << 19]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_it_holds_what_memory_holds(
    etcd: Etcd, history: list[list[Change] | None], stretch: int, part: int, killed: bool
) -> None:
    """However much of the log is in the tables, in however many parts commits are, and however the process ended."""
    memory, name = MemoryStore(), f"history-{next(_numbers)}"
    with small(stretch, part):
        store = opened(etcd, name)
        for changes in [*history, None]:
            if changes is None:
                if killed:
                    die(store)
                    lease_ends(etcd, name)
                else:
                    store.close()
                store = opened(etcd, name)
            else:
                memory.commit(changes)
                store.commit(changes)
            assert contents(store.load()) == contents(memory.load())
            assert not store.damaged
        store.close()


@given(histories(), st.randoms(use_true_random=False), st.sampled_from([1, 1 << 16]), st.sampled_from([50, 1 << 19]))
@settings(max_examples=25, deadline=None)
def test_a_commit_that_failed_is_whole_or_not_there(
    etcd: Etcd, history: list[list[Change] | None], random: Random, stretch: int, part: int
) -> None:
    """Requests that never arrived, and answers that did not: the next commit undoes what was given up."""
    memory, name = MemoryStore(), f"faults-{next(_numbers)}"
    call = EtcdCluster.call

    def unreliable(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        fault = random.random() if method == "kv/txn" and faults else 1.0
        if fault < 0.2:
            raise StoreError("never sent")
        answer = call(self, method, body, seconds)
        if fault < 0.4:
            raise StoreError("the answer is lost")
        if fault < 0.5:
            return call(self, method, body, seconds)  # sent again to another member
        return answer

    with small(stretch, part), patch.object(EtcdCluster, "call", unreliable):
        faults = False
        store = opened(etcd, name)
        failed: list[list[Change]] = []
        for changes in filter(None, history):
            faults = True
            try:
                store.commit(changes)
            except StoreError:
                failed.append(changes)
            else:
                memory.commit(changes)
                failed = []
            faults = False
            assert contents(store.load()) == contents(memory.load())
            if random.random() < 0.5:  # as if it were killed at this moment
                die(store)
                lease_ends(etcd, name)
                store = opened(etcd, name)
                found = contents(store.load())
                assert not store.damaged
                if found != contents(memory.load()):
                    also = [memory_with(memory, given_up) for given_up in failed]
                    (memory, *_) = [one for one in also if contents(one.load()) == found]
                failed = []
        store.close()


def memory_with(memory: MemoryStore, changes: list[Change]) -> MemoryStore:
    found = MemoryStore()
    snapshot = memory.load()
    gone = map(Gone, snapshot.gone)
    stored: list[Change] = [
        *snapshot.contributions,
        *snapshot.receipts,
        *snapshot.subscriptions,
        *snapshot.floors,
        *gone,
    ]
    found.commit([*stored, *changes])
    return found


def test_a_commit_that_was_given_up_never_counts_after_a_later_one(etcd: Etcd, name: str) -> None:
    late: list[dict[str, Any]] = []

    def on_its_way(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        late.append(body)
        raise StoreError("no answer")

    with opened(etcd, name) as store:
        store.commit([RECEIPT._replace(nonce=1)])
        with patch.object(EtcdCluster, "call", on_its_way), pytest.raises(StoreError, match="no answer"):
            store.commit([CONTRIBUTION])
        store.commit([RECEIPT._replace(nonce=2)])
        (body,) = late
        assert not store._cluster.call("kv/txn", body, 5.0).get("succeeded")
    with opened(etcd, name) as store:
        assert store.load() == Snapshot((), (RECEIPT._replace(nonce=2),))


@pytest.mark.parametrize("part", [50, 1 << 19])
def test_a_commit_whose_answer_is_lost_is_undone_by_the_next(etcd: Etcd, name: str, part: int) -> None:
    call = EtcdCluster.call

    def unheard(self: EtcdCluster, method: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        answer = call(self, method, body, seconds)
        if any(b"log/" in b64decode(one["request_put"]["key"])[-20:] for one in body.get("success", ())):
            raise StoreError("no answer")
        return answer

    with patch.object(etcd_store, "_PART_OCTETS", part), opened(etcd, name) as store:
        store.commit([RECEIPT._replace(nonce=1)])
        with patch.object(EtcdCluster, "call", unheard), pytest.raises(StoreError, match="no answer"):
            store.commit([CONTRIBUTION])
        store.commit([RECEIPT._replace(nonce=2)])
    with opened(etcd, name) as store:
        assert store.load() == Snapshot((), (RECEIPT._replace(nonce=2),))
        assert not store.damaged
        assert len([key for key in Raw(etcd, name).content(b"log/") if b"/" not in key[4:]]) == 2


def test_a_large_commit_is_there_whole_and_beyond_what_etcd_takes_at_once(etcd: Etcd, name: str) -> None:
    many: list[Change] = [RECEIPT._replace(xtr=XtrKey(number, bytes(16)), reply=bytes(5000)) for number in range(700)]
    with opened(etcd, name) as store:
        store.commit(many)
        die(store)
    lease_ends(etcd, name)
    with opened(etcd, name) as store:
        assert set(store.load().receipts) == set(many)
        keys = [key for key in Raw(etcd, name).content(b"log/") if b"/" in key[4:]]
        assert len(keys) >= 6
        Raw(etcd, name).delete(keys[2])
    with opened(etcd, name) as store:
        assert store.load() == Snapshot()
        assert [str(row) for row in store.damaged] == [
            "log 0000000000000001: is no commit of ours, or parts of it are missing"
        ]


def test_what_etcd_can_never_take_is_refused(etcd: Etcd, name: str) -> None:
    with (
        patch.multiple(etcd_store, _LARGEST_BODY=40),
        opened(etcd, name) as store,
        pytest.raises(StoreError, match=f"^{place(etcd, name)}: cannot hold a contribution of "),
    ):
        store.commit([*ONE_OF_EACH])


@pytest.mark.parametrize("change", [CONTRIBUTION._replace(xtr=XtrKey(40, b"short")), RECEIPT._replace(nonce=-1)])
def test_what_has_no_place_is_refused_with_its_whole_commit(etcd: Etcd, name: str, change: Change) -> None:
    with opened(etcd, name) as store:
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: cannot hold {type(change).__name__}"):
            store.commit([*ONE_OF_EACH, change])
        assert store.load() == Snapshot()


def test_the_log_stays_short_and_refreshes_in_it_small(etcd: Etcd, name: str) -> None:
    with patch.multiple(etcd_store, _STRETCH_OCTETS=5000, _TAKE_OVER_LEAST=4), opened(etcd, name) as store:
        for nonce in range(1, 200):
            store.commit([long_refresh(nonce, bytes(1000))])
        log = Raw(etcd, name).content(b"log/")
        assert 0 < len(log) < 50
        assert sum(map(len, log.values())) < 6000
        assert [receipt.nonce for receipt in store.load().receipts] == [199]
    with opened(etcd, name) as store:
        assert [receipt.nonce for receipt in store.load().receipts] == [199]
        assert not store.damaged


def test_names_share_nothing(etcd: Etcd, name: str) -> None:
    with opened(etcd, name) as one, opened(etcd, f"{name}.0-of-2") as other:
        one.commit([NonceFloor(XTR, 1)])
        other.commit([NonceFloor(XTR, 2)])
        assert (one.load().floors, other.load().floors) == ((NonceFloor(XTR, 1),), (NonceFloor(XTR, 2),))


def test_a_fabric_restarts_its_mapping_systems_from_etcd(etcd: Etcd) -> None:
    with ExitStack() as stack:
        stores: list[EtcdStore] = []

        def next_store() -> EtcdStore:
            stores.append(stack.enter_context(opened(etcd, f"fabric-{next(_numbers)}")))
            return stores[-1]

        assert_restarts(next_store)
        assert not any(store.damaged for store in stores)


@pytest.mark.requirement("PR-AUTH-6")
def test_what_was_answered_is_there_after_a_kill(etcd: Etcd, name: str) -> None:
    """Lives of one Map-Server, each ended by SIGKILL, as `test_killed_server` has them with a file."""
    before, nonce, random = Snapshot(), 0, Random(7)
    for number in range(5):
        answers = random.randrange(60) if number else 100
        life = live((etcd.endpoint, name), number, nonce, answers, random.uniform(0, 0.02))
        memory = remembered(before)
        reference = Bench(memory)
        for datagrams, answer in zip(life.offered, life.answered, strict=False):
            assert tuple(sends(reference.server.receive_all(datagrams, 0.0))) == answer
        lease_ends(etcd, name)
        with opened(etcd, name) as store:
            before = store.load()
            assert not store.damaged
        if known(before) != known(memory.load()):
            (unanswered,) = life.offered[len(life.answered) :]
            reference.server.receive_all(unanswered, 0.0)
            assert known(before) == known(memory.load())
        offered: list[Datagram] = [one for datagrams in life.offered for one in datagrams]
        nonce = max([nonce, *map(nonce_of, offered)])
    assert before.contributions
    assert before.subscriptions
    assert any(key.startswith(b"receipt/") for key in Raw(etcd, name).content())


# ---- one writer -------------------------------------------------------------------------------------------------


def test_one_process_at_a_time(etcd: Etcd, name: str) -> None:
    with opened(etcd, name, lease=3) as store:
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: is in use by .*, process [0-9]+$"):
            opened(etcd, name, lease=3)
        store.commit(ONE_OF_EACH)
    store.close()
    for use in (store.load, lambda: store.commit(ONE_OF_EACH)):
        with pytest.raises(StoreError, match=f"^{place(etcd, name)}: is closed$"):
            use()
    with opened(etcd, name) as store:
        assert len(store.load().receipts) == 1


def test_the_place_of_one_that_died_is_free_when_its_lease_ends(etcd: Etcd, name: str) -> None:
    dead = opened(etcd, name, lease=1)
    dead.commit(ONE_OF_EACH)
    die(dead)
    begin = time.monotonic()
    with opened(etcd, name, lease=1) as store:
        assert time.monotonic() - begin < 8.0
        assert len(store.load().receipts) == 1
        with pytest.raises(StoreError, match="the lease is lost"):
            dead.commit([RECEIPT._replace(nonce=1)])
        assert store.load().receipts == (RECEIPT,)


def test_whoever_lost_its_lease_writes_nothing_any_more(etcd: Etcd, name: str) -> None:
    with opened(etcd, name) as store:
        store.commit(ONE_OF_EACH)
        lease_ends(etcd, name)
        for _ in range(2):
            with pytest.raises(StoreError, match=f"^{place(etcd, name)}: the lease is lost.* restart this Map-Server"):
                store.commit([RECEIPT._replace(nonce=1)])
        with opened(etcd, name) as other:
            other.commit([NonceFloor(XTR, 5)])
            with pytest.raises(StoreError, match="the lease is lost"):
                store.commit([RECEIPT._replace(nonce=1)])
            store.close()
            other.commit([NonceFloor(XTR, 6)])
            assert other.load().receipts == (RECEIPT,)


def test_an_idle_store_keeps_its_lease(etcd: Etcd, name: str) -> None:
    with opened(etcd, name, lease=1) as store:
        time.sleep(2.5)
        store.commit(ONE_OF_EACH)


def test_another_format_is_refused_and_left_alone(etcd: Etcd, name: str) -> None:
    opened(etcd, name).close()
    Raw(etcd, name).put(b"format", b"3")
    with pytest.raises(StoreError, match=f"^{place(etcd, name)}: has format b'3', this program uses b'2'$"):
        opened(etcd, name)
    assert Raw(etcd, name).content() == {b"format": b"3"}


def test_an_older_format_becomes_the_present_one(etcd: Etcd, name: str) -> None:
    opened(etcd, name).close()
    Raw(etcd, name).put(b"format", b"1")
    with opened(etcd, name) as store:
        store.commit([Gone(CONTRIBUTION.eid)])
        assert store.load().gone == (CONTRIBUTION.eid,)
    assert Raw(etcd, name).content()[b"format"] == b"2"


# ---- damage, and an etcd that is not there ----------------------------------------------------------------------


def in_tables(etcd: Etcd, name: str, *changes: Change) -> None:
    """A store with these in its tables, and one commit in its log."""
    with patch.multiple(etcd_store, _STRETCH_KEYS=1), opened(etcd, name) as store:
        store.commit(changes)
        for number in range(1, 4):
            store.commit([NonceFloor(XTR, number)])


@pytest.mark.parametrize("damage", [flipped, shortened, lengthened])
@pytest.mark.parametrize("table", ["contribution", "receipt", "subscription"])
def test_a_damaged_value_is_reported_and_the_others_are_there(
    etcd: Etcd, name: str, table: str, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    in_tables(etcd, name, *ONE_OF_EACH, RECEIPT._replace(key_id=2))
    raw = Raw(etcd, name)
    key, value = next(iter(raw.content(f"{table}/".encode()).items()))
    raw.put(key, damage(value, 77))
    with opened(etcd, name) as store:
        snapshot = store.load()
        assert [(row.table, row.key) for row in store.damaged] == [(table, key.partition(b"/")[2])]
        assert f"{place(etcd, name)}: damaged row left out: {table}" in caplog.text
        assert len(snapshot.contributions) + len(snapshot.receipts) + len(snapshot.subscriptions) == 3
        assert snapshot.floors == (NonceFloor(XTR, 3),)


def test_what_is_not_ours_is_reported_and_left_alone(etcd: Etcd, name: str) -> None:
    in_tables(etcd, name, *ONE_OF_EACH)
    raw = Raw(etcd, name)
    foreign = [b"a note", b"log/1", b"receipt/", b"receipt/x", b"zone/1"]
    for key in foreign:
        raw.put(key, b"{}")
    with opened(etcd, name) as store:
        assert contents(store.load())[:3] == contents(Snapshot((CONTRIBUTION,), (RECEIPT,), (SUBSCRIPTION,)))[:3]
        assert sorted((row.table, row.key) for row in store.damaged) == [
            ("log", b"1"),
            ("other", b"a note"),
            ("other", b"zone/1"),
            ("receipt", b""),
            ("receipt", b"x"),
        ]
        store.commit([NonceFloor(XTR, 9)])
    assert raw.content().keys() >= set(foreign)


def test_a_damaged_commit_in_the_log_is_reported_and_the_others_are_there(etcd: Etcd, name: str) -> None:
    with opened(etcd, name) as store:
        for key_id in range(4):
            store.commit([RECEIPT._replace(key_id=key_id)])
    raw = Raw(etcd, name)
    second = f"log/{2:016x}".encode()
    raw.put(second, flipped(raw.content(b"log/")[second], 200))
    with opened(etcd, name) as store:
        assert [receipt.key_id for receipt in store.load().receipts] == [0, 2, 3]
        assert [str(row) for row in store.damaged] == ["log 0000000000000002: the checksum is wrong"]


def test_a_map_server_sends_nothing_that_etcd_did_not_take(etcd: Etcd, tmp_path: Path) -> None:
    with running_etcd(tmp_path) as own, opened(own, "ms", lease=60) as store:
        bench = Bench(store)
        own.kill()
        outputs = bench.register(bench.d1, HOST)
        (event,) = events(outputs, "store-failed")
        assert f"{own.endpoint}: Connection refused: is etcd running" in str(event)
        assert sends(outputs) == []
        own.start()
        assert messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d1)
        own.freeze()
        with patch.object(etcd_owner, "ANSWER_SECONDS", 0.3):
            begin = time.monotonic()
            outputs = bench.register(bench.d1, HOST)
            assert time.monotonic() - begin < 5.0
        assert "no answer within 0.3 s" in str(events(outputs, "store-failed"))
        own.thaw()
        assert messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d1)
        assert [found.eid for found in store.load().contributions] == [HOST]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="NOT RUN: openssl is not installed")
def test_etcd_over_tls_knows_its_clients_by_their_certificates(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with running_etcd(tmp_path, tls=tmp_path) as etcd:
        with opened(etcd, "ms", tls=Tls(certificate, certificate, key)) as store:
            store.commit(ONE_OF_EACH)
            assert len(store.load().receipts) == 1
        for tls in (None, Tls(certificate)):
            with pytest.raises(StoreError, match=place(etcd, "ms")):
                opened(etcd, "ms", tls=tls)


def test_another_member_is_asked_when_one_is_gone(etcd: Etcd, name: str) -> None:
    with EtcdStore(["127.0.0.1:1", etcd.endpoint], name) as store:
        store.commit(ONE_OF_EACH)
        assert len(store.load().receipts) == 1


@pytest.mark.requirement("PR-AUTH-5", "PR-AUTH-6")
def test_a_map_server_on_another_machine_goes_on(etcd: Etcd, name: str, tmp_path: Path) -> None:
    """Two configuration files without anything in common but etcd, and two processes."""
    files = []
    for machine in ("one", "other"):
        (tmp_path / machine).mkdir()
        store = {"etcd": [etcd.endpoint], "name": name}
        files.append(write(tmp_path / machine / "ms.yaml", server_settings(tmp_path / machine, store=store)))
    with peer(D1) as d1:
        with daemon("map-server", "--config", str(files[0])) as server:
            d1.register(7)
            d1.hears()
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
        lease_ends(etcd, name)
        with daemon("map-server", "--config", str(files[1])) as server:
            d1.register(6)  # a replay from before the kill
            server.says("reason=replay")
            d1.ask(99, DAEMON_HOST)
            reply, _ = d1.hears()
            assert isinstance(reply, MapReply)
            assert [loc.rloc for loc in reply.records[0].locators] == [D1]
            assert server.end() == 0
    assert b"owner" not in Raw(etcd, name).content()
