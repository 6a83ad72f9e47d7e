"""Arrays and settings: meter, counter and register cells, digest configurations, parser value sets."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2

from controller.p4rt.codec.encoded import Encoded, Rank
from controller.p4rt.codec.fields import decode_match, encode_match, resolve_names
from controller.p4rt.codec.tables import decode_meter, encode_meter
from controller.p4rt.entities import CounterCell, CounterData, DigestConfig, MeterCell, RegisterCell, ValueSet
from controller.p4rt.errors import EncodingError
from controller.p4rt.matches import Match
from controller.p4rt.p4info import P4Info
from controller.p4rt.values import FrozenMap


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise EncodingError(f"index = {index}: is not within 0..{size - 1}")


class CellCodec:
    """Everything that is neither a table entry, nor of an action profile, nor replication."""

    def __init__(self, info: P4Info) -> None:
        self._info = info

    def encode_meter(self, cell: MeterCell) -> Encoded:
        """A meter cell; raises EncodingError or UnknownNameError naming what does not fit."""
        meter = self._info.meters[cell.meter]
        _check_index(cell.index, meter.size)
        entity = p4runtime_pb2.Entity()
        message = entity.meter_entry
        message.meter_id, message.index.index = meter.id, cell.index
        message.index.SetInParent()
        key = entity.SerializeToString()
        if cell.config is not None:
            encode_meter(message.config, cell.config)
        return Encoded(key, entity.SerializeToString(), Rank.REPLICATION, resident=True)

    def decode_meter(self, message: p4runtime_pb2.MeterEntry) -> MeterCell:
        """The meter cell."""
        config = decode_meter(message.config) if message.HasField("config") else None
        return MeterCell(self._info.meters.by_id(message.meter_id).name, message.index.index, config)

    def encode_counter(self, cell: CounterCell) -> Encoded:
        """A write of a counter cell; raises EncodingError or UnknownNameError naming what does not fit."""
        counter = self._info.counters[cell.counter]
        _check_index(cell.index, counter.size)
        entity = p4runtime_pb2.Entity()
        message = entity.counter_entry
        message.counter_id, message.index.index = counter.id, cell.index
        message.index.SetInParent()
        key = entity.SerializeToString()
        message.data.packet_count, message.data.byte_count = cell.data.packets, cell.data.octets
        message.data.SetInParent()
        return Encoded(key, entity.SerializeToString(), Rank.REPLICATION, resident=True)

    def decode_counter(self, message: p4runtime_pb2.CounterEntry) -> CounterCell:
        """The counter cell."""
        data = CounterData(message.data.packet_count, message.data.byte_count)
        return CounterCell(self._info.counters.by_id(message.counter_id).name, message.index.index, data)

    def encode_register(self, cell: RegisterCell) -> Encoded:
        """A write of a register cell; raises EncodingError or UnknownNameError naming what does not fit."""
        register = self._info.registers[cell.register]
        _check_index(cell.index, register.size)
        entity = p4runtime_pb2.Entity()
        message = entity.register_entry
        message.register_id, message.index.index = register.id, cell.index
        message.index.SetInParent()
        key = entity.SerializeToString()
        message.data.CopyFrom(register.type.encode(cell.data))
        return Encoded(key, entity.SerializeToString(), Rank.REPLICATION, resident=True)

    def decode_register(self, message: p4runtime_pb2.RegisterEntry) -> RegisterCell:
        """The register cell; raises DecodingError if its data is of another type."""
        register = self._info.registers.by_id(message.register_id)
        return RegisterCell(register.name, message.index.index, register.type.decode(message.data))

    def encode_digest(self, config: DigestConfig) -> Encoded:
        """A digest's configuration; raises UnknownNameError."""
        entity = p4runtime_pb2.Entity()
        message = entity.digest_entry
        message.digest_id = self._info.digests[config.digest].id
        key = entity.SerializeToString()
        message.config.max_timeout_ns = config.max_timeout_ns
        message.config.max_list_size = config.max_list_size
        message.config.ack_timeout_ns = config.ack_timeout_ns
        message.config.SetInParent()
        return Encoded(key, entity.SerializeToString(), Rank.REPLICATION)

    def decode_digest(self, message: p4runtime_pb2.DigestEntry) -> DigestConfig:
        """The digest's configuration."""
        config = message.config
        name = self._info.digests.by_id(message.digest_id).name
        return DigestConfig(name, config.max_timeout_ns, config.max_list_size, config.ack_timeout_ns)

    def encode_value_set(self, values: ValueSet) -> Encoded:
        """A value set; raises EncodingError or UnknownNameError naming what does not fit."""
        info = self._info.value_sets[values.value_set]
        if len(values.members) > info.size:
            raise EncodingError(f"{len(values.members)} members: it has room for {info.size}")
        entity = p4runtime_pb2.Entity()
        message = entity.value_set_entry
        message.value_set_id = info.id
        key = entity.SerializeToString()
        members = []
        for member in values.members:
            forms = resolve_names(member, info.fields)
            encoded = p4runtime_pb2.ValueSetMember()
            for field in info.fields:
                if field.name in forms:
                    encode_match(encoded.match.add(), field, forms[field.name])
            members.append(encoded.SerializeToString())
        for text in sorted(members):
            message.members.add().ParseFromString(text)
        return Encoded(key, entity.SerializeToString(), Rank.REPLICATION, resident=True)

    def decode_value_set(self, message: p4runtime_pb2.ValueSetEntry) -> ValueSet:
        """The value set; raises DecodingError for unknown ids."""
        info = self._info.value_sets.by_id(message.value_set_id)
        members = []
        for member in message.members:
            forms: dict[str, Match] = {}
            for part in member.match:
                field = info.fields.by_id(part.field_id)
                forms[field.name] = decode_match(part, field)
            members.append(FrozenMap(forms))
        return ValueSet(info.name, members)
