"""What P4Runtime has to remember and the data plane does not need: the client's own words.

Reads must return what was written (specification section "Read-Write Symmetry"), including things that the
forwarding state has no place for: metadata, one-shot action sets, and in which of two members a port was given.
"""

from __future__ import annotations

from collections.abc import Hashable, MutableMapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.undo import UndoLog
from softswitch.state import Entry, Match

FIRST_INTERNAL_ID: Final = 1 << 32
"""Members and groups made for one-shot entries have ids from here on, which no client can name."""

EntryKey = tuple[str, Match, int] | tuple[str]
"""Table name, match and priority; the table name alone for the default entry."""


@dataclass(frozen=True, slots=True)
class EntryNote:
    """A client's words about a table entry; `action_set` is a one-shot, in canonical form."""

    controller_metadata: int = 0
    metadata: bytes = b""
    action_set: p4rt.ActionProfileActionSet | None = None


NO_NOTE: Final = EntryNote()


@dataclass(slots=True)
class Notes:
    """The notes of one pipeline.

    Attributes:
        groups: by profile name and group id.
        multicast_groups: by multicast group id.
        clone_sessions: by session id.
        group_sizes: what the groups of a selector need together, by profile name.
    """

    entries: dict[EntryKey, EntryNote] = field(default_factory=dict)
    groups: dict[tuple[str, int], p4rt.ActionProfileGroup] = field(default_factory=dict)
    multicast_groups: dict[int, p4rt.MulticastGroupEntry] = field(default_factory=dict)
    clone_sessions: dict[int, p4rt.CloneSessionEntry] = field(default_factory=dict)
    group_sizes: dict[str, int] = field(default_factory=dict)
    next_internal_id: int = FIRST_INTERNAL_ID

    def internal_id(self) -> int:
        """An id for a member or group that no client sees."""
        self.next_internal_id += 1
        return self.next_internal_id - 1


def entry_key(table: str, entry: Entry) -> EntryKey:
    """Where the note of an entry is kept."""
    return (table, entry.match, entry.priority)


KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


def put(notes: MutableMapping[KeyT, ValueT], key: KeyT, value: ValueT | None, undo: UndoLog) -> None:
    """Sets a note, or with None drops it."""
    old = notes.get(key)

    def restore(value: ValueT | None) -> None:
        if value is None:
            notes.pop(key, None)
        else:
            notes[key] = value

    restore(value)
    undo.push(lambda: restore(old))
