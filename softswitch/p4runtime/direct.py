"""Direct counters and meters by themselves (`DirectCounterEntry`, `DirectMeterEntry`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import P4RuntimeError, invalid_argument, not_found, unimplemented
from softswitch.p4runtime.match import encode_match
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.resources import (
    counter_data,
    encode_meter_config,
    no_direct_counter,
    no_direct_meter,
    refuse_meter_counters,
    set_direct_counter,
    set_direct_meter,
)
from softswitch.p4runtime.schema import Table, look_up
from softswitch.p4runtime.table_reads import select_entries
from softswitch.p4runtime.tables import find_entry
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import Entry

Update = p4rt.Update


def write_direct_counter(
    pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.DirectCounterEntry
) -> None:
    """Sets the direct counter of an entry; without data nothing changes.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    table, entry = _named(pipeline, kind, message)
    if table.counter is None:
        raise no_direct_counter(table)
    if message.HasField("data"):
        where = f"table {table.name}: direct counter"
        set_direct_counter(undo, pipeline.state.table(table.name), entry, message.data, where)


def write_direct_meter(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.DirectMeterEntry) -> None:
    """Configures the direct meter of an entry; without config every packet is green again.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    table, entry = _named(pipeline, kind, message)
    if message.HasField("counter_data"):
        raise refuse_meter_counters(f"table {table.name}: direct meter")
    config = message.config if message.HasField("config") else None
    set_direct_meter(undo, pipeline.state.table(table.name), table, entry, config)


def read_direct_counters(pipeline: Pipeline, wanted: p4rt.DirectCounterEntry) -> Iterator[p4rt.Entity]:
    """The direct counters that a request asks for: of one entry, of a table, or of all tables.

    Raises:
        P4RuntimeError: the request is refused; NOT_FOUND if it names an entry that is not there.
    """
    for table in _tables(pipeline, wanted):
        if table.counter is None:
            if wanted.table_entry.table_id:
                raise no_direct_counter(table)
            continue
        for entry in _entries(pipeline, table, wanted.table_entry):
            data = counter_data(table.counter, entry.packets, entry.bytes)
            message = p4rt.DirectCounterEntry(table_entry=_key(table, entry), data=data)
            yield p4rt.Entity(direct_counter_entry=message)


def read_direct_meters(pipeline: Pipeline, wanted: p4rt.DirectMeterEntry) -> Iterator[p4rt.Entity]:
    """The direct meters that a request asks for: of one entry, of a table, or of all tables.

    Raises:
        P4RuntimeError: the request is refused; NOT_FOUND if it names an entry that is not there.
    """
    if wanted.HasField("counter_data"):
        raise refuse_meter_counters("direct meter")
    for table in _tables(pipeline, wanted):
        if table.meter is None:
            if wanted.table_entry.table_id:
                raise no_direct_meter(table)
            continue
        for entry in _entries(pipeline, table, wanted.table_entry):
            message = p4rt.DirectMeterEntry(table_entry=_key(table, entry))
            if entry.meter is not None and entry.meter.config is not None:
                message.config.CopyFrom(encode_meter_config(entry.meter.config))
            yield p4rt.Entity(direct_meter_entry=message)


def _named(
    pipeline: Pipeline, kind: Update.Type, message: p4rt.DirectCounterEntry | p4rt.DirectMeterEntry
) -> tuple[Table, Entry]:
    if not message.HasField("table_entry"):
        raise invalid_argument("direct resource: table_entry is not set")
    table = look_up(pipeline.schema.tables, message.table_entry.table_id, "table")
    if kind != Update.MODIFY:
        raise invalid_argument(f"table {table.name}: a direct resource can only be modified")
    if message.table_entry.is_default_action:
        raise _no_default(table)
    return table, find_entry(pipeline, table, message.table_entry)


def _tables(pipeline: Pipeline, wanted: p4rt.DirectCounterEntry | p4rt.DirectMeterEntry) -> list[Table]:
    if not wanted.HasField("table_entry"):
        raise invalid_argument("direct resource: table_entry is not set")
    if not wanted.table_entry.table_id:
        return list(pipeline.schema.tables.values())
    table = look_up(pipeline.schema.tables, wanted.table_entry.table_id, "table")
    if wanted.table_entry.is_default_action:
        raise _no_default(table)
    return [table]


def _entries(pipeline: Pipeline, table: Table, wanted: p4rt.TableEntry) -> Iterable[Entry]:
    entries = list(select_entries(pipeline, table, wanted))
    if wanted.match and not entries:
        raise not_found(f"table {table.name}: there is no entry with this match")
    return entries


def _key(table: Table, entry: Entry) -> p4rt.TableEntry:
    return p4rt.TableEntry(
        table_id=table.id,
        match=encode_match(table.keys, entry.match),
        priority=entry.priority if table.needs_priority else 0,
    )


def _no_default(table: Table) -> P4RuntimeError:
    return unimplemented(f"table {table.name}: bmv2 keeps no direct resources for default entries")
