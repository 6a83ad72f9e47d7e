"""What the etcd store does about damage, foreign keys and formats, and an etcd that is gone or not for everybody."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from controller.lisp import MapNotify
from controller.mapping import Change, Gone, NonceFloor, Snapshot, StoreError, etcd_owner, etcd_store
from controller.mapping.etcd_cluster import Tls
from controller.mapping.etcd_store import EtcdStore
from tests.mapping.etcd_process import Etcd, make_certificate, needs_etcd, running_etcd
from tests.mapping.harness import Bench, events, messages, sends
from tests.mapping.stores.etcd import Raw, opened, place
from tests.mapping.stores.examples import (
    CONTRIBUTION,
    HOST,
    ONE_OF_EACH,
    RECEIPT,
    SUBSCRIPTION,
    XTR,
    contents,
    flipped,
    lengthened,
    shortened,
)

pytestmark = needs_etcd


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
