"""The file of the SQLite store: whose it is, what it becomes, and what happens when the disk is full."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from controller.lisp import MapNotify
from controller.mapping import Gone, NonceFloor, Snapshot, StoreError
from controller.mapping.sqlite_store import SqliteStore
from tests.mapping.harness import Bench, events, messages, sends
from tests.mapping.stores.examples import CONTRIBUTION, HOST, ONE_OF_EACH, RECEIPT, SUBSCRIPTION, XTR, contents
from tests.mapping.stores.sqlite import filled, stored


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
