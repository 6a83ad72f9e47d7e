"""The store of a Map-Server in one SQLite file: what was committed is still there after the process was killed.

A commit is one transaction on a write-ahead log. It returns when the operating system has the transaction's frames,
which no death of this process can take back; frames of a transaction that did not get that far fail their checksum
or lack the commit mark, and are passed over when the file is opened again. That is SQLite's synchronous=NORMAL. Only
a crash of the operating system or a power failure can lose the latest commits then, never the file's consistency:
xTRs register again within a minute, and what was captured in the lost moments could be replayed. `power_safe` rules
this out with synchronous=FULL, which waits for the disk at every commit and is some fifty times slower.

A commit is one row in the table `log` (see `store_log`). When a stretch of the log has got long, each later commit
takes a part of it over into the tables, so no commit is much slower than others; closing takes over the rest.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from controller.lisp import DecodeOptions
from controller.mapping.store import Change, Snapshot, StoreError
from controller.mapping.store_log import TABLES, Body, DamagedRow, LogReader, Row, RowError, Rows, Stretch, Table
from controller.mapping.store_rows import checksummed, encode_changes, expand_receipt, snapshot_of

log = logging.getLogger(__name__)

_APPLICATION_ID: Final = 0x4C495350  # "LISP": tells our files from other programs'
_SCHEMA_VERSION: Final = 5
_OLDEST_VERSION: Final = 2
# The row lives in the index of its key: one tree to change per row.
_CREATE: Final = "CREATE TABLE IF NOT EXISTS {} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"
_CREATE_LOG: Final = "CREATE TABLE IF NOT EXISTS log (sequence INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT"
_PUT: Final = {
    table: f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value" for table in TABLES
}
_REMOVE: Final = {table: f"DELETE FROM {table} WHERE key = ?" for table in TABLES}
_APPEND: Final = "INSERT INTO log (value) VALUES (?)"
_SHORTEN: Final = "DELETE FROM log WHERE sequence <= min(?, (SELECT min(sequence) FROM log) + ?)"

# A stretch of the log is taken over when it has that many octets or distinct keys: the former bound the file, the
# latter the memory. A commit takes over so many times the rows that it brings, and at least so many.
_STRETCH_OCTETS: Final = 32 << 20
_STRETCH_KEYS: Final = 1 << 16
_TAKE_OVER_RATIO: Final = 2
_TAKE_OVER_LEAST: Final = 64

_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "is in use by another process",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened or created",
}


class SqliteStore:
    """A `Store` in an SQLite file, which is created if there is none. One process at a time can have it open.

    Attributes:
        damaged: the rows that the last `load` could not use. They stay in the file until they are replaced.
    """

    def __init__(self, file: Path, *, power_safe: bool = False, decode_options: DecodeOptions | None = None) -> None:
        """`decode_options`: those of the Map-Server, if it is told of other vendors.

        Raises StoreError, which names the file, when it cannot be opened, is another program's, of another schema
        version, in use, or damaged in its structure. It is not changed then.
        """
        self.damaged: tuple[DamagedRow, ...] = ()
        self._file = file
        self._options = decode_options or DecodeOptions()
        self._closed = False
        self._recent = Stretch()
        self._old = Stretch()  # is being taken over into the tables
        self._next_pattern = 0
        self._damaged_log: list[DamagedRow] = []
        with self._reported():
            # Statements are prepared once and kept; transactions begin and end where this class says so.
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=0)
        try:
            with self._reported():
                self._open(power_safe)
        except StoreError:
            self._connection.close()
            raise

    def load(self) -> Snapshot:
        """Everything stored so far, in the order of the keys. Raises StoreError.

        A damaged row is left out, logged, and listed in `damaged`: the rest of the fabric's state must not wait for
        one xTR's. What an xTR registered comes back with its next Map-Register.
        """
        damaged = list(self._damaged_log)
        with self._reported():
            snapshot = snapshot_of(self._stored, self._late, self._options, damaged)
        self.damaged = tuple(damaged)
        for row in damaged:
            log.error("%s: damaged row left out: %s", self._file, row)
        return snapshot

    def commit(self, changes: Iterable[Change]) -> None:
        """Make all `changes`, in their order, durable, or none of them. Raises StoreError."""
        if not self._old.last and self._is_long(self._recent):
            self._old, self._recent = self._recent, Stretch()
        rows = Rows(self._recent.patterns, self._next_pattern)
        encode_changes(changes, rows, str(self._file))
        if not rows:
            return
        octets = rows.joined()
        with self._reported():
            if self._old.last:
                with self._transaction():
                    sequence = self._connection.execute(_APPEND, (octets,)).lastrowid
                    taken = self._take_over(max(_TAKE_OVER_RATIO * len(rows), _TAKE_OVER_LEAST))
                self._old.discard(taken)
            else:  # one statement is a transaction of its own, a third faster
                sequence = self._connection.execute(_APPEND, (octets,)).lastrowid
        assert sequence is not None
        self._recent.add(rows.latest, len(octets), sequence)
        self._recent.patterns |= rows.patterns
        self._next_pattern += len(rows.patterns)

    def close(self) -> None:
        """Take over the whole log into the tables and release the file. Raises StoreError.

        If there is no room for that, the log stays, and nothing is lost.
        """
        if self._closed:
            return
        self._closed = True
        with self._reported():
            try:
                with self._transaction():
                    for stretch in (self._old, self._recent):
                        self._write(stretch.rows())
                    self._connection.execute("DELETE FROM log")
            except sqlite3.Error as error:
                log.warning("%s: the log stays as it is: %s", self._file, error)
            self._connection.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, power_safe: bool) -> None:
        # In exclusive mode the first lock is kept until the file is closed, or the process dies: nobody else can
        # write behind the machine's back, and no commit spends time on locks.
        self._execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction("EXCLUSIVE"):
            outdated = self._identify()
        (mode,) = self._execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreError(f"{self._file}: its file system allows no write-ahead log, only {mode}")
        self._execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
        if outdated:
            with self._transaction():
                for table in TABLES:
                    self._execute(_CREATE.format(table))
                self._execute(_CREATE_LOG)
                self._execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        self._read_log()

    def _identify(self) -> bool:
        """Whether tables are missing, as in a new file; raises StoreError if it is not ours or not whole."""
        (application,) = self._execute("PRAGMA application_id")
        (version,) = self._execute("PRAGMA user_version")
        (objects,) = self._execute("SELECT count(*) FROM sqlite_schema")
        if application == version == objects == 0:
            return True
        if application != _APPLICATION_ID:
            raise StoreError(f"{self._file}: is the database of another program (application id {application:#x})")
        if not isinstance(version, int) or not _OLDEST_VERSION <= version <= _SCHEMA_VERSION:
            raise StoreError(f"{self._file}: has schema version {version}, this program uses {_SCHEMA_VERSION}")
        (found,) = self._execute("PRAGMA quick_check(1)")
        if found != "ok":
            raise StoreError(f"{self._file}: is damaged: {found}")
        return version < _SCHEMA_VERSION  # version 2 had no table of floors, 3 no patterns, 4 none of who is gone

    @staticmethod
    def _is_long(stretch: Stretch) -> bool:
        return stretch.octets >= _STRETCH_OCTETS or len(stretch) >= _STRETCH_KEYS

    def _take_over(self, count: int) -> list[Row]:
        """Bring some of the old stretch into the tables; returns what is there now."""
        rows = self._old.first(count)
        self._write(row for row in rows if row not in self._recent)  # else a later one comes with the next stretch
        if not rows and not self._connection.execute(_SHORTEN, (self._old.last, count)).rowcount:
            self._old = Stretch()
        return rows

    def _read_log(self) -> None:
        reader = LogReader(expand_receipt)
        for sequence, octets in self._connection.execute("SELECT sequence, value FROM log ORDER BY sequence"):
            try:
                self._recent.add(reader.split(octets), len(octets), sequence)
            except RowError as error:
                self._damaged_log.append(DamagedRow("log", sequence.to_bytes(8, "big"), str(error)))
        self._next_pattern = reader.next_number

    def _write(self, rows: Iterable[Row]) -> None:
        execute = self._connection.execute
        for table, key, body in rows:
            if body is None:
                execute(_REMOVE[table], (key,))
            else:
                execute(_PUT[table], (key, checksummed(key, body)))

    def _stored(self, table: Table) -> Iterable[tuple[bytes, bytes]]:
        return self._connection.execute(f"SELECT key, value FROM {table} ORDER BY key")

    def _late(self, table: Table) -> dict[bytes, Body]:
        return self._old.latest[table] | self._recent.latest[table]

    def _execute(self, statement: str) -> tuple[object, ...]:
        """The first row of what `statement` returns."""
        row: tuple[object, ...] | None = self._connection.execute(statement).fetchone()
        return row or ()

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has already rolled back
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Every error of SQLite becomes one that names the file."""
        try:
            yield
        except UnicodeDecodeError as error:  # what SQLite took for text is none
            raise StoreError(f"{self._file}: is damaged: {error}") from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without SQLite's extension of it
            raise StoreError(f"{self._file}: {_REASONS.get(code, error)}") from error
