"""Tables: entries grouped by mask, each group a hash table, each slot a chain of records in the order of rank.

An exact table is one group without don't-care bits; a longest-prefix table has a group for each prefix length, the
longest first, and the first match wins; ternary and range tables try groups in the order of their best rank, until what
has been found ranks higher than all that is left. A range contributes the leading bits that its ends share to the mask;
the rest is compared in the chain.
"""

from __future__ import annotations

from softswitch.native.runtime.buffers import free, malloc
from softswitch.native.runtime.structs import (
    G_BEST,
    G_COUNT,
    G_KEY_MASK,
    G_MASK,
    G_SLOTS,
    R_KEY,
    R_NEXT,
    R_RANK,
    T_FIRST_WINS,
    T_GROUP_COUNT,
    T_GROUPS,
    T_RANGE_WORDS,
    T_RANGES,
)
from softswitch.native.words import clear, inline, u64, word

_MULTIPLIER = 0x9E3779B97F4A7C15
_FIRST_SLOTS = 8
_SLOT_BYTES = 16  # hash, record


@inline
def mixed(state: int, value: int) -> int:
    """One more word into a hash."""
    state = (state ^ value) * _MULTIPLIER
    return state ^ state >> 29


@inline
def key_hash(key: int, words: int) -> int:
    """Hash of a key."""
    state = 0
    for i in range(words):
        state = mixed(state, u64[key + 8 * i])
    return state


@inline
def masked_hash(key: int, mask: int, words: int) -> int:
    """Hash of a key in the bits of a mask."""
    state = 0
    for i in range(words):
        state = mixed(state, u64[key + 8 * i] & u64[mask + 8 * i])
    return state


@inline
def same_masked(record_key: int, key: int, mask: int, words: int) -> int:
    """Whether a record's key, whose don't-care bits are zero, is the key in the bits of a mask."""
    difference = 0
    for i in range(words):
        difference |= (u64[key + 8 * i] & u64[mask + 8 * i]) ^ u64[record_key + 8 * i]
    return difference == 0


@inline
def same_key(a: int, b: int, words: int) -> int:
    """Whether two keys are equal."""
    difference = 0
    for i in range(words):
        difference |= u64[a + 8 * i] ^ u64[b + 8 * i]
    return difference == 0


@word
def not_above(a: int, b: int, words: int) -> int:
    """Whether a <= b, numbers of several words, the lowest first."""
    i = words
    while i > 0:
        i -= 1
        left = u64[a + 8 * i]
        right = u64[b + 8 * i]
        if left != right:
            return left < right
    return 1


@word
def in_ranges(table: int, record: int, key: int, words: int) -> int:
    """Whether a key is in all ranges of a record. They stand behind its key: low and high of each range field."""
    each = u64[table + T_RANGE_WORDS]
    count = u64[table + T_RANGES]
    value = key + 8 * (words - each * count)
    low = record + R_KEY + 8 * words
    for _i in range(count):
        high = low + 8 * each
        if not_above(low, value, each) == 0 or not_above(value, high, each) == 0:
            return 0
        value += 8 * each
        low = high + 8 * each
    return 1


@inline
def find_exact(table: int, key: int, words: int) -> int:
    """The record of a key, 0 if there is none."""
    if u64[table + T_GROUP_COUNT] == 0:
        return 0
    group = u64[u64[table + T_GROUPS]]
    hashed = key_hash(key, words)
    slots = u64[group + G_SLOTS]
    last = u64[group + G_MASK]
    at = hashed & last
    while True:
        record = u64[slots + _SLOT_BYTES * at + 8]
        if record == 0:
            return 0
        if u64[slots + _SLOT_BYTES * at] == hashed and same_key(record + R_KEY, key, words):
            return record
        at = (at + 1) & last
    return 0


@inline
def group_find(group: int, key: int, words: int) -> int:
    """The first record of a chain, 0 if the group has none for the key."""
    mask = group + G_KEY_MASK
    hashed = masked_hash(key, mask, words)
    slots = u64[group + G_SLOTS]
    last = u64[group + G_MASK]
    at = hashed & last
    while True:
        record = u64[slots + _SLOT_BYTES * at + 8]
        if record == 0:
            return 0
        if u64[slots + _SLOT_BYTES * at] == hashed and same_masked(record + R_KEY, key, mask, words):
            return record
        at = (at + 1) & last
    return 0


