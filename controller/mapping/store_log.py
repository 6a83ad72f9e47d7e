"""The change log of a store (SQLite, etcd): what was committed lately, before it is folded into the tables.

A commit appends one row to the log, whatever number of changes it holds, and the row is the changes one after the
other. Written to the tables instead, each change would cost a search in an index and pages of its own. Most changes
are Map-Registers that replace the last one of the same xTR, so by the time a stretch of the log is folded, one row
of a table stands for many entries of the log.

Of receipts that differ in little (`Refresh`) the first in a stretch is a pattern, and all are written as what is
theirs alone: a twentieth of the octets.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

Table: TypeAlias = Literal["contribution", "receipt", "subscription", "floor", "gone"]
TABLES: Final[tuple[Table, ...]] = ("contribution", "receipt", "subscription", "floor", "gone")

Body: TypeAlias = bytes | Callable[[], bytes] | None
"""The value of a row without checksum, or what makes it; None means that there shall be no such row."""

_ENTRY: Final = struct.Struct("!BHI")  # table and whether removed, lengths of key and body; then both
_CRC: Final = struct.Struct("!I")
_NUMBER: Final = struct.Struct("!I")  # of a pattern
_TABLE: Final = 0x0F
_REMOVED: Final = 0x80
_CODES: Final = {table: code for code, table in enumerate(TABLES)}
_PATTERN: Final = 0x40  # no row: its key is its number
_LIKE: Final = 0x20  # added to the table: the body begins with the number of a pattern


class RowError(Exception):
    """A row does not hold what was once written to it; the text says why."""


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row that `load` could not use: its table, its key (in the log its number), and what is wrong.

    The table is `other` for what stands among the tables and belongs to none.
    """

    table: Table | Literal["log", "other"]
    key: bytes
    reason: str

    def __str__(self) -> str:
        return f"{self.table} {self.key.hex()}: {self.reason}"


class Row(NamedTuple):
    """A row of `table`, its value still without checksum; `body` None means that there shall be none with this key."""

    table: Table
    key: bytes
    body: bytes | None


Patterns: TypeAlias = dict[int, tuple[object, bytes, bytes]]
"""By the identity of what it stands for: that, so that its identity stays its own, the key, and how its rows begin."""


class Rows:
    """The rows of one commit.

    Attributes:
        latest: the last word on each key.
        patterns: those that this commit begins.
    """

    def __init__(self, known: Patterns, next_number: int) -> None:
        """`known`: the patterns of the stretch."""
        self.latest: dict[Table, dict[bytes, Body]] = {table: {} for table in TABLES}
        self.patterns: Patterns = {}
        self._known = known
        self._next_number = next_number
        self._parts: list[bytes] = []

    def add(self, table: Table, key: bytes, body: bytes | None) -> None:
        """Append a row. Raises struct.error for a key that is too long."""
        self.latest[table][key] = body
        code = _CODES[table] | (_REMOVED if body is None else 0)
        written = body or b""
        self._parts += (_ENTRY.pack(code, len(key), len(written)), key, written)

    def add_parts(self, table: Table, key: bytes, parts: tuple[bytes, ...], body: Callable[[], bytes]) -> None:
        """Append a row whose body has these parts, and is put together when it is needed."""
        self.latest[table][key] = body
        self._parts.append(_ENTRY.pack(_CODES[table], len(key), sum(map(len, parts))))
        self._parts.append(key)
        self._parts += parts

    def begin_pattern(self, table: Table, key: bytes, like: object, pattern: bytes, length: int) -> None:
        """Rows of this key that are `like` this are from now on written as what is their own: octets of that length."""
        number = _NUMBER.pack(self._next_number + len(self.patterns))
        self._parts += (_ENTRY.pack(_PATTERN, len(number), len(pattern)), number, pattern)
        head = _ENTRY.pack(_LIKE | _CODES[table], len(key), len(number) + length) + key + number
        self.patterns[id(like)] = (like, key, head)

    def add_like(self, table: Table, like: object, own: bytes, body: Callable[[], bytes]) -> bool:
        """Append a row from whose pattern its `own` octets tell it; whether there is a pattern for rows `like` this."""
        pattern = self._known.get(id(like)) or self.patterns.get(id(like))
        if pattern is None:
            return False
        _, key, head = pattern
        self._parts += (head, own)
        self.latest[table][key] = body
        return True

    def __len__(self) -> int:
        return sum(map(len, self.latest.values()))

    def joined(self) -> bytearray:
        """The row of the log: all of them, and a CRC-32."""
        octets = bytearray().join(self._parts)
        octets += _CRC.pack(zlib.crc32(octets))
        return octets


