"""The tree of a group: which switch combines whose contributions.

In one PoD the access routers of the members are its leaves, and one of them, or another xTR of the PoD, is the root.
Across PoDs a border of each PoD combines what its access routers do, and one of those borders is the root: access
routers and other PoDs' borders do not know each other's RLOCs. A tree grows another level where a switch would have
more children than it can tell apart.

Choices that are free go by highest random weight (RFC 8584) over the group's number: the same ones after a restart, and
spread over groups. What served the group before is kept as long as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from controller.incc.checks import MAX_MEMBERS
from controller.incc.errors import NoTreeError
from controller.incc.network import Home, Network

FIRST_NODE_RANK = 0x8000
"""Ranks from here on are switches."""


@dataclass(frozen=True, slots=True)
class Node:
    """A switch of a tree. `rank`: its own; `members`: accelerators on its ports; `nodes`: switches below it."""

    switch: str
    rank: int
    parent: str | None
    members: tuple[Home, ...]
    accelerators: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def children(self) -> int:
        """How many contribute to it."""
        return len(self.accelerators) + len(self.nodes)


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree by the names of its switches."""

    root: str
    nodes: dict[str, Node]

    def leaf_of(self, accelerator: str) -> str:
        """The switch that an accelerator contributes to. KeyError if it is no member."""
        for node in self.nodes.values():
            if accelerator in node.accelerators:
                return node.switch
        raise KeyError(accelerator)


