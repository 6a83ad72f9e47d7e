"""Counters, meters, registers, value sets, calculations, checksums, digests, field lists, enumerations."""

from __future__ import annotations

from typing import Literal

from softswitch.program import algorithms
from softswitch.program.calculations import (
    CalculationDef,
    CalculationInput,
    ChecksumDef,
    ConstInput,
    PayloadInput,
)
from softswitch.program.headers import FieldRef
from softswitch.program.load.cursor import MAX_WIDTH, Cursor
from softswitch.program.load.expressions import bool_expression
from softswitch.program.load.scope import Scope, define, lookup, unique_ids
from softswitch.program.stateful import (
    CounterDef,
    DigestDef,
    FieldListDef,
    MeterDef,
    RegisterDef,
    ValueSetDef,
)

MAX_CELLS = 1 << 24  # of one array; memory is taken when the program is run
_MAX_ERROR = (1 << 31) - 2
_CORE_ERRORS = (
    "NoError",
    "PacketTooShort",
    "NoMatch",
    "StackOutOfBounds",
    "HeaderTooShort",
    "ParserTimeout",
    "ParserInvalidArgument",
)


def load_errors(document: Cursor) -> dict[str, int]:
    """Parser errors by name; those of the core library are added where the program has not named them."""
    errors: dict[str, int] = {}
    for at in document.items("errors"):
        name_at, value_at = at.exactly(2)
        if name_at.name() in errors or value_at.integer(0, _MAX_ERROR) in errors.values():
            raise at.error("is an error that is already defined")
        errors[name_at.name()] = value_at.integer()
    for name in _CORE_ERRORS:
        errors.setdefault(name, max(errors.values(), default=-1) + 1)
    return errors


def load_enums(document: Cursor) -> dict[str, dict[str, int]]:
    """Enumerations, for people who read traces."""
    enums: dict[str, dict[str, int]] = {}
    for at in document.items("enums"):
        entries: dict[str, int] = {}
        for entry_at in at.items("entries"):
            name_at, value_at = entry_at.exactly(2)
            entries[name_at.name()] = value_at.integer()
        define(enums, at, "enum", entries)
    return enums


def load_arrays(document: Cursor, scope: Scope) -> None:
    """Counters, meters and registers."""
    for at in unique_ids(document.items("counter_arrays")):
        direct = _is_direct(at)
        table = at.get("binding").name() if direct else None
        counter = CounterDef(at.get("name").name(), at.get("id").integer(), _size(at, direct), direct, table)
        define(scope.counters, at, "counter array", counter)
    for at in unique_ids(document.items("meter_arrays")):
        define(scope.meters, at, "meter array", _meter(at, scope))
    for at in unique_ids(document.items("register_arrays")):
        width = at.get("bitwidth").integer(1, MAX_WIDTH)
        register = RegisterDef(at.get("name").name(), at.get("id").integer(), _size(at), width)
        define(scope.registers, at, "register array", register)


def load_value_sets(document: Cursor, scope: Scope) -> None:
    """Parser value sets."""
    for at in unique_ids(document.items("parse_vsets")):
        width = at.get("compressed_bitwidth").integer(1, MAX_WIDTH)
        value_set = ValueSetDef(at.get("name").name(), at.get("id").integer(), width)
        define(scope.value_sets, at, "value set", value_set)


def load_calculations(document: Cursor, scope: Scope) -> None:
    """Named hash calculations."""
    for at in unique_ids(document.items("calculations")):
        calculation = CalculationDef(
            at.get("name").name(),
            at.get("id").integer(),
            algorithm(at.get("algo")),
            tuple(calculation_input(item, scope) for item in at.items("input")),
        )
        define(scope.calculations, at, "calculation", calculation)


def algorithm(at: Cursor) -> str:
    """The name of a hash algorithm."""
    if not algorithms.is_known(at.text()):
        raise at.error("is not a hash algorithm of this switch")
    return at.text()


def calculation_input(at: Cursor, scope: Scope) -> CalculationInput:
    """One of the things that are hashed."""
    kind = at.get("type").text()
    match kind:
        case "payload":
            return PayloadInput()
        case "field":
            return scope.aliased_field(at.get("value"))
        case "header":
            return lookup(scope.headers, at.get("value"), "header")
        case "hexstr":
            width = at.get("bitwidth").integer(1, MAX_WIDTH)
            return ConstInput(at.get("value").unsigned_hex(width), width)
    raise at.get("type").error("is not a type of input")


def load_checksums(document: Cursor, scope: Scope) -> tuple[ChecksumDef, ...]:
    """Checksums, in the order in which they are verified and updated."""
    return tuple(_checksum(at, scope) for at in unique_ids(document.items("checksums")))


def load_digests(document: Cursor, scope: Scope) -> dict[str, DigestDef]:
    """Digests by name."""
    digests: dict[str, DigestDef] = {}
    for at in unique_ids(document.items("learn_lists")):
        fields = tuple(_field_element(item, scope) for item in at.items("elements"))
        define(digests, at, "digest", DigestDef(at.get("name").name(), at.get("id").integer(), fields))
    return digests


def load_field_lists(document: Cursor, scope: Scope) -> dict[int, FieldListDef]:
    """Lists of preserved fields by id. Constants in them have no effect and are left out."""
    lists: dict[int, FieldListDef] = {}
    for at in unique_ids(document.items("field_lists")):
        name_at = at.find("name")
        elements = [item for item in at.items("elements") if item.get("type").text() != "hexstr"]
        fields = tuple(_field_element(item, scope) for item in elements)
        field_list = FieldListDef(at.get("id").integer(), name_at.text() if name_at else "", fields)
        lists[field_list.id] = field_list
    return lists


def _field_element(at: Cursor, scope: Scope) -> FieldRef:
    kind, value_at = at.typed()
    if kind != "field":
        raise at.get("type").error("is not 'field'")
    return scope.header_field(value_at)


def _is_direct(at: Cursor) -> bool:
    direct_at = at.find("is_direct")
    return direct_at is not None and direct_at.flag()


def _size(at: Cursor, direct: bool = False) -> int:
    if direct and not at.has("size"):
        return 0
    return at.get("size").integer(0, MAX_CELLS)


def _meter(at: Cursor, scope: Scope) -> MeterDef:
    direct = _is_direct(at)
    return MeterDef(
        at.get("name").name(),
        at.get("id").integer(),
        _size(at, direct),
        _meter_unit(at.get("type")),
        at.get("rate_count").integer(2, 2),
        direct,
        at.get("binding").name() if direct else None,
        scope.header_field(at.get("result_target")) if direct else None,
    )


def _meter_unit(at: Cursor) -> Literal["bytes", "packets"]:
    match at.text():
        case "bytes" | "packets" as unit:
            return unit
    raise at.error("is neither 'bytes' nor 'packets'")


def _checksum(at: Cursor, scope: Scope) -> ChecksumDef:
    kind_at = at.get("type")
    if kind_at.text() != "generic":
        raise kind_at.error("is not 'generic'")
    target = scope.header_field(at.get("target"))
    if target.field.variable:
        raise at.get("target").error("is a variable-length field")
    condition_at, verify_at, update_at = (at.find(key) for key in ("if_cond", "verify", "update"))
    return ChecksumDef(
        at.get("name").name(),
        at.get("id").integer(),
        target,
        lookup(scope.calculations, at.get("calculation"), "calculation"),
        bool_expression(condition_at, scope) if condition_at else None,
        verify_at.flag() if verify_at else True,
        update_at.flag() if update_at else True,
    )
