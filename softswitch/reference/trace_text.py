"""Traces for people."""

from __future__ import annotations

from collections.abc import Iterable

from softswitch.program.actions import SourceInfo
from softswitch.program.match import Exact, Lpm, MatchValue, Optional_, Range, Ternary
from softswitch.reference.trace import (
    ActionRun,
    ChecksumUpdated,
    ChecksumVerified,
    ConditionEvaluated,
    Copied,
    Deparsed,
    DigestSampled,
    Dropped,
    Event,
    Extracted,
    Logged,
    NamedValue,
    ParserError,
    PipelineEntered,
    PrimitiveRun,
    Received,
    Sent,
    StateEntered,
    TableApplied,
    Transition,
)

_SHOWN_OCTETS = 64


def render(events: Iterable[Event]) -> str:
    """One line, or a few, for each event; each begins with the id of its packet."""
    return "\n".join(line for event in events for line in _lines(event))


def _lines(event: Event) -> list[str]:
    first, *rest = _describe(event)
    prefix = f"[{event.packet}] "
    return [prefix + first, *(" " * len(prefix) + "  " + line for line in rest)]


def _describe(event: Event) -> list[str]:
    match event:
        case Received(port=port, data=data):
            return [f"received on port {port}: {_octets(data)}"]
        case StateEntered(state=state):
            return [f"parser state {state}"]
        case Extracted(header=header, fields=fields):
            return [f"extracted {header}", *map(_named, fields)]
        case Transition(key=key, next_state=next_state):
            on = f" on {', '.join(map(_named, key))}" if key else ""
            return [f"transition to {next_state or 'accept'}{on}"]
        case ParserError(state=state, error=error):
            return [f"parser error {error} in state {state}"]
        case ChecksumVerified(name=name, computed=computed, found=found):
            verdict = "correct" if event.correct else "wrong"
            return [f"checksum {name} {verdict}: computed {computed:#x}, found {found:#x}"]
        case ChecksumUpdated(name=name, value=value):
            return [f"checksum {name} set to {value:#x}"]
        case PipelineEntered(pipeline=pipeline):
            return [f"{pipeline} begins"]
        case TableApplied():
            return _table(event)
        case ConditionEvaluated(name=name, source=source, result=result):
            return [f"condition {_source(source) or name} is {str(result).lower()}"]
        case ActionRun(action=action):
            return [f"action {action}"]
        case PrimitiveRun(op=op, source=source, changes=changes):
            what = _source(source)
            return [
                f"{op}{f'  {what}' if what else ''}",
                *(f"{change.name}: {change.old:#x} -> {change.new:#x}" for change in changes),
            ]
        case Logged(message=message):
            return [f"log: {message}"]
        case Copied(kind=kind, source=source_id, reference=reference, egress_port=port):
            by = f" by {reference}" if reference is not None else ""
            to = f" to port {port}" if port is not None else ""
            return [f"{kind} of [{source_id}]{by}{to}"]
        case DigestSampled(name=name, sample=sample):
            return [f"digest {name}: {', '.join(map(_named, sample))}"]
        case Dropped(where=where, reason=reason):
            return [f"dropped in {where}: {reason}"]
        case Deparsed(headers=headers):
            return [f"deparsed {', '.join(headers) or 'no headers'}"]
        case Sent(port=port, data=data):
            return [f"sent to port {port}: {_octets(data)}"]
    return [repr(event)]


def _table(event: TableApplied) -> list[str]:
    call = f"{event.action}({', '.join(map(_named, event.params))})" if event.action else "no action"
    lines = [f"table {event.table}: {'miss' if event.entry is None else 'hit'} -> {call}"]
    matches: Iterable[MatchValue | None] = event.entry.match if event.entry else [None] * len(event.key)
    for part, wanted in zip(event.key, matches, strict=True):
        lines.append(_named(part) + (f"  matches {_match(wanted, part.width)}" if wanted else ""))
    if event.entry is not None and event.entry.priority:
        lines.append(f"priority {event.entry.priority}")
    if event.member is not None:
        lines.append(f"member {event.member}")
    return lines


def _match(wanted: MatchValue, width: int) -> str:
    match wanted:
        case Exact(value):
            return _hex(value, width)
        case Lpm(value, length):
            return f"{_hex(value, width)}/{length}"
        case Ternary(value, mask):
            return f"{_hex(value, width)} &&& {_hex(mask, width)}"
        case Range(low, high):
            return f"{_hex(low, width)}..{_hex(high, width)}"
        case Optional_(value):
            return "anything" if value is None else _hex(value, width)


def _hex(value: int, width: int) -> str:
    return f"{value:#0{2 + (width + 3) // 4}x}"


def _named(part: NamedValue) -> str:
    return f"{part.name} = {_hex(part.value, part.width)}"


def _octets(data: bytes) -> str:
    more = "..." if len(data) > _SHOWN_OCTETS else ""
    return f"{len(data)} octets {data[:_SHOWN_OCTETS].hex()}{more}"


def _source(source: SourceInfo | None) -> str:
    if source is None:
        return ""
    fragment = " ".join(source.fragment.split())
    return f"{fragment} ({source.file}:{source.line})" if fragment else f"({source.file}:{source.line})"
