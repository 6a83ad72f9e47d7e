"""Checksums: verified after parsing, updated before deparsing."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.runtime.structs import CTX_CHECKSUM_ERROR
from softswitch.native.translate.body import Body
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.hashing import calculation
from softswitch.native.words import BIT
from softswitch.program.calculations import ChecksumDef
from softswitch.program.expressions import FieldValue


def write_verification(body: Body, definition: ChecksumDef) -> None:
    """Note an error unless the checksum is right; one that does not apply to the packet is."""
    place, slot = body.header(definition.target.header), body.slot(definition.target)

    def verify() -> None:
        computed = _calculate(body, definition)
        width = max(64, slot.width)
        found = body.resize(body.read_wire(place.pointer, slot), width)
        wrong = body.b.icmp_unsigned("!=", body.resize(computed, width), found)
        body.when(wrong, lambda: body.set_context_word(CTX_CHECKSUM_ERROR, 1))

    body.when(body.b.and_(body.is_valid(place), _applies(body, definition)), verify)


def write_update(body: Body, definition: ChecksumDef) -> None:
    """Write the checksum if it applies to the packet."""
    target = FieldValue(definition.target)
    body.when(_applies(body, definition), lambda: Expressions(body).assign_word(target, _calculate(body, definition)))


def _calculate(body: Body, definition: ChecksumDef) -> ir.Value:
    return body.b.call(calculation(body.unit, definition.calculation), [body.switch, body.context])


def _applies(body: Body, definition: ChecksumDef) -> ir.Value:
    return BIT(1) if definition.condition is None else Expressions(body).truth(definition.condition)
