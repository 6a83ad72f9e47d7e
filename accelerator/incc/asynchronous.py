"""A member of a group in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from accelerator.incc.core import Core, Settings
from accelerator.incc.errors import GroupError, MemberLostError
from accelerator.incc.handle import Handle
from accelerator.incc.membership import Member, Membership
from accelerator.incc.ways import Attach, attach_link, carrier_of, place_of
from accelerator.incc.work import Work
from accelerator.links import control_path
from accelerator.rendezvous import Descriptor, Rendezvous, RendezvousError


class AsyncGroup(Member[Handle]):
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
        self._core = Core(settings)
        super().__init__(Membership(descriptor, self._core))
        self._attach = attach
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
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

    def formed(self, descriptor: Descriptor) -> None:
        """The group has been formed anew: by the same members, and all goes on; or by others, and what was begun fails.

        Raises GroupError or OSError if there is no way for its packets.
        """
        before, self._membership.descriptor = self.descriptor, descriptor
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

    def _submit(self, work: Work) -> Handle:
        handle = Handle(work, self._loop)
        self.begin_with(work, handle)
        return handle

    def begin_with(self, work: Work, handle: Handle) -> None:
        """Queues a collective whose handle there is already; in the event loop. Raises GroupError."""
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
                handle.finish()
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
