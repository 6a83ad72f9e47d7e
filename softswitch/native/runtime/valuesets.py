"""Parser value sets."""

from __future__ import annotations

from softswitch.native.runtime.classifier import not_above
from softswitch.native.runtime.structs import V_COUNT, V_MEMBERS
from softswitch.native.words import inline, u64, word


@inline
def field_in(member: int, masked: int, key: int, mask: int, words: int) -> int:
    """Whether one part of a key is what a member asks for: value and care mask, then low and high."""
    difference = 0
    for i in range(words):
        at = 8 * i
        difference |= (u64[key + at] ^ u64[member + at]) & u64[mask + at] & u64[member + 8 * words + at]
        u64[masked + at] = u64[key + at] & u64[mask + at]
    if difference != 0:
        return 0
    low = member + 16 * words
    return not_above(low, masked, words) != 0 and not_above(masked, low + 8 * words, words) != 0


@word
def value_set_contains(values: int, key: int, masks: int, parts: int, words: int) -> int:
    """Whether a member matches the key, of that many parts of that many words, under the masks.

    The part that is looked at is kept, masked, in the memory behind the set's header.
    """
    members = u64[values + V_MEMBERS]
    scratch = values + V_MEMBERS + 8
    each = 32 * words
    for i in range(u64[values + V_COUNT]):
        member = members + each * parts * i
        holds = 1
        for part in range(parts):
            if field_in(member + each * part, scratch, key + 8 * words * part, masks + 8 * words * part, words) == 0:
                holds = 0
        if holds:
            return 1
    return 0
