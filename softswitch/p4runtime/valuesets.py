"""Parser value sets (`ValueSetEntry`)."""

from __future__ import annotations

from collections.abc import Iterator

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import already_exists, invalid_argument, resource_exhausted
from softswitch.p4runtime.match import decode_match, encode_match
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.schema import look_up
from softswitch.p4runtime.undo import UndoLog

Update = p4rt.Update


def write_value_set(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.ValueSetEntry) -> None:
    """Replaces the members of a value set.

    Raises:
        P4RuntimeError: the update is refused.
    """
    value_set = look_up(pipeline.schema.value_sets, message.value_set_id, "value set")
    where = f"value set {value_set.name}"
    if kind != Update.MODIFY:
        raise invalid_argument(f"{where}: it can only be modified")
    if len(message.members) > value_set.size:
        raise resource_exhausted(f"{where}: {len(message.members)} members, its size is {value_set.size}")
    members = [
        decode_match(value_set.keys, member.match, f"{where}: member {index}")
        for index, member in enumerate(message.members)
    ]
    for index, member in enumerate(members):
        if member in members[:index]:
            raise already_exists(f"{where}: member {index} repeats an earlier one")
    state = pipeline.state.value_set(value_set.name)
    old = state.members
    state.set_members(members)
    undo.push(lambda: state.set_members(old))


def read_value_sets(pipeline: Pipeline, wanted: p4rt.ValueSetEntry) -> Iterator[p4rt.Entity]:
    """The value sets that a request asks for; id 0 asks for all.

    Raises:
        P4RuntimeError: the request is refused.
    """
    if wanted.members:
        raise invalid_argument("value set: members must not be set in a read")
    value_sets = pipeline.schema.value_sets
    known = (
        [look_up(value_sets, wanted.value_set_id, "value set")] if wanted.value_set_id else list(value_sets.values())
    )
    for value_set in known:
        members = [
            p4rt.ValueSetMember(match=encode_match(value_set.keys, member))
            for member in pipeline.state.value_set(value_set.name).members
        ]
        yield p4rt.Entity(value_set_entry=p4rt.ValueSetEntry(value_set_id=value_set.id, members=members))