@dataclass(frozen=True, slots=True)
class Planner:
    """What a tree is planned from.

    `name` and `number`: the group's; `usable`: whether a switch can take part; `roots`: the PoDs whose xTRs can be the
    root, None in it for all; `before`: the tree that the group had; `limited`: whether switches have as many children
    at most as they can.
    """

    network: Network
    name: str
    number: int
    usable: Callable[[str], bool]
    roots: frozenset[str | None] = frozenset({None})
    before: Tree | None = None
    limited: bool = True

    def plan(self, members: Sequence[str]) -> Tree:
        """The tree that joins these accelerators. Raises NoTreeError naming what stands in the way."""
        try:
            return self._plan(members)
        except NoTreeError as error:
            if not self.limited:
                raise
            try:
                tree = replace(self, limited=False).plan(members)
            except NoTreeError:
                raise error from None
            raise self._too_many(tree, len(members)) or error from None

    def _too_many(self, tree: Tree, members: int) -> NoTreeError | None:
        """What there would be a tree without: the limit of one of its switches; None if none has too many children."""
        node = next((node for node in tree.nodes.values() if node.children > self._room(node.switch)), None)
        if node is None:
            return None
        room = self.network.xtrs[node.switch].children
        most = f"its program combines for {room} at most" if room else "its program has no collectives"
        children = "1 child" if node.children == 1 else f"{node.children} children"
        reason = f"group {self.name}: switch {node.switch} would have {children}; {most}"
        return NoTreeError("members", members, reason)

    def _room(self, switch: str) -> int:
        return self.network.xtrs[switch].children if self.limited else MAX_MEMBERS

    def _plan(self, members: Sequence[str]) -> Tree:
        leaves = self._leaves(members)
        pods: dict[str, list[str]] = {}
        for leaf in sorted(leaves):
            pods.setdefault(self.network.xtrs[leaf].pod, []).append(leaf)
        growth = _Growth(self.network, self._room, {leaf: len(placed) for leaf, placed in leaves.items()})
        inside = next(iter(pods)) if len(pods) == 1 else None
        if inside is not None and self._roots_in(inside):
            root = self._inside(growth, pods[inside])
        else:
            root = self._across(growth, pods)
        return self._tree(root, growth, leaves, list(members))

    def _roots_in(self, pod: str) -> bool:
        return None in self.roots or pod in self.roots

    def _leaves(self, members: Sequence[str]) -> dict[str, dict[str, Home]]:
        """One leaf for each member: where it was, else where others have to be anyway, else by weight."""
        homes = {member: self.network.homes(member) for member in members}
        for member, at in homes.items():
            if not at:
                raise NoTreeError("members", member, "is not attached to a switch that works")
            homes[member] = [home for home in at if home.switch in self.network.xtrs and self.usable(home.switch)]
            if not homes[member]:
                names = ", ".join(home.switch for home in at)
                raise NoTreeError("members", member, f"has no access switch with room for the group: {names}")
        leaves: dict[str, dict[str, Home]] = {}
        for member in sorted(members, key=lambda one: len(homes[one])):  # those without a choice first
            ranked = sorted(homes[member], key=lambda home: self._preference(home.switch, member, leaves))
            home = next((one for one in ranked if len(leaves.get(one.switch, ())) < self._room(one.switch)), None)
            if home is None:
                raise NoTreeError("members", member, "its access switches have as many members as they can combine")
            leaves.setdefault(home.switch, {})[member] = home
        return leaves

    def _preference(self, switch: str, member: str, leaves: dict[str, dict[str, Home]]) -> tuple[bool, bool, int]:
        node = None if self.before is None else self.before.nodes.get(switch)
        was_there = node is not None and member in node.accelerators
        return not was_there, switch not in leaves, -self._weight(switch)

    def _weight(self, switch: str) -> int:
        digest = blake2b(f"{self.number} {switch}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def _ranked(self, switches: Iterable[str]) -> list[str]:
        """The usable ones: those that were inner switches first, then by weight."""
        usable = [switch for switch in switches if self.network.is_up(switch) and self.usable(switch)]
        before = self.before

        def order(switch: str) -> tuple[bool, bool, int]:
            node = None if before is None else before.nodes.get(switch)
            return before is None or before.root != switch, node is None or not node.nodes, -self._weight(switch)

        return sorted(usable, key=order)

    def _inside(self, growth: _Growth, leaves: list[str]) -> str:
        """A tree in one PoD; an only leaf needs no other switch."""
        pod = self.network.xtrs[leaves[0]].pod
        others = [xtr.name for xtr in self.network.xtrs.values() if xtr.pod == pod and xtr.name not in leaves]
        for root in (*self._ranked(leaves), *self._ranked(others)):
            if growth.grow(root, [leaf for leaf in leaves if leaf != root]):
                return root
        raise NoTreeError("members", ", ".join(leaves), f"no xTR of PoD {pod} reaches all these access switches")

    def _across(self, growth: _Growth, pods: dict[str, list[str]]) -> str:
        """A tree over PoDs: in each a border over its leaves, and over these one of them, or that of another PoD."""
        heads = {pod: self._borders(growth, pod, leaves) for pod, leaves in pods.items()}
        roots = [head for pod in pods if self._roots_in(pod) for head in heads[pod]]
        others = [
            xtr.name
            for xtr in self.network.xtrs.values()
            if xtr.border and xtr.pod not in pods and self._roots_in(xtr.pod)
        ]
        for root in (*self._ranked(roots), *self._ranked(others)):
            if self._grow_across(root, growth, pods, heads):
                return root
        where = ", ".join(sorted(pods))
        raise NoTreeError("members", where, "no border of these PoDs reaches one of each of the others")

    def _grow_across(self, root: str, growth: _Growth, pods: dict[str, list[str]], heads: dict[str, list[str]]) -> bool:
        own, chosen = self.network.xtrs[root].pod, {}
        for pod, candidates in heads.items():
            head = next((one for one in candidates if self.network.joined(one, root)), None)
            chosen[pod] = root if pod == own else head
        trial, found = growth.copy(), [head for head in chosen.values() if head is not None]
        if len(found) < len(chosen) or not all(trial.grow(head, pods[pod]) for pod, head in chosen.items() if head):
            return False
        if not trial.grow(root, [head for head in found if head != root]):
            return False
        growth.take(trial)
        return True

    def _borders(self, growth: _Growth, pod: str, leaves: list[str]) -> list[str]:
        borders = self._ranked(xtr.name for xtr in self.network.xtrs.values() if xtr.pod == pod and xtr.border)
        found = [border for border in borders if growth.copy().grow(border, leaves)]
        if not found:
            raise NoTreeError("members", ", ".join(leaves), f"no border of PoD {pod} reaches all these access switches")
        return found

    def _tree(self, root: str, growth: _Growth, leaves: dict[str, dict[str, Home]], members: list[str]) -> Tree:
        order = {member: index for index, member in enumerate(members)}
        switches = sorted({root, *leaves, *growth.parents, *growth.parents.values()})
        nodes: dict[str, Node] = {}
        for number, switch in enumerate(switches):
            here = sorted(leaves.get(switch, {}), key=order.__getitem__)
            below = tuple(sorted(child for child, parent in growth.parents.items() if parent == switch))
            homes = tuple(leaves[switch][member] for member in here) if here else ()
            parent = growth.parents.get(switch)
            nodes[switch] = Node(switch, FIRST_NODE_RANK + number, parent, homes, tuple(here), below)
        return Tree(root, nodes)


@dataclass(slots=True)
class _Growth:
    """Switches that find parents, and how many children each has."""

    network: Network
    room: Callable[[str], int]
    children: dict[str, int]
    parents: dict[str, str] = field(default_factory=dict)

    def copy(self) -> _Growth:
        return _Growth(self.network, self.room, dict(self.children), dict(self.parents))

    def take(self, other: _Growth) -> None:
        self.children, self.parents = other.children, other.parents

    def grow(self, root: str, orphans: list[str]) -> bool:
        """Gives the orphans parents, near the root where there is room; False, and nothing done, if one finds none."""
        trial = self.copy()
        waiting = sorted(orphans, key=lambda one: (trial.children.get(one, 0), one))  # those with most room first
        reached = [root]
        for parent in reached:
            for child in list(waiting):
                if trial.children.get(parent, 0) >= self.room(parent):
                    break
                if self.network.joined(child, parent):
                    trial.parents[child] = parent
                    trial.children[parent] = trial.children.get(parent, 0) + 1
                    waiting.remove(child)
                    reached.append(child)
        if waiting:
            return False
        self.take(trial)
        return True
