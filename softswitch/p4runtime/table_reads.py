"""Reading table entries (specification section "TableEntry", "Wildcard Reads")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.action import encode_action
from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.match import decode_match, encode_match
from softswitch.p4runtime.notes import NO_NOTE, EntryNote, entry_key
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.resources import counter_data, encode_meter_config, refuse_meter_counters
from softswitch.p4runtime.schema import Schema, Table, look_up
from softswitch.state import ActionCall, Entry, GroupRef, MemberRef, NotFound, Target


def read_table_entries(pipeline: Pipeline, wanted: p4rt.TableEntry) -> Iterator[p4rt.Entity]:
    """The entries that a request asks for; table id 0 asks for those of all tables.

    Raises:
        P4RuntimeError: the request is refused.
    """
    if wanted.HasField("meter_counter_data"):
        raise refuse_meter_counters("table entry")
    for table in _wanted_tables(pipeline, wanted):
        if wanted.is_default_action:
            _check_default(table, wanted)
            yield p4rt.Entity(table_entry=_default(pipeline, table))
            continue
        if wanted.HasField("time_since_last_hit") and wanted.table_id and not table.idle_timeout:
            raise invalid_argument(f"table {table.name}: time_since_last_hit: it does not support idle timeouts")
        action_id = _wanted_action(table, wanted)
        for entry in select_entries(pipeline, table, wanted):
            note = pipeline.notes.entries.get(entry_key(table.name, entry), NO_NOTE)
            message = encode_entry(pipeline, table, entry, note)
            if action_id in (0, message.action.action.action_id) and _note_fits(note, wanted):
                _add_resources(pipeline, table, entry, wanted, message)
                yield p4rt.Entity(table_entry=message)


def select_entries(pipeline: Pipeline, table: Table, wanted: p4rt.TableEntry) -> Iterable[Entry]:
    """The entries that fit the wanted match and priority; what is unset fits all.

    Raises:
        P4RuntimeError: the match is malformed.
    """
    state = pipeline.state.table(table.name)
    if not wanted.match:
        return [entry for entry in state.entries() if wanted.priority in (0, entry.priority)]
    match = decode_match(table.keys, wanted.match, f"table {table.name}")
    if table.needs_priority and not wanted.priority:
        return [entry for entry in state.entries() if entry.match == match]
    try:
        return [state.get(match, wanted.priority)]
    except NotFound:
        return []


def encode_entry(pipeline: Pipeline, table: Table, entry: Entry, note: EntryNote) -> p4rt.TableEntry:
    """An entry's canonical message, without direct resources."""
    message = p4rt.TableEntry(
        table_id=table.id,
        match=encode_match(table.keys, entry.match),
        priority=entry.priority if table.needs_priority else 0,
        controller_metadata=note.controller_metadata,
        metadata=note.metadata,
        idle_timeout_ns=entry.idle_timeout_ns,
        is_const=table.const,
    )
    if note.action_set is not None:
        message.action.action_profile_action_set.CopyFrom(note.action_set)
    else:
        message.action.CopyFrom(_encode_target(pipeline.schema, entry.target))
    return message


def _wanted_tables(pipeline: Pipeline, wanted: p4rt.TableEntry) -> list[Table]:
    if wanted.table_id:
        return [look_up(pipeline.schema.tables, wanted.table_id, "table")]
    for field in ("match", "action", "priority", "controller_metadata", "metadata"):
        if getattr(wanted, field) != getattr(p4rt.TableEntry(), field):
            raise invalid_argument(f"table entry: {field} cannot filter without a table_id")
    return list(pipeline.schema.tables.values())


def _wanted_action(table: Table, wanted: p4rt.TableEntry) -> int:
    if not wanted.HasField("action"):
        return 0
    if wanted.action.WhichOneof("type") != "action":
        raise invalid_argument(f"table {table.name}: entries can be filtered by plain actions only")
    action_id = wanted.action.action.action_id
    if action_id not in table.actions:
        raise invalid_argument(f"table {table.name}: it has no action with id {action_id}")
    return action_id


def _note_fits(note: EntryNote, wanted: p4rt.TableEntry) -> bool:
    return wanted.controller_metadata in (0, note.controller_metadata) and wanted.metadata in (b"", note.metadata)


def _add_resources(
    pipeline: Pipeline, table: Table, entry: Entry, wanted: p4rt.TableEntry, message: p4rt.TableEntry
) -> None:
    """Direct resources and idle time, as far as the request sets the fields and the table has them."""
    if wanted.HasField("counter_data") and table.counter is not None:
        message.counter_data.CopyFrom(counter_data(table.counter, entry.packets, entry.bytes))
    if wanted.HasField("meter_config") and entry.meter is not None and entry.meter.config is not None:
        message.meter_config.CopyFrom(encode_meter_config(entry.meter.config))
    if wanted.HasField("time_since_last_hit") and table.idle_timeout:
        message.time_since_last_hit.elapsed_ns = max(pipeline.state.clock() - entry.last_hit_ns, 0)


def _check_default(table: Table, wanted: p4rt.TableEntry) -> None:
    if wanted.match or wanted.priority:
        raise invalid_argument(f"table {table.name}: match and priority must not be set with is_default_action")
    if wanted.idle_timeout_ns or wanted.HasField("time_since_last_hit"):
        raise invalid_argument(f"table {table.name}: the default entry has no idle timeout")


def _default(pipeline: Pipeline, table: Table) -> p4rt.TableEntry:
    """The default entry; NoAction in a table with an action profile, where bmv2 has none."""
    note = pipeline.notes.entries.get((table.name,), NO_NOTE)
    message = p4rt.TableEntry(
        table_id=table.id,
        is_default_action=True,
        controller_metadata=note.controller_metadata,
        metadata=note.metadata,
        is_const=table.const_default or table.profile is not None,
    )
    target = pipeline.state.table(table.name).default
    if target is None:
        target = ActionCall("NoAction")
    if not isinstance(target, ActionCall) or target.name in pipeline.schema.actions:
        message.action.CopyFrom(_encode_target(pipeline.schema, target))
    return message


def _encode_target(schema: Schema, target: Target) -> p4rt.TableAction:
    match target:
        case MemberRef(member_id):
            return p4rt.TableAction(action_profile_member_id=member_id)
        case GroupRef(group_id):
            return p4rt.TableAction(action_profile_group_id=group_id)
        case ActionCall():
            return p4rt.TableAction(action=encode_action(schema.actions, target))
