"""Action profiles and selectors.

Which member a hash chooses is bmv2's: the hash modulo the number of active slots indexes the slots of the
group in the order of their handles. A member has one slot per unit of weight; every slot beyond the first is
a further handle, allocated when a group first needs it and freed when none does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from softswitch.program.pipeline import ActionProfileDef
from softswitch.state.entries import ActionCall, GroupRef, MemberRef, Target
from softswitch.state.errors import AlreadyExists, InUse, InvalidEntry, NotFound, TableFull
from softswitch.state.handles import Handles
from softswitch.state.observers import ProfileObserver

MAX_SLOTS = 1 << 16  # of a group without a size of its own

CheckCall = Callable[[ActionCall], None]
PortIsUp = Callable[[int], bool]


@dataclass(slots=True, eq=False)
class Member:
    """An action with its parameters; references counts the table entries that point here."""

    id: int
    call: ActionCall
    handles: list[int]
    references: int = 0


class GroupMember(NamedTuple):
    """A member's share in a group. watch is a port; while it is down the member is passed over."""

    member: int
    weight: int = 1
    watch: int | None = None


class Slot(NamedTuple):
    """A place in a group: one for each unit of a member's weight."""

    handle: int
    member: Member
    watch: int | None


@dataclass(slots=True, eq=False)
class Group:
    """A group of members. max_size bounds the sum of the weights, 0 for no bound."""

    id: int
    max_size: int
    members: dict[int, GroupMember] = field(default_factory=dict)
    references: int = 0
    slots: list[Slot] = field(default_factory=list, repr=False)
    watched: bool = False


