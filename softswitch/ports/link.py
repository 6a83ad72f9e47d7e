"""Links inside the process: between two switches, or between a switch and its host."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from softswitch.ports.base import Receive
from softswitch.ports.effects import Channel, ChannelCounters, Effects
from softswitch.ports.impaired import Mover

log = logging.getLogger(__name__)

# Is shown a packet that passes an end of a link, and whether it comes out of the switch there.
Tap = Callable[[bytes, bool], None]


class NativePort(NamedTuple):
    """A port of a switch in memory, and the hub that carries its packets."""

    hub: int
    switch: int
    port: int


class LinkEnd:
    """One end of a link; what is sent here is received at the other end.

    Between switches that share a work queue a packet waits in the queue, so rings of links do not recurse.
    """

    def __init__(self, name: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._name = name
        self._clock = clock
        self._peer: LinkEnd | None = None
        self._receive: Receive | None = None
        self._enabled = True
        self._mover: Mover | None = None
        self._taps: tuple[Tap, ...] = ()
        # Set by a switch whose engine can hand packets over without Python: where it is in memory and which port this
        # is, and what to call when the link has changed.
        self.native: NativePort | None = None
        self.on_change: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def is_up(self) -> bool:
        """Up while both ends are open and neither has been disabled."""
        peer = self._peer
        return peer is not None and self._is_ready() and peer._is_ready()

    @property
    def effects(self) -> Effects | None:
        """What happens to packets that are sent here, None for nothing."""
        return None if self._mover is None else self._mover.channel.effects

    @property
    def counters(self) -> ChannelCounters | None:
        """What has happened to packets that were sent here, None without effects."""
        return None if self._mover is None else self._mover.channel.counters

    def set_effects(self, effects: Effects | None) -> None:
        """From now on; what is under way is lost, and the counters begin anew."""
        if self._mover is not None:
            self._mover.stop()
        self._mover = None
        if effects is not None and effects.any:
            self._mover = Mover(Channel(effects, self._name), self._deliver, self._clock)
        self.changed()

    @property
    def native_peer(self) -> NativePort | None:
        """Where packets can be handed over, None if that takes Python: effects, taps, or a link that is down."""
        if self._mover is not None or self._peer is None or not self.is_up or self._taps or self._peer._taps:
            return None
        return self._peer.native

    def changed(self) -> None:
        """Tell the switches at both ends."""
        for end in (self, self._peer):
            if end is not None and end.on_change is not None:
                end.on_change()

    def add_tap(self, tap: Tap) -> None:
        """Show every packet that this end's switch sends or receives, until the tap is removed."""
        self._taps = (*self._taps, tap)
        self.changed()

    def remove_tap(self, tap: Tap) -> None:
        """Show no more."""
        self._taps = tuple(other for other in self._taps if other != tap)
        self.changed()

    def open(self, receive: Receive) -> None:
        """Begin to receive."""
        self._receive = receive
        self.changed()

    def close(self) -> None:
        """Cease to receive; the link goes down."""
        self._receive = None
        self._cut()
        self.changed()

    def set_enabled(self, enabled: bool) -> None:
        """Take the link down, as by pulling the cable, or up again."""
        self._enabled = enabled
        if not enabled:
            self._cut()
        self.changed()

    def send(self, packet: bytes) -> None:
        """To the other end; lost while the link is down."""
        peer = self._peer
        if peer is not None and peer._receive is not None and self.is_up:
            for tap in self._taps:
                tap(packet, True)
            if self._mover is None:
                self._deliver(packet)
            else:
                self._mover.send(packet)

    def _deliver(self, packet: bytes) -> None:
        if self._peer is not None and self._peer._receive is not None:
            for tap in self._peer._taps:
                tap(packet, False)
            self._peer._receive(packet)

    def _cut(self) -> None:
        for end in (self, self._peer):
            if end is not None and end._mover is not None:
                end._mover.stop()

    def _is_ready(self) -> bool:
        return self._enabled and self._receive is not None


def make_link(
    name: str = "link",
    *,
    effects: Effects | None = None,
    back: Effects | None = None,
    clock: Callable[[], int] = time.monotonic_ns,
) -> tuple[LinkEnd, LinkEnd]:
    """Two ends, for two switches.

    effects: what happens to packets from the first end to the second and, unless `back` says otherwise, the
             other way too. Names differ, so each direction draws random numbers of its own
    clock:   nanoseconds, monotonic; only links with effects look at it
    """
    a, b = LinkEnd(f"{name}.a", clock), LinkEnd(f"{name}.b", clock)
    a._peer, b._peer = b, a
    a.set_effects(effects)
    b.set_effects(effects if back is None else back)
    return a, b


class HostPort:
    """A port whose other side is a function of the host.

    on_packet: called with each packet the switch sends; None to lose them
    """

    def __init__(self, name: str = "host", on_packet: Callable[[bytes], None] | None = None) -> None:
        self._name = name
        self._receive: Receive | None = None
        self.on_packet = on_packet
        self.enabled = True
        self._taps: tuple[Tap, ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def is_up(self) -> bool:
        """While open and enabled."""
        return self.enabled and self._receive is not None

    def add_tap(self, tap: Tap) -> None:
        """Show every packet that the switch sends or receives here, until the tap is removed."""
        self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no more."""
        self._taps = tuple(other for other in self._taps if other != tap)

    def open(self, receive: Receive) -> None:
        """Begin to receive."""
        self._receive = receive

    def close(self) -> None:
        """Cease to receive."""
        self._receive = None

    def send(self, packet: bytes) -> None:
        """To the host; an exception there is logged, the switch goes on."""
        if self.on_packet is not None and self.is_up:
            for tap in self._taps:
                tap(packet, True)
            try:
                self.on_packet(packet)
            except Exception:
                log.exception("host of port %s failed", self._name)

    def deliver(self, packet: bytes) -> None:
        """From the host to the switch; lost while the port is down."""
        if self._receive is not None and self.enabled:
            for tap in self._taps:
                tap(packet, False)
            self._receive(packet)
