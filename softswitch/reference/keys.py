"""Lookup keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from softswitch.program.headers import Header
from softswitch.program.pipeline import KeyDef
from softswitch.reference.layout import ALWAYS, Fields, Layout

KeyOf = Callable[[Fields], tuple[int, ...]]


def compile_key(keys: Sequence[KeyDef], layout: Layout) -> KeyOf:
    """The key of a packet: the fields as unsigned integers, zero if their header is invalid."""
    slots = [_slots(key, layout) for key in keys]
    masks = [(1 << key.width) - 1 if key.mask is None else key.mask for key in keys]
    if not any(key.mask is not None or _is_signed(key) for key in keys):
        return lambda f: tuple([f[slot] if f[valid] else 0 for slot, valid in slots])
    masked = [(slot, valid, mask) for (slot, valid), mask in zip(slots, masks, strict=True)]
    return lambda f: tuple([f[slot] & mask if f[valid] else 0 for slot, valid, mask in masked])


def _slots(key: KeyDef, layout: Layout) -> tuple[int, int]:
    """Slot of the value, slot of the validity that decides whether it is looked at."""
    if isinstance(key.target, Header):
        valid = layout.headers[key.target].valid
        return valid, ALWAYS
    hidden = key.target.field.hidden
    return layout.slot(key.target), ALWAYS if hidden else layout.headers[key.target.header].valid


def _is_signed(key: KeyDef) -> bool:
    return not isinstance(key.target, Header) and key.target.field.signed
