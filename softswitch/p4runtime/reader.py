"""The `Read` RPC: batches of requests (specification section "Read RPC").

All requests of a batch are answered without giving way to anything else in the event loop, so the answers show one
moment of the switch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.arrays import read_counters, read_meters, read_registers
from softswitch.p4runtime.digests import read_digests
from softswitch.p4runtime.direct import read_direct_counters, read_direct_meters
from softswitch.p4runtime.errors import Code, P4RuntimeError, invalid_argument, unimplemented
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.profiles import read_groups, read_members
from softswitch.p4runtime.replication import read_replication
from softswitch.p4runtime.table_reads import read_table_entries
from softswitch.p4runtime.valuesets import read_value_sets
from softswitch.state import StateError

log = logging.getLogger(__name__)

CHUNK_OCTETS: Final = 1 << 20
"""Size from which on a response is sent; clients take 4 MiB by default."""


def read_batch(
    pipeline: Pipeline, requests: Sequence[p4rt.Entity]
) -> tuple[list[p4rt.Entity], list[P4RuntimeError | None]]:
    """The entities asked for, and one outcome for every request."""
    found: list[p4rt.Entity] = []
    outcomes: list[P4RuntimeError | None] = []
    for request in requests:
        try:
            found += list(read_entity(pipeline, request))
            outcomes.append(None)
        except P4RuntimeError as error:
            outcomes.append(error)
        except StateError as error:
            outcomes.append(P4RuntimeError(Code[error.code], error.message))
        except Exception as error:
            log.exception("a read failed in an unforeseen way: %s", request)
            outcomes.append(P4RuntimeError(Code.INTERNAL, f"{type(error).__name__}: {error}"))
    return found, outcomes


def read_entity(pipeline: Pipeline, wanted: p4rt.Entity) -> Iterator[p4rt.Entity]:
    """The entities that one request asks for.

    Raises:
        P4RuntimeError, StateError: the request is refused.
    """
    match wanted.WhichOneof("entity"):
        case "table_entry":
            return read_table_entries(pipeline, wanted.table_entry)
        case "action_profile_member":
            return read_members(pipeline, wanted.action_profile_member)
        case "action_profile_group":
            return read_groups(pipeline, wanted.action_profile_group)
        case "counter_entry":
            return read_counters(pipeline, wanted.counter_entry)
        case "direct_counter_entry":
            return read_direct_counters(pipeline, wanted.direct_counter_entry)
        case "meter_entry":
            return read_meters(pipeline, wanted.meter_entry)
        case "direct_meter_entry":
            return read_direct_meters(pipeline, wanted.direct_meter_entry)
        case "register_entry":
            return read_registers(pipeline, wanted.register_entry)
        case "packet_replication_engine_entry":
            return read_replication(pipeline, wanted.packet_replication_engine_entry)
        case "value_set_entry":
            return read_value_sets(pipeline, wanted.value_set_entry)
        case "digest_entry":
            return read_digests(pipeline, wanted.digest_entry)
        case "extern_entry":
            raise unimplemented(f"extern type {wanted.extern_entry.extern_type_id}: v1model has no such externs")
        case _:
            raise invalid_argument("the request has no entity")


def chunks(entities: Iterable[p4rt.Entity]) -> Iterator[p4rt.ReadResponse]:
    """Responses of a size that clients take."""
    response, size = p4rt.ReadResponse(), 0
    for entity in entities:
        response.entities.append(entity)
        size += entity.ByteSize()
        if size >= CHUNK_OCTETS:
            yield response
            response, size = p4rt.ReadResponse(), 0
    if response.entities:
        yield response
