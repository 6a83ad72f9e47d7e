"""What is kept of groups: that it is what was given, after whatever end of the process, and nobody else's file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.incc import GroupRecord, GroupSnapshot, GroupStore, GroupStoreError, Home, MemoryGroupStore, Node, Tree
from controller.incc.sqlite_store import SqliteGroupStore
from controller.incc.store import Change

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.integers(0, 0xFFFF)
EIDS = (
    st.none() | st.integers(0, 2**32 - 1) | st.integers(0, 2**32 - 1).map(IPv4Address) | st.just(IPv6Address("fd::1"))
)


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    switch, names = draw(NAMES), draw(st.lists(NAMES, max_size=3))
    homes = tuple(Home(switch, draw(NUMBERS)) for _ in names)
    return Node(switch, draw(NUMBERS), draw(st.none() | NAMES), homes, tuple(names), tuple(draw(st.lists(NAMES))))


@st.composite
def records(draw: st.DrawFn, name: str | None = None) -> GroupRecord:
    tree = {node.switch: node for node in draw(st.lists(nodes(), max_size=3))}
    changes = st.builds(Change, st.integers(-1, 255), st.tuples(NAMES), st.just(()), st.text())
    return GroupRecord(
        name or draw(NAMES), draw(NUMBERS), draw(NAMES), draw(NUMBERS), draw(NUMBERS), draw(NUMBERS),
        draw(st.integers(0, 255)), tuple(draw(st.lists(NAMES))), tuple(draw(st.lists(NAMES))), draw(st.booleans()),
        draw(EIDS), draw(st.dictionaries(NAMES, NUMBERS)), draw(st.none() | st.just(Tree("root", tree))),
        draw(st.booleans()), tuple(draw(st.lists(changes, max_size=3))),
    )  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.tuples(records(), st.booleans(), st.dictionaries(NUMBERS, st.integers(0, 255), max_size=2))))
def test_both_stores_keep_the_same(commits: list[tuple[GroupRecord, bool, dict[int, int]]]) -> None:
    memory, file = MemoryGroupStore(), SqliteGroupStore(Path(":memory:"))
    stores: tuple[GroupStore, ...] = (memory, file)
    for record, remove, generations in commits:
        for store in stores:
            store.commit([] if remove else [record], [record.name] if remove else [], generations)
    kept, stored = memory.load(), file.load()
    assert {one.name: one for one in kept.groups} == {one.name: one for one in stored.groups}
    assert kept.generations == stored.generations
    file.close()


RECORD = GroupRecord("g", 7, "out", 64, 2, 2, 9, ("a", "b"), ("a", "b"), True, IPv4Address("10.0.255.1"), {"A1": 64})


def test_a_killed_process_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    file = tmp_path / "groups.db"
    program = (
        "import os, sys; from pathlib import Path; from tests.incc.test_store import *\n"
        "store = SqliteGroupStore(Path(sys.argv[1])); store.commit([RECORD], [], {7: 9}); os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(file)], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == 9
    with SqliteGroupStore(file) as store:
        assert store.load() == GroupSnapshot((RECORD,), {7: 9})


def test_a_commit_is_whole_or_nothing(tmp_path: Path) -> None:
    with SqliteGroupStore(tmp_path / "groups.db") as store:
        store.commit([RECORD], [], {7: 9})
        with pytest.raises(GroupStoreError, match=r"groups\.db: "):
            store.commit([], ["g"], {7: None})  # type: ignore[dict-item]
        assert store.load() == GroupSnapshot((RECORD,), {7: 9})


def test_a_row_that_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "groups.db"
    with SqliteGroupStore(file) as store:
        store.commit([RECORD], [], {})
    with sqlite3.connect(file) as connection:
        connection.executemany(
            "INSERT INTO groups VALUES (?, ?)", [("x", "no JSON"), ("y", "[]"), ("z", '{"name": "z"}')]
        )
    connection.close()
    with SqliteGroupStore(file) as store:
        assert store.load().groups == (RECORD,)
    assert [name for name in "xyz" if f"group {name} is left out" in caplog.text] == ["x", "y", "z"]


def test_a_file_that_is_not_ours_is_named_and_left_alone(tmp_path: Path) -> None:
    other, text, newer = tmp_path / "other.db", tmp_path / "text", tmp_path / "newer.db"
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA application_id = 5")
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    text.write_text("something else " * 100)
    SqliteGroupStore(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    for file, why in ((other, "another program"), (text, "not a database"), (newer, "has schema version 2")):
        before = file.read_bytes()
        with pytest.raises(GroupStoreError, match=f"{file.name}: .*{why}"):
            SqliteGroupStore(file)
        assert file.read_bytes() == before
    with SqliteGroupStore(tmp_path / "g.db"), pytest.raises(GroupStoreError, match=r"g\.db: is in use by another"):
        SqliteGroupStore(tmp_path / "g.db")
