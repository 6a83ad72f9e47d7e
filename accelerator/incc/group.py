"""Groups as programs use them: `AsyncGroup` in an event loop, `Group` from any thread.

group = await AsyncGroup.join("training", accelerator="acc1", fabric="figure1")
total = await group.all_reduce(gradients)

with Group.join("training", accelerator="acc1", fabric="figure1") as group:
    total = group.all_reduce(gradients)
    handle = group.start.all_reduce(gradients)
    total = handle.wait()
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from accelerator.attachment import Attachment, InterfaceAttachment, UdpAttachment, UnixAttachment
from accelerator.incc.carriers import MEMBER_PORT, Carrier, DatagramCarrier, ScaleUpCarrier, UdpCarrier
from accelerator.incc.collectives import Collectives
from accelerator.incc.core import Core, GroupError, MemberLostError, Settings
from accelerator.incc.header import UDP_PORT
from accelerator.incc.packets import Place
from accelerator.incc.statistics import Statistics
from accelerator.incc.work import CollectiveError, Work
from accelerator.interface import Interface
from accelerator.links import control_path, find_links
from accelerator.rendezvous import Descriptor, Rendezvous, RendezvousError

T = TypeVar("T")
# Makes the way for a member's packets, once it is known what the group is.
Attach = Callable[[Descriptor], Attachment]


class CancelledError(CollectiveError):
    """The caller cancelled the collective."""


class Handle:
    """A collective under way: await it, or, from another thread than the event loop's, wait().

    The result is an array, or None where a rank gets none.
    """

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop
        self._future: Future[Any] = Future()
        self._future.add_done_callback(self._abandoned)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()

    def wait(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - an array or None
        """The result. Raises CollectiveError; TimeoutError after `timeout` seconds, and the collective goes on."""
        try:
            return self._future.result(timeout)
        except FutureTimeoutError:
            if self._future.done():
                raise
            done, chunks = self.progress
            raise TimeoutError(f"{self._work.describe()}: {done} of {chunks} chunks after {timeout} s") from None

    def cancel(self) -> None:
        """The result is not wanted; waiting raises CancelledError, and the arrays are the caller's again.

        This member goes on taking part, or the others could not finish theirs. To stop them all, close the group.
        """
        self._loop.call_soon_threadsafe(self._cancel)

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._future.done()

    @property
    def progress(self) -> tuple[int, int]:
        """Chunks that have their results, and all chunks."""
        return self._work.chunks - self._work.remaining, self._work.chunks

    @property
    def seconds(self) -> float | None:
        """From the call to the last result; None while there is none."""
        if self._work.started is None or self._work.ended is None:
            return None
        return self._work.ended - self._work.started

    def _abandoned(self, future: Future[Any]) -> None:
        if future.cancelled():  # a task that awaited it was
            self._work.abandon()

    def _cancel(self) -> None:
        if not self._future.done():
            self._work.abandon()
            self._future.set_exception(CancelledError(f"{self._work.describe()}: cancelled"))

    def _finish(self) -> None:
        work = self._work
        if not self._future.done():
            if work.error is not None:
                self._future.set_exception(work.error)
            else:
                self._future.set_result(work.result)
        work.result = None


def place_of(descriptor: Descriptor) -> Place:
    """The group as its packets have it."""
    return Place(descriptor.group, descriptor.rank, descriptor.generation, descriptor.slots, descriptor.values)


def carrier_of(descriptor: Descriptor, mac: bytes | None) -> Carrier:
    """What the group's packets travel in. `mac`: None where a UDP socket makes the headers. Raises ValueError."""
    if mac is None:
        if descriptor.carrier == "scale-up":
            raise ValueError(f"carrier = {descriptor.carrier!r}: a UDP socket sends none of these")
        return DatagramCarrier()
    eid, address = descriptor.eid, descriptor.address
    if isinstance(eid, int) and isinstance(address, int):
        return ScaleUpCarrier(mac, descriptor.router_mac, address, eid)
    assert not isinstance(eid, int)
    assert not isinstance(address, int)
    return UdpCarrier(mac, descriptor.router_mac, address, eid)


def attach_link(control: str | Path, accelerator: str) -> Attach:
    """Attaches by the link of a running fabric that the group's packets have to take."""

    def attach(descriptor: Descriptor) -> Attachment:
        for link in find_links(control, accelerator):
            if link.router_mac == descriptor.router_mac:
                return UnixAttachment(link)
        raise GroupError(f"{accelerator} has no link to the router {descriptor.router_mac.hex(':')}")

    return attach


def attach_interface(interface: Interface) -> Attach:
    """Attaches by an interface of this process, for accelerators of an emulated fabric in the same event loop."""

    def attach(descriptor: Descriptor) -> Attachment:
        carrier = carrier_of(descriptor, interface.mac)
        return InterfaceAttachment(interface, descriptor.router_mac, carrier.is_plain)

    return attach


