"""Tables: records in groups of equal mask, see :mod:`softswitch.native.runtime.classifier`."""

from __future__ import annotations

import struct

from softswitch.native.compiler import Code
from softswitch.native.heap import Heap, write_octets, write_words
from softswitch.native.mirror.profiles import ProfileMirror
from softswitch.native.mirror.targets import Calls, reference
from softswitch.native.objects import key_form
from softswitch.native.runtime.structs import (
    G_KEY_MASK,
    R_ACTION,
    R_KEY,
    T_ACTION,
    T_BYTES,
    T_FIRST_WINS,
    T_GROUPS,
    T_RANGE_WORDS,
    T_RANGES,
    T_WORDS,
)
from softswitch.program.match import Exact, Lpm, MatchValue, Range, Ternary, prefix_mask
from softswitch.state import ActionCall, Entry, Table, Target
from softswitch.state.memory import Memory

_LOWEST_HANDLE_WINS = (1 << 32) - 1


class TableMirror:
    """A table. address: of what machine code looks it up by."""

    def __init__(self, table: Table, calls: Calls, profile: ProfileMirror | None, heap: Heap, core: Code) -> None:
        self._table = table
        self._calls = calls
        self._profile = profile
        self._heap = heap
        self._form = form = key_form(table.definition)
        self._lpm = table.definition.match_type == "lpm"
        self._new_group = core.function("group_new", 1)
        self._free_group = core.function("group_free", 1)
        self._insert = core.function("group_insert", 3)
        self._remove = core.function("group_remove", 3)
        self._records: dict[Entry, tuple[int, int]] = {}  # record, mask
        self._groups: dict[int, int] = {}  # by mask
        self._best: dict[int, int] = {}  # by mask; for longest-prefix tables the prefix length
        self._order: list[int] = []  # masks
        self._list = Memory(8)
        self._memory = Memory(T_BYTES)
        self.address = self._memory.address
        self._default_parameters = heap.take(calls.octets)
        write_words(self.address + T_WORDS, form.words)
        write_words(self.address + T_RANGES, len(form.ranges))
        write_words(self.address + T_RANGE_WORDS, form.range_words)
        write_words(self.address + T_FIRST_WINS, int(self._lpm))
        for entry in table.entries():
            self.inserted(entry)
        self.defaulted()
        table.observer = self

    def inserted(self, entry: Entry) -> None:
        """A new entry."""
        value, mask, ranges = self._pattern(entry)
        rank = entry.priority << 32 | _LOWEST_HANDLE_WINS - entry.handle
        words = self._form.words
        key = value.to_bytes(8 * words, "little") + ranges
        record = self._heap.take(R_KEY + len(key) + self._calls.octets)
        parameters_at = record + R_KEY + len(key)
        write_octets(record, struct.pack("<3Q", 0, rank, entry.cell.address) + bytes(16) + key)
        self._target(entry.target, record + R_ACTION, parameters_at)
        self._records[entry] = record, mask
        order = rank
        if self._lpm:
            order = next(wanted.prefix_len for wanted in entry.match if isinstance(wanted, Lpm))
        group = self._groups.get(mask)
        if group is None:
            group = self._groups[mask] = self._new_group(words)
            write_octets(group + G_KEY_MASK, mask.to_bytes(8 * words, "little"))
            self._best[mask] = order
            self._insert(group, record, words)
            self._order.append(mask)
            self._sort()
            return
        self._insert(group, record, words)
        if order > self._best[mask]:
            self._best[mask] = order
            self._sort()

    def removed(self, entry: Entry) -> None:
        """An entry is gone."""
        record, mask = self._records.pop(entry)
        group = self._groups[mask]
        if self._remove(group, record, self._form.words) == 0:
            self._order.remove(mask)
            self._sort()
            self._free_group(group)
            del self._groups[mask], self._best[mask]
        self._heap.give(record)

    def retargeted(self, entry: Entry) -> None:
        """An entry has another target."""
        record, _ = self._records[entry]
        words = self._form.words + 2 * self._form.range_words * len(self._form.ranges)
        self._target(entry.target, record + R_ACTION, record + R_KEY + 8 * words)

    def defaulted(self) -> None:
        """There is another default."""
        self._target(self._table.default, self.address + T_ACTION, self._default_parameters)

    def close(self) -> None:
        """The table's groups are given back."""
        self._table.observer = None
        for entry in list(self._records):
            self.removed(entry)

    def _target(self, target: Target | None, at: int, parameters_at: int) -> None:
        if isinstance(target, ActionCall):
            action, parameters = self._calls.encode(target)
            write_octets(parameters_at, parameters)
            write_words(at, action, parameters_at)
        else:
            profile = self._profile
            known = (profile.members, profile.groups) if profile is not None else ({}, {})
            write_words(at, *reference(target, *known))

    def _sort(self) -> None:
        self._order.sort(key=self._best.__getitem__, reverse=True)
        if self._list.octets < 8 * len(self._order):
            self._list = Memory(16 * len(self._order))
        write_words(self._list.address, *(self._groups[mask] for mask in self._order))
        write_words(self.address + T_GROUPS, self._list.address, len(self._order))

    def _pattern(self, entry: Entry) -> tuple[int, int, bytes]:
        """Value and mask as the numbers that the words of a key make up, and the octets of the ranges."""
        value = mask = 0
        range_values: list[tuple[int, int]] = []
        limits = bytearray()
        octets = 8 * self._form.range_words
        for wanted, key in zip(entry.match, self._table.definition.keys, strict=True):
            ones = (1 << key.width) - 1
            field_value, field_mask = _field(wanted, key.width)
            if key.match_type != "range":
                value, mask = value << key.width | field_value, mask << key.width | field_mask
                continue
            assert isinstance(wanted, Range)
            differing = (wanted.low ^ wanted.high).bit_length()
            shared = ones >> differing << differing
            range_values.append((wanted.low & shared, shared))
            limits += wanted.low.to_bytes(octets, "little") + wanted.high.to_bytes(octets, "little")
        shift = 64 * self._form.plain_words
        for field_value, field_mask in range_values:
            value, mask = value | field_value << shift, mask | field_mask << shift
            shift += 64 * self._form.range_words
        return value, mask, bytes(limits)


def _field(wanted: MatchValue, width: int) -> tuple[int, int]:
    ones = (1 << width) - 1
    match wanted:
        case Exact(value):
            return value, ones
        case Lpm(value, length):
            field_mask = prefix_mask(length, width)
            return value & field_mask, field_mask
        case Ternary(value, field_mask):
            return value & field_mask, field_mask
    return 0, 0