class LogReader:
    """Reads the rows of the log, the oldest first. `expand` makes a body of a pattern and what is a row's own.

    Attributes:
        next_number: of a pattern; greater than all that were there.
    """

    def __init__(self, expand: Callable[[bytes, bytes], bytes]) -> None:
        self._expand = expand
        self._patterns: dict[int, bytes] = {}
        self.next_number = 0

    def split(self, octets: bytes) -> dict[Table, dict[bytes, Body]]:
        """The last word on each key in one row of the log. Raises RowError if it is damaged."""
        end = len(octets) - _CRC.size
        if end < 0 or octets[end:] != _CRC.pack(zlib.crc32(octets[:end])):
            raise RowError("the checksum is wrong")
        found: dict[Table, dict[bytes, Body]] = {table: {} for table in TABLES}
        at = 0
        while at < end:
            code, key_length, body_length = _ENTRY.unpack_from(octets, at)
            at += _ENTRY.size
            key = octets[at : at + key_length]
            at += key_length
            body = octets[at : at + body_length]
            at += body_length
            table = TABLES[code & _TABLE]
            if code == _PATTERN:
                self._define(key, body)
            elif not code & _LIKE:
                found[table][key] = None if code & _REMOVED else body
            elif (pattern := self._pattern(body)) is not None:
                found[table][key] = self._expand(pattern, body[_NUMBER.size :])
        return found

    def _define(self, key: bytes, body: bytes) -> None:
        (number,) = _NUMBER.unpack(key)
        self._patterns[number] = body
        self.next_number = max(self.next_number, number + 1)

    def _pattern(self, body: bytes) -> bytes | None:
        """None if it belonged to a stretch whose rows are all in their tables already."""
        (number,) = _NUMBER.unpack_from(body)
        if number < min(self._patterns, default=number + 1):
            return None
        if number not in self._patterns:
            raise RowError(f"pattern {number} is missing")
        return self._patterns[number]


@dataclass(slots=True)
class Stretch:
    """A stretch of the log: the last word on each key in it, its patterns, its size, and its last row."""

    latest: dict[Table, dict[bytes, Body]] = field(default_factory=lambda: {table: {} for table in TABLES})
    patterns: Patterns = field(default_factory=dict)
    octets: int = 0
    last: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.latest.values()))

    def __contains__(self, row: Row) -> bool:
        return row.key in self.latest[row.table]

    def add(self, latest: dict[Table, dict[bytes, Body]], octets: int, sequence: int) -> None:
        """A row of the log, `octets` long, was written with that number."""
        for table, bodies in latest.items():
            self.latest[table].update(bodies)
        self.octets += octets
        self.last = sequence

    def first(self, limit: int) -> list[Row]:
        """At most so many of its rows."""
        return list(islice(self.rows(), limit))

    def discard(self, rows: Iterable[Row]) -> None:
        """Those rows are in their tables now."""
        for row in rows:
            del self.latest[row.table][row.key]

    def rows(self) -> Iterator[Row]:
        """All of them."""
        for table, latest in self.latest.items():
            for key, body in latest.items():
                yield Row(table, key, body_of(body))


def body_of(body: Body) -> bytes | None:
    """A body, made if it is not there yet."""
    return body() if callable(body) else body
