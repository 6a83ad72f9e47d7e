"""Switches as the group manager's orders leave them, and what always has to be true of them."""

from __future__ import annotations

from collections.abc import Iterable

from controller.incc import (
    MAX_CHILDREN,
    Branch,
    Broken,
    Clear,
    Departed,
    Ended,
    Forget,
    Formed,
    GroupManager,
    GroupSnapshot,
    GroupView,
    Install,
    Order,
    Output,
    Register,
    Remove,
    Withdraw,
    Work,
)
from tests.incc.networks import Fabric

__all__ = ["Departed", "Switches"]


class Switches:
    """Carries out what a manager orders, as late as the test likes, and checks each order."""

    def __init__(self, fabric: Fabric, manager: GroupManager) -> None:
        self.fabric = fabric
        self.manager = manager
        self.entries: dict[str, dict[int, Branch]] = {xtr.name: {} for xtr in fabric.xtrs}
        self.closed: set[tuple[str, int]] = set()
        self.clean: dict[str, set[int]] = {xtr.name: set() for xtr in fabric.xtrs}
        self.waiting: list[Work] = []
        self.formed: dict[str, GroupView] = {}
        self.generations: dict[int, list[int]] = {}
        self.registered: dict[tuple[int, object], str] = {}
        self.ended: list[Ended] = []
        self.broken: dict[str, str] = {}
        self.works = 0

    def restart(self, manager: GroupManager) -> None:
        """The manager is killed: orders under way are forgotten, and so is what xTRs had registered.

        Another takes up what was kept: groups whose entries the switches have as they should be go on; all other
        entries go, and what is left is formed anew.
        """
        kept = GroupSnapshot(tuple(self.manager.records()), dict(self.manager.generations))
        self.manager = manager
        self.waiting.clear()
        self.registered.clear()
        self.formed.clear()
        self.broken.clear()
        assert manager.restore(kept) == []
        whole = {
            name: branches
            for name, branches in manager.adoptable().items()
            if all(self.entries[switch].get(branch.number) == branch for switch, branch in branches.items())
        }
        for name, branches in whole.items():
            number = manager.group(name).number
            self.generations[number].remove(manager.group(name).generation)  # which is no other
            self._swept(number, set(branches))
            self.take(manager.adopt(name, branches))
        for number in {number for held in self.entries.values() for number in held}:
            if number not in {manager.group(name).number for name in whole}:
                self._swept(number, set())
        self.closed.clear()
        self.take(manager.begin_anew())

    def _swept(self, number: int, kept: set[str]) -> None:
        for switch, held in self.entries.items():
            if switch not in kept:
                held.pop(number, None)

    def take(self, outputs: Iterable[Output]) -> None:
        """Notes what a call of the manager returned."""
        for output in outputs:
            match output:
                case Work():
                    assert output.group not in [work.group for work in self.waiting], "one work at a time"
                    self.waiting.append(output)
                case Forget(number=number, kept=kept):
                    held = {name for name, entries in self.entries.items() if number in entries}
                    assert held <= kept, "what is at work is not forgotten"
                    self.closed = {(name, known) for name, known in self.closed if name in kept or known != number}
                case Formed(view=view):
                    self._formed(view)
                case Broken(view=view):
                    self.broken[view.name] = view.reason
                    self.formed.pop(view.name, None)
                case Ended(group=group, accelerator=None):
                    self.formed.pop(group, None)
                case Ended():
                    self.ended.append(output)
                case Register(switch=switch, view=view):
                    self.registered[view.iid, view.eid] = switch
                case Withdraw(switch=switch, iid=iid, eid=eid):
                    if self.registered.get((iid, eid)) == switch:
                        del self.registered[iid, eid]

    def carry_out(self, index: int = 0) -> None:
        """One work, all of it."""
        work = self.waiting.pop(index)
        self.works += 1
        for order in work.orders:
            self._carry_out(order)
        self.take(self.manager.done(work.serial))

    def settle(self) -> None:
        """Everything."""
        while self.waiting:
            self.carry_out()

    def _carry_out(self, order: Order) -> None:
        cells, entries, branch = self.clean[order.switch], self.entries[order.switch], order.branch
        mine = set(branch.slots)
        others = [one for number, one in entries.items() if number != branch.number]
        match order:
            case Remove():
                entries.pop(branch.number, None)
                self.closed.add((order.switch, branch.number))
            case Clear():
                assert branch.number not in entries, "no cell is cleared while an entry uses it"
                assert not any(mine & set(one.slots) for one in others), "nobody else's cell is cleared"
                cells |= mine
            case Install():
                assert mine <= cells, "no cell is used before it is clear"
                assert not any(mine & set(one.slots) for one in others), "slot ranges never overlap"
                cells -= mine
                entries[branch.number] = branch
                self.closed.discard((order.switch, branch.number))

    def _formed(self, view: GroupView) -> None:
        self.formed[view.name] = view
        self.broken.pop(view.name, None)
        used = self.generations.setdefault(view.number, [])
        assert view.generation not in used[-200:], "a generation is fresh"
        used.append(view.generation)
        self.check(view)

    def check(self, view: GroupView) -> None:
        """A formed group's entries are a tree over all its members, all of one generation."""
        network = self.fabric.network
        entries = {name: held[view.number] for name, held in self.entries.items() if view.number in held}
        assert {entry.generation for entry in entries.values()} == {view.generation}
        assert {entry.eid for entry in entries.values()} == {view.eid}
        assert {len(entry.slots) for entry in entries.values()} == {view.slots}
        roots = [name for name, entry in entries.items() if entry.parent is None]
        assert roots == [view.root]
        assert self.registered[view.iid, view.eid] == view.root
        reached: dict[str, str] = {}
        todo = roots
        for name in todo:
            entry = entries[name]
            assert 1 <= len(entry.members) + len(entry.nodes) <= MAX_CHILDREN
            for member in entry.members:
                assert member.accelerator not in reached, "one leaf for each member"
                reached[member.accelerator] = name
                assert view.members[member.rank] == member.accelerator
                assert (name, member.port) in [(h.switch, h.port) for h in network.homes(member.accelerator)]
            for child in entry.nodes:
                assert entries[child.switch].parent == name
                assert entries[child.switch].rank == child.rank >= 0x8000
                assert network.joined(child.switch, name)
                assert network.leads(name, child.port, child.switch)
                todo.append(child.switch)
        assert sorted(todo) == sorted(entries), "no switch has an entry that leads nowhere"
        assert sorted(reached) == sorted(view.members)
        assert tuple(reached[member] for member in view.members) == view.leaves

    def check_idle(self) -> None:
        """With nothing under way, switches have the entries of formed groups and of no others."""
        assert not self.waiting
        active = [view for view in self.manager.groups() if view.state == "active"]
        numbers = {view.number for view in active}
        for switch, held in self.entries.items():
            assert held.keys() <= numbers, "no switch has an entry of a dead group"
            assert held.keys() == self.manager.slot_ranges(switch).keys(), "no slots are lost"
        for view in active:
            assert self.formed[view.name] == view, "what was told last is so"
            self.check(view)
        assert {(view.iid, view.eid): view.root for view in active} == self.registered
        alive = {view.number for view in self.manager.groups() if view.state == "broken"}
        assert {number for _, number in self.closed} <= alive, "nobody's packets are dropped for a group that is gone"
        for view in self.manager.groups():
            assert view.state in ("active", "gathering", "broken"), "nothing is forgotten half done"
