"""The `Write` RPC: batches of updates (specification sections "Write RPC" and "Batch Atomicity").

A batch is applied without giving way to anything else in the event loop, so no packet ever sees half of it: every
batch is atomic in the data plane, and the three modes differ only in what happens after an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.arrays import write_counter, write_meter, write_register
from softswitch.p4runtime.digests import write_digest
from softswitch.p4runtime.direct import write_direct_counter, write_direct_meter
from softswitch.p4runtime.errors import BatchError, Code, P4RuntimeError, invalid_argument, unimplemented
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.profiles import write_group, write_member
from softswitch.p4runtime.replication import write_replication
from softswitch.p4runtime.roles import RoleConfig
from softswitch.p4runtime.tables import write_table_entry
from softswitch.p4runtime.undo import UndoLog
from softswitch.p4runtime.valuesets import write_value_set
from softswitch.state import StateError

log = logging.getLogger(__name__)

Update = p4rt.Update
WriteRequest = p4rt.WriteRequest

_TYPES: Final = (Update.INSERT, Update.MODIFY, Update.DELETE)


def write_batch(
    pipeline: Pipeline,
    updates: Sequence[Update],
    atomicity: WriteRequest.Atomicity = WriteRequest.CONTINUE_ON_ERROR,
    role: RoleConfig | None = None,
) -> None:
    """Applies updates in their order.

    An update that fails changes nothing. With CONTINUE_ON_ERROR the others are applied nevertheless; with
    ROLLBACK_ON_ERROR and DATAPLANE_ATOMIC nothing is changed then, and the other updates are reported as ABORTED.

    Args:
        role: what the client may write, None for everything.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT for an unknown atomicity.
        BatchError: some updates failed.
    """
    if atomicity not in WriteRequest.Atomicity.values():
        raise invalid_argument(f"atomicity {atomicity} is not known")
    all_or_nothing = atomicity != WriteRequest.CONTINUE_ON_ERROR
    undo = UndoLog()
    outcomes: list[P4RuntimeError | None] = []
    for index, update in enumerate(updates):
        error = _attempt(pipeline, undo, update, role)
        outcomes.append(error)
        if error is not None and all_or_nothing:
            undo.roll_back()
            raise BatchError("updates", _aborted(len(updates), index, error))
        if not all_or_nothing:
            undo = UndoLog()
    if any(outcome is not None for outcome in outcomes):
        raise BatchError("updates", outcomes)


def _attempt(pipeline: Pipeline, undo: UndoLog, update: Update, role: RoleConfig | None) -> P4RuntimeError | None:
    mark = undo.mark()
    try:
        if role is not None:
            role.check_entity(update.entity)
        _apply(pipeline, undo, update)
    except P4RuntimeError as error:
        undo.roll_back(mark)
        return error
    except StateError as error:
        undo.roll_back(mark)
        return P4RuntimeError(Code[error.code], error.message)
    except Exception as error:
        log.exception("an update failed in an unforeseen way: %s", update)
        undo.roll_back(mark)
        return P4RuntimeError(Code.INTERNAL, f"{type(error).__name__}: {error}")
    return None


def _apply(pipeline: Pipeline, undo: UndoLog, update: Update) -> None:
    kind, entity = update.type, update.entity
    if kind not in _TYPES:
        raise invalid_argument(f"the update type {kind} is not INSERT, MODIFY or DELETE")
    match entity.WhichOneof("entity"):
        case "table_entry":
            write_table_entry(pipeline, undo, kind, entity.table_entry)
        case "action_profile_member":
            write_member(pipeline, undo, kind, entity.action_profile_member)
        case "action_profile_group":
            write_group(pipeline, undo, kind, entity.action_profile_group)
        case "counter_entry":
            write_counter(pipeline, undo, kind, entity.counter_entry)
        case "direct_counter_entry":
            write_direct_counter(pipeline, undo, kind, entity.direct_counter_entry)
        case "meter_entry":
            write_meter(pipeline, undo, kind, entity.meter_entry)
        case "direct_meter_entry":
            write_direct_meter(pipeline, undo, kind, entity.direct_meter_entry)
        case "register_entry":
            write_register(pipeline, undo, kind, entity.register_entry)
        case "packet_replication_engine_entry":
            write_replication(pipeline, undo, kind, entity.packet_replication_engine_entry)
        case "value_set_entry":
            write_value_set(pipeline, undo, kind, entity.value_set_entry)
        case "digest_entry":
            write_digest(pipeline, undo, kind, entity.digest_entry)
        case "extern_entry":
            raise unimplemented(f"extern type {entity.extern_entry.extern_type_id}: v1model has no such externs")
        case _:
            raise invalid_argument("the update has no entity")


def _aborted(count: int, index: int, error: P4RuntimeError) -> list[P4RuntimeError]:
    others = P4RuntimeError(Code.ABORTED, f"nothing was changed, since update {index} failed")
    return [error if position == index else others for position in range(count)]