class ActionProfile:
    """The members and groups of one action profile."""

    def __init__(self, definition: ActionProfileDef, check_call: CheckCall, port_is_up: PortIsUp) -> None:
        self.definition = definition
        self.name = definition.name
        self._check_call = check_call
        self._port_is_up = port_is_up
        self.observer: ProfileObserver | None = None
        self._handles = Handles()
        self._members: dict[int, Member] = {}
        self._groups: dict[int, Group] = {}

    def add_member(self, id: int, call: ActionCall, weight: int = 1) -> Member:
        """A new member; with a weight, the slots for it in one group are taken side by side at once.

        AlreadyExists; InvalidEntry if the call fits no table of the profile; TableFull for more than MAX_SLOTS.
        """
        if id in self._members:
            raise AlreadyExists(f"action profile {self.name}: member {id} exists")
        self._check_call(call)
        if weight > MAX_SLOTS:
            raise TableFull(f"action profile {self.name}: weight {weight} exceeds the {MAX_SLOTS} slots of a group")
        member = Member(id, call, [self._handles.allocate() for _ in range(max(weight, 1))])
        self._members[id] = member
        if self.observer is not None:
            self.observer.member_set(member)
        return member

    def modify_member(self, id: int, call: ActionCall) -> None:
        """NotFound, InvalidEntry. Takes effect in every entry and group at once."""
        member = self.get_member(id)
        self._check_call(call)
        member.call = call
        if self.observer is not None:
            self.observer.member_set(member)

    def delete_member(self, id: int) -> None:
        """NotFound; InUse while an entry or a group refers to it."""
        member = self.get_member(id)
        if member.references or any(id in group.members for group in self._groups.values()):
            raise InUse(f"action profile {self.name}: member {id} is in use")
        for handle in member.handles:
            self._handles.release(handle)
        del self._members[id]
        if self.observer is not None:
            self.observer.member_removed(id)

    def get_member(self, id: int) -> Member:
        """NotFound."""
        if id not in self._members:
            raise NotFound(f"action profile {self.name}: no member {id}")
        return self._members[id]

    def members(self) -> Iterator[Member]:
        """All members."""
        return iter(self._members.values())

    def create_group(self, id: int, max_size: int = 0) -> Group:
        """An empty group. AlreadyExists; InvalidEntry without a selector or on a negative size."""
        if self.definition.selector is None:
            raise InvalidEntry(f"action profile {self.name} has no selector, so it has no groups")
        if max_size < 0:
            raise InvalidEntry(f"action profile {self.name}: group {id} max_size {max_size} is negative")
        if id in self._groups:
            raise AlreadyExists(f"action profile {self.name}: group {id} exists")
        self._groups[id] = Group(id, max_size)
        if self.observer is not None:
            self.observer.group_set(self._groups[id])
        return self._groups[id]

    def set_members(self, id: int, members: Iterable[GroupMember | tuple[int, int, int | None]]) -> None:
        """Replace the membership.

        NotFound: the group or a member. InvalidEntry: a weight below 1 or a member named twice.
        TableFull: the weights add up to more than the group's max_size, or MAX_SLOTS.
        """
        group = self.get_group(id)
        wanted: dict[int, GroupMember] = {}
        for share in members:
            share = GroupMember(*share)
            self.get_member(share.member)
            if share.weight < 1:
                raise InvalidEntry(f"action profile {self.name}: weight {share.weight} is below 1")
            if share.member in wanted:
                raise InvalidEntry(f"action profile {self.name}: member {share.member} twice in group {id}")
            wanted[share.member] = share
        size = group.max_size or MAX_SLOTS
        if sum(share.weight for share in wanted.values()) > size:
            raise TableFull(f"action profile {self.name}: group {id} exceeds its size {size}")
        affected = sorted(group.members.keys() | wanted.keys())
        for member_id in sorted(wanted):
            handles = self._members[member_id].handles
            while len(handles) < wanted[member_id].weight:
                handles.append(self._handles.allocate())
        group.members = wanted
        self._rebuild(group)
        if self.observer is not None:
            self.observer.group_set(group)
        self._free_copies(affected)

    def delete_group(self, id: int) -> None:
        """NotFound; InUse while an entry refers to it. Its members stay."""
        group = self.get_group(id)
        if group.references:
            raise InUse(f"action profile {self.name}: group {id} is in use")
        del self._groups[id]
        if self.observer is not None:
            self.observer.group_removed(id)
        self._free_copies(sorted(group.members))

    def get_group(self, id: int) -> Group:
        """NotFound."""
        if id not in self._groups:
            raise NotFound(f"action profile {self.name}: no group {id}")
        return self._groups[id]

    def groups(self) -> Iterator[Group]:
        """All groups."""
        return iter(self._groups.values())

    def choose(self, group_id: int, hash_value: int) -> Member | None:
        """The member for a hash, None when the group is empty or all its watched ports are down."""
        group = self._groups[group_id]
        slots = group.slots
        if group.watched:
            slots = [slot for slot in slots if slot.watch is None or self._port_is_up(slot.watch)]
        return slots[hash_value % len(slots)].member if slots else None

    def retain(self, target: Target) -> None:
        """A table entry begins to refer to a member or group. NotFound, InvalidEntry."""
        self._referred(target).references += 1

    def release(self, target: Target) -> None:
        """A table entry ceases to refer to it."""
        self._referred(target).references -= 1

    def clear(self) -> None:
        """Forget all members and groups."""
        groups, members = list(self._groups), list(self._members)
        self._handles = Handles()
        self._members = {}
        self._groups = {}
        if self.observer is not None:
            for id in groups:
                self.observer.group_removed(id)
            for id in members:
                self.observer.member_removed(id)

    def _referred(self, target: Target) -> Member | Group:
        match target:
            case MemberRef(id):
                return self.get_member(id)
            case GroupRef(id):
                return self.get_group(id)
            case _:
                raise InvalidEntry(f"action profile {self.name}: {target} is neither a member nor a group")

    def _rebuild(self, group: Group) -> None:
        slots = [
            Slot(handle, self._members[share.member], share.watch)
            for share in group.members.values()
            for handle in self._members[share.member].handles[: share.weight]
        ]
        group.slots = sorted(slots, key=lambda slot: slot.handle)
        group.watched = any(share.watch is not None for share in group.members.values())

    def _free_copies(self, member_ids: Iterable[int]) -> None:
        for member_id in member_ids:
            weights = (g.members[member_id].weight for g in self._groups.values() if member_id in g.members)
            needed = max(weights, default=1)
            handles = self._members[member_id].handles
            while len(handles) > needed:
                self._handles.release(handles.pop())
