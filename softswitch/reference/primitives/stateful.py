"""Primitives on counters, meters and registers; hashes and random numbers."""

from __future__ import annotations

from softswitch.program.calculations import CalculationDef
from softswitch.program.stateful import CounterDef, MeterDef, RegisterDef
from softswitch.reference.packet import Packet
from softswitch.reference.primitives.context import Arguments, Compiler, Context, Run

_MAX_U64 = (1 << 64) - 1


def _count(args: Arguments, context: Context) -> Run:
    definition, index = args[0], args.data(1)
    assert isinstance(definition, CounterDef)
    counter = context.state.counter(definition.name)
    return lambda packet: counter.count(index(packet.fields), packet.ingress_length)


def _execute_meter(args: Arguments, context: Context) -> Run:
    definition, index, write = args[0], args.data(1), args.write(2)
    assert isinstance(definition, MeterDef)
    meter, clock = context.state.meter(definition.name), context.state.clock

    def run(packet: Packet) -> None:
        at = index(packet.fields)
        if 0 <= at < meter.size:
            write(packet.fields, meter.execute(at, packet.ingress_length, clock()))

    return run


def _register_read(args: Arguments, context: Context) -> Run:
    write, definition, index = args.write(0), args[1], args.data(2)
    assert isinstance(definition, RegisterDef)
    register = context.state.register(definition.name)

    def run(packet: Packet) -> None:
        at = index(packet.fields)
        if 0 <= at < register.size:
            write(packet.fields, register.get(at))

    return run


def _register_write(args: Arguments, context: Context) -> Run:
    definition, index, value = args[0], args.data(1), args.data(2)
    assert isinstance(definition, RegisterDef)
    register = context.state.register(definition.name)
    return lambda packet: register.put(index(packet.fields), value(packet.fields))


def _hash(args: Arguments, context: Context) -> Run:
    write, base, definition, size = args.write(0), args.data(1), args[2], args.data(3)
    assert isinstance(definition, CalculationDef)
    calculation = context.calculations[definition]

    def run(packet: Packet) -> None:
        f = packet.fields
        modulus = min(size(f), _MAX_U64) or 1
        write(f, calculation(packet) % modulus + base(f) & _MAX_U64)

    return run


def _random(args: Arguments, context: Context) -> Run:
    write, low, high = args.write(0), args.data(1), args.data(2)

    def run(packet: Packet) -> None:
        smallest, largest = low(packet.fields), high(packet.fields)
        if smallest <= largest:
            write(packet.fields, context.random.randint(smallest, largest))

    return run


COMPILERS: dict[str, Compiler] = {
    "count": _count,
    "execute_meter": _execute_meter,
    "modify_field_rng_uniform": _random,
    "modify_field_with_hash_based_offset": _hash,
    "register_read": _register_read,
    "register_write": _register_write,
}
