"""What the group manager wants done, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

from controller.incc.domains import Carrier, GroupEid


@dataclass(frozen=True, slots=True)
class MemberChild:
    """A member on a port of the switch. `address`: its own, in the group's Instance-ID."""

    rank: int
    accelerator: str
    port: int
    address: GroupEid


@dataclass(frozen=True, slots=True)
class NodeChild:
    """A switch below, behind a tunnel. `port`: where copies for it leave, all of whose ways lead there."""

    rank: int
    switch: str
    port: int


@dataclass(frozen=True, slots=True)
class Branch:
    """What one switch has to do for a group in one generation.

    `number`, 16 bits; `slots`: a range of the switch's; `parent`: None at the root; `rank`: the switch's own.
    """

    number: int
    iid: int
    carrier: Carrier
    eid: GroupEid
    generation: int
    slots: range
    rank: int
    parent: str | None
    members: tuple[MemberChild, ...]
    nodes: tuple[NodeChild, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """The group's entries go from a switch, as `branch` made them.

    Contributions that still come are dropped there without a question to anybody, until the branch is installed anew or
    `Forget` names the switch.
    """

    switch: str
    branch: Branch


@dataclass(frozen=True, slots=True)
class Clear:
    """The cells of a branch are made empty; none of its entries is there."""

    switch: str
    branch: Branch


@dataclass(frozen=True, slots=True)
class Install:
    """The branch's entries are put on a switch whose cells are empty."""

    switch: str
    branch: Branch


Order = Remove | Clear | Install


@dataclass(frozen=True, slots=True)
class Work:
    """Orders for different switches. `GroupManager.done` is called with `serial` when all have been carried out.

    What is ordered of a switch that does not work has only to be kept in mind for it.
    """

    group: str
    serial: int
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it is. `size`: members that it wants; `members`: by rank; `leaves`: the switch of each.

    `state`: "gathering", "forming", "active", "broken" (then `reason` says why) or "ending". `working`: whether orders
    are under way.
    """

    name: str
    number: int
    domain: str
    iid: int
    carrier: Carrier
    eid: GroupEid | None
    generation: int
    slots: int
    size: int
    state: str
    reason: str
    members: tuple[str, ...]
    leaves: tuple[str, ...]
    root: str | None
    branches: dict[str, Branch]
    working: bool


@dataclass(frozen=True, slots=True)
class Departed:
    """A change of members: who left or came, and why."""

    lost: tuple[str, ...]
    joined: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Formed:
    """A group's tree works, in a new generation: the members may begin."""

    view: GroupView


@dataclass(frozen=True, slots=True)
class Broken:
    """A group cannot be formed now; it is tried again when something changes."""

    view: GroupView


@dataclass(frozen=True, slots=True)
class Ended:
    """An accelerator is a member no more, or (None) the group is gone."""

    group: str
    accelerator: str | None
    reason: str
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forget:
    """Switches other than `kept` need not know the group of this number any more."""

    number: int
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Register:
    """The group's EID is at `switch`, its root, from now on; told again when what it says has changed."""

    switch: str
    view: GroupView


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The group's EID is not at `switch` any more."""

    switch: str
    iid: int
    eid: GroupEid


Output = Work | Formed | Broken | Ended | Forget | Register | Withdraw
