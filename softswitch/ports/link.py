"""Links inside the process: between two switches, or between a switch and its host."""

from __future__ import annotations

import logging
from collections.abc import Callable

from softswitch.ports.base import Receive

log = logging.getLogger(__name__)


class LinkEnd:
    """One end of a link; what is sent here is received at the other end.

    Between switches that share a work queue a packet waits in the queue, so rings of links do not recurse.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._peer: LinkEnd | None = None
        self._receive: Receive | None = None
        self._enabled = True

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def is_up(self) -> bool:
        """Up while both ends are open and neither has been disabled."""
        peer = self._peer
        return peer is not None and self._is_ready() and peer._is_ready()

    def open(self, receive: Receive) -> None:
        """Begin to receive."""
        self._receive = receive

    def close(self) -> None:
        """Cease to receive; the link goes down."""
        self._receive = None

    def set_enabled(self, enabled: bool) -> None:
        """Take the link down, as by pulling the cable, or up again."""
        self._enabled = enabled

    def send(self, packet: bytes) -> None:
        """To the other end; lost while the link is down."""
        peer = self._peer
        if peer is not None and peer._receive is not None and self.is_up:
            peer._receive(packet)

    def _is_ready(self) -> bool:
        return self._enabled and self._receive is not None


def make_link(name: str = "link") -> tuple[LinkEnd, LinkEnd]:
    """Two ends, for two switches."""
    a, b = LinkEnd(f"{name}.a"), LinkEnd(f"{name}.b")
    a._peer, b._peer = b, a
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

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def is_up(self) -> bool:
        """While open and enabled."""
        return self.enabled and self._receive is not None

    def open(self, receive: Receive) -> None:
        """Begin to receive."""
        self._receive = receive

    def close(self) -> None:
        """Cease to receive."""
        self._receive = None

    def send(self, packet: bytes) -> None:
        """To the host; an exception there is logged, the switch goes on."""
        if self.on_packet is not None and self.is_up:
            try:
                self.on_packet(packet)
            except Exception:
                log.exception("host of port %s failed", self._name)

    def deliver(self, packet: bytes) -> None:
        """From the host to the switch; lost while the port is down."""
        if self._receive is not None and self.enabled:
            self._receive(packet)
