"""What a table entry can do: call an action, or refer to members and groups of an action profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.p4rt.values import FrozenMap, Value, ValueLike, as_value, show


@dataclass(frozen=True, slots=True, init=False)
class Action:
    """A call of an action with its parameters by name."""

    name: str
    params: FrozenMap[Value]

    def __init__(self, name: str, params: Mapping[str, ValueLike] | None = None) -> None:
        object.__setattr__(self, "name", name)
        values = {param: as_value(value) for param, value in params.items()} if params else None
        object.__setattr__(self, "params", FrozenMap(values))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={show(value)}' for name, value in self.params.items())})"


@dataclass(frozen=True, slots=True)
class MemberRef:
    """The action is that of a member of the table's action profile."""

    member_id: int

    def __str__(self) -> str:
        return f"member {self.member_id}"


@dataclass(frozen=True, slots=True)
class GroupRef:
    """The action is that of whichever member of a group the selector picks."""

    group_id: int

    def __str__(self) -> str:
        return f"group {self.group_id}"


@dataclass(frozen=True, slots=True)
class WeightedAction:
    """An action of a one-shot set.

    Attributes:
        weight: how often it is picked relative to the others, at least 1.
        watch_port: the action is left out while this port is down; None: never.
    """

    action: Action
    weight: int = 1
    watch_port: int | None = None

    def __str__(self) -> str:
        watch = "" if self.watch_port is None else f" while port {self.watch_port} is up"
        return f"{self.weight}*{self.action}{watch}"


@dataclass(frozen=True, slots=True, init=False)
class ActionSet:
    """A one-shot set: members and group are the switch's business (section "One Shot Action Selector").

    The order means nothing; it is normalized. Tables of one selector use either sets or groups, never both.
    """

    actions: tuple[WeightedAction, ...]

    def __init__(self, actions: Iterable[WeightedAction]) -> None:
        object.__setattr__(self, "actions", tuple(sorted(actions, key=str)))

    def __str__(self) -> str:
        return f"[{', '.join(str(action) for action in self.actions)}]"


TableAction = Action | MemberRef | GroupRef | ActionSet
"""Any of them."""