@inline
def find_masked(table: int, key: int, words: int, with_ranges: int) -> int:
    """The record that wins for a key, 0 if there is none."""
    found = 0
    rank = 0
    groups = u64[table + T_GROUPS]
    first_wins = u64[table + T_FIRST_WINS]
    for i in range(u64[table + T_GROUP_COUNT]):
        group = u64[groups + 8 * i]
        if found != 0 and u64[group + G_BEST] <= rank:
            return found
        record = group_find(group, key, words)
        if with_ranges != 0:
            while record != 0 and in_ranges(table, record, key, words) == 0:
                record = u64[record + R_NEXT]
        if record != 0 and (found == 0 or u64[record + R_RANK] > rank):
            found = record
            rank = u64[record + R_RANK]
            if first_wins != 0:
                return found
    return found


@word
def group_new(words: int) -> int:
    """An empty group; the caller writes its mask."""
    group = malloc(G_KEY_MASK + 8 * words)
    u64[group + G_BEST] = 0
    u64[group + G_COUNT] = 0
    u64[group + G_MASK] = _FIRST_SLOTS - 1
    u64[group + G_SLOTS] = malloc(_SLOT_BYTES * _FIRST_SLOTS)
    clear(u64[group + G_SLOTS], _SLOT_BYTES * _FIRST_SLOTS)
    return group


@word
def group_free(group: int) -> None:
    """Free an empty group."""
    free(u64[group + G_SLOTS])
    free(group)


@word
def group_insert(group: int, record: int, words: int) -> None:
    """Add a record by its key and rank."""
    hashed = key_hash(record + R_KEY, words)
    u64[record + R_NEXT] = 0
    if u64[record + R_RANK] > u64[group + G_BEST]:
        u64[group + G_BEST] = u64[record + R_RANK]
    slots = u64[group + G_SLOTS]
    last = u64[group + G_MASK]
    at = hashed & last
    while u64[slots + _SLOT_BYTES * at + 8] != 0:
        first = u64[slots + _SLOT_BYTES * at + 8]
        if u64[slots + _SLOT_BYTES * at] == hashed and same_key(first + R_KEY, record + R_KEY, words):
            link = slots + _SLOT_BYTES * at + 8
            while u64[link] != 0 and u64[u64[link] + R_RANK] > u64[record + R_RANK]:
                link = u64[link] + R_NEXT
            u64[record + R_NEXT] = u64[link]
            u64[link] = record
            return
        at = (at + 1) & last
    u64[slots + _SLOT_BYTES * at] = hashed
    u64[slots + _SLOT_BYTES * at + 8] = record
    u64[group + G_COUNT] += 1
    if 2 * u64[group + G_COUNT] > last:
        group_grow(group)


@word
def group_grow(group: int) -> None:
    """Twice as many slots."""
    old = u64[group + G_SLOTS]
    count = u64[group + G_MASK] + 1
    slots = malloc(2 * _SLOT_BYTES * count)
    clear(slots, 2 * _SLOT_BYTES * count)
    last = 2 * count - 1
    for i in range(count):
        record = u64[old + _SLOT_BYTES * i + 8]
        if record != 0:
            hashed = u64[old + _SLOT_BYTES * i]
            at = hashed & last
            while u64[slots + _SLOT_BYTES * at + 8] != 0:
                at = (at + 1) & last
            u64[slots + _SLOT_BYTES * at] = hashed
            u64[slots + _SLOT_BYTES * at + 8] = record
    u64[group + G_SLOTS] = slots
    u64[group + G_MASK] = last
    free(old)


@word
def group_remove(group: int, record: int, words: int) -> int:
    """Take out a record; how many chains are left."""
    hashed = key_hash(record + R_KEY, words)
    slots = u64[group + G_SLOTS]
    last = u64[group + G_MASK]
    at = hashed & last
    while u64[slots + _SLOT_BYTES * at] != hashed or not same_key(
        u64[slots + _SLOT_BYTES * at + 8] + R_KEY, record + R_KEY, words
    ):
        at = (at + 1) & last
    link = slots + _SLOT_BYTES * at + 8
    while u64[link] != record:
        link = u64[link] + R_NEXT
    u64[link] = u64[record + R_NEXT]
    if u64[slots + _SLOT_BYTES * at + 8] == 0:
        u64[group + G_COUNT] -= 1
        slot_close(slots, last, at)
    return u64[group + G_COUNT]


@word
def slot_close(slots: int, last: int, hole: int) -> None:
    """Move up what probing would no longer find behind an emptied slot."""
    at = (hole + 1) & last
    while u64[slots + _SLOT_BYTES * at + 8] != 0:
        home = u64[slots + _SLOT_BYTES * at] & last
        if ((at - home) & last) >= ((at - hole) & last):
            u64[slots + _SLOT_BYTES * hole] = u64[slots + _SLOT_BYTES * at]
            u64[slots + _SLOT_BYTES * hole + 8] = u64[slots + _SLOT_BYTES * at + 8]
            hole = at
        at = (at + 1) & last
    u64[slots + _SLOT_BYTES * hole] = 0
    u64[slots + _SLOT_BYTES * hole + 8] = 0
