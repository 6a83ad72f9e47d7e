"""How a key finds its entry, by the match type of the table.

A key is a tuple of non-negative integers, one for each key field in the table's order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Protocol

from softswitch.program.match import Exact, Lpm, Range, Ternary, prefix_mask
from softswitch.state.entries import Entry

Key = tuple[int, ...]


class Lookup(Protocol):
    """An index of entries."""

    def insert(self, entry: Entry) -> None:
        """Add an entry that is not in the index."""

    def remove(self, entry: Entry) -> None:
        """Take out an entry that is in the index."""

    def find(self, key: Key) -> Entry | None:
        """The entry that wins for a key."""


def _rank(entry: Entry) -> tuple[int, int]:
    """Smaller wins: the larger priority, then the lower handle."""
    return -entry.priority, entry.handle


class ExactLookup:
    """A hash map."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}

    def insert(self, entry: Entry) -> None:
        """Add an entry."""
        self._entries[self._key(entry)] = entry

    def remove(self, entry: Entry) -> None:
        """Take out an entry."""
        del self._entries[self._key(entry)]

    def find(self, key: Key) -> Entry | None:
        """The entry of exactly this key."""
        return self._entries.get(key)

    @staticmethod
    def _key(entry: Entry) -> Key:
        return tuple(m.value for m in entry.match if isinstance(m, Exact))


class LpmLookup:
    """A hash map for each prefix length in use, asked from the longest to the shortest."""

    def __init__(self, widths: Sequence[int], lpm_field: int) -> None:
        self._width = widths[lpm_field]
        self._lpm_field = lpm_field
        self._by_length: dict[int, dict[Key, Entry]] = {}
        self._lengths: list[tuple[int, int]] = []  # (-prefix length, mask), longest first

    def insert(self, entry: Entry) -> None:
        """Add an entry."""
        length, key = self._split(entry)
        if length not in self._by_length:
            self._by_length[length] = {}
            insort(self._lengths, (-length, prefix_mask(length, self._width)))
        self._by_length[length][key] = entry

    def remove(self, entry: Entry) -> None:
        """Take out an entry."""
        length, key = self._split(entry)
        entries = self._by_length[length]
        del entries[key]
        if not entries:
            del self._by_length[length]
            self._lengths.remove((-length, prefix_mask(length, self._width)))

    def find(self, key: Key) -> Entry | None:
        """The matching entry of the longest prefix."""
        at = self._lpm_field
        before, value, after = key[:at], key[at], key[at + 1 :]
        for negated, mask in self._lengths:
            entry = self._by_length[-negated].get((*before, value & mask, *after))
            if entry is not None:
                return entry
        return None

    def _split(self, entry: Entry) -> tuple[int, Key]:
        lpm = entry.match[self._lpm_field]
        assert isinstance(lpm, Lpm)
        return lpm.prefix_len, tuple(m.value for m in entry.match if isinstance(m, Exact | Lpm))


class TernaryLookup:
    """Tuple space search: a hash map for each mask in use.

    The key fields are laid side by side in one wide integer, so a mask is one integer too.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = tuple(widths)
        self._by_mask: dict[int, dict[int, list[Entry]]] = {}

    def insert(self, entry: Entry) -> None:
        """Add an entry."""
        value, mask = self._pattern(entry)
        insort(self._by_mask.setdefault(mask, {}).setdefault(value, []), entry, key=_rank)

    def remove(self, entry: Entry) -> None:
        """Take out an entry."""
        value, mask = self._pattern(entry)
        patterns = self._by_mask[mask]
        patterns[value].remove(entry)
        if not patterns[value]:
            del patterns[value]
        if not patterns:
            del self._by_mask[mask]

    def find(self, key: Key) -> Entry | None:
        """The matching entry of the highest rank."""
        joined = 0
        for value, width in zip(key, self._widths, strict=True):
            joined = joined << width | value
        best: Entry | None = None
        for mask, patterns in self._by_mask.items():
            entries = patterns.get(joined & mask)
            if entries and (best is None or _rank(entries[0]) < _rank(best)):
                best = entries[0]
        return best

    def _pattern(self, entry: Entry) -> tuple[int, int]:
        value = mask = 0
        for wanted, width in zip(entry.match, self._widths, strict=True):
            ones = (1 << width) - 1
            match wanted:
                case Ternary(v, m):
                    field_value, field_mask = v & m, m
                case Lpm(v, length):
                    field_mask = prefix_mask(length, width)
                    field_value = v & field_mask
                case Exact(v):
                    field_value, field_mask = v, ones
                case _:
                    raise AssertionError(f"{wanted} in a ternary table")
            value, mask = value << width | field_value, mask << width | field_mask
        return value, mask


class RangeLookup:
    """A list in the order of rank, searched from the front."""

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = tuple(widths)
        self._entries: list[Entry] = []

    def insert(self, entry: Entry) -> None:
        """Add an entry."""
        insort(self._entries, entry, key=_rank)

    def remove(self, entry: Entry) -> None:
        """Take out an entry."""
        self._entries.remove(entry)

    def find(self, key: Key) -> Entry | None:
        """The first entry that matches."""
        for entry in self._entries:
            if all(map(self._matches, entry.match, key, self._widths)):
                return entry
        return None

    @staticmethod
    def _matches(wanted: object, value: int, width: int) -> bool:
        match wanted:
            case Range(low, high):
                return low <= value <= high
            case Ternary(v, m):
                return (value ^ v) & m == 0
            case Lpm(v, length):
                return (value ^ v) >> (width - length) == 0
            case Exact(v):
                return value == v
        raise AssertionError(f"{wanted} in a range table")
