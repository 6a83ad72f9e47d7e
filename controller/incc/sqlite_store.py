"""The groups of a fabric in one SQLite file: what was committed is still there after the process was killed.

A group is a row of JSON text, which people can read with the `sqlite3` command.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from controller.incc.domains import GroupEid
from controller.incc.network import Home
from controller.incc.store import Change, GroupRecord, GroupSnapshot, GroupStoreError
from controller.incc.tree import Node, Tree

log = logging.getLogger(__name__)

_APPLICATION_ID: Final = 0x494E4343  # "INCC": tells our files from other programs'
_VERSION: Final = 1
_TABLES: Final = (
    "CREATE TABLE groups (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE generations (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT",
)
_PLAIN: Final = ("name", "number", "domain", "slots", "size", "least", "generation", "complete", "at_work")


class SqliteGroupStore:
    """A `GroupStore` in an SQLite file, which is created if there is none. One process at a time can have it open."""

    def __init__(self, file: Path) -> None:
        """Raises GroupStoreError, which names the file, when it cannot be opened, is another program's, or in use."""
        self._file = file
        with self._reported():
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=0)
        try:
            with self._reported():
                self._open()
        except GroupStoreError:
            self._connection.close()
            raise

    def load(self) -> GroupSnapshot:
        """Everything that is kept. A row that cannot be read is left out, and logged. Raises GroupStoreError."""
        groups = []
        with self._reported():
            rows = self._connection.execute("SELECT name, value FROM groups ORDER BY name").fetchall()
            generations = dict(self._connection.execute("SELECT number, generation FROM generations"))
        for name, value in rows:
            try:
                groups.append(_decode(json.loads(value)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.error("%s: group %s is left out: %s: %s", self._file, name, type(error).__name__, error)
        return GroupSnapshot(tuple(groups), generations)

    def commit(self, put: Iterable[GroupRecord], gone: Iterable[str], generations: Mapping[int, int]) -> None:
        """Make the changes durable, or none of them. Raises GroupStoreError."""
        execute, many = self._connection.execute, self._connection.executemany
        with self._reported():
            execute("BEGIN IMMEDIATE")
            try:
                many("DELETE FROM groups WHERE name = ?", [(name,) for name in gone])
                many("REPLACE INTO groups VALUES (?, ?)", [(one.name, json.dumps(_encode(one))) for one in put])
                many("REPLACE INTO generations VALUES (?, ?)", generations.items())
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the file; may be called more than once."""
        self._connection.close()

    def __enter__(self) -> SqliteGroupStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("BEGIN EXCLUSIVE")
        (application,), (version,) = (
            execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        (objects,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application == version == objects == 0:
            for table in _TABLES:
                execute(table)
            execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            execute(f"PRAGMA user_version = {_VERSION}")
        elif application != _APPLICATION_ID:
            raise GroupStoreError(f"{self._file}: is the database of another program (application id {application:#x})")
        elif version != _VERSION:
            raise GroupStoreError(f"{self._file}: has schema version {version}, this program uses {_VERSION}")
        execute("COMMIT")
        # As the Map-Server's store: what was committed outlives the process, not the machine's power.
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Every error of SQLite becomes one that names the file."""
        try:
            yield
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            raise GroupStoreError(f"{self._file}: {'is in use by another process' if busy else error}") from error


def _encode(record: GroupRecord) -> dict[str, object]:
    tree = record.tree
    return {
        **{name: getattr(record, name) for name in _PLAIN},
        "wanted": record.wanted,
        "members": record.members,
        "eid": _plain(record.eid),
        "slots_at": dict(record.slots_at),
        "tree": None if tree is None else {"root": tree.root, "nodes": [_encode_node(n) for n in tree.nodes.values()]},
        "history": [[one.generation, one.lost, one.joined, one.reason] for one in record.history],
    }


def _decode(row: dict[str, Any]) -> GroupRecord:
    tree = row["tree"]
    nodes = {} if tree is None else {node["switch"]: _decode_node(node) for node in tree["nodes"]}
    return GroupRecord(
        **{name: row[name] for name in _PLAIN},
        wanted=tuple(row["wanted"]),
        members=tuple(row["members"]),
        eid=_address(row["eid"]),
        slots_at=dict(row["slots_at"]),
        tree=None if tree is None else Tree(tree["root"], nodes),
        history=tuple(Change(number, tuple(lost), tuple(joined), why) for number, lost, joined, why in row["history"]),
    )


def _encode_node(node: Node) -> dict[str, object]:
    members = [[name, home.port] for name, home in zip(node.accelerators, node.members, strict=True)]
    return {"switch": node.switch, "rank": node.rank, "parent": node.parent, "members": members, "nodes": node.nodes}


def _decode_node(row: dict[str, Any]) -> Node:
    switch, names = row["switch"], tuple(name for name, _ in row["members"])
    homes = tuple(Home(switch, port) for _, port in row["members"])
    return Node(switch, row["rank"], row["parent"], homes, names, tuple(row["nodes"]))


def _plain(eid: GroupEid | None) -> int | str | None:
    return eid if eid is None or isinstance(eid, int) else str(eid)


def _address(value: int | str | None) -> GroupEid | None:
    return ip_address(value) if isinstance(value, str) else value
