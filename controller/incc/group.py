"""One group: who is in it, and what of it is on the switches."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from controller.incc.domains import Domain, GroupEid
from controller.incc.outputs import Branch, Departed, GroupView, Order
from controller.incc.store import Change, GroupRecord
from controller.incc.tree import Tree

GENERATIONS = 256

# Formed generations that a group remembers, to tell a member what has changed since one of them.
_REMEMBERED = 128
# What is kept as the generation of changes that no generation has been formed with yet.
_NEXT = -1


class State(Enum):
    """Where a group is in its life."""

    GATHERING = "gathering"
    FORMING = "forming"
    ACTIVE = "active"
    BROKEN = "broken"
    ENDING = "ending"


@dataclass(slots=True)
class Group:
    """A group. Only the manager changes it.

    `wanted`: its members by name, in the order of their ranks; or none, for the first `size` that come. `least`: how
    many it begins with. `complete`: it has begun. `planned`: the branches of the tree; `present`: those that are, or
    may be, on switches. `todo`: orders for later; what is in one tuple is done at once. `serial`: of the work under
    way, None for none. `stale`: something has changed since the work was planned. `registered`: root and EID that the
    mapping system knows.
    """

    name: str
    number: int
    domain: Domain
    slots: int
    size: int
    least: int
    generation: int
    wanted: tuple[str, ...] = ()
    members: list[str] = field(default_factory=list)
    complete: bool = False
    state: State = State.GATHERING
    reason: str = ""
    eid: GroupEid | None = None
    tree: Tree | None = None
    planned: dict[str, Branch] = field(default_factory=dict)
    present: dict[str, Branch] = field(default_factory=dict)
    todo: deque[tuple[Order, ...]] = field(default_factory=deque)
    orders: tuple[Order, ...] = ()
    serial: int | None = None
    stale: bool = False
    registered: tuple[str, GroupEid] | None = None
    departed: list[Departed] = field(default_factory=list)
    history: deque[tuple[int, tuple[Departed, ...]]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def add(self, accelerator: str) -> None:
        """One more member, in its place."""
        self.members.append(accelerator)
        if self.wanted:
            self.members.sort(key=self.wanted.index)

    def formed(self) -> None:
        """The present generation works."""
        self.state, self.reason = State.ACTIVE, ""
        self.history.append((self.generation, tuple(self.departed)))
        self.departed.clear()

    def since(self, generation: int) -> list[Departed]:
        """What has become of the members since that generation was formed; everything remembered if it is unknown."""
        after: list[Departed] = []
        for known, changes in reversed(self.history):
            if known == generation:
                return after
            after = [*changes, *after]
        return after

    def record(self, slots_at: Mapping[str, int]) -> GroupRecord:
        """What is kept of the group."""
        history = tuple(
            Change(generation, change.lost, change.joined, change.reason)
            for generation, changes in (*self.history, *([(_NEXT, self.departed)] if self.departed else []))
            for change in changes or (Departed((), (), ""),)
        )
        return GroupRecord(
            self.name,
            self.number,
            self.domain.name,
            self.slots,
            self.size,
            self.least,
            self.generation,
            self.wanted,
            tuple(self.members),
            self.complete,
            self.eid,
            dict(slots_at),
            self.tree,
            self.state is State.ACTIVE and self.serial is None,
            history,
        )

    @classmethod
    def restored(cls, record: GroupRecord, domain: Domain) -> Group:
        """A group as it was kept; it has nothing on switches until that is known."""
        group = cls(
            record.name,
            record.number,
            domain,
            record.slots,
            record.size,
            record.least,
            record.generation,
            record.wanted,
            list(record.members),
            record.complete,
            eid=record.eid,
            tree=record.tree,
        )
        for change in record.history:
            known = Departed(change.lost, change.joined, change.reason)
            if change.generation == _NEXT:
                group.departed.append(known)
                continue
            if not group.history or group.history[-1][0] != change.generation:
                group.history.append((change.generation, ()))
            if change.lost or change.joined:
                group.history[-1] = (change.generation, (*group.history[-1][1], known))
        return group

    def view(self) -> GroupView:
        """The group as it is."""
        tree = self.tree
        leaves = tuple(tree.leaf_of(member) for member in self.members) if self.state is State.ACTIVE and tree else ()
        return GroupView(
            self.name,
            self.number,
            self.domain.name,
            self.domain.iid,
            self.domain.carrier,
            self.eid,
            self.generation,
            self.slots,
            self.size,
            self.state.value,
            self.reason,
            tuple(self.members),
            leaves,
            None if tree is None else tree.root,
            dict(self.present),
            self.serial is not None,
        )
