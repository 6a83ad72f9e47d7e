"""Gives a protocol core what it does without: a clock, timers and a transport."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from controller.app.network import Transport
from controller.lisp import Datagram, IPAddress
from controller.mapping.machine.outputs import Event, Send

log = logging.getLogger(__name__)

# Events kept for whoever asks what happened; the oldest go first.
EVENT_LIMIT = 10_000

Output_co = TypeVar("Output_co", covariant=True)


class Machine(Protocol[Output_co]):
    """A protocol core: bytes and an explicit time in, outputs and the next deadline out."""

    def receive(self, datagram: Datagram, now: float) -> Sequence[Output_co]:
        """A datagram has come."""

    def tick(self, now: float) -> Sequence[Output_co]:
        """Do what is due."""

    def next_deadline(self) -> float | None:
        """When `tick` is wanted next, in seconds of the same clock."""


MachineT = TypeVar("MachineT", bound=Machine[object])


class Noted(NamedTuple):
    """An event and when it happened, seconds of the event loop's clock."""

    time: float
    event: Event


class MachineProcess(Generic[MachineT]):
    """Runs one machine in the event loop.

    Attributes:
        machine: the protocol core.
        events: what it reported, oldest first.
        on_event: is given each of them as well.
    """

    def __init__(self, name: str, machine: MachineT, address: IPAddress, transport: Transport) -> None:
        self.name = name
        self.machine = machine
        self.address = address
        self.events: deque[Noted] = deque(maxlen=EVENT_LIMIT)
        self.on_event: Callable[[Event], None] = lambda event: log.debug("%s: %s", name, event)
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @staticmethod
    def now() -> float:
        """The event loop's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def listen(self, address: IPAddress | None = None) -> None:
        """From now on, datagrams to `address`, by default the machine's first, reach it."""
        self._transport.listen(address or self.address, self._receive)

    def stop(self) -> None:
        """It does nothing any more, whatever comes: no timer fires, and what reaches it changes nothing."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def perform(self, outputs: Iterable[object]) -> None:
        """Does what the machine asks for, and sees to its next deadline."""
        if self._stopped:
            return
        now, note, tell = self.now(), self.events.append, self.on_event
        ready: list[Datagram] = []
        for output in outputs:
            if isinstance(output, Send):
                ready.append(output[0])
            elif isinstance(output, Event):
                note(Noted(now, output))
                tell(output)
            else:
                self._send(ready)  # whatever comes of it must not overtake what was to be sent before
                self.handle(output)
        self._send(ready)
        self._schedule()

    def handle(self, output: object) -> None:
        """An output that is neither a datagram nor an event; a machine without such outputs never gets here."""
        raise NotImplementedError(f"{self.name}: {type(output).__name__}")

    def next_deadline(self) -> float | None:
        """When `tick` is wanted next: the machine's deadline, or an earlier one of the process itself."""
        return self.machine.next_deadline()

    def tick(self) -> None:
        """Does what is due."""
        self.perform(self.machine.tick(self.now()))

    def _send(self, ready: list[Datagram]) -> None:
        if ready:
            self._transport.send_all(ready)
            ready.clear()

    def _receive(self, datagram: Datagram) -> None:
        self.perform(self.machine.receive(datagram, self.now()))

    def _tick(self) -> None:
        self._timer = None
        self.tick()

    def _schedule(self) -> None:
        deadline = self.next_deadline()
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)
