"""The difference between what a switch should hold and what it holds, in an order that never breaks it.

Pure: states in, stages out. A switch may reorder the updates within a batch, so what depends on each other
is kept in different stages, and stages are written one after the other (P4Runtime section "Batching and
Ordering of Updates").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from p4.v1 import p4runtime_pb2

from controller.p4rt.codec import Encoded, Rank

INSERT = p4runtime_pb2.Update.INSERT
MODIFY = p4runtime_pb2.Update.MODIFY
DELETE = p4runtime_pb2.Update.DELETE


class Mirror:
    """What the switch holds, as far as is known.

    Attributes:
        initial: the program's own state of resident entities, which counts as absence.
    """

    def __init__(self, initial: Mapping[bytes, bytes] | None = None) -> None:
        self.initial = dict(initial or {})
        self._held: dict[bytes, Encoded] = {}
        self._doubtful: dict[bytes, Encoded] = {}
        self._taken: Counter[int] = Counter()

    def replace(self, held: Iterable[Encoded]) -> None:
        """Start over from what was read."""
        self._held = {entity.key: entity for entity in held}
        self._doubtful.clear()
        self._taken = Counter(entity.scope for entity in self._held.values())

    def get(self, key: bytes) -> Encoded | None:
        """What the switch holds under `key`."""
        return self._held.get(key)

    def put(self, entity: Encoded) -> None:
        """The switch holds `entity` now."""
        self._taken[entity.scope] += entity.key not in self._held
        self._held[entity.key] = entity
        self._doubtful.pop(entity.key, None)

    def remove(self, key: bytes) -> None:
        """The switch no longer holds anything under `key`."""
        gone = self._held.pop(key, None)
        if gone is not None:
            self._taken[gone.scope] -= 1
        self._doubtful.pop(key, None)

    def doubt(self, entity: Encoded) -> None:
        """A failed write left unclear what the switch holds under the key of `entity`."""
        self._doubtful[entity.key] = entity

    def doubtful(self, key: bytes) -> Encoded | None:
        """What was last tried under `key`, if that left the state unclear."""
        return self._doubtful.get(key)

    def taken(self, scope: int) -> int:
        """How many places of a table or profile are taken."""
        return self._taken[scope]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)


@dataclass(frozen=True, slots=True)
class Step:
    """One update.

    Attributes:
        entity: what is put, or what goes.
        kind: p4.v1.Update.Type.
        removal: whether it goes.
    """

    entity: Encoded
    kind: p4runtime_pb2.Update.Type
    removal: bool

    @property
    def wire(self) -> bytes:
        """The serialized entity of the update."""
        return self.entity.key if self.removal else self.entity.wire


def decide(key: bytes, desired: Encoded | None, mirror: Mirror) -> Step | None:
    """The update that makes the switch hold `desired` under `key`; None if it does, or None is desired and it
    holds nothing."""
    held, tried = mirror.get(key), mirror.doubtful(key)
    if desired is not None:
        if held is None:
            return Step(desired, MODIFY if desired.resident else INSERT, removal=False)
        if held.wire == desired.wire and tried is None:
            return None
        return Step(desired, MODIFY, removal=False)
    gone = held or tried
    if gone is None:
        return None
    if not gone.resident:
        return Step(gone, DELETE, removal=True)
    if gone.wire == mirror.initial.get(key, key) and tried is None:
        return None
    return Step(gone, MODIFY, removal=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """Keys whose updates may go out in any order: all removals, or none."""

    removal: bool
    keys: tuple[bytes, ...]


def plan(
    keys: Iterable[bytes], desired: Mapping[bytes, Encoded], mirror: Mirror, room: Mapping[int, int]
) -> list[Stage]:
    """Stages that bring the switch to `desired` as far as `keys` are concerned.

    New state goes in before old state goes out, so that traffic always finds one of the two; where a table
    has no `room` for both (entries by table id), its old entries go first.
    """
    puts: dict[Rank, list[bytes]] = {rank: [] for rank in Rank}
    removals: dict[Rank, list[Step]] = {rank: [] for rank in Rank}
    arriving: Counter[int] = Counter()
    for key in keys:
        step = decide(key, desired.get(key), mirror)
        if step is None:
            continue
        if step.removal:
            removals[step.entity.rank].append(step)
        else:
            puts[step.entity.rank].append(key)
            arriving[step.entity.scope] += key not in mirror
    full = {scope for scope, count in arriving.items() if mirror.taken(scope) + count > room.get(scope, 1 << 62)}
    leaving = removals[Rank.TABLE]
    first = [step.entity.key for step in leaving if step.entity.scope in full]
    removals[Rank.TABLE] = [step for step in leaving if step.entity.scope not in full]
    stages = [Stage(True, tuple(first))]
    stages += [Stage(False, tuple(puts[rank])) for rank in sorted(Rank)]
    stages += [Stage(True, tuple(s.entity.key for s in removals[rank])) for rank in sorted(Rank, reverse=True)]
    return [stage for stage in stages if stage.keys]
