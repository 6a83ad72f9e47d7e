"""A packet's way through the fabric, put together from the switches' traces: one hop for each pass through a switch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.dataplane.codepoints import DropReason
from softswitch.reference.trace import (
    Copied,
    Dropped,
    Event,
    FieldChange,
    NamedValue,
    PrimitiveRun,
    Received,
    Sent,
    TableApplied,
)

# Of the program's metadata, as p4c names it: metadata_t.drop_reason with a number behind.
_DROP_REASON = re.compile(r"(^|[._])drop_reason\d*$")
# Fields that are no header's.
_NO_HEADER = ("scalars.", "standard_metadata.")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table that was applied: what was looked up, whether it hit, and what it did."""

    table: str
    key: tuple[NamedValue, ...]
    hit: bool
    action: str | None
    params: tuple[NamedValue, ...]


@dataclass(slots=True)
class Hop:
    """One pass of a packet through a switch; ports are numbers, frames whole.

    `dropped`: what the switch says, None where nothing was dropped; `reason`: why, by the program's drop reasons.
    `changes`: of header fields, in their order.
    """

    switch: str
    ingress_port: int
    received: bytes
    lookups: list[Lookup] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    dropped: str | None = None
    reason: DropReason | None = None
    changes: list[FieldChange] = field(default_factory=list)


class TraceRecorder:
    """Keeps the traces of all switches in the order in which things happened, while it is switched on."""

    def __init__(self) -> None:
        self.on = False
        self._events: list[tuple[str, Event]] = []

    def __call__(self, switch: str, event: Event) -> None:
        """An event at a switch."""
        if self.on:
            self._events.append((switch, event))

    def take(self) -> list[Hop]:
        """The hops since the last call."""
        events, self._events = self._events, []
        return hops(events)


def short(name: str) -> str:
    """The last part of a P4 name: `FabricIngress.scale_out.scale_out_ipv4` is `scale_out_ipv4`."""
    return name.rsplit(".", 1)[-1]


def hops(events: Iterable[tuple[str, Event]]) -> list[Hop]:
    """The hops in the order in which their packets were received; copies that a switch makes belong to one hop."""
    found: dict[tuple[str, int], Hop] = {}
    copied: dict[tuple[str, int], Hop] = {}
    reasons: dict[tuple[str, int], int] = {}
    for switch, event in events:
        key = (switch, event.packet)
        if isinstance(event, Received):
            found[key] = Hop(switch, event.port, event.data)
            continue
        if isinstance(event, Copied) and (switch, event.source) in found:
            copied[key] = found[switch, event.source]
            continue
        hop = found.get(key) or copied.get(key)
        if hop is None:
            continue
        match event:
            case TableApplied(table=table, key=parts, entry=entry, action=action, params=params):
                name = None if action is None else short(action)
                hop.lookups.append(Lookup(short(table), parts, entry is not None, name, params))
            case Sent(port=port, data=data):
                hop.sent.append((port, data))
            case PrimitiveRun(changes=changes):
                hop.changes += [change for change in changes if not change.name.startswith(_NO_HEADER)]
                for change in changes:
                    if _DROP_REASON.search(change.name):
                        reasons[key] = change.new
            case Dropped(reason=text):
                hop.dropped = text
                hop.reason = DropReason(reasons[key]) if key in reasons else None
    return list(found.values())
