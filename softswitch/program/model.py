"""A whole program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from softswitch.program.actions import ActionDef
from softswitch.program.calculations import CalculationDef, ChecksumDef
from softswitch.program.headers import (
    FieldRef,
    Header,
    HeaderStack,
    HeaderType,
    HeaderUnion,
    HeaderUnionStack,
)
from softswitch.program.parser import DeparserDef, ParserDef
from softswitch.program.pipeline import ActionProfileDef, PipelineDef, TableDef
from softswitch.program.stateful import (
    CounterDef,
    DigestDef,
    FieldListDef,
    MeterDef,
    RegisterDef,
    ValueSetDef,
)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A validated v1model program.

    Names are those of the JSON document, which p4c also uses in the P4Info. Action ids are unique, action
    names are not: look an action up by name in its table. digest is that of the document's content, in hexadecimal.
    """

    name: str
    header_types: Mapping[str, HeaderType]
    headers: Mapping[str, Header]
    header_stacks: Mapping[str, HeaderStack]
    header_unions: Mapping[str, HeaderUnion]
    header_union_stacks: Mapping[str, HeaderUnionStack]
    aliases: Mapping[str, FieldRef]
    errors: Mapping[str, int]
    enums: Mapping[str, Mapping[str, int]]
    parser: ParserDef
    deparser: DeparserDef
    ingress: PipelineDef
    egress: PipelineDef
    tables: Mapping[str, TableDef]
    actions: Mapping[int, ActionDef]
    action_profiles: Mapping[str, ActionProfileDef]
    calculations: Mapping[str, CalculationDef]
    checksums: tuple[ChecksumDef, ...]
    counters: Mapping[str, CounterDef]
    meters: Mapping[str, MeterDef]
    registers: Mapping[str, RegisterDef]
    value_sets: Mapping[str, ValueSetDef]
    digests: Mapping[str, DigestDef]
    field_lists: Mapping[int, FieldListDef]
    digest: str

    def field(self, name: str) -> FieldRef | None:
        """The field known as ``header.field``, by alias first, or None."""
        if name in self.aliases:
            return self.aliases[name]
        header_name, _, field_name = name.rpartition(".")
        header = self.headers.get(header_name)
        field = header.type.find(field_name) if header else None
        return FieldRef(header, field) if header and field else None
