"""Table entries, and the meters and counters that belong to them."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import GroupRef, MemberRef
from controller.p4rt.codec.calls import TableActions
from controller.p4rt.codec.encoded import Encoded, Rank
from controller.p4rt.codec.fields import decode_match, encode_match, resolve_names, spans_field
from controller.p4rt.codec.profiles import group_key, member_key
from controller.p4rt.entities import CounterData, DirectCounter, MeterConfig, TableEntry
from controller.p4rt.errors import EncodingError
from controller.p4rt.matches import Match
from controller.p4rt.p4info import MatchKind, P4Info, Table


class TableCodec:
    """The entries of one table."""

    def __init__(self, info: P4Info, table: Table) -> None:
        self.table = table
        self._actions = TableActions(info, table)
        self._field_names = frozenset(field.name for field in table.fields)

    def encode_key(self, message: p4runtime_pb2.TableEntry, entry: TableEntry) -> None:
        """Fill what tells the entry from others; raises EncodingError naming field and value."""
        table = self.table
        message.table_id = table.id
        if entry.is_default:
            if entry.match or entry.priority:
                raise EncodingError("a default entry has neither match nor priority")
            message.is_default_action = True
            return
        self._encode_match(message, entry)
        if table.needs_priority and entry.priority < 1:
            raise EncodingError(f"priority = {entry.priority}: the table needs one of at least 1")
        if not table.needs_priority and entry.priority:
            raise EncodingError(f"priority = {entry.priority}: the table has no field that would need one")
        message.priority = entry.priority

    def _encode_match(self, message: p4runtime_pb2.TableEntry, entry: TableEntry) -> None:
        fields, match = self.table.fields, entry.match
        forms = match if self._field_names.issuperset(match) else resolve_names(match, fields)
        for field in fields:
            form = forms.get(field.name)
            if form is None:
                if field.kind is MatchKind.EXACT:
                    raise EncodingError(f"match field {field.name!r} is missing, which has to be exact")
            elif not spans_field(form, field):
                encode_match(message.match.add(), field, form)

    def encode(self, entry: TableEntry) -> Encoded:
        """The whole entry; raises EncodingError or UnknownNameError naming what does not fit."""
        table = self.table
        entity = p4runtime_pb2.Entity()
        message = entity.table_entry
        self.encode_key(message, entry)
        key = entity.SerializeToString()
        if entry.action is None:
            raise EncodingError("there is no action")
        if table.is_const and not entry.is_default:
            raise EncodingError("the program fixes the entries of this table")
        if entry.is_default and table.const_default:
            raise EncodingError("the program fixes the default action of this table")
        self._actions.encode(message.action, entry.action, entry.is_default)
        if entry.meter is not None:
            if not table.direct_meter_id:
                raise EncodingError(f"meter = {entry.meter}: the table has no direct meter")
            encode_meter(message.meter_config, entry.meter)
        if entry.idle_timeout_ns:
            if not table.idle_timeout:
                raise EncodingError(f"idle_timeout_ns = {entry.idle_timeout_ns}: the table does not age")
            message.idle_timeout_ns = entry.idle_timeout_ns
        message.metadata = entry.metadata
        return Encoded(
            key,
            entity.SerializeToString(),
            Rank.TABLE,
            scope=0 if entry.is_default else table.id,
            refs=self._refs(entry),
            resident=entry.is_default,
        )

    def _refs(self, entry: TableEntry) -> tuple[bytes, ...]:
        if self.table.profile is None:
            return ()
        if isinstance(entry.action, MemberRef):
            return (member_key(self.table.profile.id, entry.action.member_id),)
        if isinstance(entry.action, GroupRef):
            return (group_key(self.table.profile.id, entry.action.group_id),)
        return ()

    def decode(self, message: p4runtime_pb2.TableEntry) -> TableEntry:
        """The entry under its full names; raises DecodingError for ids and values the P4Info does not have."""
        match: dict[str, Match] = {}
        for part in message.match:
            field = self.table.fields.by_id(part.field_id)
            form = decode_match(part, field)
            if not spans_field(form, field):
                match[field.name] = form
        return TableEntry(
            self.table.name,
            match,
            self._actions.decode(message.action),
            priority=message.priority,
            meter=decode_meter(message.meter_config) if message.HasField("meter_config") else None,
            idle_timeout_ns=message.idle_timeout_ns,
            metadata=message.metadata,
            is_default=message.is_default_action,
        )

    def initial_default(self) -> Encoded | None:
        """The default entry the program starts with, if the P4Info tells."""
        if self.table.initial_default is None:
            return None
        action_id, arguments = self.table.initial_default
        message = p4runtime_pb2.TableEntry(table_id=self.table.id, is_default_action=True)
        message.action.action.action_id = action_id
        for param_id, value in sorted(arguments.items()):
            message.action.action.params.add(param_id=param_id, value=value)
        return self.encode(self.decode(message))


def encode_meter(message: p4runtime_pb2.MeterConfig, config: MeterConfig) -> None:
    """Fill a meter's configuration."""
    message.cir, message.cburst = config.cir, config.cburst
    message.pir, message.pburst = config.pir, config.pburst
    message.eburst = config.eburst
    message.SetInParent()


def decode_meter(message: p4runtime_pb2.MeterConfig) -> MeterConfig:
    """A meter's configuration."""
    return MeterConfig(message.cir, message.cburst, message.pir, message.pburst, message.eburst)


def encode_direct_counter(codec: TableCodec, counter: DirectCounter) -> Encoded:
    """A write of the counter of an entry; raises EncodingError if the table has none."""
    if not codec.table.direct_counter_id:
        raise EncodingError("the table has no direct counter")
    entity = p4runtime_pb2.Entity()
    message = entity.direct_counter_entry
    codec.encode_key(message.table_entry, counter.entry)
    key = entity.SerializeToString()
    message.data.packet_count, message.data.byte_count = counter.data.packets, counter.data.octets
    message.data.SetInParent()
    return Encoded(key, entity.SerializeToString(), Rank.TABLE, resident=True)


def decode_direct_counter(codec: TableCodec, message: p4runtime_pb2.DirectCounterEntry) -> DirectCounter:
    """The counter of an entry."""
    data = CounterData(message.data.packet_count, message.data.byte_count)
    return DirectCounter(codec.decode(message.table_entry), data)
