"""Who wants to know what the control plane changes: an engine that keeps entries in a form of its own.

Each is told after the change, entry by entry, so what it does between two packets is atomic for each entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from softswitch.state.entries import Entry
    from softswitch.state.profiles import Group, Member

Changed = Callable[[int], None]
"""Told the id of a multicast group or clone session that was set or removed."""


class TableObserver(Protocol):
    """Of a table."""

    def inserted(self, entry: Entry) -> None:
        """A new entry."""

    def removed(self, entry: Entry) -> None:
        """An entry is gone."""

    def retargeted(self, entry: Entry) -> None:
        """An entry has another target."""

    def defaulted(self) -> None:
        """There is another default."""


class ProfileObserver(Protocol):
    """Of an action profile."""

    def member_set(self, member: Member) -> None:
        """A new member, or another action of a member."""

    def member_removed(self, id: int) -> None:
        """A member is gone."""

    def group_set(self, group: Group) -> None:
        """A new group, or other members of a group."""

    def group_removed(self, id: int) -> None:
        """A group is gone."""
