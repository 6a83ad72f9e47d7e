"""Writing table entries (specification section "TableEntry")."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime import oneshot
from softswitch.p4runtime.action import decode_action
from softswitch.p4runtime.errors import invalid_argument, permission_denied, unimplemented
from softswitch.p4runtime.match import decode_match
from softswitch.p4runtime.notes import NO_NOTE, EntryNote, entry_key, put
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.profiles import refuse_mixture
from softswitch.p4runtime.resources import (
    no_direct_counter,
    no_direct_meter,
    refuse_meter_counters,
    set_direct_counter,
    set_direct_meter,
)
from softswitch.p4runtime.schema import Scope, Table, look_up
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import ActionCall, Entry, GroupRef, Match, MemberRef, Target
from softswitch.state import Table as TableState

Update = p4rt.Update


def write_table_entry(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.TableEntry) -> None:
    """Applies one update of a table entry.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    table = look_up(pipeline.schema.tables, message.table_id, "table")
    where = f"table {table.name}"
    if message.is_const:
        raise invalid_argument(f"{where}: is_const must not be set in a write")
    state = pipeline.state.table(table.name)
    if message.is_default_action:
        _write_default(pipeline, undo, kind, table, state, message)
    elif kind == Update.DELETE:
        _delete(pipeline, undo, table, state, message)
    else:
        _check_fields(table, message, where)
        if kind == Update.INSERT:
            _insert(pipeline, undo, table, state, message)
        else:
            _modify(pipeline, undo, table, state, message)


def find_entry(pipeline: Pipeline, table: Table, message: p4rt.TableEntry) -> Entry:
    """The entry that a message names by match and priority.

    Raises:
        P4RuntimeError: the match or the priority is malformed.
        NotFound: there is no such entry.
    """
    return pipeline.state.table(table.name).get(*entry_identity(table, message))


def entry_identity(table: Table, message: p4rt.TableEntry) -> tuple[Match, int]:
    """Match and priority.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT or OUT_OF_RANGE, naming the table and the field.
    """
    where = f"table {table.name}"
    match = decode_match(table.keys, message.match, where)
    if table.needs_priority and message.priority <= 0:
        raise invalid_argument(f"{where}: priority {message.priority}; entries of this table need a positive one")
    if not table.needs_priority and message.priority != 0:
        raise invalid_argument(f"{where}: priority {message.priority}; entries of this table have none")
    return match, message.priority


def _insert(pipeline: Pipeline, undo: UndoLog, table: Table, state: TableState, message: p4rt.TableEntry) -> None:
    where = f"table {table.name}"
    if table.const:
        raise permission_denied(f"{where}: its entries are constant")
    if not table.keys:
        raise invalid_argument(f"{where}: it has no key, so no entry can be inserted")
    match, priority = entry_identity(table, message)
    target, action_set = _target(pipeline, undo, table, message.action)
    entry = state.insert(match, target, priority, idle_timeout_ns=message.idle_timeout_ns)
    undo.push(lambda: state.delete(match, priority))
    _set_resources(undo, table, state, entry, message)
    _put_note(pipeline, undo, table, entry, message, action_set)


def _modify(pipeline: Pipeline, undo: UndoLog, table: Table, state: TableState, message: p4rt.TableEntry) -> None:
    match, priority = entry_identity(table, message)
    entry = state.get(match, priority)
    if table.const:
        if message.HasField("action") or message.metadata or message.controller_metadata:
            raise permission_denied(f"table {table.name}: of a constant entry only direct resources can be modified")
        _set_resources(undo, table, state, entry, message)
        return
    old_target = entry.target
    old_set = pipeline.notes.entries.get(entry_key(table.name, entry), NO_NOTE).action_set
    if message.HasField("action"):
        target, action_set = _target(pipeline, undo, table, message.action)
    else:
        target, action_set = old_target, old_set
    old_timeout, last_hit = entry.idle_timeout_ns, entry.last_hit_ns

    def restore() -> None:
        restored = state.modify(match, old_target, priority, idle_timeout_ns=old_timeout)
        restored.last_hit_ns = last_hit

    state.modify(match, target, priority, idle_timeout_ns=message.idle_timeout_ns)
    undo.push(restore)
    if old_set is not None and isinstance(old_target, GroupRef) and target != old_target and table.profile:
        oneshot.destroy(pipeline, undo, table.profile, old_target)
    _set_resources(undo, table, state, entry, message)
    _put_note(pipeline, undo, table, entry, message, action_set)


def _delete(pipeline: Pipeline, undo: UndoLog, table: Table, state: TableState, message: p4rt.TableEntry) -> None:
    if table.const:
        raise permission_denied(f"table {table.name}: its entries are constant")
    match, priority = entry_identity(table, message)
    old = state.get(match, priority)
    key = entry_key(table.name, old)
    one_shot = pipeline.notes.entries.get(key, NO_NOTE).action_set is not None

    def restore() -> None:
        entry = state.insert(match, old.target, priority, idle_timeout_ns=old.idle_timeout_ns)
        entry.last_hit_ns, entry.packets, entry.bytes = old.last_hit_ns, old.packets, old.bytes
        entry.meter = old.meter

    state.delete(match, priority)
    undo.push(restore)
    put(pipeline.notes.entries, key, None, undo)
    if one_shot and isinstance(old.target, GroupRef) and table.profile:
        oneshot.destroy(pipeline, undo, table.profile, old.target)


