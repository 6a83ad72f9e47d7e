"""What a change of desired state means to the switch."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.p4rt.entities import Key, State


@dataclass(slots=True)
class Changes:
    """Entities to insert or modify, and entities to delete afterwards."""

    put: list[State] = field(default_factory=list)
    remove: list[State] = field(default_factory=list)

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.put + other.put, self.remove + other.remove)

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


class DesiredState:
    """The entities that have to be on one switch; every change of them is returned as what it means to the switch."""

    def __init__(self) -> None:
        self._entities: dict[Key, State] = {}

    def all(self) -> list[State]:
        """Everything that has to be on the switch."""
        return list(self._entities.values())

    def put(self, entity: State) -> Changes:
        """`entity` has to be there, in this state."""
        if self._entities.get(entity.key()) == entity:
            return Changes()
        self._entities[entity.key()] = entity
        return Changes(put=[entity])

    def remove(self, entity: State) -> Changes:
        """Nothing with the key of `entity` has to be there."""
        present = self._entities.pop(entity.key(), None)
        return Changes(remove=[present]) if present is not None else Changes()
