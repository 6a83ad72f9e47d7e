"""What must be known of groups after a restart, and the interface of whatever keeps it.

The switches go on with the entries that they have, and members with the rounds that they are in. So a group that was at
work is taken up where it was, if its switches still hold its entries; any other is formed anew, in a generation that it
has not had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controller.incc.domains import GroupEid
from controller.incc.tree import Tree


class GroupStoreError(RuntimeError):
    """What is kept cannot be read or written; the text names the place."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the members of a generation differ from those of the one before; -1: of the next one, not formed yet."""

    generation: int
    lost: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group; fields as those of `GroupView`.

    Attributes:
        wanted: its members by name, in the order of their ranks, or none for the first `size` that come.
        least: how many it begins with; complete: it has begun.
        slots_at: the first of its slots, by switch.
        tree: of the present generation, with the branches that may be on switches; None while there is none.
        at_work: whether that is so, with nothing under way.
        history: of the generations that were formed, oldest first. One has several entries where several changes led to
            it, and one without members where none did.
    """

    name: str
    number: int
    domain: str
    slots: int
    size: int
    least: int
    generation: int
    wanted: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    complete: bool = False
    eid: GroupEid | None = None
    slots_at: Mapping[str, int] = field(default_factory=dict)
    tree: Tree | None = None
    at_work: bool = False
    history: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """All that is kept. `generations`: the last one of each number, also of groups that are gone."""

    groups: tuple[GroupRecord, ...] = ()
    generations: Mapping[int, int] = field(default_factory=dict)


class GroupStore(Protocol):
    """Keeps the groups of one fabric."""

    def load(self) -> GroupSnapshot:
        """Everything that is kept. Raises GroupStoreError."""

    def commit(self, put: Iterable[GroupRecord], gone: Iterable[str], generations: Mapping[int, int]) -> None:
        """Keep `put` and `generations` in place of those of the same names and numbers, without `gone`; or nothing.

        Raises GroupStoreError.
        """


class MemoryGroupStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._groups: dict[str, GroupRecord] = {}
        self._generations: dict[int, int] = {}

    def load(self) -> GroupSnapshot:
        """Everything that is kept."""
        return GroupSnapshot(tuple(self._groups.values()), dict(self._generations))

    def commit(self, put: Iterable[GroupRecord], gone: Iterable[str], generations: Mapping[int, int]) -> None:
        """Takes over the changes."""
        for name in gone:
            self._groups.pop(name, None)
        self._groups.update({record.name: record for record in put})
        self._generations.update(generations)
