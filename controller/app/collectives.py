"""The group manager at work: its orders become entries and packets, its EIDs registrations, its news answers.

A switch is cleared by packets through its own pipeline. That they have been carried out is counted by the switch
itself: the drop counter of SLOT_CLEARED grows by one with each, after the cell has been written. Only then are entries
installed that use the cells; and entries that used them before are gone when the clears are sent, since the switch has
acknowledged their removal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

from p4.v1 import p4runtime_pb2

from controller.app.accelerator_names import AcceleratorNames
from controller.app.router import Router
from controller.app.switch_control import SwitchControl
from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import SUBMIT, DropReason
from controller.dataplane.collective_clear import clear_packet
from controller.dataplane.collective_tables import CollectiveBranch, MemberCopy, NodeCopy
from controller.dataplane.entries import NextHop
from controller.incc import (
    Branch,
    Broken,
    Carrier,
    Clear,
    Ended,
    Formed,
    GroupManager,
    GroupView,
    Home,
    Install,
    Order,
    Output,
    Register,
    Remove,
    Withdraw,
    Work,
)
from controller.incc.announcement import Announcement
from controller.incc.domains import GroupEid
from controller.lisp import Eid
from controller.p4rt.errors import P4RuntimeError

log = logging.getLogger(__name__)

# Seconds that a switch may take for what it is ordered; then it counts as failed.
ORDER_TIMEOUT = 10.0
# Clears that are sent together: they have to fit into the queues of the stream and of the switch.
CLEARS_AT_ONCE = 128
_POLL = 0.002
# Seconds until a clear that is not counted is sent again, and between looks at a switch that has failed.
_PATIENCE = 1.0

HopOf = Callable[[str, int], NextHop]


class Collectives:
    """Runs the group manager of a fabric.

    Attributes:
        manager: the machine. Ask it through this class, so that what it orders is done.
    """

    def __init__(
        self,
        manager: GroupManager,
        controls: Mapping[str, SwitchControl],
        routers: Mapping[str, Router],
        names: Mapping[str, AcceleratorNames],
        hop_of: HopOf,
    ) -> None:
        """`routers`: those that run; `names`: of each PoD's accelerators; `hop_of`: what a switch's port leads to."""
        self.manager = manager
        self._controls = controls
        self._routers = routers
        self._names = names
        self._hop_of = hop_of
        self._changed: dict[str, asyncio.Event] = {}
        self._ends: dict[tuple[str, str], Ended] = {}
        self._registered: dict[Eid, tuple[str, GroupView]] = {}
        self._clearing = {name: asyncio.Lock() for name in controls}
        self._failing = {name: asyncio.Event() for name in controls}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- requests and events ------------------------------------------------------------------------------

    def create(
        self, name: str, domain: str, members: Sequence[str] = (), size: int | None = None, slots: int | None = None
    ) -> None:
        """A new group; as `GroupManager.create`."""
        self.manager.create(name, domain, members=members, size=size, slots=slots)

    def join(self, group: str, accelerator: str) -> None:
        """An accelerator is ready to be a member; as `GroupManager.join`."""
        outputs = self.manager.join(group, accelerator)
        self._ends.pop((group, accelerator), None)
        self.perform(outputs)

    def leave(self, group: str, accelerator: str) -> None:
        """A member leaves. Raises InccError if it is none."""
        self.perform(self.manager.leave(group, accelerator))

    def died(self, group: str, accelerator: str) -> None:
        """A member is not there any more."""
        self.perform(self.manager.died(group, accelerator))

    def destroy(self, group: str) -> None:
        """A group ends. Raises InccError for one that is not there."""
        self.perform(self.manager.destroy(group))

    def attached(self, accelerator: str, home: Home) -> None:
        """An accelerator is plugged into a port."""
        self.perform(self.manager.attached(accelerator, home))

    def detached(self, accelerator: str, switch: str) -> None:
        """An accelerator has left a switch."""
        self.perform(self.manager.detached(accelerator, switch))

    def port_status(self, switch: str, port: int, up: bool) -> None:
        """A port of any switch went up or down."""
        self.perform(self.manager.port_status(switch, port, up))

    def switch_status(self, switch: str, up: bool) -> None:
        """A switch works, or does not."""
        if switch in self._failing:
            (self._failing[switch].clear if up else self._failing[switch].set)()
        self.perform(self.manager.switch_status(switch, up))

    def router_started(self, switch: str) -> None:
        """The control plane of an xTR has begun anew: it registers the groups whose root its switch is."""
        for eid, (root, view) in self._registered.items():
            if root == switch:
                self._announce(switch, eid, view)

    def ended(self, group: str, accelerator: str) -> Ended | None:
        """Why an accelerator is a member no more; None if it is one or never was."""
        return self._ends.get((group, accelerator))

    async def change(self, group: str) -> None:
        """Waits until something becomes of a group."""
        await self._changed.setdefault(group, asyncio.Event()).wait()

    @property
    def busy(self) -> list[str]:
        """Groups that are being formed or taken down, and what for."""
        return [f"group {view.name} is {view.state}" for view in self.manager.groups() if view.working]

    def eid_of(self, view: GroupView, eid: GroupEid) -> Eid:
        """What a group's address is in the mapping system."""
        if not isinstance(eid, int):
            return Eid.of(view.iid, eid)
        assert view.root is not None
        return self._names[self.manager.network.xtrs[view.root].pod].eid(view.iid, eid)

    def stop(self) -> None:
        """Nothing more is done."""
        for task in list(self._tasks):
            task.cancel()

    # -- outputs ------------------------------------------------------------------------------------------

    def perform(self, outputs: Iterable[Output]) -> None:
        """Does what the manager wants, in the order in which it wants it."""
        for output in outputs:
            match output:
                case Work():
                    self._start(self._work(output), f"group {output.group}")
                case Register(switch=switch, view=view):
                    assert view.eid is not None
                    eid = self.eid_of(view, view.eid)
                    self._registered[eid] = switch, view
                    self._announce(switch, eid, view)
                case Withdraw():
                    self._withdraw(output)
                case Formed(view=view):
                    log.info("group %s: generation %d, root %s", view.name, view.generation, view.root)
                    self._wake(view.name)
                case Broken(view=view):
                    log.warning("group %s cannot be formed: %s", view.name, view.reason)
                    self._wake(view.name)
                case Ended(group=group, accelerator=accelerator):
                    if accelerator is not None:
                        self._ends[group, accelerator] = output
                    self._wake(group)

    def _announce(self, switch: str, eid: Eid, view: GroupView) -> None:
        router = self._routers.get(switch)
        if router is not None:
            acc_id = view.eid if isinstance(view.eid, int) else None
            router.announce(eid, Announcement.of(view).metadata(acc_id))

    def _withdraw(self, gone: Withdraw) -> None:
        pod = self.manager.network.xtrs[gone.switch].pod
        eid = self._names[pod].eid(gone.iid, gone.eid) if isinstance(gone.eid, int) else Eid.of(gone.iid, gone.eid)
        if self._registered.get(eid, ("",))[0] == gone.switch:
            del self._registered[eid]
        router = self._routers.get(gone.switch)
        if router is not None:
            router.renounce(eid)

    def _wake(self, group: str) -> None:
        event = self._changed.pop(group, None)
        if event is not None:
            event.set()

    def _start(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: its work failed", task.get_name(), exc_info=error)

    # -- orders -------------------------------------------------------------------------------------------

    async def _work(self, work: Work) -> None:
        await asyncio.gather(*(self._order(order) for order in work.orders))
        self.perform(self.manager.done(work.serial))

    async def _order(self, order: Order) -> None:
        """One switch carries an order out, or fails, or has failed: then its entries are as they shall be later."""
        name = order.switch
        if not isinstance(order, Clear):
            self._apply(order)
        if self._failing[name].is_set():
            return
        failing = asyncio.create_task(self._failing[name].wait())
        doing = asyncio.create_task(self._confirm(order))
        try:
            done, _ = await asyncio.wait({failing, doing}, timeout=ORDER_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if doing in done:
                doing.result()
            elif not done:
                raise TimeoutError(f"no answer for {ORDER_TIMEOUT} s")
        except (TimeoutError, P4RuntimeError) as error:
            log.warning("%s: does not carry out %s: %s", name, type(order).__name__, error)
            self.switch_status(name, up=False)
            self._start(self._revive(name), f"{name} comes back")
        finally:
            for task in (failing, doing):
                task.cancel()

    def _apply(self, order: Install | Remove) -> None:
        control = self._controls[order.switch]
        tables = control.tables.collectives
        if isinstance(order, Remove):
            control.apply(tables.remove(order.branch.number))
        else:
            control.apply(tables.put(self._entries(order.switch, order.branch)))

    async def _confirm(self, order: Order) -> None:
        control = self._controls[order.switch]
        failures = await control.settled()
        if failures:
            raise P4RuntimeError("; ".join(map(str, failures[:3])))
        if isinstance(order, Clear):
            async with self._clearing[order.switch]:
                slots = order.branch.slots
                await clear_cells(control, range(2 * slots.start, 2 * slots.stop))

    async def _revive(self, name: str) -> None:
        """Looks whether a switch that has failed works again, until it does."""
        while True:
            await asyncio.sleep(_PATIENCE)
            with contextlib.suppress(P4RuntimeError, TimeoutError):
                async with asyncio.timeout(ORDER_TIMEOUT):
                    await self._controls[name].settled()
                    await cleared(self._controls[name])
                break
        self.switch_status(name, up=True)

    def _entries(self, switch: str, branch: Branch) -> CollectiveBranch:
        xtrs = self.manager.network.xtrs
        children: list[MemberCopy | NodeCopy] = [
            MemberCopy(child.rank, self._hop_of(switch, child.port), _endpoint(child.address, branch.carrier))
            for child in branch.members
        ]
        children += [
            NodeCopy(child.rank, self._hop_of(switch, child.port), xtrs[child.switch].rloc) for child in branch.nodes
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
            None if branch.parent is None else xtrs[branch.parent].rloc,
        )


def _endpoint(address: GroupEid, carrier: Carrier) -> Endpoint:
    assert isinstance(address, int) == (carrier is Carrier.SCALE_UP)
    return AccId(address) if isinstance(address, int) else address


async def cleared(control: SwitchControl) -> int:
    """How many cells a switch has cleared since it has its program."""
    query = p4runtime_pb2.Entity()
    query.counter_entry.counter_id = control.client.codec.info.counters["drops"].id
    query.counter_entry.index.index = DropReason.SLOT_CLEARED
    async for entity in control.client.read(query):
        return entity.counter_entry.data.packet_count
    return 0


async def clear_cells(control: SwitchControl, cells: range) -> None:
    """Empties cells of a switch that no entry uses; returns when the switch has counted all of them.

    One call at a time. When the count stands still, something was lost, and the batch is sent again.
    """
    loop = asyncio.get_running_loop()
    for first in range(cells.start, cells.stop, CLEARS_AT_ONCE):
        batch = range(first, min(first + CLEARS_AT_ONCE, cells.stop))
        count = await cleared(control)
        wanted = 0
        while wanted == 0 or count < wanted:
            wanted = count + len(batch)
            for cell in batch:
                control.packet_out(clear_packet(cell), mode=SUBMIT)
            moved = loop.time()
            while count < wanted and loop.time() < moved + _PATIENCE:
                await asyncio.sleep(_POLL)
                before, count = count, await cleared(control)
                if count != before:
                    moved = loop.time()
