"""The SQLite store reports what was damaged in its file, and has all the rest."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import MapNotify
from controller.mapping import StoreError, XtrKey
from controller.mapping.sqlite_store import SqliteStore
from tests.lisp.strategies import U16
from tests.mapping.harness import Bench, messages
from tests.mapping.stores import IN_MEMORY
from tests.mapping.stores.examples import (
    CONTRIBUTION,
    HOST,
    ONE_OF_EACH,
    RECEIPT,
    SUBSCRIPTION,
    flipped,
    lengthened,
    shortened,
)
from tests.mapping.stores.sqlite import filled, left_by_a_kill, stored


@given(st.sampled_from(["contribution", "receipt", "subscription"]), st.sampled_from(["key", "value"]), st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_row_is_reported_and_the_others_are_there(table: str, column: str, data: st.DataObject) -> None:
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = filled(Path(folder) / "store.db", *ONE_OF_EACH, RECEIPT._replace(key_id=2))
        with closing(sqlite3.connect(file)) as database:
            octets = database.execute(f"SELECT {column} FROM {table}").fetchone()[0]
            damaged = data.draw(st.sampled_from([flipped, shortened, lengthened]))(octets, data.draw(U16))
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (damaged, octets))
            database.commit()
        with SqliteStore(file) as store:
            snapshot = store.load()
            (report,) = store.damaged
            assert report.table == table
            assert report.reason
            whole = {CONTRIBUTION, RECEIPT, RECEIPT._replace(key_id=2), SUBSCRIPTION}
            found = {*snapshot.contributions, *snapshot.receipts, *snapshot.subscriptions}
            assert len(found) == 3
            assert found < whole


def test_a_registration_replaces_a_damaged_row(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SqliteStore(file) as store:
        bench = Bench(store)
        bench.register(bench.d1, HOST)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE contribution SET value = x'00'")
        database.commit()
    with SqliteStore(file) as store:
        again = Bench(store)
        again.d1.nonce = bench.d1.nonce
        assert [damaged.table for damaged in store.damaged] == ["contribution"]
        assert f"{file}: damaged row left out: contribution" in caplog.text
        assert again.mappings() == {}
        assert messages(again.register(again.d1, HOST), MapNotify, to=again.d1)
    with SqliteStore(file) as store:
        assert [found.eid for found in store.load().contributions] == [HOST]
        assert not store.damaged


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_row_of_the_log_is_reported_and_the_others_are_there(data: st.DataObject) -> None:
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "store.db"
        store = SqliteStore(file)
        for key_id in range(4):
            store.commit([RECEIPT._replace(key_id=key_id)])
        left = left_by_a_kill(file)  # with the log in it
        store.close()
        number = data.draw(st.integers(1, 4))
        with closing(sqlite3.connect(left)) as database:
            (octets,) = database.execute("SELECT value FROM log WHERE sequence = ?", (number,)).fetchone()
            damaged = data.draw(st.sampled_from([flipped, shortened, lengthened]))(octets, data.draw(U16))
            database.execute("UPDATE log SET value = ? WHERE sequence = ?", (damaged, number))
            database.commit()
        with SqliteStore(left) as again:
            found = [receipt.key_id for receipt in again.load().receipts]
            assert found == [key_id for key_id in range(4) if key_id != number - 1]
            (report,) = again.damaged
            assert (report.table, int.from_bytes(report.key, "big")) == ("log", number)


def test_a_damaged_file_gives_an_error_or_reports_rows(file: Path) -> None:
    """Whatever is overwritten: what loads is true, and what does not is named."""
    receipts = [RECEIPT._replace(xtr=XtrKey(number, bytes(16)), reply=bytes(300)) for number in range(100)]
    filled(file, *receipts)
    whole = file.read_bytes()
    random = Random(5)
    refusals: list[str] = []
    for _ in range(60):
        at = random.randrange(len(whole))
        file.write_bytes(whole[:at] + random.randbytes(64) + whole[at + 64 :])
        try:
            with SqliteStore(file) as store:
                snapshot = store.load()
        except StoreError as error:
            refusals.append(str(error))
            continue
        assert set(snapshot.receipts) <= set(receipts)
        assert len(snapshot.receipts) + len(store.damaged) == len(receipts)
    assert 0 < len(refusals) < 60
    assert all(text.startswith(f"{file}: ") for text in refusals)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=f"^{file}: .*(damaged|malformed)"):
        SqliteStore(file).load()


def test_a_write_ahead_log_cut_off_anywhere_holds_a_beginning_of_the_commits(tmp_path: Path) -> None:
    """What a process leaves behind that dies while it writes."""
    file = tmp_path / "living.db"
    ends: list[int] = []
    with SqliteStore(file) as store:
        for nonce in range(1, 8):
            store.commit([RECEIPT._replace(nonce=nonce), replace(SUBSCRIPTION, nonce=nonce)])
            ends.append(Path(f"{file}-wal").stat().st_size)
        main, log = file.read_bytes(), Path(f"{file}-wal").read_bytes()
    copy = tmp_path / "dead.db"
    for length in [*range(ends[0], ends[-1], 997), *ends, *(end - 1 for end in ends[1:])]:
        copy.write_bytes(main)
        Path(f"{copy}-wal").write_bytes(log[:length])
        committed = sum(end <= length for end in ends)
        snapshot = stored(copy)
        assert [receipt.nonce for receipt in snapshot.receipts] == [committed]
        assert [subscription.nonce for subscription in snapshot.subscriptions] == [committed]
