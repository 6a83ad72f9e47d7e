"""The store of a Map-Server in an etcd cluster: whichever machine it is started on, it knows what it acknowledged.

Everything is below one prefix, `/lispfabric/NAME/`:

* `contribution/`, `receipt/`, `subscription/`, `floor/`, `gone/`, each with a key: the tables, with checksummed values
  as in SQLite (see `store_rows`);
* `log/NUMBER`: a commit (see `store_log`). A commit too long for one value has its first parts in `log/NUMBER/PART`,
  and counts from the transaction on that writes `log/NUMBER`: parts without it are what a killed process left;
* `owner`: the process that may write (see `etcd_owner`);
* `format`: the version of all this.

A commit is one round trip. When a stretch of the log has got long, each later commit brings a part of it into the
tables, in transactions of its own, which repeat what the log has until the log lets go of it.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final

from controller.lisp import DecodeOptions
from controller.mapping.etcd_cluster import EtcdCluster, Json, Tls, delete, put
from controller.mapping.etcd_owner import Owner
from controller.mapping.store import Change, Snapshot, StoreError
from controller.mapping.store_log import TABLES, Body, DamagedRow, LogReader, Row, RowError, Rows, Stretch, Table
from controller.mapping.store_rows import checksummed, encode_changes, expand_receipt, snapshot_of

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 9  # after which another machine may take the place of one that died

_FORMAT: Final = b"2"
_OLDER_FORMATS: Final = (b"1",)  # without gone/
_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LOG_NAME: Final = re.compile(rb"([0-9a-f]{16})(?:/([0-9a-f]{8}))?")
_COUNT: Final = struct.Struct("!I")  # of the parts before the last; then the last
_ENDS: Final = (b"format", b"owner")

# etcd takes 1.5 MiB and 128 operations in a transaction, unless it is told otherwise.
_PART_OCTETS: Final = 512 << 10
_LARGEST_BODY: Final = 1 << 20
_OPERATIONS: Final = 100

# As in the SQLite store. A commit counts as so many octets more than it has: keys are in etcd's memory.
_STRETCH_OCTETS: Final = 8 << 20
_STRETCH_KEYS: Final = 1 << 16
_KEY_OCTETS: Final = 400
_TAKE_OVER_RATIO: Final = 2
_TAKE_OVER_LEAST: Final = 64
_SHORTEN: Final = 1000  # commits that the log loses at once


class EtcdStore:
    """A `Store` in an etcd cluster. One process at a time can have it open, on whatever machine.

    Attributes:
        damaged: what the last `load` could not use. It stays until it is replaced.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        name: str,
        *,
        tls: Tls | None = None,
        decode_options: DecodeOptions | None = None,
        lease: int = LEASE_SECONDS,
    ) -> None:
        """`endpoints`: HOST:PORT of members of the cluster; `name`: of the Map-Server, with a store of its own.

        `lease`: seconds after which the store of a process that died can be opened; waits for it. Raises StoreError,
        which names endpoints and name, when etcd cannot be reached, or the store is in use or of another format.
        """
        self._place = f"etcd://{','.join(endpoints)}/{name}"
        if not _NAME.fullmatch(name):
            raise StoreError(f"{self._place}: a name has letters, digits and . _ : - only")
        self.damaged: tuple[DamagedRow, ...] = ()
        self._options = decode_options or DecodeOptions()
        self._prefix = f"/lispfabric/{name}/".encode()
        self._log = self._prefix + b"log/"
        self._closed = False
        self._recent = Stretch()
        self._old = Stretch()  # is being brought into the tables
        self._next_pattern = 0
        self._damaged_log: list[DamagedRow] = []
        self._first = 0  # no commit in the log has a lower number
        self._last = 0  # the last commit; whatever has a higher number counts for nothing
        self._next = 1
        self._owner = Owner(lambda: EtcdCluster(endpoints, self._place, tls), self._prefix + b"owner", lease)
        self._cluster = EtcdCluster(endpoints, self._place, tls)
        try:
            self._check_format()
            self._read_log()
        except BaseException:
            self.close()
            raise

    def load(self) -> Snapshot:
        """Everything stored so far, in the order of the keys. Raises StoreError.

        What is damaged, or not ours, is left out, logged, and listed in `damaged`: the rest of the fabric's state must
        not wait for one xTR's.
        """
        self._expect_open()
        damaged = list(self._damaged_log)
        tables: dict[Table, list[tuple[bytes, bytes]]] = {table: [] for table in TABLES}
        by_name = {table.encode(): rows for table, rows in tables.items()}
        at = len(self._prefix)
        for begin, end in ((self._prefix, self._log), (_after(self._log), _after(self._prefix))):
            for found in self._cluster.scan(begin, end):
                table, _, key = found.key[at:].partition(b"/")
                if table in by_name:
                    by_name[table].append((key, found.value))
                elif found.key[at:] not in _ENDS:
                    damaged.append(DamagedRow("other", found.key[at:], "is none of our keys"))
        snapshot = snapshot_of(tables.__getitem__, self._late, self._options, damaged)
        self.damaged = tuple(damaged)
        for row in damaged:
            log.error("%s: damaged row left out: %s", self._place, row)
        return snapshot

    def commit(self, changes: Iterable[Change]) -> None:
        """Make all `changes`, in their order, durable, or none of them. Raises StoreError.

        After an error that says that etcd did not answer, the changes count if this process dies before its next
        commit, as they may when it dies before it could answer.
        """
        self._expect_open()
        if not self._old.last and self._is_long(self._recent):
            self._old, self._recent = self._recent, Stretch()
        rows = Rows(self._recent.patterns, self._next_pattern)
        encode_changes(changes, rows, self._place)
        if not rows:
            return
        octets = rows.joined()
        if len(octets) > _LARGEST_BODY:
            self._refuse_large(rows)
        sequence = self._append(octets)
        self._recent.add(rows.latest, len(octets) + _KEY_OCTETS, sequence)
        self._recent.patterns |= rows.patterns
        self._next_pattern += len(rows.patterns)
        if self._old.last:
            self._take_over(max(_TAKE_OVER_RATIO * len(rows), _TAKE_OVER_LEAST))

    def close(self) -> None:
        """Let others open it. Raises nothing: if etcd cannot be reached, the lease ends by itself."""
        if self._closed:
            return
        self._closed = True
        self._owner.release()
        self._cluster.close()

    def __enter__(self) -> EtcdStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _expect_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._place}: is closed")

    def _check_format(self) -> None:
        key = self._prefix + b"format"
        found = [one.value for one in self._cluster.scan(key, key + b"\0")]
        if not found or found[0] in _OLDER_FORMATS:
            self._owner.transact([put(key, _FORMAT)])
        elif found != [_FORMAT]:
            raise StoreError(f"{self._place}: has format {found[0][:20]!r}, this program uses {_FORMAT!r}")

    def _read_log(self) -> None:
        reader = LogReader(expand_receipt)
        for sequence, octets, key in self._commits():
            try:
                if octets is None:
                    raise RowError("is no commit of ours, or parts of it are missing")
                self._recent.add(reader.split(octets), len(octets) + _KEY_OCTETS, sequence)
            except RowError as error:
                self._damaged_log.append(DamagedRow("log", key, str(error)))
        self._next_pattern = reader.next_number

    def _commits(self) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Number and octets of the commits in the log, the oldest first; None for octets that cannot be had."""
        number, parts, missing = 0, [b""], 0  # of the commit that is being put together; its last part comes first
        for found in self._cluster.scan(self._log, _after(self._log)):
            name = _LOG_NAME.fullmatch(found.key[len(self._log) :])
            if name is None:
                yield 0, None, found.key[len(self._log) :]
                continue
            this = int(name[1], 16)
            self._next = max(self._next, this + 1)
            if name[2] is None:
                if number:
                    yield number, _whole(parts, missing), number.to_bytes(8, "big")
                number, self._last = this, this
                self._first = self._first or this
                missing = _COUNT.unpack_from(found.value)[0] if len(found.value) >= _COUNT.size else 1
                parts = [found.value[_COUNT.size :]]
            elif this == number and len(parts) <= missing:
                parts.append(found.value)
        if number:
            yield number, _whole(parts, missing), number.to_bytes(8, "big")

    def _append(self, octets: bytearray) -> int:
        """Write a commit to the log; returns its number."""
        sequence, self._next = self._next, self._next + 1
        key = self._key_of(sequence)
        parts = [octets[at : at + _PART_OCTETS] for at in range(0, len(octets), _PART_OCTETS)]
        last = _COUNT.pack(len(parts) - 1) + parts.pop()
        # What was given up may have arrived after all.
        tidy = [delete(self._key_of(self._last + 1), key)] if sequence != self._last + 1 else []
        for number, part in enumerate(parts):
            self._owner.transact([*tidy, put(key + f"/{number:08x}".encode(), part)])
            tidy = []
        self._owner.transact([*tidy, put(key, last)])
        self._last = sequence
        return sequence

    def _take_over(self, count: int) -> None:
        """Bring some of the old stretch into the tables. The commit has succeeded whatever becomes of this."""
        try:
            while count > 0 and (rows := self._next_rows(min(count, _OPERATIONS))):
                # A row that came later is brought with its own stretch.
                operations = [self._in_table(row) for row in rows if row not in self._recent]
                if operations:
                    self._owner.transact(operations)
                self._old.discard(rows)
                count -= len(rows)
            if not len(self._old):
                end = min(self._old.last + 1, self._first + _SHORTEN)
                self._owner.transact([delete(self._key_of(self._first), self._key_of(end))])
                self._first = end
                if end > self._old.last:
                    self._old = Stretch()
        except StoreError as error:
            log.warning("the log stays as it is: %s", error)

    def _next_rows(self, limit: int) -> list[Row]:
        """Rows of the old stretch that fit in one transaction."""
        rows: list[Row] = []
        octets = 0
        for row in self._old.first(limit):
            octets += len(row.key) + len(row.body or b"")
            if rows and octets > _PART_OCTETS:
                break
            rows.append(row)
        return rows

    def _in_table(self, row: Row) -> Json:
        key = self._prefix + f"{row.table}/".encode() + row.key
        return delete(key) if row.body is None else put(key, checksummed(row.key, row.body))

    def _refuse_large(self, rows: Rows) -> None:
        for table, latest in rows.latest.items():
            for body in latest.values():
                if isinstance(body, bytes) and len(body) > _LARGEST_BODY:
                    raise StoreError(f"{self._place}: cannot hold a {table} of {len(body)} octets")

    def _key_of(self, sequence: int) -> bytes:
        return self._log + f"{sequence:016x}".encode()

    def _late(self, table: Table) -> dict[bytes, Body]:
        return self._old.latest[table] | self._recent.latest[table]

    @staticmethod
    def _is_long(stretch: Stretch) -> bool:
        return stretch.octets >= _STRETCH_OCTETS or len(stretch) >= _STRETCH_KEYS


def _after(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _whole(parts: list[bytes], missing: int) -> bytes | None:
    """A commit, of its last part and those before it; None without all of them."""
    last, *before = parts
    return b"".join((*before, last)) if len(before) == missing else None
