"""Names instead of ids: builds P4Runtime messages for a compiled program from what its P4Info says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf import text_format
from p4.config.v1 import p4info_pb2
from p4.v1 import p4runtime_pb2 as p4rt

PROGRAMS = Path(__file__).parent / "programs"

Value = int | bytes | tuple[int, int]
"""An exact or optional value, or value and prefix length, value and mask, low and high."""


def octets(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


@dataclass(frozen=True)
class P4:
    """A compiled program."""

    p4info: p4info_pb2.P4Info
    json: bytes

    @property
    def config(self) -> p4rt.ForwardingPipelineConfig:
        return p4rt.ForwardingPipelineConfig(p4info=self.p4info, p4_device_config=self.json)

    def id(self, alias: str) -> int:
        kinds = (
            self.p4info.tables,
            self.p4info.actions,
            self.p4info.action_profiles,
            self.p4info.counters,
            self.p4info.meters,
            self.p4info.registers,
            self.p4info.value_sets,
            self.p4info.digests,
        )
        return next(thing.preamble.id for kind in kinds for thing in kind if thing.preamble.alias == alias)

    def action(self, alias: str, *values: int | bytes) -> p4rt.Action:
        info = next(a for a in self.p4info.actions if a.preamble.alias == alias)
        return p4rt.Action(
            action_id=info.preamble.id,
            params=[
                p4rt.Action.Param(param_id=param.id, value=octets(value))
                for param, value in zip(info.params, values, strict=True)
            ],
        )

    def match(self, alias: str, key: Mapping[str, Value]) -> list[p4rt.FieldMatch]:
        info = next(t for t in self.p4info.tables if t.preamble.alias == alias)
        return field_matches(info.match_fields, key)

    def table_entry(
        self,
        alias: str,
        key: Mapping[str, Value] | None = None,
        action: p4rt.Action | None = None,
        *,
        priority: int = 0,
    ) -> p4rt.TableEntry:
        entry = p4rt.TableEntry(table_id=self.id(alias), match=self.match(alias, key or {}), priority=priority)
        if action is not None:
            entry.action.action.CopyFrom(action)
        return entry


def field_matches(fields: Sequence[p4info_pb2.MatchField], key: Mapping[str, Value]) -> list[p4rt.FieldMatch]:
    by_name = {field.name.rpartition(".")[2] or str(field.id): field for field in fields}
    by_name.update({field.name: field for field in fields})
    return [field_match(by_name[name], value) for name, value in key.items()]


def field_match(field: p4info_pb2.MatchField, value: Value) -> p4rt.FieldMatch:
    kind = p4info_pb2.MatchField.MatchType.Name(field.match_type).lower()
    match = p4rt.FieldMatch(field_id=field.id)
    if isinstance(value, tuple):
        first, second = value
        if kind == "lpm":
            match.lpm.value, match.lpm.prefix_len = octets(first), second
        elif kind == "ternary":
            match.ternary.value, match.ternary.mask = octets(first), octets(second)
        else:
            match.range.low, match.range.high = octets(first), octets(second)
    elif kind == "exact":
        match.exact.value = octets(value)
    else:
        match.optional.value = octets(value)
    return match


@cache
def load(name: str) -> P4:
    p4info = text_format.Parse((PROGRAMS / f"{name}.p4info.txtpb").read_text(), p4info_pb2.P4Info())
    return P4(p4info, (PROGRAMS / f"{name}.json").read_bytes())


def insert(entity: p4rt.Entity | p4rt.TableEntry) -> p4rt.Update:
    return _update(p4rt.Update.INSERT, entity)


def modify(entity: p4rt.Entity | p4rt.TableEntry) -> p4rt.Update:
    return _update(p4rt.Update.MODIFY, entity)


def delete(entity: p4rt.Entity | p4rt.TableEntry) -> p4rt.Update:
    return _update(p4rt.Update.DELETE, entity)


def _update(kind: p4rt.Update.Type, entity: p4rt.Entity | p4rt.TableEntry) -> p4rt.Update:
    if isinstance(entity, p4rt.TableEntry):
        entity = p4rt.Entity(table_entry=entity)
    return p4rt.Update(type=kind, entity=entity)
