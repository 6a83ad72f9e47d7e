"""A P4 program's control-plane interface: its P4Info as typed objects that are found by name.

Everything a controller needs to know of a program, the ids, widths and kinds, is here; nothing in this
package knows any program (P4Runtime specification, section "The P4Info Message").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from p4.config.v1 import p4info_pb2

from controller.p4rt.errors import P4InfoError
from controller.p4rt.names import Index
from controller.p4rt.p4types import DataType
from controller.p4rt.typetable import TypeTable


class MatchKind(Enum):
    """How a table compares a field of its key."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"

    @property
    def needs_priority(self) -> bool:
        """Whether entries with such a field may overlap, so that they need a priority."""
        return self in (MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of an action or a field of a packet header for the controller.

    Attributes:
        width: in bits; 0 if the controller sees a string (``sdn_string``).
    """

    id: int
    name: str
    width: int

    @property
    def is_string(self) -> bool:
        """Whether the program translates the field to a string for the controller."""
        return self.width == 0


@dataclass(frozen=True, slots=True)
class MatchField(Field):
    """A field of a table's key."""

    kind: MatchKind


@dataclass(frozen=True, slots=True)
class Action:
    """An action and its parameters."""

    id: int
    name: str
    params: Index[Field] = field(compare=False)


@dataclass(frozen=True, slots=True)
class ActionRef:
    """An action that a table may run: from its entries, as its default, or both."""

    action: Action
    in_entries: bool
    as_default: bool

    @property
    def id(self) -> int:
        """The action's id."""
        return self.action.id

    @property
    def name(self) -> str:
        """The action's name."""
        return self.action.name


@dataclass(frozen=True, slots=True)
class ActionProfile:
    """An action profile or, with a selector, an action selector.

    Attributes:
        size: members (without selector) or sum of the groups' sizes it has room for.
        max_group_size: the largest group; 0 if the program does not say.
    """

    id: int
    name: str
    with_selector: bool
    size: int
    max_group_size: int
    table_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A match-action table.

    Attributes:
        size: entries it has room for; 0 if the program does not say.
        profile: the action profile that implements it, if one does.
        const_default: whether the default action is fixed by the program.
        initial_default: the default action the program starts with (action id, values by parameter id), if
            the P4Info tells (P4Runtime 1.4).
        is_const: whether the entries are fixed by the program.
        has_initial_entries: whether the program brings entries along.
        direct_counter_id: 0 if there is none, likewise `direct_meter_id`.
    """

    id: int
    name: str
    size: int
    fields: Index[MatchField] = field(compare=False)
    actions: Index[ActionRef] = field(compare=False)
    profile: ActionProfile | None
    const_default: bool
    initial_default: tuple[int, dict[int, bytes]] | None = field(compare=False)
    is_const: bool
    has_initial_entries: bool
    idle_timeout: bool
    direct_counter_id: int
    direct_meter_id: int
    needs_priority: bool

    @property
    def default_is_settable(self) -> bool:
        """Whether a controller may set the default action; with an action profile it is fixed too."""
        return not self.const_default and self.profile is None


@dataclass(frozen=True, slots=True)
class Cells:
    """An array of counters or meters.

    Attributes:
        unit: ``bytes``, ``packets`` or ``both``.
    """

    id: int
    name: str
    unit: str
    size: int


@dataclass(frozen=True, slots=True)
class DirectCells:
    """Counters or meters that belong to the entries of a table."""

    id: int
    name: str
    unit: str
    table_id: int


@dataclass(frozen=True, slots=True)
class Register:
    """An array of data-plane state."""

    id: int
    name: str
    size: int
    type: DataType


@dataclass(frozen=True, slots=True)
class Digest:
    """A kind of message the data plane sends to its controller."""

    id: int
    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A set of values a parser selects by."""

    id: int
    name: str
    size: int
    fields: Index[MatchField] = field(compare=False)


@dataclass(frozen=True, slots=True)
class PacketHeader:
    """The header between controller and switch, ``packet_in`` or ``packet_out``."""

    id: int
    name: str
    fields: Index[Field] = field(compare=False)


@dataclass(frozen=True, slots=True)
class MulticastLimits:
    """What the program demands of the platform's replication engine; 0 means no demand."""

    groups: int
    replicas: int
    replicas_per_group: int


class P4Info:
    """The objects of a P4Info, each kind an `Index` by name.

    Attributes:
        proto: the message itself.
        source: where it came from, for messages.

    Raises:
        P4InfoError: on construction, if an object is malformed, or refers to one that does not exist.
    """

    def __init__(self, proto: p4info_pb2.P4Info, source: str = "P4Info") -> None:
        self.proto, self.source = proto, source
        try:
            self._build(proto)
        except (P4InfoError, ValueError) as error:
            raise P4InfoError(f"{source}: {error}") from None

    @classmethod
    def from_text(cls, text: str, source: str = "P4Info") -> P4Info:
        """Parse a P4Info in protobuf's text format; raises P4InfoError naming source, line and column."""
        try:
            proto = text_format.Parse(text, p4info_pb2.P4Info())
        except text_format.ParseError as error:
            message = str(error).split(" : ", 1)[-1]
            line, column = error.GetLine(), error.GetColumn()
            raise P4InfoError(f"{source}:{line or 1}:{column or 1}: not a P4Info: {message}") from None
        return cls(proto, source)

    @classmethod
    def from_file(cls, path: Path | str) -> P4Info:
        """Read a P4Info, as text (``.txt``, ``.txtpb``) or binary (any other name).

        Raises:
            P4InfoError: if it cannot be read or is malformed.
        """
        try:
            data = Path(path).read_bytes()
            if Path(path).suffix in (".txt", ".txtpb", ".pbtxt", ".prototxt"):
                return cls.from_text(data.decode(), str(path))
            return cls(p4info_pb2.P4Info.FromString(data), str(path))
        except OSError as error:
            raise P4InfoError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise P4InfoError(f"{path}: not text: octet {error.start} is {error.object[error.start]:#04x}") from None
        except P4InfoError:
            raise
        except Exception as error:  # protobuf's DecodeError has no common public name across its releases
            raise P4InfoError(f"{path}: not a binary P4Info: {error}") from None

    def _build(self, proto: p4info_pb2.P4Info) -> None:
        types = TypeTable(proto.type_info)
        self._action_aliases = {action.preamble.id: action.preamble.alias for action in proto.actions}
        self.actions = self._index("action", proto.actions, _action)
        self.action_profiles = self._index("action profile", proto.action_profiles, _profile)
        self.direct_counters = self._index("direct counter", proto.direct_counters, _direct_cells)
        self.direct_meters = self._index("direct meter", proto.direct_meters, _direct_cells)
        self.tables = self._index("table", proto.tables, self._table)
        self.counters = self._index("counter", proto.counters, _cells)
        self.meters = self._index("meter", proto.meters, _cells)
        self.registers = self._index("register", proto.registers, partial(_register, types=types))
        self.digests = self._index("digest", proto.digests, partial(_digest, types=types))
        self.value_sets = self._index("value set", proto.value_sets, _value_set)
        self.packet_headers = self._index("controller header", proto.controller_packet_metadata, _packet_header)
        platform = proto.pkg_info.platform_properties
        self.multicast = MulticastLimits(
            platform.multicast_group_table_size,
            platform.multicast_group_table_total_replicas,
            platform.multicast_group_table_max_replicas_per_entry,
        )

    def _index(self, kind: str, messages: Iterable[Any], build: Callable[[Any], Any]) -> Index[Any]:
        messages = list(messages)
        for message in messages:
            if not message.preamble.id or not message.preamble.name:
                raise P4InfoError(f"{kind} {message.preamble.name or message.preamble.id!r}: id or name is missing")
        aliases = {message.preamble.id: message.preamble.alias for message in messages}
        return Index(kind, [build(message) for message in messages], aliases=aliases)

    def _table(self, message: p4info_pb2.Table) -> Table:
        name = message.preamble.name
        fields = [_match_field(field, f"table {name!r}") for field in message.match_fields]
        refs = []
        for ref in message.action_refs:
            if not self.actions.has_id(ref.id):
                raise P4InfoError(f"table {name!r}: refers to action {ref.id:#010x}, which is not defined")
            scope = ref.scope
            refs.append(ActionRef(self.actions.by_id(ref.id), scope != ref.DEFAULT_ONLY, scope != ref.TABLE_ONLY))
        profile_id = message.implementation_id
        if profile_id and not self.action_profiles.has_id(profile_id):
            raise P4InfoError(f"table {name!r}: implementation {profile_id:#010x} is not an action profile")
        initial = message.initial_default_action
        return Table(
            id=message.preamble.id,
            name=name,
            size=message.size,
            fields=Index("match field", fields, name),
            actions=Index("action", refs, name, self._action_aliases),
            profile=self.action_profiles.by_id(profile_id) if profile_id else None,
            const_default=message.const_default_action_id != 0,
            initial_default=(initial.action_id, {a.param_id: a.value for a in initial.arguments})
            if initial.action_id
            else None,
            is_const=message.is_const_table,
            has_initial_entries=message.has_initial_entries,
            idle_timeout=message.idle_timeout_behavior == message.NOTIFY_CONTROL,
            direct_counter_id=next(filter(self.direct_counters.has_id, message.direct_resource_ids), 0),
            direct_meter_id=next(filter(self.direct_meters.has_id, message.direct_resource_ids), 0),
            needs_priority=any(f.kind.needs_priority for f in fields),
        )


def _match_field(message: p4info_pb2.MatchField, place: str) -> MatchField:
    # p4c leaves the field of a one-field value set without a name
    name = message.name or f"field{message.id}"
    try:
        kind = MatchKind[message.MatchType.Name(message.match_type)]
    except (KeyError, ValueError):
        other = message.other_match_type or f"number {message.match_type}"
        raise P4InfoError(f"{place}: match field {name!r} has the unsupported match kind {other!r}") from None
    return MatchField(message.id, name, _width(message, f"{place}: match field {name!r}"), kind)


def _width(message: Any, place: str) -> int:  # noqa: ANN401  # three message types with the same two fields
    if message.bitwidth < 0 or (message.bitwidth == 0 and not message.HasField("type_name")):
        raise P4InfoError(f"{place} has bitwidth {message.bitwidth}")
    return int(message.bitwidth)


def _fields(messages: Iterable[Any], kind: str, place: str) -> Index[Field]:
    fields = [Field(m.id, m.name, _width(m, f"{place}: {kind} {m.name!r}")) for m in messages]
    return Index(kind, fields, place)


def _action(message: p4info_pb2.Action) -> Action:
    name = message.preamble.name
    return Action(message.preamble.id, name, _fields(message.params, "parameter", name))


def _packet_header(message: p4info_pb2.ControllerPacketMetadata) -> PacketHeader:
    name = message.preamble.name
    return PacketHeader(message.preamble.id, name, _fields(message.metadata, "metadata field", name))


def _profile(message: p4info_pb2.ActionProfile) -> ActionProfile:
    return ActionProfile(
        message.preamble.id,
        message.preamble.name,
        message.with_selector,
        message.size,
        message.max_group_size,
        tuple(message.table_ids),
    )


def _cells(message: p4info_pb2.Counter | p4info_pb2.Meter) -> Cells:
    unit = message.spec.Unit.Name(message.spec.unit).lower()
    return Cells(message.preamble.id, message.preamble.name, unit, message.size)


def _direct_cells(message: p4info_pb2.DirectCounter | p4info_pb2.DirectMeter) -> DirectCells:
    unit = message.spec.Unit.Name(message.spec.unit).lower()
    return DirectCells(message.preamble.id, message.preamble.name, unit, message.direct_table_id)


def _register(message: p4info_pb2.Register, types: TypeTable) -> Register:
    name = message.preamble.name
    return Register(message.preamble.id, name, message.size, types.resolve(message.type_spec, name))


def _digest(message: p4info_pb2.Digest, types: TypeTable) -> Digest:
    name = message.preamble.name
    return Digest(message.preamble.id, name, types.resolve(message.type_spec, name))


def _value_set(message: p4info_pb2.ValueSet) -> ValueSet:
    name = message.preamble.name
    fields = [_match_field(m, f"value set {name!r}") for m in message.match]
    return ValueSet(message.preamble.id, name, message.size, Index("match field", fields, name))
