"""The SQLite store: it holds what memory would, refuses what it cannot hold, and reports what was damaged."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import DecodeOptions, Eid, Endpoint, MacAddress, MapNotify, RlocRecord, VendorSpecific
from controller.mapping import (
    Change,
    Contribution,
    Contributions,
    Forgotten,
    Gone,
    MemoryStore,
    NonceFloor,
    Receipt,
    Refresh,
    Snapshot,
    StoreError,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
    sqlite_store,
)
from controller.mapping.content import Terms
from controller.mapping.sqlite_store import SqliteStore
from tests.lisp.strategies import U16, U32, U64, eids, ip_addresses, rloc_records, tuples_of
from tests.mapping.harness import Bench, assert_restarts, eid, events, ip, messages, sends

XTR = XtrKey(40, bytes(range(16)))
HOST = eid("40.0.0.7")


def terms(*locators: RlocRecord, ttl: int = 1440) -> Terms:
    return Terms.of(ttl, locators, 180.0, True)


CONTRIBUTION = Contribution(HOST, XTR, terms(RlocRecord(ip("192.0.40.1"), local=True)), 7)
RECEIPT = Receipt(XTR, 1, 2**64 - 1, bytes(range(32)), b"a Map-Notify", Endpoint(ip("192.0.40.1"), 4342))
SUBSCRIPTION = Subscription(
    eid("40.0.0.0/16"), XTR, SubscriptionKind.TABLE, (ip("192.0.40.1"),), 2**63, muted=frozenset({HOST})
)
ONE_OF_EACH = (CONTRIBUTION, RECEIPT, SUBSCRIPTION)

# Many examples make many files: without a disk to wait for, if the system has such a folder.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mapping-system.db"


def contents(snapshot: Snapshot) -> tuple[frozenset[object], ...]:
    """A snapshot without its order, in which nothing is there twice."""
    parts = (snapshot.contributions, snapshot.receipts, snapshot.subscriptions, snapshot.floors, snapshot.gone)
    sets = tuple(frozenset(part) for part in parts)
    assert [len(part) for part in parts] == [len(part) for part in sets]
    return sets


def stored(file: Path) -> Snapshot:
    with SqliteStore(file) as store:
        return store.load()


def filled(file: Path, *changes: Change) -> Path:
    with SqliteStore(file) as store:
        store.commit(changes)
    return file


# ---- what is stored ---------------------------------------------------------------------------------------------

some_terms = st.builds(Terms.of, U32, tuples_of(rloc_records, 0, 3), st.floats(0, 1e9), st.booleans())
xtrs = st.builds(XtrKey, U64, st.binary(min_size=16, max_size=16) | ip_addresses)


@st.composite
def refreshes(draw: st.DrawFn, some_xtrs: st.SearchStrategy[XtrKey]) -> st.SearchStrategy[Refresh]:
    """Those of one Map-Register that is sent again and again: nonce and both MACs differ."""
    xtr, key_id, like = draw(some_xtrs), draw(st.sampled_from([0, 1, 255])), object()
    source = draw(st.builds(Endpoint, ip_addresses, U16))
    length, reply_length = draw(st.sampled_from([0, 16, 32])), draw(st.sampled_from([None, 0, 16]))
    records, reply_records = draw(st.binary(max_size=40)), draw(st.binary(max_size=40))

    def refresh(nonce: int, seed: int) -> Refresh:
        number, mac = nonce.to_bytes(8, "big"), Random(seed).randbytes(32)
        register = b"\x3c\0\1\1" + number + bytes((1, 2, 0, length)) + mac[:length] + records
        reply = None
        if reply_length is not None:
            reply = b"\x40\0\0\1" + number + bytes((1, 2, 0, reply_length)) + mac[:reply_length] + reply_records
        own = number + mac[:length] + mac[: reply_length or 0]
        return Refresh(Receipt(xtr, key_id, nonce, register, reply, source), like, own)

    return st.builds(refresh, U64, U16)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Change] | None]:
    """Commits, and None where the file is closed and opened again; few EIDs and xTRs, so that much is replaced."""
    some_eids = st.sampled_from(draw(st.lists(eids, min_size=1, max_size=3)))
    some_xtrs = st.sampled_from(draw(st.lists(xtrs, min_size=1, max_size=2)))
    repeated = draw(st.lists(refreshes(some_xtrs), min_size=1, max_size=2))
    changes: st.SearchStrategy[Change] = st.one_of(
        *repeated,
        st.builds(Contributions, tuples_of(some_eids, 1, 3), some_xtrs, some_terms, U64),
        st.builds(Contribution, some_eids, some_xtrs, some_terms, U64),
        st.builds(Withdrawn, some_eids, some_xtrs),
        st.builds(Forgotten, some_eids, some_xtrs),
        st.builds(NonceFloor, some_xtrs, U64),
        st.builds(Gone, some_eids, st.booleans()),
        st.builds(
            Receipt,
            some_xtrs,
            st.sampled_from([0, 1, 255]),
            U64,
            st.binary(max_size=40),
            st.none() | st.binary(max_size=40),
            st.builds(Endpoint, ip_addresses, U16),
        ),
        st.builds(
            Subscription,
            some_eids,
            some_xtrs,
            st.sampled_from(SubscriptionKind),
            tuples_of(ip_addresses, 0, 3),
            U64,
            st.booleans(),
            st.frozensets(eids, max_size=3),
        ),
    )
    return draw(st.lists(st.none() | st.lists(changes, max_size=6), max_size=8))


@given(histories(), st.booleans(), st.sampled_from([1, 2, 3, 1 << 16]))
@settings(max_examples=100, deadline=None)
def test_it_holds_what_memory_holds(history: list[list[Change] | None], power_safe: bool, stretch: int) -> None:
    """Whatever of its log was taken over: with short stretches each commit takes over a part."""
    memory = MemoryStore()
    limits = patch.multiple(sqlite_store, _STRETCH_KEYS=stretch, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1)
    with limits, TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "store.db"
        store = SqliteStore(file, power_safe=power_safe)
        for changes in [*history, None]:
            if changes is None:
                store.close()
                store = SqliteStore(file, power_safe=power_safe)
            else:
                memory.commit(changes)
                store.commit(changes)
            assert contents(store.load()) == contents(memory.load())
            assert not store.damaged
        store.close()


@given(histories(), st.sampled_from([1, 2, 3, 1 << 16]))
@settings(max_examples=100, deadline=None)
def test_what_a_killed_process_left_is_all_that_it_committed(history: list[list[Change] | None], stretch: int) -> None:
    """However much of the log was in the tables, and whatever was gone from it already."""
    memory = MemoryStore()
    limits = patch.multiple(sqlite_store, _STRETCH_KEYS=stretch, _TAKE_OVER_LEAST=1, _TAKE_OVER_RATIO=1)
    with limits, TemporaryDirectory(dir=IN_MEMORY) as folder:
        file, left = Path(folder) / "store.db", Path(folder) / "left.db"
        store = SqliteStore(file)
        for changes in filter(None, history):
            memory.commit(changes)
            store.commit(changes)
            for suffix in ("", "-wal"):
                shutil.copy(f"{file}{suffix}", f"{left}{suffix}")
            with SqliteStore(left) as again:
                assert contents(again.load()) == contents(memory.load())
                assert not again.damaged
                memory.commit(changes)
                again.commit(changes)
                assert contents(again.load()) == contents(memory.load())
        store.close()


def long_refresh(nonce: int, records: bytes) -> Refresh:
    number = nonce.to_bytes(8, "big")
    register = b"\x3c\0\1\1" + number + b"\1\2\0\x10" + bytes(16) + records
    return Refresh(RECEIPT._replace(nonce=nonce, register=register, reply=None), records, number + bytes(16))


def left_by_a_kill(file: Path) -> Path:
    """A copy of an open file, with all that its process had committed."""
    left = file.with_name(f"left of {file.name}")
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", f"{left}{suffix}")
    return left


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


# ---- the file ---------------------------------------------------------------------------------------------------


def foreign_database(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
        database.commit()


def later_schema(file: Path) -> None:
    filled(file, *ONE_OF_EACH)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 6")


def test_a_file_of_version_2_gets_what_it_lacks(file: Path) -> None:
    filled(file, *ONE_OF_EACH)
    with closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE floor")
        database.execute("DROP TABLE gone")
        database.execute("PRAGMA user_version = 2")
    before = stored(file)
    assert contents(before) == contents(Snapshot((CONTRIBUTION,), (RECEIPT,), (SUBSCRIPTION,)))
    filled(file, NonceFloor(XTR, 77), Gone(HOST))
    assert stored(file).floors == (NonceFloor(XTR, 77),)
    assert stored(file).gone == (HOST,)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda file: file.write_text("sites:\n" * 1000), "is not an SQLite database"),
        (foreign_database, r"is the database of another program \(application id 0x0\)"),
        (later_schema, "has schema version 6, this program uses 5"),
        (Path.mkdir, "cannot be opened or created"),
    ],
    ids=["text", "another program's", "later version", "directory"],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    file: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(StoreError, match=f"^{file}: {reason}$"):
        SqliteStore(file)
    assert before is None or file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "store.db"
    with pytest.raises(StoreError, match=f"^{file}: cannot be opened or created$"):
        SqliteStore(file)


def open_and_tell(file: Path, told: Connection) -> None:
    try:
        SqliteStore(file).close()
    except StoreError as error:
        told.send(str(error))
    else:
        told.send("opened")


def test_one_process_at_a_time(file: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    receiving, sending = context.Pipe(duplex=False)

    def other_process() -> object:
        process = context.Process(target=open_and_tell, args=(file, sending))
        process.start()
        process.join()
        return receiving.recv()

    with SqliteStore(file) as store:
        assert other_process() == f"{file}: is in use by another process"
        with pytest.raises(StoreError, match="is in use by another process"):
            SqliteStore(file)
        store.commit(ONE_OF_EACH)
        store.load()
        assert other_process() == f"{file}: is in use by another process"
    assert other_process() == "opened"


def test_after_closing_nothing_is_left_but_the_file(file: Path) -> None:
    store = SqliteStore(file)
    store.commit(ONE_OF_EACH)
    store.close()
    store.close()
    assert list(file.parent.iterdir()) == [file]
    with pytest.raises(StoreError, match=f"^{file}: .*closed"):
        store.commit(ONE_OF_EACH)
    with pytest.raises(StoreError, match=f"^{file}: .*closed"):
        store.load()


@contextmanager
def files_limited_to(octets: int) -> Iterator[None]:
    """What a full disk does: the kernel refuses to make files longer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_on_a_full_disk_nothing_of_a_commit_is_stored_and_later_all(file: Path) -> None:
    many = [RECEIPT._replace(key_id=number, reply=bytes(4000)) for number in range(100)]
    with SqliteStore(file) as store:
        store.commit(ONE_OF_EACH)
        with files_limited_to(100_000), pytest.raises(StoreError, match=f"^{file}: "):
            store.commit(many)
        assert contents(store.load()) == contents(Snapshot((CONTRIBUTION,), (RECEIPT,), (SUBSCRIPTION,)))
        store.commit(many)
        assert len(store.load().receipts) == 100
    assert len(stored(file).receipts) == 100


