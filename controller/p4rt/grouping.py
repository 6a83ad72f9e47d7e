"""One-shot action sets as members and groups, for switches that know the latter alone (Stratum on Tofino).

What is desired stays an entry with its set; what is written are a member for each share of an action, a group of them,
and an entry that refers to it. A share is a member of its own, because such switches take weights of 1 alone; they
watch no port either, so that the control plane has to take an action out when its port is down.

Numbers follow from the entry and the action, so that a controller that was started anew finds what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from controller.p4rt.actions import Action, ActionSet, GroupRef
from controller.p4rt.codec import Codec
from controller.p4rt.entities import ActionProfileGroup, ActionProfileMember, GroupMember, Key, State, TableEntry


@dataclass(slots=True)
class _Numbers:
    """Ids that are taken, of members or of groups of one profile."""

    taken: set[int] = field(default_factory=set)

    def of(self, name: bytes) -> int:
        """The one that follows from `name`, or the next that is free; 1 to 2**31 - 1."""
        number = int.from_bytes(blake2b(name, digest_size=4).digest(), "big") & 0x7FFFFFFF
        while number == 0 or number in self.taken:
            number = number + 1 & 0x7FFFFFFF
        self.taken.add(number)
        return number


class Grouping:
    """Keeps the members and groups of all entries that have a set."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._numbers: dict[tuple[type, str], _Numbers] = {}
        self._written: dict[Key, dict[Key, State]] = {}  # what an entry's set has become, by the entry's key

    def apply(self, put: Iterable[State], remove: Iterable[State]) -> tuple[list[State], list[State]]:
        """What has to be put and removed so that entities with sets are put and removed.

        Raises EncodingError, UnknownNameError; nothing has changed then.
        """
        put = list(put)
        for entity in put:
            self._codec.encode(entity)  # what is wrong is found before anything changes
        puts: list[State] = []
        removals: list[State] = []
        for entity in put:
            before = self._written.pop(entity.key(), {})
            self._release(before.values())
            after = self._expanded(entity)
            puts += after
            kept = {state.key() for state in after}
            removals += [state for key, state in before.items() if key not in kept]
        for entity in remove:
            before = self._written.pop(entity.key(), {})
            self._release(before.values())
            removals += [*before.values(), entity]
        return puts, removals

    def _expanded(self, entity: State) -> list[State]:
        if not isinstance(entity, TableEntry) or not isinstance(entity.action, ActionSet):
            return [entity]
        table = self._codec.info.tables[entity.table]
        profile = table.profile
        assert profile is not None, "a set of another table has not been encoded"
        name = self._codec.key(entity)
        members: list[ActionProfileMember] = []
        for choice in entity.action.actions:
            # Members belong to no table, by whose actions a short name would be understood.
            action = Action(table.actions[choice.action.name].name, choice.action.params)
            for share in range(choice.weight):
                number = self._take(ActionProfileMember, profile.name, name + f"{choice.action} {share}".encode())
                members.append(ActionProfileMember(profile.name, number, action))
        group_id = self._take(ActionProfileGroup, profile.name, name)
        group = ActionProfileGroup(
            profile.name,
            group_id,
            [GroupMember(member.member_id) for member in members],
            profile.max_group_size or len(members),
        )
        entry = TableEntry(
            entity.table,
            entity.match,
            GroupRef(group_id),
            priority=entity.priority,
            meter=entity.meter,
            idle_timeout_ns=entity.idle_timeout_ns,
            metadata=entity.metadata,
            is_default=entity.is_default,
        )
        found: list[State] = [*members, group, entry]
        self._written[entity.key()] = {state.key(): state for state in found}
        return found

    def _take(self, kind: type, profile: str, name: bytes) -> int:
        return self._numbers.setdefault((kind, profile), _Numbers()).of(name)

    def _release(self, states: Iterable[State]) -> None:
        for state in states:
            if isinstance(state, ActionProfileMember):
                self._numbers[ActionProfileMember, state.profile].taken.discard(state.member_id)
            elif isinstance(state, ActionProfileGroup):
                self._numbers[ActionProfileGroup, state.profile].taken.discard(state.group_id)
