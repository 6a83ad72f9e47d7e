"""Members and selector groups."""

from __future__ import annotations

from collections import Counter

from softswitch.native.heap import Heap, write_octets, write_words
from softswitch.native.mirror.targets import Calls
from softswitch.native.runtime.structs import M_PARAMETERS, NONE, PORT_COUNT
from softswitch.state.profiles import ActionProfile, Group, Member

_GROUP_OCTETS = 24
_NEVER_UP = PORT_COUNT - 1  # the number of the drop port, where no port can be


class ProfileMirror:
    """An action profile. members, groups: addresses by id; watched: ports that groups look at."""

    def __init__(self, profile: ActionProfile, calls: Calls, heap: Heap, watched: Counter[int]) -> None:
        self.members: dict[int, int] = {}
        self.groups: dict[int, int] = {}
        self._calls = calls
        self._heap = heap
        self._watched = watched
        self._slots: dict[int, int] = {}
        self._ports: dict[int, Counter[int]] = {}
        for member in profile.members():
            self.member_set(member)
        for group in profile.groups():
            self.group_set(group)
        profile.observer = self

    def member_set(self, member: Member) -> None:
        """A new member, or another action of a member."""
        if member.id not in self.members:
            self.members[member.id] = self._heap.take(M_PARAMETERS + self._calls.octets)
        address = self.members[member.id]
        action, parameters = self._calls.encode(member.call)
        write_octets(address + M_PARAMETERS, parameters)
        write_words(address, action, address + M_PARAMETERS)

    def member_removed(self, id: int) -> None:
        """A member is gone."""
        self._heap.give(self.members.pop(id))

    def group_set(self, group: Group) -> None:
        """A new group, or other members of a group."""
        if group.id not in self.groups:
            self.groups[group.id] = self._heap.take(_GROUP_OCTETS)
        slots = self._heap.take(16 * len(group.slots))
        words: list[int] = []
        ports: Counter[int] = Counter()
        for slot in group.slots:
            watch = NONE
            if slot.watch is not None:
                watch = slot.watch if 0 <= slot.watch < PORT_COUNT else _NEVER_UP
                ports[watch] += 1
            words += (self.members[slot.member.id], watch)
        write_words(slots, *words)
        write_words(self.groups[group.id], len(group.slots), int(group.watched), slots)
        self._forget(group.id)
        self._slots[group.id], self._ports[group.id] = slots, ports
        self._watched.update(ports)

    def group_removed(self, id: int) -> None:
        """A group is gone."""
        self._forget(id)
        self._heap.give(self.groups.pop(id))

    def _forget(self, id: int) -> None:
        if id in self._slots:
            self._heap.give(self._slots.pop(id))
            self._watched.subtract(self._ports.pop(id))
