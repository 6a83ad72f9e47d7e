"""Role configurations: what a role may write, read and hear (specification section "Role Config").

The specification leaves the scheme to client and server. This is Stratum's, the message `stratum.P4RoleConfig`:

    exclusive_p4_ids    (1, repeated uint32)  ids of the P4Info that only this role writes
    shared_p4_ids       (2, repeated uint32)  ids that it writes like others
    packet_in_filter    (3, message)          metadata_id (1, uint32) and value (2, bytes) of the packets it receives
    receives_packet_ins (4, bool)
    can_push_pipeline   (5, bool)

Without configuration a role may do everything, whatever others claim. Multicast groups and clone sessions have no id
in the P4Info; only such a role writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import invalid_argument, permission_denied

CONFIG_NAME: Final = "stratum.P4RoleConfig"

_Field = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True, slots=True)
class RoleConfig:
    """A role's configuration.

    Attributes:
        message: as the client sent it.
        packet_in_filter: metadata id and canonical value, None to receive all packets.
    """

    message: any_pb2.Any
    exclusive: frozenset[int]
    shared: frozenset[int]
    packet_in_filter: tuple[int, bytes] | None
    receives_packet_ins: bool
    can_push_pipeline: bool

    def covers(self, p4_id: int | None) -> bool:
        """Whether an object of the P4Info belongs to the role; None is something that is not in the P4Info."""
        return p4_id in self.exclusive or p4_id in self.shared

    def check_entity(self, entity: p4rt.Entity) -> None:
        """Lets what belongs to the role pass.

        Raises:
            P4RuntimeError: PERMISSION_DENIED.
        """
        p4_id = entity_id(entity)
        if not self.covers(p4_id):
            what = f"P4 id {p4_id}" if p4_id is not None else f"a {entity.WhichOneof('entity') or 'missing entity'}"
            raise permission_denied(f"{what} does not belong to this role")

    def hears_packet(self, packet: p4rt.PacketIn) -> bool:
        """Whether the role receives a packet."""
        if not self.receives_packet_ins or self.packet_in_filter is None:
            return self.receives_packet_ins
        wanted_id, wanted = self.packet_in_filter
        return any(m.metadata_id == wanted_id and m.value.lstrip(b"\0") == wanted for m in packet.metadata)

    def check_beside(self, other: RoleConfig, name: str) -> None:
        """Lets configurations pass that do not contradict each other.

        Raises:
            P4RuntimeError: INVALID_ARGUMENT, naming the other role and an id.
        """
        contested = self.exclusive & (other.exclusive | other.shared) | other.exclusive & self.shared
        if contested:
            raise invalid_argument(
                f"role.config: P4 id {min(contested)} belongs to role {name!r}, one of them exclusively"
            )


def decode_config(message: any_pb2.Any) -> RoleConfig:
    """The configuration in a message.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT for another scheme, and for one that cannot be decoded.
    """
    name = message.TypeName()
    if name != CONFIG_NAME:
        raise invalid_argument(f"role.config: {name or 'an unnamed type'} is not known here, only {CONFIG_NAME}")
    try:
        config: Any = _P4RoleConfig.FromString(message.value)
    except DecodeError as error:
        raise invalid_argument(f"role.config: it is not a {CONFIG_NAME}: {error}") from None
    exclusive, shared = frozenset(config.exclusive_p4_ids), frozenset(config.shared_p4_ids)
    if exclusive & shared:
        raise invalid_argument(f"role.config: P4 id {min(exclusive & shared)} is both exclusive and shared")
    wanted = None
    if config.HasField("packet_in_filter"):
        wanted = config.packet_in_filter.metadata_id, config.packet_in_filter.value.lstrip(b"\0")
    kept = any_pb2.Any()
    kept.CopyFrom(message)
    return RoleConfig(kept, exclusive, shared, wanted, config.receives_packet_ins, config.can_push_pipeline)


def entity_id(entity: p4rt.Entity) -> int | None:
    """The id in the P4Info of what an entity is about, None for one that is not in the P4Info."""
    match entity.WhichOneof("entity"):
        case "table_entry":
            return entity.table_entry.table_id
        case "action_profile_member":
            return entity.action_profile_member.action_profile_id
        case "action_profile_group":
            return entity.action_profile_group.action_profile_id
        case "counter_entry":
            return entity.counter_entry.counter_id
        case "direct_counter_entry":
            return entity.direct_counter_entry.table_entry.table_id
        case "meter_entry":
            return entity.meter_entry.meter_id
        case "direct_meter_entry":
            return entity.direct_meter_entry.table_entry.table_id
        case "register_entry":
            return entity.register_entry.register_id
        case "value_set_entry":
            return entity.value_set_entry.value_set_id
        case "digest_entry":
            return entity.digest_entry.digest_id
        case _:
            return None


def visible(config: RoleConfig | None, entities: Iterable[p4rt.Entity]) -> list[p4rt.Entity]:
    """The entities that belong to a role."""
    return [entity for entity in entities if config is None or config.covers(entity_id(entity))]


def _message_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="p4_role_config.proto", package="stratum", syntax="proto3")
    config = file.message_type.add(name="P4RoleConfig")
    nested = config.nested_type.add(name="PacketFilter")
    optional, repeated = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
    nested.field.add(name="metadata_id", number=1, type=_Field.TYPE_UINT32, label=optional)
    nested.field.add(name="value", number=2, type=_Field.TYPE_BYTES, label=optional)
    config.field.add(name="exclusive_p4_ids", number=1, type=_Field.TYPE_UINT32, label=repeated)
    config.field.add(name="shared_p4_ids", number=2, type=_Field.TYPE_UINT32, label=repeated)
    config.field.add(
        name="packet_in_filter",
        number=3,
        type=_Field.TYPE_MESSAGE,
        type_name=".stratum.P4RoleConfig.PacketFilter",
        label=optional,
    )
    config.field.add(name="receives_packet_ins", number=4, type=_Field.TYPE_BOOL, label=optional)
    config.field.add(name="can_push_pipeline", number=5, type=_Field.TYPE_BOOL, label=optional)
    pool = descriptor_pool.DescriptorPool()  # of its own: clients in this process may have the real one
    pool.Add(file)  # type: ignore[no-untyped-call]
    descriptor = pool.FindMessageTypeByName(CONFIG_NAME)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(descriptor)


_P4RoleConfig: Final = _message_class()
