"""How groups are formed: trees, slots, EIDs, and the order in which switches are told.

A group is formed anew, in a new generation, whenever its members or the network change:

1. switches that are new to the tree are cleared and filled, while the others still serve the generation before;
2. the entries of all others go;
3. the cells of those that stay are cleared;
4. they are filled, the EID is registered by the root, and the members are told.

No cell is cleared while an entry uses it, and none is used before it is clear. Contributions that are under way
meanwhile find no slot, or an entry of another generation, and are dropped; members repeat them.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.incc.branches import branches_of
from controller.incc.domains import Carrier, GroupEid
from controller.incc.errors import InccError, NoTreeError
from controller.incc.group import GENERATIONS, Group, State
from controller.incc.network import Network
from controller.incc.outputs import (
    Branch,
    Broken,
    Clear,
    Ended,
    Forget,
    Formed,
    Install,
    Order,
    Output,
    Register,
    Remove,
    Withdraw,
    Work,
)
from controller.incc.slots import Slots
from controller.incc.tree import Planner, Tree


class Former:
    """Brings every group from what is on the switches to what should be.

    Attributes:
        groups: by name.
        generations: the last one of each number, also of groups that are gone.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.slots = Slots({xtr.name: xtr.slots for xtr in network.xtrs.values()})
        self.groups: dict[str, Group] = {}
        self.generations: dict[int, int] = {}
        self._serial = 0

    def review(self, group: Group) -> list[Output]:
        """Plans a group as it should be now, unless work is under way: then when that is done."""
        group.stale = group.serial is not None
        if group.state is not State.ENDING:
            group.state = State.FORMING if group.complete else State.GATHERING
        if group.stale:
            return []
        group.todo.clear()
        if group.state is not State.FORMING:
            return [*self._withdraw(group), *self._take_down(group)]
        try:
            tree = self.tree(group, tuple(group.members))
            eid = self.eid(group, tree)
        except InccError as error:
            group.state, group.reason = State.BROKEN, str(error)
            return [*self._withdraw(group), *self._take_down(group), Broken(group.view())]
        for switch in tree.nodes:
            held = self.slots.reserve(switch, group.number, group.slots)
            assert held is not None, "planned with switches that have room"
        group.tree, group.eid = tree, eid
        group.generation = self.generations[group.number] = (group.generation + 1) % GENERATIONS
        group.planned = branches_of(self.network, self.slots, group)
        self._order(group, group.planned)
        return self._next(group)

    def retry(self, but: Group | None = None) -> list[Output]:
        """Something works again, or has become free: groups that could not be formed may be now."""
        broken = [group for group in self.groups.values() if group.state is State.BROKEN and group is not but]
        return [output for group in broken for output in self.review(group)]

    def done(self, serial: int) -> list[Output]:
        """The orders of a Work have been carried out."""
        group = next((one for one in self.groups.values() if one.serial == serial), None)
        if group is None:
            return []
        for order in group.orders:
            if isinstance(order, Remove):
                group.present.pop(order.switch, None)
        group.serial, group.orders = None, ()
        return self.review(group) if group.stale else self._next(group)

    def resumed(self, group: Group) -> list[Output]:
        """A group works as it did in the life before."""
        return [*self._register(group), Formed(group.view())]

    def holds(self, group: Group) -> bool:
        """Whether the tree, planned or working, is still one."""
        tree, network = group.tree, self.network
        if tree is None:
            return False
        for node in tree.nodes.values():
            plugged = zip(node.accelerators, node.members, strict=True)
            if not network.is_up(node.switch) or node.children > network.xtrs[node.switch].children:
                return False
            if any(home not in network.homes(one) for one, home in plugged):
                return False
            if node.parent is not None and not network.joined(node.switch, node.parent):
                return False
        copies = [(switch, child) for switch, branch in group.planned.items() for child in branch.nodes]
        return all(network.leads(switch, child.port, child.switch) for switch, child in copies)

    def tree(self, group: Group, members: tuple[str, ...]) -> Tree:
        """The tree for these members, of switches that have room. Raises InccError that says what is missing."""
        domain, roots = group.domain, group.domain.pods()
        if group.eid is not None:
            # The EID stays as it is where that can be.
            pods = {xtr.pod for xtr in self.network.xtrs.values()}
            kept = frozenset(pod for pod in pods if domain.serves(group.eid, pod))
            try:
                return self._planner(group, kept, self._can_serve(group)).plan(members)
            except NoTreeError:
                pass
        try:
            return self._planner(group, roots, self._can_serve(group)).plan(members)
        except NoTreeError as error:
            try:
                tree = self._planner(group, roots, lambda _: True).plan(members)
            except NoTreeError as reason:
                raise reason from None
            other = next((switch for switch in tree.nodes if not self._can_serve(group)(switch)), None)
            if other is None:
                raise error from None
            if not self._speaks(group, other):
                reason_ = f"is of IPv6, and the program of switch {other} serves no IPv6 groups"
                raise InccError("domain", domain.name, reason_) from None
            reason_ = f"switch {other} has room for {self.slots.free(other)} in one piece"
            raise InccError("slots", group.slots, reason_) from None

    def eid(self, group: Group, tree: Tree) -> GroupEid:
        """The EID of a group with this tree: the one it has, if that can be. Raises InccError without any."""
        domain, pod = group.domain, self.network.xtrs[tree.root].pod
        if group.eid is not None and domain.serves(group.eid, pod):
            return group.eid
        found = domain.free(pod, self._taken(group))
        if found is None:
            raise InccError("domain", domain.name, f"has no EID left for a group with its root in PoD {pod}")
        return found

    def _taken(self, group: Group) -> set[GroupEid]:
        """EIDs that others have in the Instance-ID, groups or accelerators."""
        iid = group.domain.iid
        others = [one for one in self.groups.values() if one.domain.iid == iid and one is not group]
        taken = {one.eid for one in others if one.eid is not None}
        taken |= {one.registered[1] for one in others if one.registered is not None}
        return taken | {one.addresses[iid] for one in self.network.accelerators.values() if iid in one.addresses}

    def _planner(self, group: Group, roots: frozenset[str | None], usable: Callable[[str], bool]) -> Planner:
        return Planner(self.network, group.name, group.number, usable, roots, group.tree)

    def _can_serve(self, group: Group) -> Callable[[str], bool]:
        return lambda switch: self._speaks(group, switch) and self.slots.fits(switch, group.number, group.slots)

    def _speaks(self, group: Group, switch: str) -> bool:
        """Whether the program of a switch combines packets of such a group."""
        return group.domain.carrier is not Carrier.IPV6 or self.network.xtrs[switch].ipv6

    def _order(self, group: Group, wanted: dict[str, Branch]) -> None:
        """Fills `todo` with what leads from what is present to what is wanted."""
        fresh = {switch: branch for switch, branch in wanted.items() if switch not in group.present}
        staying = {switch: branch for switch, branch in wanted.items() if switch in group.present}
        leaving = tuple(Remove(switch, branch) for switch, branch in group.present.items())
        steps: list[tuple[Order, ...]] = [*_filling(fresh), leaving, *_filling(staying)]
        group.todo.extend(step for step in steps if step)

    def _take_down(self, group: Group) -> list[Output]:
        group.tree = None
        group.planned = {}
        if group.present:
            group.todo.append(tuple(Remove(switch, branch) for switch, branch in group.present.items()))
        return self._next(group)

    def _next(self, group: Group) -> list[Output]:
        """The next orders, or what follows when there are none left."""
        if group.todo:
            group.orders = group.todo.popleft()
            for order in group.orders:
                if isinstance(order, Install):
                    group.present[order.switch] = order.branch
            self._serial += 1
            group.serial = self._serial
            return [Work(group.name, self._serial, group.orders)]
        outputs: list[Output] = []
        if group.state is State.FORMING:
            group.formed()
            forget = Forget(group.number, frozenset(group.present))
            outputs += [*self._register(group), forget, Formed(group.view())]
        elif group.state is State.ENDING:
            del self.groups[group.name]
            outputs += [Forget(group.number), Ended(group.name, None, f"group {group.name} was destroyed")]
        elif group.state is State.GATHERING:
            group.eid = None
            outputs.append(Forget(group.number))
        return [*outputs, *(self.retry(group) if self._release(group) else ())]

    def _release(self, group: Group) -> bool:
        """Gives back the slots at switches that are not in the tree any more; whether there were any."""
        kept = () if group.tree is None else group.tree.nodes
        gone = [name for name in self.network.xtrs if name not in kept and self.slots.of(name, group.number)]
        for switch in gone:
            self.slots.release(switch, group.number)
        return bool(gone)

    def _register(self, group: Group) -> list[Output]:
        assert group.tree is not None
        assert group.eid is not None
        before, now = group.registered, (group.tree.root, group.eid)
        group.registered = now
        outputs: list[Output] = [Register(group.tree.root, group.view())]
        if before is not None and before != now:
            outputs.append(Withdraw(before[0], group.domain.iid, before[1]))
        return outputs

    @staticmethod
    def _withdraw(group: Group) -> list[Output]:
        known, group.registered = group.registered, None
        return [] if known is None else [Withdraw(known[0], group.domain.iid, known[1])]


def _filling(branches: dict[str, Branch]) -> list[tuple[Order, ...]]:
    clears = tuple(Clear(switch, branch) for switch, branch in branches.items())
    return [clears, tuple(Install(switch, branch) for switch, branch in branches.items())]
