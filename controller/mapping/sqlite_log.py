"""The change log of the SQLite store: what was committed lately, before it is folded into the tables.

A commit appends one row to the log, whatever number of changes it holds, and the row is the changes one after the
other. Written to the tables instead, each change would cost a search in an index and pages of its own. Most changes
are Map-Registers that replace the last one of the same xTR, so by the time a stretch of the log is folded, one row
of a table stands for many entries of the log.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Final

from controller.mapping.sqlite_rows import Row, RowError, Rows, Table

TABLES: Final[tuple[Table, ...]] = ("contribution", "receipt", "subscription", "floor")

_ENTRY: Final = struct.Struct("!BHI")  # table and whether removed, lengths of key and body; then both
_CRC: Final = struct.Struct("!I")
_REMOVED: Final = 0x80
_CODES: Final = {table: code for code, table in enumerate(TABLES)}


def join_rows(rows: Rows) -> bytes:
    """One row of the log: `rows`, and a CRC-32. Raises struct.error for keys that are too long."""
    parts: list[bytes] = []
    for table, (keys, bodies) in rows.items():
        codes: Iterable[int] = repeat(_CODES[table])
        if None in bodies:
            codes = [_CODES[table] | (_REMOVED if body is None else 0) for body in bodies]
        written = [body or b"" for body in bodies]
        heads = map(_ENTRY.pack, codes, map(len, keys), map(len, written))
        parts += chain.from_iterable(zip(heads, keys, written, strict=False))
    octets = b"".join(parts)
    return octets + _CRC.pack(zlib.crc32(octets))


def split_rows(octets: bytes) -> Rows:
    """The rows in one row of the log. Raises RowError if it is damaged."""
    end = len(octets) - _CRC.size
    if end < 0 or octets[end:] != _CRC.pack(zlib.crc32(octets[:end])):
        raise RowError("the checksum is wrong")
    rows = Rows()
    at = 0
    while at < end:
        code, key_length, body_length = _ENTRY.unpack_from(octets, at)
        at += _ENTRY.size
        key = octets[at : at + key_length]
        at += key_length
        body = None if code & _REMOVED else octets[at : at + body_length]
        at += body_length
        rows.add(TABLES[code & ~_REMOVED], key, body)
    return rows


@dataclass(slots=True)
class Stretch:
    """A stretch of the log: the last word on each key in it, its size, and its last row."""

    latest: dict[Table, dict[bytes, bytes | None]] = field(default_factory=lambda: {table: {} for table in TABLES})
    octets: int = 0
    last: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.latest.values()))

    def __contains__(self, row: Row) -> bool:
        return row.key in self.latest[row.table]

    def add(self, rows: Rows, octets: int, sequence: int) -> None:
        """A row of the log, `octets` long, was written with that number."""
        for table, (keys, bodies) in rows.items():
            self.latest[table].update(zip(keys, bodies, strict=True))
        self.octets += octets
        self.last = sequence

    def first(self, limit: int) -> list[Row]:
        """At most so many of its rows."""
        found: list[Row] = []
        for row in self.rows():
            if len(found) == limit:
                break
            found.append(row)
        return found

    def discard(self, rows: Iterable[Row]) -> None:
        """Those rows are in their tables now."""
        for row in rows:
            del self.latest[row.table][row.key]

    def rows(self) -> Iterator[Row]:
        """All of them."""
        for table, latest in self.latest.items():
            for key, body in latest.items():
                yield Row(table, key, body)
