"""The log of a process: one line for each event, but a flood of refusals does not become a flood of lines."""

from __future__ import annotations

import logging
from collections import Counter

from controller.mapping.machine import Event

log = logging.getLogger(__name__)

# What anybody can bring about by sending datagrams.
_PROVOKED = frozenset({"message-dropped", "map-request-denied", "map-reply-suppressed", "probe-not-answered"})


class EventLog:
    """Writes events at level INFO: those that strangers can provoke only the 1st, 2nd, 4th, 8th, ... time.

    They are counted by name and reason; the line says how often it happened so far.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[tuple[str, object]] = Counter()

    def __call__(self, event: Event) -> None:
        """Write an event, or count it."""
        if event.name not in _PROVOKED:
            log.info("%s: %s", self._name, event)
            return
        kind = event.name, event.fields.get("reason")
        self._counts[kind] += 1
        count = self._counts[kind]
        if count & (count - 1) == 0:
            log.info("%s: %s%s", self._name, event, f" ({count} so far)" if count > 1 else "")
