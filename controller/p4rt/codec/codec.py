"""Between entities and protobuf, for one program."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2

from controller.p4rt.codec.cells import CellCodec
from controller.p4rt.codec.encoded import Encoded
from controller.p4rt.codec.profiles import ProfileCodec, group_key, member_key
from controller.p4rt.codec.replication import (
    decode_clone_session,
    decode_multicast_group,
    encode_clone_session,
    encode_multicast_group,
)
from controller.p4rt.codec.tables import TableCodec, decode_direct_counter, encode_direct_counter
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    CounterCell,
    DigestConfig,
    DirectCounter,
    Entity,
    MeterCell,
    MulticastGroup,
    RegisterCell,
    TableEntry,
    ValueSet,
)
from controller.p4rt.errors import DecodingError, EncodingError, P4RuntimeError, UnknownNameError
from controller.p4rt.p4info import P4Info


class Codec:
    """Encodes and decodes the entities of the program that `info` describes."""

    def __init__(self, info: P4Info) -> None:
        self.info = info
        self._tables = {table.id: TableCodec(info, table) for table in info.tables}
        self._profiles = {profile.id: ProfileCodec(info, profile) for profile in info.action_profiles}
        self._cells = CellCodec(info)

    def table(self, name: str) -> TableCodec:
        """The codec of one table; raises UnknownNameError."""
        return self._tables[self.info.tables[name].id]

    def encode(self, entity: Entity) -> Encoded:
        """The canonical octets of `entity`.

        Raises:
            UnknownNameError: if it names something that the P4Info does not have.
            EncodingError: naming entity, field and value, if something does not fit.
        """
        try:
            return self._encode(entity)
        except UnknownNameError:
            raise
        except (ValueError, TypeError) as error:  # ours, and protobuf's for numbers beyond a message field
            raise EncodingError(f"{entity}: {error}") from None

    def _encode(self, entity: Entity) -> Encoded:
        match entity:
            case TableEntry():
                return self.table(entity.table).encode(entity)
            case ActionProfileMember():
                return self._profile(entity.profile).encode_member(entity)
            case ActionProfileGroup():
                return self._profile(entity.profile).encode_group(entity)
            case MulticastGroup():
                return encode_multicast_group(entity)
            case CloneSession():
                return encode_clone_session(entity)
            case DigestConfig():
                return self._cells.encode_digest(entity)
            case ValueSet():
                return self._cells.encode_value_set(entity)
            case MeterCell():
                return self._cells.encode_meter(entity)
            case CounterCell():
                return self._cells.encode_counter(entity)
            case DirectCounter():
                return encode_direct_counter(self.table(entity.entry.table), entity)
            case RegisterCell():
                return self._cells.encode_register(entity)
        raise TypeError(f"is a {type(entity).__name__}, not an entity")

    def _profile(self, name: str) -> ProfileCodec:
        return self._profiles[self.info.action_profiles[name].id]

    def key(self, entity: Entity) -> bytes:
        """The `Encoded.key` of `entity`, of which no more than its key is looked at; raises as `encode`."""
        try:
            match entity:
                case TableEntry():
                    message = p4runtime_pb2.Entity()
                    self.table(entity.table).encode_key(message.table_entry, entity)
                    return message.SerializeToString()
                case ActionProfileMember():
                    return member_key(self._profile(entity.profile).profile.id, entity.member_id)
                case ActionProfileGroup():
                    return group_key(self._profile(entity.profile).profile.id, entity.group_id)
        except UnknownNameError:
            raise
        except (ValueError, TypeError) as error:
            raise EncodingError(f"{entity}: {error}") from None
        return self.encode(entity).key

    def decode(self, message: p4runtime_pb2.Entity) -> Entity:
        """The entity that `message` describes, under full names and in canonical form.

        Raises:
            DecodingError: naming what the P4Info does not have, or what does not fit it.
        """
        kind = message.WhichOneof("entity")
        match kind:
            case "table_entry":
                return self._table_of(message.table_entry).decode(message.table_entry)
            case "action_profile_member":
                member = message.action_profile_member
                return self._profile_of(member.action_profile_id).decode_member(member)
            case "action_profile_group":
                group = message.action_profile_group
                return self._profile_of(group.action_profile_id).decode_group(group)
            case "packet_replication_engine_entry":
                engine = message.packet_replication_engine_entry
                if engine.WhichOneof("type") == "clone_session_entry":
                    return decode_clone_session(engine.clone_session_entry)
                return decode_multicast_group(engine.multicast_group_entry)
            case "digest_entry":
                return self._cells.decode_digest(message.digest_entry)
            case "value_set_entry":
                return self._cells.decode_value_set(message.value_set_entry)
            case "meter_entry":
                return self._cells.decode_meter(message.meter_entry)
            case "counter_entry":
                return self._cells.decode_counter(message.counter_entry)
            case "direct_counter_entry":
                counter = message.direct_counter_entry
                return decode_direct_counter(self._table_of(counter.table_entry), counter)
            case "register_entry":
                return self._cells.decode_register(message.register_entry)
        raise DecodingError(f"an entity of the unsupported kind {kind or '(none)'}")

    def decode_bytes(self, wire: bytes) -> Entity:
        """As `decode`, of an entity's serialized form."""
        return self.decode(p4runtime_pb2.Entity.FromString(wire))

    def _table_of(self, entry: p4runtime_pb2.TableEntry) -> TableCodec:
        return self._tables[self.info.tables.by_id(entry.table_id).id]

    def _profile_of(self, profile_id: int) -> ProfileCodec:
        return self._profiles[self.info.action_profiles.by_id(profile_id).id]

    def canonical(self, entity: Entity) -> Entity:
        """`entity` as it would come back from a switch: full names, nothing that may be left out."""
        return self.decode_bytes(self.encode(entity).wire)

    def describe(self, entity: bytes | p4runtime_pb2.Entity) -> str:
        """`entity` in words, whatever it is."""
        message = p4runtime_pb2.Entity.FromString(entity) if isinstance(entity, bytes) else entity
        try:
            return str(self.decode(message))
        except P4RuntimeError:
            return " ".join(str(message).split())
