"""What the group manager orders of a switch: entries to be removed or installed, cells to be cleared.

Entries that used cells before are gone when the clears are sent, since the switch has acknowledged their removal; and
those that use them from now on are installed when the switch has counted all clears.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from controller.app.cell_clearing import clear_cells, standstill
from controller.app.switch_control import SwitchControl
from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.changes import Changes
from controller.dataplane.collective_tables import CollectiveBranch, MemberCopy, NodeCopy
from controller.dataplane.entries import NextHop
from controller.incc import Branch, Carrier, Clear, Install, Order, Remove, Xtr
from controller.incc.domains import GroupEid
from controller.p4rt.errors import P4RuntimeError

log = logging.getLogger(__name__)

# Seconds that a switch may take for what it is ordered, or for a part of it; then it counts as failed.
ORDER_TIMEOUT = 10.0

HopOf = Callable[[str, int], NextHop]
"""What a switch's port leads to."""


class CollectiveOrders:
    """Carries out orders. `failing`: by switch, set while it does not work."""

    def __init__(
        self,
        controls: Mapping[str, SwitchControl],
        xtrs: Mapping[str, Xtr],
        hop_of: HopOf,
        failing: Mapping[str, asyncio.Event],
    ) -> None:
        self._controls = controls
        self._xtrs = xtrs
        self._hop_of = hop_of
        self._failing = failing
        self._clearing = {name: asyncio.Lock() for name in controls}
        self._disturbed: set[str] = set()

    async def carry_out(self, order: Order) -> bool:
        """False if the switch failed in it. Entries are then, and where it had failed, as they shall be later."""
        name = order.switch
        if not isinstance(order, Clear):
            self._apply(order)
        if self._failing[name].is_set():
            return True
        failing = asyncio.create_task(self._failing[name].wait())
        doing = asyncio.create_task(self._confirm(order))
        try:
            await asyncio.wait({failing, doing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
        except (TimeoutError, P4RuntimeError) as error:
            why = str(error) or f"no answer for {ORDER_TIMEOUT} s"
            log.warning("%s: does not carry out %s: %s", name, type(order).__name__, why)
            return False
        finally:
            for task in (failing, doing):
                task.cancel()
        return True

    async def adopt(self, groups: Mapping[str, Mapping[str, Branch]]) -> list[str]:
        """Of groups, by name, with their branches, by switch: those that all their switches hold. They stay there."""
        found: dict[str, dict[str, Changes]] = {}
        for name, branches in groups.items():
            for switch, branch in branches.items():
                tables = self._controls[switch].tables.collectives
                found.setdefault(switch, {})[name] = tables.put(self.entries(switch, branch))
        lacking = await asyncio.gather(*(self._lacking(switch, changes) for switch, changes in found.items()))
        kept = groups.keys() - set().union(*lacking)
        for switch, changes in found.items():
            control = self._controls[switch]
            for name, change in changes.items():
                if name in kept:
                    control.apply(change)
                else:
                    control.tables.collectives.remove(groups[name][switch].number)
        return sorted(kept)

    async def _lacking(self, switch: str, groups: Mapping[str, Changes]) -> set[str]:
        """The groups that a switch does not hold as it should; all, if it does not answer."""
        try:
            async with asyncio.timeout(ORDER_TIMEOUT):
                lacks = await self._controls[switch].lacks(one for change in groups.values() for one in change.put)
        except (TimeoutError, P4RuntimeError) as error:
            log.warning("%s: does not say what it holds of groups: %s", switch, error)
            return set(groups)
        return {name for name, change in groups.items() if any(one.key() in lacks for one in change.put)}

    def forget(self, number: int, kept: frozenset[str]) -> None:
        """Switches other than `kept` have nothing of a group any more."""
        for name, control in self._controls.items():
            if name not in kept:
                control.apply(control.tables.collectives.remove(number))

    def entries(self, switch: str, branch: Branch) -> CollectiveBranch:
        """A branch as the tables of its switch have it."""
        children: list[MemberCopy | NodeCopy] = [
            MemberCopy(child.rank, self._hop_of(switch, child.port), _endpoint(child.address, branch.carrier))
            for child in branch.members
        ]
        children += [
            NodeCopy(child.rank, self._hop_of(switch, child.port), self._xtrs[child.switch].rloc)
            for child in branch.nodes
        ]
        return CollectiveBranch(
            branch.number,
            branch.iid,
            _endpoint(branch.eid, branch.carrier),
            branch.generation,
            branch.slots.start,
            len(branch.slots),
            tuple(children),
            branch.rank,
            None if branch.parent is None else self._xtrs[branch.parent].rloc,
        )

    def _apply(self, order: Install | Remove) -> None:
        control = self._controls[order.switch]
        tables = control.tables.collectives
        if isinstance(order, Remove):
            control.apply(tables.close(order.branch.number))
        else:
            control.apply(tables.put(self.entries(order.switch, order.branch)))

    async def _confirm(self, order: Order) -> None:
        control = self._controls[order.switch]
        async with asyncio.timeout(ORDER_TIMEOUT):
            failures = await control.settled()
        if failures:
            raise P4RuntimeError("; ".join(map(str, failures[:3])))
        if isinstance(order, Clear):
            async with self._clearing[order.switch]:
                await self._clear(order.switch, order.branch.slots)

    async def _clear(self, switch: str, slots: range) -> None:
        control, loop = self._controls[switch], asyncio.get_running_loop()
        async with asyncio.timeout(ORDER_TIMEOUT) as until:
            if switch in self._disturbed:
                await standstill(control)
            self._disturbed.add(switch)  # until all is counted that was sent
            cells = range(2 * slots.start, 2 * slots.stop)
            await clear_cells(control, cells, lambda: until.reschedule(loop.time() + ORDER_TIMEOUT))
            self._disturbed.discard(switch)


def _endpoint(address: GroupEid, carrier: Carrier) -> Endpoint:
    assert isinstance(address, int) == (carrier is Carrier.SCALE_UP)
    return AccId(address) if isinstance(address, int) else address
