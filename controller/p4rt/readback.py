"""Reading back what a controller may have written, in the canonical form in which it is compared."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Encoded, Rank
from controller.p4rt.entities import Entity
from controller.p4rt.errors import P4RuntimeError, RpcError
from controller.p4rt.p4info import Table

log = logging.getLogger(__name__)

Query = p4runtime_pb2.Entity


def table_query(table: Table, default: bool = False) -> Query:
    """All entries of a table, or its default entry, with the configuration of their meters."""
    query = Query()
    query.table_entry.table_id = table.id
    query.table_entry.is_default_action = default
    if table.direct_meter_id and not default:
        query.table_entry.meter_config.SetInParent()
    return query


async def read_table(client: P4RuntimeClient, name: str) -> list[Entity]:
    """The entries of a table, default entry not included; raises UnknownNameError, RpcError, DecodingError."""
    return await client.read_entities(table_query(client.codec.info.tables[name]))


async def read_default(client: P4RuntimeClient, name: str) -> Entity:
    """The default entry of a table; raises as `read_table`."""
    (entry,) = await client.read_entities(table_query(client.codec.info.tables[name], default=True))
    return entry


async def read_counter(client: P4RuntimeClient, name: str, index: int | None = None) -> list[Entity]:
    """One cell of a counter, or all; raises as `read_table`."""
    query = Query()
    query.counter_entry.counter_id = client.codec.info.counters[name].id
    if index is not None:
        query.counter_entry.index.index = index
        query.counter_entry.index.SetInParent()
    return await client.read_entities(query)


async def read_direct_counters(client: P4RuntimeClient, table: str) -> list[Entity]:
    """The counters of all entries of a table; raises as `read_table`."""
    query = Query()
    query.direct_counter_entry.table_entry.table_id = client.codec.info.tables[table].id
    return await client.read_entities(query)


async def read_register(client: P4RuntimeClient, name: str, index: int | None = None) -> list[Entity]:
    """One cell of a register, or all; raises as `read_table`. bmv2 cannot."""
    query = Query()
    query.register_entry.register_id = client.codec.info.registers[name].id
    if index is not None:
        query.register_entry.index.index = index
        query.register_entry.index.SetInParent()
    return await client.read_entities(query)


class StateReader:
    """Reads all reconcilable state of a switch.

    Not read, and so never removed: tables whose entries the program brings along; meters and value sets
    which `desired` does not mention, for they may be large and mostly in their initial state; default
    actions of which the P4Info does not tell what the program's own is.

    Args:
        desired: what is hoped to be found; equal entities are recognized without being decoded.
    """

    def __init__(self, client: P4RuntimeClient, desired: Mapping[bytes, Encoded]) -> None:
        self._client, self._codec = client, client.codec
        self._desired = desired
        self._by_wire = {entity.wire: entity for entity in desired.values()}
        self._found: dict[bytes, Encoded] = {}  # by key, for PI tells a member as often as it weighs
        self._one_shot: set[int] = set()

    async def read(self) -> list[Encoded]:
        """Everything found; raises RpcError or NotConnectedError."""
        info = self._codec.info
        tables = [table for table in info.tables if not table.is_const and not table.has_initial_entries]
        await self._read("table entries", [table_query(table) for table in tables])
        defaults = [table_query(table, default=True) for table in info.tables if self._default_counts(table)]
        await self._read("default entries", defaults)
        await self._read("action profiles", self._profile_queries())
        groups, sessions = Query(), Query()
        groups.packet_replication_engine_entry.multicast_group_entry.SetInParent()
        sessions.packet_replication_engine_entry.clone_session_entry.SetInParent()
        await self._read("multicast groups", [groups])
        await self._read("clone sessions", [sessions])
        for digest in info.digests:
            query = Query(digest_entry=p4runtime_pb2.DigestEntry(digest_id=digest.id))
            await self._read("digests", [query])
        await self._read("meters and value sets", self._mentioned_arrays())
        return list(self._found.values())

    def _default_counts(self, table: Table) -> bool:
        key = table_query(table, default=True).SerializeToString()
        return table.default_is_settable and (table.initial_default is not None or key in self._desired)

    def _profile_queries(self) -> list[Query]:
        """Members and groups, but for profiles used one-shot: there PI fails the read as a whole."""
        queries = []
        for profile in self._codec.info.action_profiles:
            if self._one_shot.isdisjoint(profile.table_ids):
                member = p4runtime_pb2.ActionProfileMember(action_profile_id=profile.id)
                queries.append(Query(action_profile_member=member))
                if profile.with_selector:
                    group = p4runtime_pb2.ActionProfileGroup(action_profile_id=profile.id)
                    queries.append(Query(action_profile_group=group))
        return queries

    def _mentioned_arrays(self) -> list[Query]:
        meters, value_sets = set(), set()
        for entity in self._desired.values():
            if entity.resident and entity.rank is Rank.REPLICATION:
                key = Query.FromString(entity.key)
                if key.WhichOneof("entity") == "meter_entry":
                    meters.add(key.meter_entry.meter_id)
                elif key.WhichOneof("entity") == "value_set_entry":
                    value_sets.add(key.value_set_entry.value_set_id)
        queries = [Query(meter_entry=p4runtime_pb2.MeterEntry(meter_id=i)) for i in sorted(meters)]
        return queries + [
            Query(value_set_entry=p4runtime_pb2.ValueSetEntry(value_set_id=i)) for i in sorted(value_sets)
        ]

    async def _read(self, what: str, queries: list[Query]) -> None:
        if not queries:
            return
        try:
            async for entity in self._client.read(*queries):
                self._take(entity)
        except RpcError as error:
            # Not being able to read a kind of entity, or there being none, must not keep all others from
            # being written; should there be some after all, the writer finds out from the answers.
            if error.code not in (StatusCode.UNIMPLEMENTED, StatusCode.NOT_FOUND):
                raise
            level = logging.DEBUG if error.code is StatusCode.NOT_FOUND else logging.WARNING
            log.log(level, "%s: cannot read %s: %s", self._client.target, what, error.reason)

    def _take(self, message: Query) -> None:
        entity = self._by_wire.get(message.SerializeToString())
        if entity is None:
            try:
                entity = self._normalize(message)
            except P4RuntimeError as error:
                log.warning("%s: ignored what it holds: %s", self._client.target, error)
                return
        if message.HasField("table_entry") and message.table_entry.action.HasField("action_profile_action_set"):
            self._one_shot.add(message.table_entry.table_id)
        if entity is not None:
            self._found[entity.key] = entity

    def _normalize(self, message: Query) -> Encoded | None:
        if message.HasField("table_entry"):
            entry = message.table_entry
            if entry.is_const or (entry.is_default_action and not entry.HasField("action")):
                return None
        encoded = self._codec.encode(self._codec.decode(message))
        return None if encoded.resident and encoded.wire == encoded.key else encoded
