"""What moves the packets of a channel, in the running event loop; and ports with effects in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from softswitch.ports.base import Port, Receive
from softswitch.ports.effects import Channel, ChannelCounters, Effects

Clock = Callable[[], int]

_NS_PER_S: Final = 1e9


class Mover:
    """Sends packets through a channel and hands them on when they arrive, never early.

    The event loop's timers are good for about a millisecond: packets that are due within one arrive together.
    Without a running event loop they wait for the next send() or move().

    Args:
        clock: nanoseconds, monotonic.
    """

    def __init__(self, channel: Channel, deliver: Receive, clock: Clock = time.monotonic_ns) -> None:
        self._channel = channel
        self._deliver = deliver
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0  # deadline that the timer waits for
        self._moving = False

    @property
    def channel(self) -> Channel:
        """What the packets go through."""
        return self._channel

    def send(self, packet: bytes) -> None:
        """Into the channel."""
        self._channel.offer(packet, self._clock())
        self.move()

    def move(self) -> None:
        """Hands on what has arrived; what that sets off waits for the event loop."""
        if self._moving:
            return
        self._moving = True
        try:
            for packet in self._channel.due(self._clock()):
                self._deliver(packet)
        finally:
            self._moving = False
            self._wait()

    def stop(self) -> None:
        """Loses what is under way."""
        self._channel.cut()
        self._cancel()

    def _wait(self) -> None:
        deadline = self._channel.deadline
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        self._cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer_at = deadline
        self._timer = loop.call_later(max(deadline - self._clock(), 0) / _NS_PER_S, self._expired)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        self.move()


class ImpairedPort:
    """A port with effects on what it sends, on what it receives, or both."""

    def __init__(
        self,
        port: Port,
        sent: Effects | None = None,
        received: Effects | None = None,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        self._port = port
        self._received_effects = received
        self._clock = clock
        self._out = None if sent is None else Mover(Channel(sent, "out"), port.send, clock)
        self._in: Mover | None = None

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name

    @property
    def is_up(self) -> bool:
        """Whether packets can pass."""
        return self._port.is_up

    @property
    def counters(self) -> dict[str, ChannelCounters]:
        """The counters of each direction that has effects: `out` for what is sent, `in` for what is received."""
        movers = {"out": self._out, "in": self._in}
        return {way: mover.channel.counters for way, mover in movers.items() if mover is not None}

    def open(self, receive: Receive) -> None:
        """Opens the port. OSError."""
        if self._received_effects is not None:
            self._in = Mover(Channel(self._received_effects, "in"), receive, self._clock)
            receive = self._in.send
        self._port.open(receive)

    def close(self) -> None:
        """Closes the port; what is under way is lost."""
        self._port.close()
        for mover in (self._out, self._in):
            if mover is not None:
                mover.stop()

    def send(self, packet: bytes) -> None:
        """Sends a packet, with the effects."""
        if self._out is not None:
            self._out.send(packet)
        else:
            self._port.send(packet)
