"""What a machine asks of the world: datagrams to send, and a line for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from controller.lisp import Datagram


class Send(NamedTuple):
    """A datagram that has to leave."""

    datagram: Datagram


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a log line: a `name` from a fixed vocabulary, and what it happened to.

    Events tell; nothing depends on them.
    """

    name: str
    fields: Mapping[str, object]

    def __str__(self) -> str:
        return " ".join((self.name, *(f"{field}={value}" for field, value in self.fields.items())))


def dropped(datagram: Datagram, reason: str, **fields: object) -> Event:
    """The one event that a refused datagram leaves: why it was refused, and from where it came."""
    return Event("message-dropped", {"reason": reason, "source": str(datagram.source), **fields})
