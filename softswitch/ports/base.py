"""What the switch asks of a port back end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Receive = Callable[[bytes], None]


class Port(Protocol):
    """A way for packets in and out."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def is_up(self) -> bool:
        """Whether packets can pass."""

    def open(self, receive: Receive) -> None:
        """Begin to receive. OSError if the back end cannot be opened."""

    def close(self) -> None:
        """Cease to receive and free everything; may be called more than once."""

    def send(self, packet: bytes) -> None:
        """Send a packet; one that cannot be sent is lost. Never blocks, never raises."""


class PortError(ValueError):
    """A port that cannot be made from what was given."""
