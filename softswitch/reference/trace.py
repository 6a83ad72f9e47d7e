"""What happened to a packet, as typed events.

Every event carries the id of the packet: copies get ids of their own, :class:`Copied` tells from which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from softswitch.program.actions import SourceInfo
from softswitch.state import Entry


class NamedValue(NamedTuple):
    """A field, parameter or key part: its value as an unsigned integer and its width in bits."""

    name: str
    value: int
    width: int


@dataclass(frozen=True, slots=True)
class Event:
    """Common to all events."""

    packet: int


@dataclass(frozen=True, slots=True)
class Received(Event):
    """A packet enters ingress."""

    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StateEntered(Event):
    """The parser enters a state."""

    state: str


@dataclass(frozen=True, slots=True)
class Extracted(Event):
    """A header was taken from the packet."""

    header: str
    fields: tuple[NamedValue, ...]


@dataclass(frozen=True, slots=True)
class Transition(Event):
    """The parser leaves a state; key is empty without a select, next_state None at the end."""

    state: str
    key: tuple[NamedValue, ...]
    next_state: str | None


@dataclass(frozen=True, slots=True)
class ParserError(Event):
    """The parser stops with an error; the packet goes on to ingress all the same."""

    state: str
    error: str


@dataclass(frozen=True, slots=True)
class ChecksumVerified(Event):
    """A checksum was compared."""

    name: str
    computed: int
    found: int

    @property
    def correct(self) -> bool:
        """Whether they agree."""
        return self.computed == self.found


@dataclass(frozen=True, slots=True)
class ChecksumUpdated(Event):
    """A checksum was written."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class PipelineEntered(Event):
    """Ingress or egress begins."""

    pipeline: str


@dataclass(frozen=True, slots=True)
class TableApplied(Event):
    """A lookup and what it chose. entry is None on a miss, action None if there is nothing to run.

    member: id of the action profile member chosen, None for tables without a profile
    """

    table: str
    key: tuple[NamedValue, ...]
    entry: Entry | None
    member: int | None
    action: str | None
    params: tuple[NamedValue, ...]


@dataclass(frozen=True, slots=True)
class ConditionEvaluated(Event):
    """A branch."""

    name: str
    source: SourceInfo | None
    result: bool


@dataclass(frozen=True, slots=True)
class ActionRun(Event):
    """An action called without a table."""

    action: str


class FieldChange(NamedTuple):
    """One field before and after."""

    name: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class PrimitiveRun(Event):
    """A primitive and the fields it changed; validity shows as the field ``$valid$``."""

    op: str
    source: SourceInfo | None
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Logged(Event):
    """log_msg."""

    message: str


@dataclass(frozen=True, slots=True)
class Copied(Event):
    """A copy was made; packet is the id of the copy."""

    kind: Literal["ingress clone", "egress clone", "replica", "resubmitted", "recirculated"]
    source: int
    reference: int | None
    egress_port: int | None


@dataclass(frozen=True, slots=True)
class DigestSampled(Event):
    """A sample for the control plane."""

    name: str
    sample: tuple[NamedValue, ...]


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """The packet ends here."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deparsed(Event):
    """The headers the packet leaves with."""

    headers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sent(Event):
    """The packet leaves the switch."""

    port: int
    data: bytes


TraceSink = Callable[[Event], None]
