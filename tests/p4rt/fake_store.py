"""The state of a fake P4Runtime device: what updates do to it, by the rules of the specification.

It works on protobuf messages alone and shares nothing with the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from grpc import StatusCode
from p4.config.v1 import p4info_pb2
from p4.v1 import p4runtime_pb2

Entity = p4runtime_pb2.Entity
Update = p4runtime_pb2.Update
OK = StatusCode.OK


class RefusedError(Exception):
    def __init__(self, code: StatusCode, reason: str = "") -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{code.name}: {reason}")


def key_of(entity: Entity) -> bytes:
    """What identifies an entity: the message without the fields the specification calls content."""
    key = Entity()
    kind = entity.WhichOneof("entity")
    match kind:
        case "table_entry":
            entry = key.table_entry
            entry.table_id = entity.table_entry.table_id
            entry.is_default_action = entity.table_entry.is_default_action
            entry.priority = entity.table_entry.priority
            entry.match.extend(sorted(entity.table_entry.match, key=lambda match: match.field_id))
        case "action_profile_member":
            key.action_profile_member.action_profile_id = entity.action_profile_member.action_profile_id
            key.action_profile_member.member_id = entity.action_profile_member.member_id
        case "action_profile_group":
            key.action_profile_group.action_profile_id = entity.action_profile_group.action_profile_id
            key.action_profile_group.group_id = entity.action_profile_group.group_id
        case "packet_replication_engine_entry":
            engine = entity.packet_replication_engine_entry
            if engine.HasField("multicast_group_entry"):
                group_id = engine.multicast_group_entry.multicast_group_id
                key.packet_replication_engine_entry.multicast_group_entry.multicast_group_id = group_id
            else:
                session_id = engine.clone_session_entry.session_id
                key.packet_replication_engine_entry.clone_session_entry.session_id = session_id
        case "digest_entry":
            key.digest_entry.digest_id = entity.digest_entry.digest_id
        case "meter_entry":
            key.meter_entry.meter_id = entity.meter_entry.meter_id
            key.meter_entry.index.CopyFrom(entity.meter_entry.index)
        case "value_set_entry":
            key.value_set_entry.value_set_id = entity.value_set_entry.value_set_id
        case _:
            raise RefusedError(StatusCode.UNIMPLEMENTED, f"{kind}")
    return key.SerializeToString()


@dataclass
class Written:
    """An update the device was asked for, and what it answered."""

    kind: int
    entity: Entity
    code: StatusCode


@dataclass
class Store:
    """Entities, and what the device makes of updates.

    Attributes:
        held: entities by key; resident ones are there only when changed.
        log: every update it was asked for.
        refuse: looks at every update; what it returns is the update's outcome.
    """

    held: dict[bytes, Entity] = field(default_factory=dict)
    log: list[Written] = field(default_factory=list)
    config: p4runtime_pb2.ForwardingPipelineConfig | None = None
    refuse: Callable[[Update], StatusCode | None] = lambda update: None

    @property
    def p4info(self) -> p4info_pb2.P4Info:
        return self.config.p4info if self.config is not None else p4info_pb2.P4Info()

    def reset(self) -> None:
        """As after a power cycle."""
        self.held.clear()
        self.config = None

    def writes(self) -> list[Written]:
        """The updates it was asked for since the last call."""
        writes, self.log = self.log, []
        return writes

    def _initial_default(self, table_id: int) -> Entity:
        entity = Entity()
        entity.table_entry.table_id = table_id
        entity.table_entry.is_default_action = True
        for table in self.p4info.tables:
            if table.preamble.id == table_id and table.initial_default_action.action_id:
                call = entity.table_entry.action.action
                call.action_id = table.initial_default_action.action_id
                for argument in table.initial_default_action.arguments:
                    call.params.add(param_id=argument.param_id, value=argument.value)
        return entity

    def apply(self, update: Update) -> StatusCode:
        """Carry out one update; returns the outcome."""
        try:
            code = self.refuse(update)
            if code is not None:
                raise RefusedError(code, "refused")
            self._apply(update)
            code = OK
        except RefusedError as error:
            code = error.code
        self.log.append(Written(update.type, update.entity, code))
        return code

    def _apply(self, update: Update) -> None:
        entity, key = update.entity, key_of(update.entity)
        kind = entity.WhichOneof("entity")
        resident = kind in ("meter_entry", "value_set_entry") or entity.table_entry.is_default_action
        if resident:
            if update.type != Update.MODIFY:
                raise RefusedError(StatusCode.INVALID_ARGUMENT, "only MODIFY")
            if entity.SerializeToString() == key:
                self.held.pop(key, None)
            else:
                self.held[key] = entity
            return
        if update.type == Update.DELETE:
            if key not in self.held:
                raise RefusedError(StatusCode.NOT_FOUND)
            self._check_unused(entity)
            del self.held[key]
            return
        if update.type == Update.INSERT and key in self.held:
            raise RefusedError(StatusCode.ALREADY_EXISTS)
        if update.type == Update.MODIFY and key not in self.held:
            raise RefusedError(StatusCode.NOT_FOUND)
        if kind == "table_entry":
            self._check_table(entity.table_entry, is_new=key not in self.held)
        self._check_references(entity)
        self.held[key] = entity

    def _check_table(self, entry: p4runtime_pb2.TableEntry, is_new: bool) -> None:
        table = next((t for t in self.p4info.tables if t.preamble.id == entry.table_id), None)
        if table is None:
            raise RefusedError(StatusCode.INVALID_ARGUMENT, "no such table")
        if table.is_const_table:
            raise RefusedError(StatusCode.PERMISSION_DENIED)
        entries = [held.table_entry for held in self._of("table_entry")]
        taken = sum(e.table_id == entry.table_id and not e.is_default_action for e in entries)
        if is_new and table.size and taken >= table.size:
            raise RefusedError(StatusCode.RESOURCE_EXHAUSTED, "table full")

    def _of(self, kind: str) -> list[Entity]:
        return [entity for entity in self.held.values() if entity.WhichOneof("entity") == kind]

    def _profile_of(self, table_id: int) -> int:
        return next(t.implementation_id for t in self.p4info.tables if t.preamble.id == table_id)

    def _refs(self, entity: Entity) -> set[tuple[str, int, int]]:
        if entity.HasField("action_profile_group"):
            group = entity.action_profile_group
            return {("action_profile_member", group.action_profile_id, m.member_id) for m in group.members}
        if entity.HasField("table_entry"):
            action = entity.table_entry.action
            match action.WhichOneof("type"):
                case "action_profile_member_id":
                    profile = self._profile_of(entity.table_entry.table_id)
                    return {("action_profile_member", profile, action.action_profile_member_id)}
                case "action_profile_group_id":
                    profile = self._profile_of(entity.table_entry.table_id)
                    return {("action_profile_group", profile, action.action_profile_group_id)}
        return set()

    def _name(self, entity: Entity) -> tuple[str, int, int] | None:
        if entity.HasField("action_profile_member"):
            member = entity.action_profile_member
            return ("action_profile_member", member.action_profile_id, member.member_id)
        if entity.HasField("action_profile_group"):
            group = entity.action_profile_group
            return ("action_profile_group", group.action_profile_id, group.group_id)
        return None

    def _check_references(self, entity: Entity) -> None:
        missing = self._refs(entity) - {self._name(held) for held in self.held.values()}
        if missing:
            raise RefusedError(StatusCode.NOT_FOUND, f"refers to {missing}")

    def _check_unused(self, entity: Entity) -> None:
        name = self._name(entity)
        if name is not None and any(name in self._refs(held) for held in self.held.values()):
            raise RefusedError(StatusCode.FAILED_PRECONDITION, "in use")
