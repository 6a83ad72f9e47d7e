"""The group manager at work: its orders become entries and packets, its EIDs registrations, its news answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence

from controller.app.accelerator_names import AcceleratorNames
from controller.app.collective_orders import CollectiveOrders, HopOf
from controller.app.router import Router
from controller.app.switch_control import SwitchControl
from controller.app.switch_watch import SwitchWatch
from controller.incc import (
    Broken,
    Ended,
    Forget,
    Formed,
    GroupManager,
    GroupRecord,
    GroupStore,
    GroupStoreError,
    GroupView,
    Home,
    MemoryGroupStore,
    Order,
    Output,
    Register,
    Withdraw,
    Work,
)
from controller.incc.announcement import Announcement
from controller.incc.domains import GroupEid
from controller.lisp import Eid

log = logging.getLogger(__name__)


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
        store: GroupStore | None = None,
    ) -> None:
        """`routers`: those that run; `names`: of each PoD's accelerators; `hop_of`: what a switch's port leads to.

        `store`: what outlives this process; memory that does not, unless given.
        """
        self.manager = manager
        self._store: GroupStore = store if store is not None else MemoryGroupStore()
        self._kept: dict[str, GroupRecord] = {}
        self._kept_generations: dict[int, int] = {}
        self._controls = {name: control for name, control in controls.items() if name in manager.network.xtrs}
        self._routers = routers
        self._names = names
        self._changed: dict[str, asyncio.Event] = {}
        self._ends: dict[tuple[str, str], Ended] = {}
        self._registered: dict[Eid, tuple[str, GroupView]] = {}
        self._failing = {name: asyncio.Event() for name in self._controls}
        self._orders = CollectiveOrders(self._controls, manager.network.xtrs, hop_of, self._failing)
        self._failed: set[str] = set()  # switches of which somebody said so, whatever they answer
        self._watches: dict[str, SwitchWatch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """From now on switches are watched: groups do without those that fall silent."""
        for name, control in self._controls.items():
            self._watches[name] = SwitchWatch(name, control, self._at_work, self._noticed, self._emptied)

    # -- a life before ------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Takes up the groups that the store has: those that are on their switches as they were go on at once.

        Before anything is removed from the switches that is not desired; `begin_anew` follows when that is done. Raises
        GroupStoreError.
        """
        snapshot = self._store.load()
        self._kept = {record.name: record for record in snapshot.groups}
        self._kept_generations = dict(snapshot.generations)
        for reason in self.manager.restore(snapshot):
            log.warning("%s: it is given up", reason)
        found = self.manager.adoptable()
        for name in await self._orders.adopt(found):
            self.perform(self.manager.adopt(name, found[name]))

    def begin_anew(self) -> None:
        """Groups that have been restored and are not on their switches are formed anew."""
        self.perform(self.manager.begin_anew())

    def _save(self) -> None:
        """Keeps what has changed, before anything is done that has to be known of."""
        records = {record.name: record for record in self.manager.records()}
        put = [record for name, record in records.items() if self._kept.get(name) != record]
        gone = [name for name in self._kept if name not in records]
        last = dict(self.manager.generations)
        generations = {number: one for number, one in last.items() if self._kept_generations.get(number) != one}
        if not (put or gone or generations):
            return
        try:
            self._store.commit(put, gone, generations)
        except GroupStoreError as error:
            log.error("groups are not kept: %s", error)  # tried again with the next change
            return
        self._kept, self._kept_generations = records, last

    # -- requests and events ------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        domain: str,
        members: Sequence[str] = (),
        size: int | None = None,
        slots: int | None = None,
        at_least: int | None = None,
    ) -> None:
        """A new group; as `GroupManager.create`."""
        self.manager.create(name, domain, members=members, size=size, at_least=at_least, slots=slots)
        self._save()

    def join(self, group: str, accelerator: str) -> None:
        """An accelerator is ready to be a member; as `GroupManager.join`."""
        outputs = self.manager.join(group, accelerator)
        self._ends.pop((group, accelerator), None)
        self.perform(outputs)

    def leave(self, group: str, accelerator: str) -> None:
        """A member leaves. Raises InccError if it is none."""
        self.perform(self.manager.leave(group, accelerator))

    def died(self, group: str, accelerator: str, reason: str = "died") -> None:
        """A member is not there any more; as `GroupManager.died`."""
        self.perform(self.manager.died(group, accelerator, reason))

    def destroy(self, group: str) -> None:
        """A group ends. Raises InccError for one that is not there."""
        self.perform(self.manager.destroy(group))

    def destroy_all(self) -> None:
        """Every group ends."""
        for view in self.manager.groups():
            self.destroy(view.name)

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
        """A switch has failed, whatever it answers, or has not any more."""
        (self._failed.discard if up else self._failed.add)(switch)
        self._noticed(switch, up)

    def _noticed(self, switch: str, up: bool) -> None:
        if up and switch in self._failed:
            return
        if switch in self._failing:
            (self._failing[switch].clear if up else self._failing[switch].set)()
        self.perform(self.manager.switch_status(switch, up))

    def _emptied(self, switch: str) -> None:
        self.perform(self.manager.switch_emptied(switch))

    def _at_work(self, switch: str) -> bool:
        return bool(self.manager.slot_ranges(switch))

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
        for watch in self._watches.values():
            watch.stop()
        for task in list(self._tasks):
            task.cancel()

    # -- outputs ------------------------------------------------------------------------------------------

    def perform(self, outputs: Iterable[Output]) -> None:
        """Does what the manager wants, in the order in which it wants it."""
        self._save()
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
                case Forget(number=number, kept=kept):
                    self._orders.forget(number, kept)
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
        if not await self._orders.carry_out(order):
            self._noticed(order.switch, up=False)
            if order.switch in self._watches:
                self._watches[order.switch].fail()
