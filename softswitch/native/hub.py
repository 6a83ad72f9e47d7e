"""Carries packets between switches, and what Python has to know of them to Python, in batches."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import weakref
from dataclasses import dataclass
from typing import Protocol

from softswitch.native.compiler import core
from softswitch.native.heap import free, read_word, write_words
from softswitch.native.runtime.structs import (
    BUF_NEXT,
    EVENT_BYTES,
    HUB_ACTIVE_HEAD,
    HUB_BYTES,
    HUB_EVENT_HEAD,
    HUB_EVENT_TAIL,
    HUB_EVENTS,
    HUB_EVENTS_LOST,
    HUB_LARGE,
    HUB_RINGS,
    HUB_SMALL,
    PR_NEXT,
    SW_ACTIVE_NEXT,
)
from softswitch.ports.burst import burst
from softswitch.ports.workqueue import WorkQueue
from softswitch.state.memory import Memory

log = logging.getLogger(__name__)

_EVENTS = 1 << 15
_SLICE = 2048  # packets between looks at events
_TURN = 16384  # packets before the event loop gets its turn


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with the octets that belong to it; see :mod:`softswitch.native.runtime.events`."""

    kind: int
    port: int
    data: bytes
    other: int


class Attached(Protocol):
    """What a hub asks of an engine."""

    def prepare(self) -> None:
        """Packets will be processed: tell machine code what it cannot ask."""

    def handle(self, event: Happened) -> None:
        """Something has happened at the engine's switch."""


class Hub:
    """The run loop of the switches that share it. Runs in the event loop's thread, a slice at a time."""

    def __init__(self) -> None:
        self._memory = Memory(HUB_BYTES)
        self._events = Memory(EVENT_BYTES * _EVENTS)
        self.address = self._memory.address
        self._words = self._memory.view
        write_words(self.address + HUB_EVENTS, self._events.address, _EVENTS - 1)
        code = core()
        self._run = code.function("run", 2)
        self._release = code.function("release", 2)
        self.inject = code.function("inject", 4)
        self._engines: weakref.WeakValueDictionary[int, Attached] = weakref.WeakValueDictionary()
        self._next = 0
        self._rings: list[int] = []
        self._running = False
        self._scheduled = False
        weakref.finalize(self, _free_buffers, self._memory)

    def attach(self, engine: Attached) -> int:
        """The number by which machine code names the engine."""
        self._next += 1
        self._engines[self._next] = engine
        return self._next

    def detach(self, number: int) -> None:
        """What still comes from it is dropped."""
        self._engines.pop(number, None)

    def forget(self, switch: int) -> None:
        """A switch is gone: it does not wait for its turn any longer."""
        waiting, following = [], read_word(self.address + HUB_ACTIVE_HEAD)
        while following:
            waiting.append(following)
            following = read_word(following + SW_ACTIVE_NEXT)
        left = [other for other in waiting if other != switch]
        for other, after in zip(left, [*left[1:], 0], strict=False):
            write_words(other + SW_ACTIVE_NEXT, after)
        write_words(self.address + HUB_ACTIVE_HEAD, left[0] if left else 0, left[-1] if left else 0)

    @property
    def events_lost(self) -> int:
        """Events for which there was no room."""
        return read_word(self.address + HUB_EVENTS_LOST)

    @property
    def idle(self) -> bool:
        """Whether no packet waits."""
        return not self._words[HUB_ACTIVE_HEAD // 8]

    def release(self, buffer: int) -> None:
        """Give back a buffer."""
        self._release(self.address, buffer)

    def add_ring(self, ring: int) -> None:
        """Serve the packet rings of an interface."""
        self._rings.append(ring)
        self._link_rings()

    def remove_ring(self, ring: int) -> None:
        """Serve them no longer."""
        if ring in self._rings:
            self._rings.remove(ring)
            self._link_rings()

    def _link_rings(self) -> None:
        for ring, following in zip(self._rings, [*self._rings[1:], 0], strict=False):
            write_words(ring + PR_NEXT, following)
        write_words(self.address + HUB_RINGS, self._rings[0] if self._rings else 0)

    def kick(self, *, rings: bool = False) -> None:
        """Process what waits: now, at the end of a burst, or soon if there is much, or if this is called by what a
        packet has set off.
        rings: frames have arrived at an interface.

        Without a running event loop, what is left after a turn stays until the next call.
        """
        if not self._running and not self._scheduled and (rings or not burst.put_off(self.kick)):
            self._turn(rings)

    def _turn(self, rings: bool = False) -> None:
        self._scheduled = False
        if self._running:
            return
        self._running = True
        try:
            done = 0
            while done < _TURN and (rings or not self.idle):
                rings = False
                for engine in list(self._engines.values()):
                    engine.prepare()
                done += max(self._run(self.address, _SLICE), 1)
                self.drain()
        finally:
            self._running = False
        if not self.idle:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._scheduled = True
            loop.call_soon(self._turn)

    def drain(self) -> None:
        """Hand out the events so far. What goes wrong with one is logged and does not stop the others."""
        for number, event in self.take(self._words[HUB_EVENT_HEAD // 8]):
            engine = self._engines.get(number)
            if engine is None:
                continue
            try:
                engine.handle(event)
            except Exception:
                log.exception("an event could not be handled")

    @property
    def tail(self) -> int:
        """Where the next event will be."""
        return self._words[HUB_EVENT_TAIL // 8]

    def take(self, since: int) -> list[tuple[int, Happened]]:
        """The events since one, which are taken out, with the numbers of their engines."""
        view, found = self._events.view, []
        end = self.tail
        for position in range(since, end):
            at = position % _EVENTS * EVENT_BYTES // 8
            kind, number, port, buffer, data, octets, other = view[at : at + 7].tolist()
            found.append((number, Happened(kind, port, ctypes.string_at(data, octets) if octets else b"", other)))
            if buffer:
                self.release(buffer)
        if since == self._words[HUB_EVENT_HEAD // 8]:
            self._words[HUB_EVENT_HEAD // 8] = end
        else:
            self._words[HUB_EVENT_TAIL // 8] = since
        return found


def _free_buffers(memory: Memory) -> None:
    for list_at in (HUB_SMALL, HUB_LARGE):
        buffer = read_word(memory.address + list_at)
        while buffer:
            buffer, done = read_word(buffer + BUF_NEXT), buffer
            free(done)


_hubs: weakref.WeakKeyDictionary[WorkQueue, Hub] = weakref.WeakKeyDictionary()


def hub_of(queue: WorkQueue) -> Hub:
    """The hub of the switches that share a queue."""
    if queue not in _hubs:
        _hubs[queue] = Hub()
    return _hubs[queue]
