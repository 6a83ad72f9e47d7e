"""The deparser: checksum updates, and headers in the order in which they are emitted."""

from __future__ import annotations

from softswitch.native.runtime.program import p4_deparse, p4_emit, p4_header_octets
from softswitch.native.translate.bits import BitWriter
from softswitch.native.translate.body import Body, Place, Unit
from softswitch.native.translate.checksums import write_update
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.headers import header_octets
from softswitch.native.translate.primitives import write_primitive
from softswitch.native.words import POINTER, WORD


def write_deparser(unit: Unit) -> None:
    """The hooks p4_deparse, p4_header_octets and p4_emit."""
    _write_updates(unit)
    _write_size(unit)
    _write_emit(unit)


def _write_updates(unit: Unit) -> None:
    function = unit.linker.define(p4_deparse.__name__, WORD, [POINTER, POINTER])
    body = Body(unit, function, switch=function.args[0], context=function.args[1])
    for checksum in unit.program.checksums:
        if checksum.update:
            write_update(body, checksum)
    expressions = Expressions(body)
    for call in unit.program.deparser.primitives:
        write_primitive(call, expressions)
    body.finish()


def _write_size(unit: Unit) -> None:
    function = unit.linker.define(p4_header_octets.__name__, WORD, [POINTER])
    body = Body(unit, function, context=function.args[0])
    total = WORD(0)
    for header in unit.program.deparser.order:
        place = body.header(header)
        octets = body.b.select(body.is_valid(place), header_octets(body, place), WORD(0))
        total = body.b.add(total, octets)
    body.b.ret(total)
    body.finish()


def _write_emit(unit: Unit) -> None:
    function = unit.linker.define(p4_emit.__name__, WORD, [POINTER, POINTER])
    body = Body(unit, function, context=function.args[0])
    position = body.alloca(POINTER)
    body.b.store(function.args[1], position)
    for header in unit.program.deparser.order:
        place = body.header(header)
        body.when(body.is_valid(place), lambda place=place: _emit(body, place, position))  # type: ignore[misc]
    body.finish()


def _emit(body: Body, place: Place, position: object) -> None:
    at = body.b.load(position, typ=POINTER)
    writer = BitWriter(body, at)
    for slot in place.layout.wire:
        if slot.variable:
            at = body.offset(at, writer.flush())
            octets = body.b.lshr(body.load(body.offset(place.pointer, slot.length)), WORD(3))
            body.copy(at, body.offset(place.pointer, slot.offset), octets)
            at = body.offset(at, octets)
            writer = BitWriter(body, at)
        elif slot.width:
            writer.put(body.read_wire(place.pointer, slot), slot.width)
    body.b.store(body.offset(at, writer.flush()), position)
