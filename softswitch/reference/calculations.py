"""Hash calculations: gathering the input and applying the algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from softswitch.program.algorithms import CrcParameters
from softswitch.program.calculations import CalculationDef, CalculationInput, ConstInput, PayloadInput
from softswitch.program.headers import FieldRef, Header
from softswitch.reference.hashes import crc, make_hash
from softswitch.reference.layout import Fields, HeaderSlots, Layout
from softswitch.reference.packet import Packet

Calculation = Callable[[Packet], int]
_Bits = tuple[int, int]  # value, number of bits


def compile_calculation(
    definition: CalculationDef, layout: Layout, crc_parameters: Mapping[str, CrcParameters]
) -> Calculation:
    """A named calculation. crc_parameters: those the control plane has set, by calculation, looked up live."""
    function = make_hash(definition.algorithm)
    gather = compile_gather(definition.inputs, layout)
    name = definition.name

    def calculate(packet: Packet) -> int:
        data = gather(packet)
        own = crc_parameters.get(name)
        return function(data) if own is None else crc(own)(data)

    return calculate


def compile_gather(inputs: tuple[CalculationInput, ...], layout: Layout) -> Callable[[Packet], bytes]:
    """The octets to hash: inputs of invalid headers are left out, the end is padded with zero bits.

    The payload comes last wherever it stands among the inputs, as in bmv2.
    """
    pieces = [_piece(item, layout) for item in inputs if not isinstance(item, PayloadInput)]
    with_payload = any(isinstance(item, PayloadInput) for item in inputs)

    def gather(packet: Packet) -> bytes:
        joined = total = 0
        for piece in pieces:
            value, bits = piece(packet.fields)
            joined = joined << bits | value
            total += bits
        octets = (joined << -total % 8).to_bytes((total + 7) // 8)
        return octets + packet.payload if with_payload else octets

    return gather


def _piece(item: CalculationInput, layout: Layout) -> Callable[[Fields], _Bits]:
    match item:
        case ConstInput(value, width):
            return lambda f: (value, width)
        case Header():
            return _header_piece(layout.headers[item])
        case FieldRef() as ref:
            return _field_piece(ref, layout)
    raise AssertionError(f"{item} is not a piece")


def _header_piece(slots: HeaderSlots) -> Callable[[Fields], _Bits]:
    return lambda f: slots.pack(f) if f[slots.valid] else (0, 0)


def _field_piece(ref: FieldRef, layout: Layout) -> Callable[[Fields], _Bits]:
    slots, spec = layout.headers[ref.header], layout.spec(ref)
    valid, slot, mask, width = slots.valid, spec.slot, spec.mask, spec.width
    if spec.variable:
        return lambda f: (f[slot], f[slots.length]) if f[valid] else (0, 0)
    return lambda f: (f[slot] & mask, width) if f[valid] else (0, 0)
