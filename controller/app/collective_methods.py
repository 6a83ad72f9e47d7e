"""Groups as the control socket offers them: `incc.create`, `join`, `resume`, `leave`, `destroy`, `show` and `wait`.

A connection stands for the accelerators that joined over it: when it ends, they have died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from controller.app.collectives import Collectives
from controller.app.control import Method, Session
from controller.app.control_errors import INVALID_PARAMS, ControlError, integer, only, optional_integer, text, texts
from controller.incc import GroupView, InccError
from controller.incc.checks import MAX_MEMBERS, MAX_SLOTS

# Seconds that members have to come back when the groups' controller was started anew.
PATIENCE = 15.0

Params = Mapping[str, Any]
MacOf = Callable[[str, str], str]
"""The address of a switch's port that an accelerator is plugged into."""


class CollectiveMethods:
    """The methods of one fabric. `mac_of`: of a switch's port at an accelerator; `values`: in a packet."""

    def __init__(self, collectives: Collectives, mac_of: MacOf, values: int = 64) -> None:
        self._collectives = collectives
        self._manager = collectives.manager
        self._mac_of = mac_of
        self._values = values
        self._holders: dict[tuple[str, str], Session] = {}

    def methods(self) -> dict[str, Method]:
        """By name, as a control socket wants them."""
        found: dict[str, Callable[[Params, Session], Awaitable[object]]] = {
            "incc.create": self.create,
            "incc.join": self.join,
            "incc.resume": self.resume,
            "incc.leave": self.leave,
            "incc.destroy": self.destroy,
            "incc.show": self.show,
            "incc.wait": self.wait,
        }
        return {name: _refusing(method) for name, method in found.items()}

    async def create(self, params: Params, session: Session) -> object:
        """A new group in an INCC domain, of the accelerators in `members`, by rank, or of the first `size` that join.

        `domain` may be left out where there is one only; `slots` is the domain's unless given. With `at_least` the
        group begins with so many, and the others may come late.
        """
        only(params, "group", "domain", "members", "size", "slots", "at_least")
        name = text(params, "group")
        self._collectives.create(
            name,
            self._domain(params),
            texts(params, "members"),
            optional_integer(params, "size", 1, MAX_MEMBERS),
            optional_integer(params, "slots", 1, MAX_SLOTS),
            optional_integer(params, "at_least", 1, MAX_MEMBERS),
        )
        return _shown(self._manager.group(name))

    async def join(self, params: Params, session: Session) -> object:
        """An accelerator is ready; answers with its descriptor when all members are and the switches too.

        A member that asks again has the generation that it had, and goes on counting rounds; to begin anew it leaves.
        """
        only(params, "group", "accelerator")
        group, accelerator = text(params, "group"), text(params, "accelerator")
        self._check_free(group, accelerator, session)
        self._collectives.join(group, accelerator)
        self._hold(group, accelerator, session)
        while True:
            view = self._member(group, accelerator)
            if view.state == "active":
                return self.descriptor(view, accelerator)
            if view.state == "broken":
                raise ControlError(
                    f"group {group} cannot be formed: {view.reason}", data={"field": "group", "value": group}
                )
            await self._collectives.change(group)

    async def resume(self, params: Params, session: Session) -> object:
        """A member whose connection has ended, with the fabric's controller or by itself, has another one.

        Answers, when the group is at work, as `wait` does, also where it has the same generation still. An error if it
        is a member no more.
        """
        only(params, "group", "accelerator", "generation")
        group, accelerator = text(params, "group"), text(params, "accelerator")
        known = integer(params, "generation", 0, 255)
        self._member(group, accelerator)
        self._check_free(group, accelerator, session)
        self._hold(group, accelerator, session)
        while (view := self._member(group, accelerator)).state != "active":
            await self._collectives.change(group)
        return self._since(view, accelerator, known)

    def expect(self, seconds: float, without: Collection[tuple[str, str]] = ()) -> None:
        """Members of groups that were restored have to resume within `seconds`, or have died.

        `without`: those, as group and accelerator, that have no process of their own.
        """
        waited = [(view.name, one) for view in self._manager.groups() for one in view.members]
        for place in waited:
            if place not in without:
                asyncio.get_running_loop().call_later(seconds, self._missed, *place)

    def _missed(self, group: str, accelerator: str) -> None:
        if (group, accelerator) not in self._holders:
            self._collectives.died(group, accelerator, "did not come back")

    async def wait(self, params: Params, session: Session) -> object:
        """Answers when the group has another generation than `generation`, with the descriptor.

        An error where members have left or come since, or where the membership has ended.
        """
        only(params, "group", "accelerator", "generation")
        group, accelerator = text(params, "group"), text(params, "accelerator")
        known = integer(params, "generation", 0, 255)
        while (view := self._member(group, accelerator)).state != "active" or view.generation == known:
            await self._collectives.change(group)
        return self._since(view, accelerator, known)

    def _since(self, view: GroupView, accelerator: str, known: int) -> dict[str, object]:
        """The descriptor. Raises ControlError, which has it too, where the members are not those of `known`."""
        changes = self._manager.since(view.name, known) if view.generation != known else []
        descriptor = self.descriptor(view, accelerator)
        if not changes:
            return descriptor
        data = {
            "lost": [name for change in changes for name in change.lost],
            "joined": [name for change in changes for name in change.joined],
            "descriptor": descriptor,
        }
        raise ControlError("; ".join(change.reason for change in changes), data=data)

    async def leave(self, params: Params, session: Session) -> object:
        """A member leaves."""
        only(params, "group", "accelerator")
        group, accelerator = text(params, "group"), text(params, "accelerator")
        self._collectives.leave(group, accelerator)
        self._holders.pop((group, accelerator), None)
        return {}

    async def destroy(self, params: Params, session: Session) -> object:
        """A group ends; answers when no switch has anything of it."""
        only(params, "group")
        group = text(params, "group")
        self._collectives.destroy(group)
        while any(view.name == group for view in self._manager.groups()):
            await self._collectives.change(group)
        return {}

    async def show(self, params: Params, session: Session) -> object:
        """All groups, or the one that is named, with their trees."""
        only(params, "group")
        if params.get("group") is not None:
            return _shown(self._manager.group(text(params, "group")))
        return [_shown(view) for view in self._manager.groups()]

    def descriptor(self, view: GroupView, accelerator: str) -> dict[str, object]:
        """What a member has to know to take part (docs/incc.md)."""
        rank = view.members.index(accelerator)
        address = self._manager.network.accelerators[accelerator].addresses[view.iid]
        return {
            "group": view.number,
            "name": view.name,
            "iid": view.iid,
            "carrier": view.carrier.value,
            "eid": view.eid if isinstance(view.eid, int) else str(view.eid),
            "generation": view.generation,
            "rank": rank,
            "size": len(view.members),
            "slots": view.slots,
            "values": self._values,
            "router_mac": self._mac_of(view.leaves[rank], accelerator),
            "members": list(view.members),
            "address": address if isinstance(address, int) else str(address),
        }

    def _member(self, group: str, accelerator: str) -> GroupView:
        """The group of a member; raises ControlError that says why it is none any more."""
        gone = self._collectives.ended(group, accelerator)
        if gone is not None:
            raise ControlError(
                gone.reason, data={"lost": list(gone.lost), "field": "accelerator", "value": accelerator}
            )
        view = self._manager.group(group)
        if accelerator not in view.members:
            raise InccError("accelerator", accelerator, f"is no member of group {group}")
        return view

    def _check_free(self, group: str, accelerator: str, session: Session) -> None:
        """Nobody is a member twice. Raises InccError."""
        holder = self._holders.get((group, accelerator))
        member = accelerator in self._manager.group(group).members
        if member and holder is not None and holder is not session and not holder.closed:
            raise InccError("accelerator", accelerator, f"is in group {group} already, over another connection")

    def _hold(self, group: str, accelerator: str, session: Session) -> None:
        """The member lives as long as the connection."""
        if self._holders.get((group, accelerator)) is not session:
            self._holders[group, accelerator] = session
            session.on_close(lambda: self._closed(group, accelerator, session))

    def _closed(self, group: str, accelerator: str, session: Session) -> None:
        if self._holders.get((group, accelerator)) is session:
            del self._holders[group, accelerator]
            self._collectives.died(group, accelerator)

    def _domain(self, params: Params) -> str:
        if params.get("domain") is None and len(self._manager.domains) == 1:
            return next(iter(self._manager.domains))
        return text(params, "domain")


def _refusing(method: Callable[[Params, Session], Awaitable[object]]) -> Method:
    """What the group manager refuses becomes an error of the request."""

    async def answer(params: Params, session: Session) -> object:
        try:
            return await method(params, session)
        except InccError as error:
            value = error.value if isinstance(error.value, (str, int, type(None))) else str(error.value)
            data = {"field": error.field, "value": value}
            raise ControlError(str(error), code=INVALID_PARAMS, data=data) from None

    return answer


def _shown(view: GroupView) -> dict[str, object]:
    eid = view.eid
    return {
        "group": view.number,
        "name": view.name,
        "domain": view.domain,
        "iid": view.iid,
        "carrier": view.carrier.value,
        "eid": eid if isinstance(eid, (int, type(None))) else str(eid),
        "state": view.state,
        "reason": view.reason,
        "generation": view.generation,
        "slots": view.slots,
        "size": view.size,
        "members": list(view.members),
        "root": view.root,
        "tree": {
            name: {
                "parent": branch.parent,
                "members": [child.accelerator for child in branch.members],
                "switches": [child.switch for child in branch.nodes],
                "slots": [branch.slots.start, branch.slots.stop - 1],
            }
            for name, branch in sorted(view.branches.items())
        },
    }