def test_a_map_server_sends_nothing_that_its_file_did_not_take(file: Path) -> None:
    with SqliteStore(file) as store:
        bench = Bench(store)
        with files_limited_to(1):
            outputs = bench.register(bench.d1, HOST)
            assert events(outputs, "store-failed")
            assert sends(outputs) == []
        assert store.load() == Snapshot()
        assert messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d1)
        assert [found.eid for found in store.load().contributions] == [HOST]


# ---- damage -----------------------------------------------------------------------------------------------------


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


def flipped(octets: bytes, place: int) -> bytes:
    bit = place % (8 * len(octets))
    changed = bytearray(octets)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def shortened(octets: bytes, place: int) -> bytes:
    return octets[: place % len(octets)]


def lengthened(octets: bytes, place: int) -> bytes:
    return octets + bytes([place & 0xFF])


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


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_row_of_the_log_is_reported_and_the_others_are_there(data: st.DataObject) -> None:
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        file = Path(folder) / "store.db"
        store = SqliteStore(file)
        for key_id in range(4):
            store.commit([RECEIPT._replace(key_id=key_id)])
        left = Path(shutil.copy(file, Path(folder) / "left.db"))  # as after a kill, with the log in it
        shutil.copy(f"{file}-wal", f"{left}-wal")
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
