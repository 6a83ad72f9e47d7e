"""The group manager: who is in which group, and what becomes of groups when accelerators, links and switches fail.

A machine without I/O and without time. Every method returns what has to be done; what has been done comes back by
`done`. How groups are formed is in `forming`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.incc.branches import branches_of
from controller.incc.checks import check_member, check_pod, check_slots, least_of, size_of
from controller.incc.domains import Domain
from controller.incc.errors import InccError
from controller.incc.forming import Former
from controller.incc.group import GENERATIONS, Group, State
from controller.incc.network import Home, Network
from controller.incc.outputs import Branch, Departed, Ended, GroupView, Output
from controller.incc.store import GroupRecord, GroupSnapshot

MAX_GROUPS = 0xFFFF


class GroupManager:
    """All groups of a fabric."""

    def __init__(self, network: Network, domains: Iterable[Domain], first_generation: int = 0) -> None:
        """`first_generation`: what a group's number begins with, 8 bits; another one after a restart."""
        self.network = network
        self.domains = {domain.name: domain for domain in domains}
        self._former = Former(network)
        self._groups = self._former.groups
        self._first_generation = first_generation % GENERATIONS
        self._adoptable: list[Group] = []

    # -- what is asked ------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        domain: str,
        *,
        members: Iterable[str] = (),
        size: int | None = None,
        at_least: int | None = None,
        slots: int | None = None,
    ) -> None:
        """A new group, which waits for its members: those that are named, by rank, or the first `size` that join.

        With `at_least`, for so many of them; the others may come late.

        Raises InccError for what cannot be, also when the named members could not be joined by a tree now, or a switch
        has no room for their slots.
        """
        where = self._domain(domain)
        wanted = tuple(members)
        slots = where.slots if slots is None else slots
        if not name:
            raise InccError("group", repr(name), "a group needs a name")
        if name in self._groups:
            raise InccError("group", name, f"exists, and is {self._groups[name].state.value}")
        check_slots(slots)
        size = size_of(wanted, size)
        least = least_of(size, at_least)
        other = next((group for group in self._groups.values() if group.domain is where), None)
        if where.dedicated and other is not None:
            raise InccError("domain", domain, f"Instance-ID {where.iid} is that of group {other.name} alone")
        for index, member in enumerate(wanted):
            check_member(self.network, f"members[{index}]", member, where)
        number = self._number()
        generation = self._former.generations.get(number, self._first_generation - 1)
        group = Group(name, number, where, slots, size, least, generation, wanted)
        if wanted:
            check_pod(self.network, wanted, where)
            self._former.eid(group, self._former.tree(group, wanted))
        self._groups[name] = group

    def join(self, name: str, accelerator: str) -> list[Output]:
        """An accelerator is ready to be a member. With the last one that is waited for the group is formed.

        A member may join again. Raises InccError when it cannot be one.
        """
        group = self._group(name)
        if group.state is State.ENDING:
            raise InccError("group", name, "is being destroyed")
        check_member(self.network, "accelerator", accelerator, group.domain)
        if accelerator in group.members:
            return []
        if group.wanted and accelerator not in group.wanted:
            raise InccError("accelerator", accelerator, f"is not one of the members that group {name} was made for")
        if len(group.members) >= group.size:
            raise InccError("accelerator", accelerator, f"group {name} has its {group.size} members")
        check_pod(self.network, (*group.members, accelerator), group.domain)
        if not self.network.homes(accelerator):
            raise InccError("accelerator", accelerator, "is not attached to a switch that works")
        if group.complete:
            self._former.tree(group, (*group.members, accelerator))
            group.departed.append(Departed((), (accelerator,), f"{accelerator} joined"))
        group.add(accelerator)
        if not group.complete and len(group.members) < group.least:
            return []
        group.complete = True
        return self._former.review(group)

    def leave(self, name: str, accelerator: str) -> list[Output]:
        """A member leaves; the others go on without it. Raises InccError if it is none."""
        group = self._group(name)
        if accelerator not in group.members:
            raise InccError("accelerator", accelerator, f"is no member of group {name}")
        return self._without(group, {accelerator: "left"}, lost=False)

    def died(self, name: str, accelerator: str, reason: str = "died") -> list[Output]:
        """A member is not there any more; nothing if it is none. `reason`: in words that follow its name."""
        group = self._groups.get(name)
        if group is None or accelerator not in group.members:
            return []
        return self._without(group, {accelerator: reason})

    def destroy(self, name: str) -> list[Output]:
        """A group ends. It is gone when its entries are. Raises InccError for one that is not there."""
        group = self._group(name)
        if group.state is State.ENDING:
            return []
        outputs: list[Output] = [Ended(name, member, f"group {name} was destroyed") for member in group.members]
        group.members.clear()
        group.complete, group.state = False, State.ENDING
        return [*outputs, *self._former.review(group)]

    def groups(self) -> list[GroupView]:
        """All groups, by name."""
        return [self._groups[name].view() for name in sorted(self._groups)]

    def group(self, name: str) -> GroupView:
        """One group. Raises InccError if it is not there."""
        return self._group(name).view()

    def since(self, name: str, generation: int) -> list[Departed]:
        """How the members of a group have changed since it was formed in a generation. Raises InccError."""
        return self._group(name).since(generation)

    def slot_ranges(self, switch: str) -> dict[int, range]:
        """The slots of a switch that groups have, by group number."""
        return self._former.slots.ranges(switch)

    # -- a life before ------------------------------------------------------------------------------------

    def records(self) -> list[GroupRecord]:
        """What has to be kept of all groups, but for those that are being destroyed."""
        kept = [group for group in self._groups.values() if group.state is not State.ENDING]
        return [group.record(self._former.slots.first_of(group.number)) for group in kept]

    @property
    def generations(self) -> Mapping[int, int]:
        """The last generation of each number, which has to be kept too."""
        return self._former.generations

    def restore(self, snapshot: GroupSnapshot) -> list[str]:
        """Takes up what was kept; returns, in words, what could not be.

        Then comes `adopt` for those groups of `adoptable` that are on their switches still, and `begin_anew` when the
        switches have nothing of any others.
        """
        self._former.generations.update(snapshot.generations)
        return [reason for record in snapshot.groups if (reason := self._restore(record))]

    def _restore(self, record: GroupRecord) -> str:
        domain = self.domains.get(record.domain)
        if domain is None:
            return f"group {record.name}: there is no domain {record.domain} any more"
        try:
            for index, member in enumerate(record.members):
                check_member(self.network, f"members[{index}]", member, domain)
        except InccError as error:
            return f"group {record.name}: {error}"
        if record.name in self._groups or record.number in {group.number for group in self._groups.values()}:
            return f"group {record.name}: another has its name or its number {record.number}"
        group = Group.restored(record, domain)
        self._groups[group.name] = group
        if not group.complete:
            group.eid = group.tree = None
            return ""
        group.state, group.reason = State.BROKEN, "the controller was started anew"
        taken = [
            self._former.slots.take(switch, group.number, range(first, first + group.slots))
            for switch, first in record.slots_at.items()
        ]
        if record.at_work and all(taken):
            self._adoptable.append(group)
        return ""

    def adoptable(self) -> dict[str, dict[str, Branch]]:
        """Restored groups that were at work, and whose trees work: what their switches have to hold by now."""
        found = {}
        for group in self._adoptable:
            if self._former.holds(group):
                found[group.name] = branches_of(self.network, self._former.slots, group)
        return found

    def adopt(self, name: str, branches: Mapping[str, Branch]) -> list[Output]:
        """The switches of a group hold these, as they did in the life before: its members go on."""
        group = self._groups[name]
        group.planned, group.present = dict(branches), dict(branches)
        group.state, group.reason = State.ACTIVE, ""
        return self._former.resumed(group)

    def begin_anew(self) -> list[Output]:
        """The switches have nothing of groups that were not adopted, which are formed anew."""
        self._adoptable.clear()
        return [*self._failed(), *self._former.retry()]

    # -- what happens -------------------------------------------------------------------------------------

    def attached(self, accelerator: str, home: Home) -> list[Output]:
        """An accelerator is plugged into a port."""
        self.network.attach(accelerator, home)
        return self._former.retry()

    def detached(self, accelerator: str, switch: str) -> list[Output]:
        """An accelerator has left a switch."""
        self.network.detach(accelerator, switch)
        return self._failed()

    def port_status(self, switch: str, port: int, up: bool) -> list[Output]:
        """A port of any switch went up or down."""
        if not self.network.set_port(switch, port, up):
            return []
        return self._former.retry() if up else self._failed()

    def switch_status(self, switch: str, up: bool) -> list[Output]:
        """A switch, or the way to it from here, works again or does not."""
        if not self.network.set_switch(switch, up):
            return []
        return self._former.retry() if up else self._failed()

    def switch_emptied(self, switch: str) -> list[Output]:
        """A switch has lost its entries and cells. Groups that it combines for begin anew, in another generation."""
        outputs: list[Output] = []
        for group in list(self._groups.values()):
            if switch in group.present and group.state in (State.FORMING, State.ACTIVE):
                outputs += self._former.review(group)
        return outputs

    def done(self, serial: int) -> list[Output]:
        """The orders of a Work have been carried out, or kept in mind for switches that do not work."""
        return self._former.done(serial)

    def _failed(self) -> list[Output]:
        """Something has failed: members without any port are lost, and trees that it breaks are planned anew."""
        outputs: list[Output] = []
        for group in list(self._groups.values()):
            gone = {one: self.network.parted(one) for one in group.members if not self.network.homes(one)}
            if gone:
                outputs += self._without(group, gone)
            elif group.state in (State.FORMING, State.ACTIVE) and not self._former.holds(group):
                outputs += self._former.review(group)
        return outputs

    def _without(self, group: Group, gone: dict[str, str], *, lost: bool = True) -> list[Output]:
        """Members are members no more. A group without any waits for all of them again."""
        outputs: list[Output] = []
        for member, reason in gone.items():
            group.members.remove(member)
            text = f"{member} {reason}"
            outputs.append(Ended(group.name, member, text, (member,) if lost else ()))
            if group.complete:
                group.departed.append(Departed((member,), (), text))
        if not group.complete:
            return outputs
        if not group.members:
            group.complete = False
            group.departed.clear()
        return [*outputs, *self._former.review(group)]

    def _number(self) -> int:
        taken = {group.number for group in self._groups.values()}
        found = next((number for number in range(1, MAX_GROUPS + 1) if number not in taken), None)
        if found is None:
            raise InccError("group", len(taken), "there are as many groups as there are numbers")
        return found

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            known = ", ".join(sorted(self._groups)) or "none"
            raise InccError("group", name, f"there is no such group; there are {known}")
        return self._groups[name]

    def _domain(self, name: str) -> Domain:
        if name not in self.domains:
            known = ", ".join(sorted(self.domains)) or "none"
            raise InccError("domain", name, f"there is no such domain; there are {known}")
        return self.domains[name]
