"""Puts a P4Info and a program together: checks that they fit and makes the schema.

Names are the bond: every object of the P4Info is in the program under its `preamble.name`. Match fields and
parameters go by position, since p4c writes both documents from the same declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

from p4.config.v1 import p4info_pb2, p4types_pb2

from softswitch.p4runtime import schema
from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.p4data import DataType, Symbols, read_type
from softswitch.p4runtime.p4info import check_p4info
from softswitch.p4runtime.values import Bits, Names, SdnString, ValueType
from softswitch.program.headers import HeaderType
from softswitch.program.model import Program
from softswitch.program.pipeline import TableDef

_KINDS: Final = {
    p4info_pb2.MatchField.EXACT: schema.MatchKind.EXACT,
    p4info_pb2.MatchField.LPM: schema.MatchKind.LPM,
    p4info_pb2.MatchField.TERNARY: schema.MatchKind.TERNARY,
    p4info_pb2.MatchField.RANGE: schema.MatchKind.RANGE,
    p4info_pb2.MatchField.OPTIONAL: schema.MatchKind.OPTIONAL,
}

# Match types of the bmv2 JSON that can carry a P4Runtime match kind.
_CARRIERS: Final = {
    schema.MatchKind.EXACT: ("exact", "valid"),
    schema.MatchKind.LPM: ("lpm",),
    schema.MatchKind.TERNARY: ("ternary",),
    schema.MatchKind.RANGE: ("range",),
    schema.MatchKind.OPTIONAL: ("optional", "ternary"),
}


def bind(p4info: p4info_pb2.P4Info, program: Program) -> schema.Schema:
    """The schema of a pipeline.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming entity and place, if the P4Info is not whole or promises something
            that the program has not.
    """
    check_p4info(p4info)
    binder = _Binder(p4info, program)
    return binder.build()


_COUNTER_UNITS: Final = (p4info_pb2.CounterSpec.BYTES, p4info_pb2.CounterSpec.PACKETS, p4info_pb2.CounterSpec.BOTH)
_METER_UNITS: Final = {p4info_pb2.MeterSpec.BYTES: "bytes", p4info_pb2.MeterSpec.PACKETS: "packets"}

DefT = TypeVar("DefT")
EnumT = TypeVar("EnumT", bound=Enum)


@dataclass(slots=True)
class _Binder:
    p4info: p4info_pb2.P4Info
    program: Program
    names: dict[str, Names] = field(default_factory=dict)

    def build(self) -> schema.Schema:
        """Everything, table by table and array by array."""
        actions = {a.preamble.id: self._action(a) for a in self.p4info.actions}
        counters = {c.preamble.id: self._counter(c) for c in self.p4info.counters}
        meters = {m.preamble.id: self._meter(m) for m in self.p4info.meters}
        profiles = {
            p.preamble.id: self._profile(p, actions)
            for p in self.p4info.action_profiles
            if p.table_ids or p.preamble.name in self.program.action_profiles  # p4c drops unused ones
        }
        headers = {h.preamble.name: self._packet_header(h) for h in self.p4info.controller_packet_metadata}
        return schema.Schema(
            tables={
                t.preamble.id: self._table(t, actions, profiles)
                for t in self.p4info.tables
                if t.match_fields or t.preamble.name in self.program.tables  # p4c drops tables that do nothing
            },
            actions={action.name: action for action in actions.values()},
            profiles=profiles,
            counters=counters,
            meters=meters,
            registers={r.preamble.id: self._register(r) for r in self.p4info.registers},
            value_sets={v.preamble.id: self._value_set(v) for v in self.p4info.value_sets},
            digests={d.preamble.id: self._digest(d) for d in self.p4info.digests},
            packet_in=headers.get("packet_in"),
            packet_out=headers.get("packet_out"),
        )

    def _action(self, info: p4info_pb2.Action) -> schema.Action:
        name = info.preamble.name
        found = [a for a in self.program.actions.values() if a.name == name]
        # An action that no table of the program uses any more may be missing; a table that names it will complain.
        widths = [p.width for p in found[0].params] if found else [p.bitwidth for p in info.params]
        where = f"action {name}"
        for definition in found:
            _same_length(where, "parameters", info.params, definition.params)
        params = tuple(
            schema.Param(
                p.id,
                p.name,
                self._value_type(p.bitwidth, p.type_name.name, width, f"{where}: parameter {p.name}"),
            )
            for p, width in zip(info.params, widths, strict=True)
        )
        return schema.Action(info.preamble.id, name, params)

    def _table(
        self,
        info: p4info_pb2.Table,
        actions: Mapping[int, schema.Action],
        profiles: Mapping[int, schema.Profile],
    ) -> schema.Table:
        where = f"table {info.preamble.name}"
        definition = _find(self.program.tables, info.preamble.name, "table")
        _same_length(where, "match fields", info.match_fields, definition.keys)
        profile = profiles.get(info.implementation_id)
        if (profile.name if profile else None) != definition.action_profile:
            raise invalid_argument(
                f"{where}: implemented with {profile.name if profile else 'no action profile'} in the P4Info "
                f"and with {definition.action_profile or 'no action profile'} in the program"
            )
        for ref in info.action_refs:
            name = actions[ref.id].name
            # bmv2 gives no default action to a table with an action profile.
            if name not in definition.actions and not (profile and ref.scope == p4info_pb2.ActionRef.DEFAULT_ONLY):
                raise invalid_argument(f"{where}: the program's table has no action {name}")
        idle_timeout = info.idle_timeout_behavior == p4info_pb2.Table.NOTIFY_CONTROL
        if idle_timeout and not definition.support_timeout:
            raise invalid_argument(f"{where}: the P4Info promises idle timeouts, the program's table has none")
        return schema.Table(
            id=info.preamble.id,
            name=info.preamble.name,
            keys=tuple(
                self._key(match_field, definition, index, where) for index, match_field in enumerate(info.match_fields)
            ),
            actions={ref.id: actions[ref.id] for ref in info.action_refs},
            scopes={ref.id: _member(schema.Scope, ref.scope, where) for ref in info.action_refs},
            const_default=info.const_default_action_id != 0,
            const=info.is_const_table,
            idle_timeout=idle_timeout,
            profile=profile,
            counter=self._direct_counter(info, definition),
            meter=self._direct_meter(info, definition),
        )

    def _key(self, info: p4info_pb2.MatchField, definition: TableDef, index: int, where: str) -> schema.Key:
        engine = definition.keys[index]
        where = f"{where}: match field {info.name}"
        kind = _match_kind(info, where)
        if engine.match_type not in _CARRIERS[kind]:
            raise invalid_argument(f"{where}: {kind.value} in the P4Info and {engine.match_type} in the program")
        value_type = self._value_type(info.bitwidth, info.type_name.name, engine.width, where)
        _check_translatable(kind, value_type, where)
        return schema.Key(info.id, info.name, kind, value_type, engine)

    def _profile(self, info: p4info_pb2.ActionProfile, actions: Mapping[int, schema.Action]) -> schema.Profile:
        where = f"action profile {info.preamble.name}"
        definition = _find(self.program.action_profiles, info.preamble.name, "action profile")
        if info.with_selector != (definition.selector is not None):
            raise invalid_argument(f"{where}: with_selector is {info.with_selector}, the program says otherwise")
        users = [t for t in self.p4info.tables if t.preamble.id in info.table_ids]
        usable = {
            ref.id: actions[ref.id]
            for table in users[:1]
            for ref in table.action_refs
            if ref.scope != p4info_pb2.ActionRef.DEFAULT_ONLY
        }
        return schema.Profile(
            id=info.preamble.id,
            name=info.preamble.name,
            actions=usable,
            table_names=tuple(table.preamble.name for table in users),
            size=info.size,
            with_selector=info.with_selector,
            max_group_size=info.max_group_size,
            sum_of_members=info.WhichOneof("selector_size_semantics") == "sum_of_members",
            max_member_weight=info.sum_of_members.max_member_weight,
            weights_disallowed=info.weights_disallowed,
        )

    def _counter(self, info: p4info_pb2.Counter) -> schema.Counter:
        definition = _find(self.program.counters, info.preamble.name, "counter")
        _same_size(f"counter {info.preamble.name}", info.size, definition.size)
        return _counter(info.preamble, info.spec, info.size)

    def _direct_counter(self, table: p4info_pb2.Table, definition: TableDef) -> schema.Counter | None:
        for info in self.p4info.direct_counters:
            if info.preamble.id in table.direct_resource_ids:
                if not definition.with_counters:
                    raise invalid_argument(
                        f"table {definition.name}: the P4Info gives it the direct counter {info.preamble.name}, "
                        "the program none"
                    )
                return _counter(info.preamble, info.spec, 0)
        return None

    def _meter(self, info: p4info_pb2.Meter) -> schema.Meter:
        definition = _find(self.program.meters, info.preamble.name, "meter")
        _same_size(f"meter {info.preamble.name}", info.size, definition.size)
        return _meter(info.preamble, info.spec, info.size, definition.unit)

    def _direct_meter(self, table: p4info_pb2.Table, definition: TableDef) -> schema.Meter | None:
        for info in self.p4info.direct_meters:
            if info.preamble.id in table.direct_resource_ids:
                if definition.direct_meter != info.preamble.name:
                    raise invalid_argument(
                        f"table {definition.name}: its direct meter is {info.preamble.name} in the P4Info "
                        f"and {definition.direct_meter or 'none'} in the program"
                    )
                unit = _find(self.program.meters, info.preamble.name, "direct meter").unit
                return _meter(info.preamble, info.spec, 0, unit)
        return None

    def _register(self, info: p4info_pb2.Register) -> schema.Register:
        where = f"register {info.preamble.name}"
        definition = _find(self.program.registers, info.preamble.name, "register")
        _same_size(where, info.size, definition.size)
        data_type = self._data_type(info.type_spec, [definition.width], where)
        return schema.Register(info.preamble.id, info.preamble.name, info.size, data_type)

    def _value_set(self, info: p4info_pb2.ValueSet) -> schema.ValueSet:
        where = f"value set {info.preamble.name}"
        definition = _find(self.program.value_sets, info.preamble.name, "value set")
        keys = []
        for match_field in info.match:
            place = f"{where}: match field {match_field.name or match_field.id}"
            kind = _match_kind(match_field, place)
            if match_field.bitwidth <= 0:
                raise invalid_argument(
                    f"{place}: a value set takes numbers only, its bitwidth is {match_field.bitwidth}"
                )
            value_type = self._value_type(match_field.bitwidth, match_field.type_name.name, match_field.bitwidth, place)
            keys.append(schema.Key(match_field.id, match_field.name, kind, value_type))
        width = sum(key.type.width for key in keys)
        if width != definition.width:
            raise invalid_argument(f"{where}: {width} bits in the P4Info and {definition.width} in the program")
        return schema.ValueSet(info.preamble.id, info.preamble.name, info.size, tuple(keys))

    def _digest(self, info: p4info_pb2.Digest) -> schema.Digest:
        where = f"digest {info.preamble.name}"
        digests = self.program.digests
        if info.preamble.name not in digests and len(digests) == len(self.p4info.digests) == 1:
            # p4c gives the digest of an unnamed tuple one name in the P4Info and another one in the program.
            (definition,) = digests.values()
        else:
            definition = _find(digests, info.preamble.name, "digest")
        data_type = self._data_type(info.type_spec, [ref.width for ref in definition.fields], where)
        return schema.Digest(info.preamble.id, definition.name, data_type)

    def _packet_header(self, info: p4info_pb2.ControllerPacketMetadata) -> schema.PacketHeader:
        where = f"controller header {info.preamble.name}"
        widths = self._header_widths(info, where)
        fields = tuple(
            schema.Param(
                m.id,
                m.name,
                self._value_type(m.bitwidth, m.type_name.name, width, f"{where}: metadata {m.name}"),
            )
            for m, width in zip(info.metadata, widths, strict=True)
        )
        return schema.PacketHeader(info.preamble.name, fields)

    def _header_widths(self, info: p4info_pb2.ControllerPacketMetadata, where: str) -> Sequence[int]:
        """The program does not say which header type it is; the names of the fields do.

        A controller header that the program never puts into a packet is not in the program at all.
        """
        names = [metadata.name for metadata in info.metadata]
        alike = {
            tuple(f.width for f in header_type.wire_fields)
            for header_type in self.program.header_types.values()
            if [f.name for f in header_type.wire_fields] == names and not _is_metadata(self.program, header_type)
        }
        plain = [m.bitwidth for m in info.metadata]
        translated = [self._translation(m.type_name.name) is not None for m in info.metadata]
        fitting = [
            widths for widths in alike if all(t or p == w for p, t, w in zip(plain, translated, widths, strict=True))
        ]
        if fitting:
            return fitting[0]
        if alike or any(translated):
            raise invalid_argument(f"{where}: no header of the program has the fields {names} with these widths")
        return plain

    def _data_type(self, spec: p4types_pb2.P4DataTypeSpec, widths: Sequence[int], where: str) -> DataType:
        symbols = Symbols(self.program.errors, self.program.enums)

        def translate(type_name: str, width: int, place: str) -> ValueType:
            translation = self._translation(type_name)
            return self._value_type(translation.sdn_bitwidth if translation else width, type_name, width, place)

        data_type = read_type(spec, self.p4info.type_info, symbols, where, widths, translate)
        _check_leaves(where, data_type, widths)
        return data_type

    def _translation(self, type_name: str) -> p4types_pb2.P4NewTypeTranslation | None:
        new_types = self.p4info.type_info.new_types
        if type_name and type_name not in new_types:
            raise invalid_argument(f"P4Info: type_info describes no type {type_name!r}")
        if type_name and new_types[type_name].WhichOneof("representation") == "translated_type":
            return new_types[type_name].translated_type
        return None

    def _value_type(self, bitwidth: int, type_name: str, width: int, where: str) -> ValueType:
        translation = self._translation(type_name)
        if translation is not None and translation.WhichOneof("sdn_type") == "sdn_string":
            names = self.names.setdefault(f"{translation.uri} {type_name}", Names(width))
            if names.width != width:
                raise invalid_argument(f"{where}: the type {type_name} has {names.width} bits elsewhere, {width} here")
            return SdnString(names)
        if translation is not None and translation.sdn_bitwidth != bitwidth:
            raise invalid_argument(
                f"{where}: bitwidth {bitwidth}, but the type {type_name} has {translation.sdn_bitwidth} bits"
            )
        # bitwidth 0 without translation: a type that has no bits in P4, such as an error or an enum.
        if translation is None and bitwidth not in (0, width):
            raise invalid_argument(f"{where}: {bitwidth} bits in the P4Info and {width} in the program")
        return Bits(width, bitwidth or width)


def _counter(preamble: p4info_pb2.Preamble, spec: p4info_pb2.CounterSpec, size: int) -> schema.Counter:
    unit = spec.unit
    if unit not in _COUNTER_UNITS:
        raise invalid_argument(f"counter {preamble.name}: its unit is not specified")
    return schema.Counter(
        preamble.id,
        preamble.name,
        size,
        packets=unit != p4info_pb2.CounterSpec.BYTES,
        bytes=unit != p4info_pb2.CounterSpec.PACKETS,
    )


def _meter(preamble: p4info_pb2.Preamble, spec: p4info_pb2.MeterSpec, size: int, unit: str) -> schema.Meter:
    where = f"meter {preamble.name}"
    promised = _METER_UNITS.get(spec.unit, "nothing")
    if promised != unit:
        raise invalid_argument(f"{where}: counts {promised} in the P4Info and {unit} in the program")
    return schema.Meter(preamble.id, preamble.name, size, _member(schema.MeterKind, spec.type, where))


def _member(enumeration: type[EnumT], value: int, where: str) -> EnumT:
    """Protobuf enums are open: any number can arrive."""
    try:
        return enumeration(value)
    except ValueError:
        raise invalid_argument(f"{where}: {value} is not a known {enumeration.__name__}") from None


def _match_kind(info: p4info_pb2.MatchField, where: str) -> schema.MatchKind:
    kind = _KINDS.get(info.match_type)
    if info.WhichOneof("match") != "match_type" or kind is None:
        raise invalid_argument(f"{where}: the match kind {info.other_match_type or 'unspecified'} is not known here")
    return kind


def _check_translatable(kind: schema.MatchKind, value_type: ValueType, where: str) -> None:
    if kind not in (schema.MatchKind.EXACT, schema.MatchKind.OPTIONAL) and not value_type.numeric:
        raise invalid_argument(f"{where}: a translated type can be matched exact or optional, not {kind.value}")


def _is_metadata(program: Program, header_type: HeaderType) -> bool:
    return all(h.metadata for h in program.headers.values() if h.type is header_type)


def _find(objects: Mapping[str, DefT], name: str, noun: str) -> DefT:
    known = objects.get(name)
    if known is None:
        raise invalid_argument(f"{noun} {name}: it is in the P4Info and not in the program")
    return known


def _same_length(where: str, noun: str, promised: Sequence[object], actual: Sequence[object]) -> None:
    if len(promised) != len(actual):
        raise invalid_argument(f"{where}: {len(promised)} {noun} in the P4Info and {len(actual)} in the program")


def _same_size(where: str, promised: int, actual: int) -> None:
    if promised != actual:
        raise invalid_argument(f"{where}: {promised} cells in the P4Info and {actual} in the program")


def _check_leaves(where: str, data_type: DataType, widths: Iterable[int]) -> None:
    actual = list(widths)
    promised = data_type.widths
    if len(promised) != len(actual) or any(p not in (None, a) for p, a in zip(promised, actual, strict=False)):
        raise invalid_argument(f"{where}: fields of {list(promised)} bits in the P4Info and {actual} in the program")
