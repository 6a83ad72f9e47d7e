"""The SQLite store holds what memory would, also after a kill, and refuses what it cannot hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import DecodeOptions, Eid, MacAddress, RlocRecord, VendorSpecific
from controller.mapping import Change, MemoryStore, Snapshot, StoreError, Withdrawn, XtrKey, sqlite_store
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import assert_restarts, ip
from tests.mapping.stores import IN_MEMORY
from tests.mapping.stores.examples import (
    CONTRIBUTION,
    ONE_OF_EACH,
    RECEIPT,
    SUBSCRIPTION,
    XTR,
    contents,
    long_refresh,
    terms,
)
from tests.mapping.stores.histories import History, histories
from tests.mapping.stores.mirror import assert_alike, assert_holds_what_memory_holds
from tests.mapping.stores.sqlite import filled, left_by_a_kill, stored


def small(stretch: int) -> Any:
    """Limits of the store with which few commits are long."""
    return patch.multiple(sqlite_store, _STRETCH_KEYS=stretch, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1)


@given(histories(), st.booleans(), st.sampled_from([1, 2, 3, 1 << 16]))
@settings(max_examples=100, deadline=None)
def test_it_holds_what_memory_holds(history: History, power_safe: bool, stretch: int) -> None:
    """Whatever of its log was taken over: with short stretches each commit takes over a part."""
    with small(stretch), TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "store.db"
        assert_holds_what_memory_holds(history, lambda: SqliteStore(file, power_safe=power_safe))


@given(histories(), st.sampled_from([1, 2, 3, 1 << 16]))
@settings(max_examples=100, deadline=None)
def test_what_a_killed_process_left_is_all_that_it_committed(history: History, stretch: int) -> None:
    """However much of the log was in the tables, and whatever was gone from it already."""
    memory = MemoryStore()
    with small(stretch), TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "store.db"
        store = SqliteStore(file)
        for changes in filter(None, history):
            memory.commit(changes)
            store.commit(changes)
            with SqliteStore(left_by_a_kill(file)) as again:
                assert_alike(again, memory)
                memory.commit(changes)
                again.commit(changes)
                assert_alike(again, memory)
        store.close()


def test_refreshes_need_few_octets(file: Path) -> None:
    records = bytes(1000)
    with SqliteStore(file) as store:
        for nonce in range(1, 101):
            store.commit([long_refresh(nonce, records)])
        (octets,) = store._execute("SELECT sum(length(value)) FROM log")
        assert isinstance(octets, int)
        assert octets < 10_000
        assert [receipt.nonce for receipt in store.load().receipts] == [100]


def test_patterns_that_went_with_the_beginning_of_the_log_are_not_missed(file: Path) -> None:
    records = bytes(100)
    limits = patch.multiple(sqlite_store, _STRETCH_OCTETS=1000, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1)
    with limits, SqliteStore(file) as store:
        for nonce in range(1, 101):
            store.commit([long_refresh(nonce, records)])
            with SqliteStore(left_by_a_kill(file)) as again:
                assert again.load().receipts == (long_refresh(nonce, records).receipt,)
                assert not again.damaged


def test_a_damaged_pattern_is_not_taken_for_one_of_an_earlier_life(file: Path) -> None:
    earlier, later = bytes(100), b"\1" * 100
    with SqliteStore(file) as store:
        store.commit([long_refresh(1, earlier)])
        second = left_by_a_kill(file)
    with SqliteStore(second) as store:
        store.commit([long_refresh(2, later)])
        store.commit([long_refresh(3, later)])
        third = left_by_a_kill(second)
    with closing(sqlite3.connect(third)) as database:
        database.execute("UPDATE log SET value = x'00' WHERE sequence = 2")
        database.commit()
    with SqliteStore(third) as store:
        assert store.load().receipts == (long_refresh(1, earlier).receipt,)
        assert [str(row) for row in store.damaged] == [
            "log 0000000000000002: the checksum is wrong",
            "log 0000000000000003: pattern 1 is missing",
        ]


def test_the_log_stays_short_and_is_empty_after_closing(file: Path) -> None:
    def log_length() -> int:
        with closing(sqlite3.connect(file)) as database:
            (length,) = database.execute("SELECT count(*) FROM log").fetchone()
        return int(length)

    with patch.multiple(sqlite_store, _STRETCH_OCTETS=2000, _TAKE_OVER_LEAST=4), SqliteStore(file) as store:
        for nonce in range(500):
            store.commit([RECEIPT._replace(nonce=nonce, key_id=nonce % 7)])
        (rows,) = store._execute("SELECT count(*) FROM log")
        assert isinstance(rows, int)
        assert 0 < rows < 100
    assert log_length() == 0
    assert sorted(receipt.nonce for receipt in stored(file).receipts) == list(range(493, 500))


def test_a_mac_address_is_one_whatever_its_afi_and_keeps_it(file: Path) -> None:
    old, new = (Eid(1, MacAddress(bytes(6), afi)) for afi in (6, 16389))
    with SqliteStore(file) as store:
        store.commit([CONTRIBUTION._replace(eid=old), replace(SUBSCRIPTION, eid=old)])
        store.commit([CONTRIBUTION._replace(eid=new), replace(SUBSCRIPTION, eid=new)])
        snapshot = store.load()
        targets = [found.eid.target for found in snapshot.contributions]
        targets += [found.eid.target for found in snapshot.subscriptions]
        assert [target.afi for target in targets if isinstance(target, MacAddress)] == [16389, 16389]
        store.commit([Withdrawn(old, XTR)])
        assert store.load().contributions == ()


def test_the_afi_of_a_mac_address_is_no_part_of_the_key(file: Path) -> None:
    """Else a restarted server would not find again what came with the other AFI."""
    one, other = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"
    eids = [Eid(1, MacAddress(one, 6)), Eid(1, MacAddress(other, 16389))]
    filled(file, *(CONTRIBUTION._replace(eid=eid) for eid in eids))
    with closing(sqlite3.connect(file)) as database:
        keys = [row[0] for row in database.execute("SELECT key FROM contribution ORDER BY key")]
    assert keys[0].replace(one, other) == keys[1]


def test_metadata_of_a_configured_vendor_is_held(file: Path) -> None:
    options = DecodeOptions(known_ouis=frozenset({0x123456}))
    foreign = CONTRIBUTION._replace(terms=terms(RlocRecord(VendorSpecific(0x123456, b"\x01\x01x"))))
    with SqliteStore(file, decode_options=options) as store:
        store.commit([foreign])
        assert store.load().contributions == (foreign,)


@pytest.mark.parametrize(
    "change",
    [
        CONTRIBUTION._replace(terms=terms(ttl=2**32)),
        CONTRIBUTION._replace(xtr=XtrKey(40, b"short")),
        CONTRIBUTION._replace(xtr=XtrKey(2**64, bytes(16))),
        RECEIPT._replace(register=bytes(1 << 16)),
        RECEIPT._replace(key_id=256),
        RECEIPT._replace(nonce=-1),
        replace(SUBSCRIPTION, itr_rlocs=(ip("192.0.40.1"),) * 256),
    ],
)
def test_what_has_no_place_is_refused_with_its_whole_commit(file: Path, change: Change) -> None:
    with SqliteStore(file) as store:
        store.commit([RECEIPT._replace(key_id=9)])
        with pytest.raises(StoreError, match=f"^{file}: cannot hold {type(change).__name__}"):
            store.commit([*ONE_OF_EACH, change])
        assert contents(store.load()) == contents(Snapshot((), (RECEIPT._replace(key_id=9),), ()))


def test_a_fabric_restarts_its_mapping_systems_from_their_files(tmp_path: Path) -> None:
    stores: list[SqliteStore] = []

    def next_store() -> SqliteStore:
        stores.append(SqliteStore(tmp_path / f"{len(stores)}.db"))
        return stores[-1]

    assert_restarts(next_store)
    for store in stores:
        assert not store.damaged
        store.close()
