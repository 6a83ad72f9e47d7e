"""An SQLite file that tests fill, look into, and copy as a killed process leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

from controller.mapping import Change, Snapshot
from controller.mapping.sqlite_store import SqliteStore


def stored(file: Path) -> Snapshot:
    with SqliteStore(file) as store:
        return store.load()


def filled(file: Path, *changes: Change) -> Path:
    with SqliteStore(file) as store:
        store.commit(changes)
    return file


def left_by_a_kill(file: Path) -> Path:
    """A copy of an open file, with all that its process had committed."""
    left = file.with_name(f"left of {file.name}")
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", f"{left}{suffix}")
    return left
