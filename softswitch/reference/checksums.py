"""Checksums: verified after parsing, updated before deparsing."""

from __future__ import annotations

from collections.abc import Callable

from softswitch.program.calculations import ChecksumDef
from softswitch.reference.expressions import field_writer
from softswitch.reference.packet import Packet
from softswitch.reference.primitives import Context
from softswitch.reference.trace import ChecksumUpdated, ChecksumVerified

Verification = Callable[[Packet], bool]
Update = Callable[[Packet], None]


def compile_verification(definition: ChecksumDef, context: Context) -> Verification:
    """Whether the checksum is right; one that does not apply to the packet is."""
    applies = _condition(definition, context)
    calculate = context.calculations[definition.calculation]
    spec, trace = context.layout.spec(definition.target), context.trace
    valid, mask = context.layout.headers[definition.target.header].valid, (1 << spec.width) - 1

    def verify(packet: Packet) -> bool:
        if not packet.fields[valid] or not applies(packet):
            return True
        computed, found = calculate(packet), packet.fields[spec.slot] & mask
        if trace is not None:
            trace(ChecksumVerified(packet.id, definition.name, computed, found))
        return computed == found

    return verify


def compile_update(definition: ChecksumDef, context: Context) -> Update:
    """Write the checksum if it applies to the packet."""
    applies = _condition(definition, context)
    calculate = context.calculations[definition.calculation]
    write, trace = field_writer(context.layout.spec(definition.target)), context.trace

    def update(packet: Packet) -> None:
        if applies(packet):
            value = calculate(packet)
            write(packet.fields, value)
            if trace is not None:
                trace(ChecksumUpdated(packet.id, definition.name, value))

    return update


def _condition(definition: ChecksumDef, context: Context) -> Callable[[Packet], bool]:
    if definition.condition is None:
        return lambda packet: True
    holds = context.expressions.truth(definition.condition)
    return lambda packet: holds(packet.fields)