def _write_default(
    pipeline: Pipeline,
    undo: UndoLog,
    kind: Update.Type,
    table: Table,
    state: TableState,
    message: p4rt.TableEntry,
) -> None:
    where = f"table {table.name}: default entry"
    if kind != Update.MODIFY:
        raise invalid_argument(f"{where}: it can only be modified, not inserted or deleted")
    if message.match or message.priority:
        raise invalid_argument(f"{where}: match and priority must not be set with is_default_action")
    if message.idle_timeout_ns or message.HasField("time_since_last_hit"):
        raise invalid_argument(f"{where}: it has no idle timeout")
    if table.profile is not None:
        raise invalid_argument(f"{where}: that of a table with an action profile cannot be modified")
    if table.const_default:
        raise permission_denied(f"{where}: it is constant")
    for field in ("counter_data", "meter_config", "meter_counter_data"):
        if message.HasField(field):
            raise unimplemented(f"{where}: {field}: bmv2 keeps no direct resources for default entries")
    call: ActionCall | None = None
    if message.HasField("action"):
        if message.action.WhichOneof("type") != "action":
            raise invalid_argument(f"{where}: the action must be a plain action")
        call = decode_action(table.actions, message.action.action, where)
        if table.scopes[message.action.action.action_id] == Scope.TABLE_ONLY:
            raise permission_denied(f"{where}: action {call.name} is not for the default entry")
    old = state.default
    state.set_default(call)
    undo.push(lambda: state.set_default(old))
    note = EntryNote(message.controller_metadata, message.metadata) if call else NO_NOTE
    put(pipeline.notes.entries, (table.name,), note, undo)


def _target(
    pipeline: Pipeline, undo: UndoLog, table: Table, action: p4rt.TableAction
) -> tuple[Target, p4rt.ActionProfileActionSet | None]:
    """The entry's target and, for a one-shot, its action set in canonical form."""
    where = f"table {table.name}"
    kind = action.WhichOneof("type")
    if kind is None:
        raise invalid_argument(f"{where}: the action is not set")
    if (kind == "action") != (table.profile is None):
        wanted = "a plain action" if table.profile is None else f"a reference into {table.profile.name}"
        raise invalid_argument(f"{where}: the action is of kind {kind}, the table takes {wanted}")
    if table.profile is None:
        call = decode_action(table.actions, action.action, where)
        if table.scopes[action.action.action_id] == Scope.DEFAULT_ONLY:
            raise permission_denied(f"{where}: action {call.name} is for the default entry only")
        return call, None
    if kind == "action_profile_action_set":
        return oneshot.create(pipeline, undo, table, action.action_profile_action_set)
    refuse_mixture(table.profile, pipeline.state.action_profile(table.profile.name), one_shot=False)
    if kind == "action_profile_member_id":
        return MemberRef(action.action_profile_member_id), None
    if not table.profile.with_selector:
        raise invalid_argument(f"{where}: {table.profile.name} has no selector, so it has no groups")
    return GroupRef(action.action_profile_group_id), None


def _check_fields(table: Table, message: p4rt.TableEntry, where: str) -> None:
    """What must not be set in an INSERT or MODIFY."""
    if message.HasField("time_since_last_hit"):
        raise invalid_argument(f"{where}: time_since_last_hit must not be set in a write")
    if message.idle_timeout_ns < 0:
        raise invalid_argument(f"{where}: idle_timeout_ns {message.idle_timeout_ns} is negative")
    if message.idle_timeout_ns and not table.idle_timeout:
        raise invalid_argument(f"{where}: idle_timeout_ns is set and the table does not support idle timeouts")
    if message.HasField("meter_counter_data"):
        raise refuse_meter_counters(where)
    if message.HasField("counter_data") and table.counter is None:
        raise no_direct_counter(table)
    if message.HasField("meter_config") and table.meter is None:
        raise no_direct_meter(table)


def _set_resources(undo: UndoLog, table: Table, state: TableState, entry: Entry, message: p4rt.TableEntry) -> None:
    if message.HasField("counter_data"):
        set_direct_counter(undo, state, entry, message.counter_data, f"table {table.name}: counter_data")
    if table.meter is not None:
        config = message.meter_config if message.HasField("meter_config") else None
        set_direct_meter(undo, state, table, entry, config)


def _put_note(
    pipeline: Pipeline,
    undo: UndoLog,
    table: Table,
    entry: Entry,
    message: p4rt.TableEntry,
    action_set: p4rt.ActionProfileActionSet | None,
) -> None:
    note = EntryNote(message.controller_metadata, message.metadata, action_set)
    put(pipeline.notes.entries, entry_key(table.name, entry), None if note == NO_NOTE else note, undo)
