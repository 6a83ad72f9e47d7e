"""Carries forwarding state from one pipeline to another, for COMMIT and RECONCILE_AND_COMMIT.

Everything that a client wrote goes along or the transfer fails. What the data plane itself changes (counter values and
registers, "data plane volatile" in the specification) goes along where the other pipeline still has the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import BatchError, invalid_argument
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.reader import read_entity
from softswitch.p4runtime.schema import Schema
from softswitch.p4runtime.writer import write_batch
from softswitch.state import ActionCall

Entity = p4rt.Entity
Update = p4rt.Update


class _Named(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


def transfer(source: Pipeline, target: Pipeline) -> None:
    """Writes the forwarding state of `source` into `target`, which is fresh.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming what cannot be preserved; `target` is of no use then.
    """
    _check_ids(source.schema, target.schema)
    _empty(source, target)
    for updates in (_members(source), _groups(source), _entries(source, target.schema), _others(source)):
        _write(target, list(updates))
    for update in _volatile(source):
        try:
            write_batch(target, [update])
        except BatchError:
            continue  # the place is gone, and with it the value


def _empty(source: Pipeline, target: Pipeline) -> None:
    """Without the entries that both programs bring along: the source has them, or a client deleted them."""
    for table in target.schema.tables.values():
        before = source.schema.tables.get(table.id)
        if before is not None and not before.const and not table.const:
            state = target.state.table(table.name)
            for entry in list(state.entries()):
                state.delete(entry.match, entry.priority)


def _write(target: Pipeline, updates: list[Update]) -> None:
    try:
        write_batch(target, updates)
    except BatchError as error:
        first = next(outcome for outcome in error.outcomes if outcome is not None)
        raise invalid_argument(f"the forwarding state cannot be preserved: {first.message}") from None


def _members(source: Pipeline) -> Iterator[Update]:
    yield from _updates(source, Update.INSERT, Entity(action_profile_member=p4rt.ActionProfileMember()))


def _groups(source: Pipeline) -> Iterator[Update]:
    yield from _updates(source, Update.INSERT, Entity(action_profile_group=p4rt.ActionProfileGroup()))


def _entries(source: Pipeline, target: Schema) -> Iterator[Update]:
    for table in source.schema.tables.values():
        wanted = p4rt.TableEntry(table_id=table.id, meter_config=p4rt.MeterConfig(), counter_data=p4rt.CounterData())
        for entity in read_entity(source, Entity(table_entry=wanted)):
            entry = entity.table_entry
            other = target.tables.get(table.id)
            if other is not None and other.counter is None:
                entry.ClearField("counter_data")
            if entry.is_const:
                # The program brings the entry along; its direct resources are all that a client can have changed.
                entry.ClearField("is_const")
                entry.ClearField("action")
                yield Update(type=Update.MODIFY, entity=entity)
            else:
                yield Update(type=Update.INSERT, entity=entity)
        definition = source.verified.program.tables[table.name].default_entry
        initial = ActionCall(definition.action.name, definition.arguments) if definition else None
        noted = (table.name,) in source.notes.entries
        if table.profile is None and (noted or source.state.table(table.name).default != initial):
            default = p4rt.TableEntry(table_id=table.id, is_default_action=True)
            yield from _updates(source, Update.MODIFY, Entity(table_entry=default))


def _others(source: Pipeline) -> Iterator[Update]:
    replication = p4rt.PacketReplicationEngineEntry
    for wanted in (
        Entity(packet_replication_engine_entry=replication(multicast_group_entry=p4rt.MulticastGroupEntry())),
        Entity(packet_replication_engine_entry=replication(clone_session_entry=p4rt.CloneSessionEntry())),
        Entity(digest_entry=p4rt.DigestEntry()),
    ):
        yield from _updates(source, Update.INSERT, wanted)
    for meter in source.schema.meters.values():
        for index in range(meter.size):
            if source.state.meter(meter.name).read(index) is not None:
                cell = p4rt.MeterEntry(meter_id=meter.id, index=p4rt.Index(index=index))
                yield from _updates(source, Update.MODIFY, Entity(meter_entry=cell))
    for update in _updates(source, Update.MODIFY, Entity(value_set_entry=p4rt.ValueSetEntry())):
        if update.entity.value_set_entry.members:
            yield update


def _volatile(source: Pipeline) -> Iterator[Update]:
    for counter in source.schema.counters.values():
        for index in range(counter.size):
            if any(source.state.counter(counter.name).read(index)):
                cell = p4rt.CounterEntry(counter_id=counter.id, index=p4rt.Index(index=index))
                yield from _updates(source, Update.MODIFY, Entity(counter_entry=cell))
    for register in source.schema.registers.values():
        for index, value in enumerate(source.state.register(register.name)):
            if value:
                wanted = p4rt.RegisterEntry(register_id=register.id, index=p4rt.Index(index=index))
                yield from _updates(source, Update.MODIFY, Entity(register_entry=wanted))


def _updates(source: Pipeline, kind: Update.Type, wanted: Entity) -> Iterator[Update]:
    for entity in read_entity(source, wanted):
        if entity.HasField("table_entry"):
            entity.table_entry.ClearField("is_const")
        yield Update(type=kind, entity=entity)


def _check_ids(old: Schema, new: Schema) -> None:
    """An id must not have changed hands, or state would end up in the wrong place.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT.
    """
    for noun, before, after in (
        ("table", old.tables, new.tables),
        ("action profile", old.profiles, new.profiles),
        ("counter", old.counters, new.counters),
        ("meter", old.meters, new.meters),
        ("register", old.registers, new.registers),
        ("value set", old.value_sets, new.value_sets),
        ("digest", old.digests, new.digests),
        ("action", _by_id(old.actions.values()), _by_id(new.actions.values())),
    ):
        _same_names(noun, before, after)
    for table in old.tables.values():
        if table.id in new.tables:
            keys = new.tables[table.id].keys
            _same_names(f"table {table.name}: match field", _by_id(table.keys), _by_id(keys))
    for action in old.actions.values():
        if action.name in new.actions:
            params = new.actions[action.name].params
            _same_names(f"action {action.name}: parameter", _by_id(action.params), _by_id(params))


def _by_id(things: Iterable[_Named]) -> dict[int, _Named]:
    return {thing.id: thing for thing in things}


def _same_names(noun: str, before: Mapping[int, _Named], after: Mapping[int, _Named]) -> None:
    for object_id, thing in before.items():
        if object_id in after and after[object_id].name != thing.name:
            raise invalid_argument(
                "the forwarding state cannot be preserved: "
                f"{noun} id {object_id} was {thing.name} and is now {after[object_id].name}"
            )