def attach_udp(port: int = MEMBER_PORT) -> Attach:
    """Attaches by a UDP socket, for a machine or namespace that has the member's address; `port`: its own."""

    def attach(descriptor: Descriptor) -> Attachment:
        eid, address = descriptor.eid, descriptor.address
        if isinstance(eid, int) or isinstance(address, int):
            raise GroupError(f"group {descriptor.name}: UDP cannot carry {descriptor.carrier}")
        return UdpAttachment((address, port), (eid, UDP_PORT))

    return attach


class AsyncGroup(Collectives[Handle]):
    """A member of a group, in an event loop; its operations return handles to be awaited.

    Made by `join`, or from a descriptor where there is no rendezvous; `attach` makes the way for its packets.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        attach: Attach,
        settings: Settings | None = None,
    ) -> None:
        """Begins to take part, in the running event loop. Raises OSError if the attachment cannot be opened."""
        self.descriptor = descriptor
        self._attach = attach
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._core = Core(settings)
        self._handles: dict[Work, Handle] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._rendezvous: Rendezvous | None = None
        self._watching: asyncio.Task[None] | None = None
        self._accelerator = ""
        self._next: Descriptor | None = None
        self._attachment = attach(descriptor)
        self._attachment.open(self._receive)
        self._core.form(place_of(descriptor), carrier_of(descriptor, self._attachment.mac), self._clock())
        self._pump()

    @classmethod
    async def join(
        cls,
        group: str,
        accelerator: str,
        *,
        fabric: str = "figure1",
        control: str | Path | None = None,
        attach: Attach | None = None,
        settings: Settings | None = None,
    ) -> AsyncGroup:
        """Joins a group of a running fabric; returns when it is complete.

        `control`: the fabric's control socket; `fabric`: its name, if the socket is where it usually is. `attach`: how
        frames travel, by default over the fabric's Unix sockets.

        Raises RendezvousError, GroupError, LinkError, OSError.
        """
        path = Path(control) if control is not None else control_path(fabric)
        rendezvous = Rendezvous(path)
        await rendezvous.open()
        try:
            descriptor = await rendezvous.join(group, accelerator)
            member = cls(descriptor, attach or attach_link(path, accelerator), settings)
        except BaseException:
            await rendezvous.close()
            raise
        member._accelerator = accelerator
        member._rendezvous = rendezvous
        member._watching = asyncio.create_task(member._watch(rendezvous), name=f"{accelerator} in {group}")
        return member

    async def __aenter__(self) -> AsyncGroup:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def rank(self) -> int:
        """This member's, 0 to size - 1."""
        return self.descriptor.rank

    @property
    def size(self) -> int:
        """How many members there are."""
        return self.descriptor.size

    @property
    def statistics(self) -> Statistics:
        """What has been sent and received until now."""
        return replace(self._core.snapshot())

    @property
    def error(self) -> GroupError | None:
        """Why the group cannot go on; None while it can."""
        return self._core.error

    def formed(self, descriptor: Descriptor) -> None:
        """The group has been formed anew: by the same members, and all goes on; or by others, and what was begun fails.

        Raises GroupError or OSError if there is no way for its packets.
        """
        before, self.descriptor = self.descriptor, descriptor
        if before.router_mac != descriptor.router_mac:
            self._attachment.close()
            self._attachment = self._attach(descriptor)
            self._attachment.open(self._receive)
        same = (before.members, before.rank, before.size) == (descriptor.members, descriptor.rank, descriptor.size)
        carrier = carrier_of(descriptor, self._attachment.mac)
        self._core.form(place_of(descriptor), carrier, self._clock(), resume=same)
        self._pump()

    def go_on(self) -> None:
        """Goes on with the members that there are, after MemberLostError; what was under way has failed.

        Raises that error again if the group has not been formed anew.
        """
        if self._next is None:
            raise self._core.error or GroupError(f"group {self.descriptor.name}: its members have not changed")
        descriptor, self._next = self._next, None
        self.formed(descriptor)

    def fail(self, error: GroupError) -> None:
        """The group is at its end: everything under way fails."""
        self._core.fail(error, self._clock())
        self._pump()

    async def close(self) -> None:
        """Leaves the group; what is under way fails."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self.fail(GroupError(f"group {self.descriptor.name}: closed here"))
        if self._timer is not None:
            self._timer.cancel()
        self._attachment.close()
        if self._rendezvous is not None:
            with contextlib.suppress(RendezvousError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._rendezvous.leave(self.descriptor.name, self._accelerator)
            await self._rendezvous.close()

    @property
    def _place(self) -> Place:
        return place_of(self.descriptor)

    def _submit(self, work: Work) -> Handle:
        handle = Handle(work, self._loop)
        self._begin_with(work, handle)
        return handle

    def _begin_with(self, work: Work, handle: Handle) -> None:
        self._core.submit(work, self._clock())
        self._handles[work] = handle
        # Several that are called one after the other share a pump.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _receive(self, packets: Sequence[bytes]) -> None:
        self._core.receive(packets, self._clock())
        self._pump()

    def _pump(self) -> None:
        """Sends what there is to send, hands over what is done, and sets the timer."""
        self._scheduled = False
        core = self._core
        packets = core.poll_transmit(self._clock())
        if packets:
            self._attachment.send(packets)
        while core.finished:
            work = core.finished.popleft()
            handle = self._handles.pop(work, None)
            if handle is not None:
                handle._finish()
        deadline = core.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline:
                return  # it rings early enough
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._pump()

    async def _watch(self, rendezvous: Rendezvous) -> None:
        """Forms the group anew whenever the fabric says so.

        With other members only when the program wants it: it has to know that the size and its rank are others.
        """
        generation = self.descriptor.generation
        while True:
            try:
                descriptor = await rendezvous.wait(self.descriptor.name, self._accelerator, generation)
                generation = descriptor.generation
                if self.error is None:
                    self.formed(descriptor)
                elif self._next is not None:
                    self._next = descriptor
            except RendezvousError as error:
                following = error.data.get("descriptor")
                if isinstance(following, dict):
                    self._next = Descriptor.from_json(following)
                    generation = self._next.generation
                self.fail(MemberLostError(f"group {self.descriptor.name}: {error}", error.lost))
                if following is None:
                    return
            except (GroupError, OSError, ValueError) as error:
                self.fail(error if isinstance(error, GroupError) else GroupError(str(error)))
                return


class Group(Collectives[Any]):
    """A member of a group, for programs without an event loop: operations return their results.

    `start` has the same operations and returns handles. Protocol and sockets live in a thread of their own.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, AsyncGroup]]) -> None:
        """`make` is run in the event loop of that thread. Raises what it raises."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="collectives", daemon=True)
        self._thread.start()
        try:
            self._group = self._run(make())
        except BaseException:
            self._stop()
            raise
        self.start: Collectives[Handle] = _Starting(self._group, self._loop)

    @classmethod
    def join(
        cls,
        group: str,
        accelerator: str,
        *,
        fabric: str = "figure1",
        control: str | Path | None = None,
        attach: Attach | None = None,
        settings: Settings | None = None,
    ) -> Group:
        """As AsyncGroup.join."""
        return cls(
            lambda: AsyncGroup.join(
                group, accelerator, fabric=fabric, control=control, attach=attach, settings=settings
            )
        )

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def rank(self) -> int:
        """This member's, 0 to size - 1."""
        return self._group.rank

    @property
    def size(self) -> int:
        """How many members there are."""
        return self._group.size

    @property
    def descriptor(self) -> Descriptor:
        """The group as it is formed now."""
        return self._group.descriptor

    @property
    def error(self) -> GroupError | None:
        """Why the group cannot go on; None while it can."""
        return self._group.error

    @property
    def statistics(self) -> Statistics:
        """What has been sent and received until now."""
        return self._group.statistics

    def go_on(self) -> None:
        """As AsyncGroup.go_on."""

        async def there() -> None:
            self._group.go_on()

        self._run(there())

    def close(self) -> None:
        """Leaves the group; what is under way fails."""
        if self._thread.is_alive():
            self._run(self._group.close())
            self._stop()

    @property
    def _place(self) -> Place:
        return self._group._place

    def _submit(self, work: Work) -> Any:  # noqa: ANN401 - an array or None
        return self.start._submit(work).wait()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Starting(Collectives[Handle]):
    """The operations of a group in another thread."""

    def __init__(self, group: AsyncGroup, loop: asyncio.AbstractEventLoop) -> None:
        self._group = group
        self._loop = loop

    @property
    def rank(self) -> int:
        return self._group.rank

    @property
    def size(self) -> int:
        return self._group.size

    @property
    def _place(self) -> Place:
        return self._group._place

    def _submit(self, work: Work) -> Handle:
        if self._loop.is_closed():
            raise GroupError(f"{work.name}: the group is closed")
        if self._group.error is not None:
            raise self._group.error
        handle = Handle(work, self._loop)
        self._loop.call_soon_threadsafe(self._begin_there, work, handle)
        return handle

    def _begin_there(self, work: Work, handle: Handle) -> None:
        try:
            self._group._begin_with(work, handle)
        except GroupError as error:
            work.error = error
            handle._finish()
