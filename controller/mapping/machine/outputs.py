"""What a machine asks of the world: datagrams to send, and a line for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from controller.lisp import Datagram


class Send(NamedTuple):
    """A datagram that has to leave."""

    datagram: Datagram


class Event:
    """Something worth a log line: a `name` from a fixed vocabulary, and what it happened to.

    Events tell; nothing depends on them. Most are never read, so `fields` may also be a function of nothing that
    works them out when somebody asks.
    """

    __slots__ = ("_fields", "name")

    def __init__(self, name: str, fields: Mapping[str, object] | Callable[[], Mapping[str, object]]) -> None:
        self.name = name
        self._fields = fields

    @property
    def fields(self) -> Mapping[str, object]:
        """What it happened to, by the names of the fields."""
        if callable(self._fields):
            self._fields = self._fields()
        return self._fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.name == other.name and self.fields == other.fields

    def __repr__(self) -> str:
        return f"Event({self.name!r}, {self.fields!r})"

    def __str__(self) -> str:
        return " ".join((self.name, *(f"{field}={value}" for field, value in self.fields.items())))


def dropped(datagram: Datagram, reason: str, **fields: object) -> Event:
    """The one event that a refused datagram leaves: why it was refused, and from where it came."""
    return Event("message-dropped", {"reason": reason, "source": str(datagram.source), **fields})
