"""Hash calculations: gathering the input in memory and applying the algorithm to it."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.errors import UntranslatableError
from softswitch.native.objects import is_custom
from softswitch.native.runtime import hashes
from softswitch.native.runtime.buffers import free, malloc
from softswitch.native.runtime.structs import (
    CTX_PAYLOAD,
    CTX_PAYLOAD_LENGTH,
    SLACK,
    SW_SCRATCH,
    SW_SCRATCH_BYTES,
)
from softswitch.native.translate.bits import BitWriter
from softswitch.native.translate.body import OCTET, Body, Place, Unit
from softswitch.native.words import POINTER, WORD, u64, word
from softswitch.program.algorithms import CrcParameters, crc_parameters
from softswitch.program.calculations import CalculationDef, CalculationInput, ConstInput, PayloadInput
from softswitch.program.headers import FieldRef, Header
from softswitch.reference.hashes import crc_table, reflect

_PLAIN = {
    "bmv2_hash": hashes.xxh64,
    "cksum16": hashes.internet_checksum,
    "csum16": hashes.internet_checksum,
    "hash_ex": hashes.hash_ex,
    "identity": hashes.identity,
    "xor16": hashes.xor16,
    "xor32": hashes.xor32,
    "xxh64": hashes.xxh64,
}


@word
def scratch(switch: int, octets: int) -> int:
    """Memory for that many octets; what was there before is lost."""
    wanted = octets + SLACK
    if u64[switch + SW_SCRATCH_BYTES] < wanted:
        free(u64[switch + SW_SCRATCH])
        u64[switch + SW_SCRATCH] = malloc(wanted)
        u64[switch + SW_SCRATCH_BYTES] = wanted
    return u64[switch + SW_SCRATCH]


def crc_words(parameters: CrcParameters) -> list[int]:
    """Parameters and table of a CRC, as the runtime wants them."""
    initial = reflect(parameters.initial, parameters.width) if parameters.reflect_in else parameters.initial
    reflected = int(parameters.reflect_in), int(parameters.reflect_out)
    return [parameters.width, initial, parameters.final_xor, *reflected, *crc_table(parameters)]


def calculation(unit: Unit, definition: CalculationDef) -> ir.Function:
    """The function of a named calculation: switch and context to a word."""
    if definition not in unit.calculations:
        name = f"calculation_{len(unit.calculations)}"
        function = unit.linker.define(name, WORD, [POINTER, POINTER])
        unit.calculations[definition] = function
        body = Body(unit, function, switch=function.args[0], context=function.args[1])
        parameters = body.object_address(definition) if is_custom(definition) else None
        counter = body.object_address(definition) if definition.algorithm == "round_robin" else None
        body.b.ret(hash_of(body, definition.algorithm, definition.inputs, parameters, counter))
        body.finish()
    return unit.calculations[definition]


def hash_of(
    body: Body,
    algorithm: str,
    inputs: tuple[CalculationInput, ...],
    parameters: ir.Value = None,
    counter: ir.Value = None,
) -> ir.Value:
    """The hash of a packet, a word.

    parameters: address of those of a CRC whose parameters can change; counter: of the round robin's word
    """
    if algorithm == "random":
        return body.call(hashes.random_word, body.switch)
    if algorithm == "toeplitz":
        return WORD(0)  # the key is all zeros and cannot be set
    if algorithm == "round_robin":
        pointer = body.pointer(counter)
        value = body.load(pointer)
        body.store(body.b.add(value, WORD(1)), pointer)
        return value
    octets, length = _gather(body, inputs)
    if parameters is None and (known := crc_parameters(algorithm)) is not None:
        parameters = _constant_crc(body.unit, algorithm, known)
    if parameters is not None:
        return body.call(hashes.crc, parameters, octets, length)
    if algorithm not in _PLAIN:
        raise UntranslatableError(f"hash algorithm {algorithm}")
    return body.call(_PLAIN[algorithm], octets, length)


def _constant_crc(unit: Unit, algorithm: str, parameters: CrcParameters) -> ir.Value:
    if algorithm not in unit.constants:
        words = crc_words(parameters)
        kind = ir.ArrayType(WORD, len(words))
        constant = ir.GlobalVariable(unit.linker.module, kind, f"crc.{algorithm}")
        constant.global_constant, constant.linkage = True, "internal"
        constant.initializer = ir.Constant(kind, [WORD(value) for value in words])
        unit.constants[algorithm] = constant
    return unit.constants[algorithm]


def _gather(body: Body, inputs: tuple[CalculationInput, ...]) -> tuple[ir.Value, ir.Value]:
    """A pointer to the octets to hash, and how many; the payload comes last wherever it stands."""
    runs = _runs(body, [item for item in inputs if not isinstance(item, PayloadInput)])
    most = sum(run.most for run in runs)
    with_payload = any(isinstance(item, PayloadInput) for item in inputs)
    if with_payload:
        payload_octets = body.context_word(CTX_PAYLOAD_LENGTH)
        start = body.pointer(body.call(scratch, body.switch, body.b.add(payload_octets, WORD(most // 8 + 1))))
    else:
        start = body.alloca(ir.ArrayType(OCTET, most // 8 + SLACK))
    whole = all(run.octets for run in runs)
    end = _in_octets(body, start, runs) if whole else _in_bits(body, start, runs)
    if with_payload:
        body.copy(end, body.pointer(body.context_word(CTX_PAYLOAD)), payload_octets)
        end = body.offset(end, payload_octets)
    return start, body.b.sub(body.address(end), body.address(start))


class _Run:
    """Neighbouring inputs that are there, or not, together."""

    def __init__(self, place: Place | None) -> None:
        self.place = place
        self.items: list[tuple[ir.Value, ir.Value]] = []  # value and width; or pointer and number of octets of a varbit
        self.most = 0
        self.octets = True  # whether varbits begin and the run ends at an octet
        self.widths: list[int | None] = []

    def put(self, value: ir.Value, width: int) -> None:
        self.items.append((value, width))
        self.widths.append(width)
        self.most += width

    def put_variable(self, body: Body, pointer: ir.Value, offset: int, length: int, most: int) -> None:
        bits = body.load(body.offset(pointer, length))
        self.items.append((body.offset(pointer, offset), body.b.lshr(bits, WORD(3))))
        self.widths.append(None)
        self.most += most

    def close(self) -> None:
        total = 0
        for width in (*self.widths, None):
            if width is None:
                self.octets &= total % 8 == 0
                total = 0
            else:
                total += width


def _runs(body: Body, inputs: list[CalculationInput]) -> list[_Run]:
    runs: list[_Run] = []
    last: object = runs
    for item in inputs:
        match item:
            case ConstInput():
                owner: object = None
            case Header():
                owner = item
            case FieldRef(header, _):
                owner = header
        place = body.header(owner) if isinstance(owner, Header) else None
        key = owner if place is not None and not place.metadata else None
        if not runs or last is not key:
            runs.append(_Run(place if key is not None else None))
            last = key
        _add(body, runs[-1], item, place)
    for run in runs:
        run.close()
    return runs


def _add(body: Body, run: _Run, item: CalculationInput, place: Place | None) -> None:
    if isinstance(item, ConstInput):
        run.put(ir.IntType(item.width)(item.value), item.width)
        return
    assert place is not None
    slots = place.layout.wire if isinstance(item, Header) else ()
    if isinstance(item, FieldRef):
        slots = (body.slot(item),)
    for slot in slots:
        if slot.variable:
            run.put_variable(body, place.pointer, slot.offset, slot.length, slot.storage)
        elif slot.width:
            run.put(body.read_wire(place.pointer, slot), slot.width)


def _in_octets(body: Body, start: ir.Value, runs: list[_Run]) -> ir.Value:
    """Writes every run at the end of those before it, and moves the end if the run is there."""
    end = start
    for run in runs:
        at = end
        writer = BitWriter(body, at)
        for (value, width), fixed in zip(run.items, run.widths, strict=True):
            if fixed is None:
                at = body.offset(at, writer.flush())
                body.copy(at, value, width)
                at = body.offset(at, width)
                writer = BitWriter(body, at)
            else:
                writer.put(value, width)
        at = body.offset(at, writer.flush())
        end = at if run.place is None else body.b.select(body.is_valid(run.place), at, end)
    return end


def _in_bits(body: Body, start: ir.Value, runs: list[_Run]) -> ir.Value:
    position = WORD(0)
    for run in runs:
        after = position
        for (value, width), fixed in zip(run.items, run.widths, strict=True):
            if fixed is None:
                raise UntranslatableError("a hash over a variable-length field that begins inside an octet")
            for high in range(width, 0, -64):
                low = max(high - 64, 0)
                piece = body.resize(body.b.lshr(value, value.type(low)) if low else value, 64)
                after = body.call(hashes.put_bits, start, after, piece, high - low)
        if run.place is None:
            position = after
        else:
            position = body.b.select(body.is_valid(run.place), after, position)
            _mend(body, start, position)
    octets = body.b.lshr(body.b.add(position, WORD(7)), WORD(3))
    return body.offset(start, octets)


def _mend(body: Body, start: ir.Value, position: ir.Value) -> None:
    """What an absent run has written behind the end in the last octet becomes zero again."""
    b = body.b
    used = b.and_(position, WORD(7))
    last = body.offset(start, b.lshr(position, WORD(3)))
    mask = b.lshr(WORD(0xFF00), used)
    kept = body.load(last, 8)
    cleared = b.and_(kept, b.trunc(mask, OCTET))
    body.store(b.select(b.icmp_unsigned("!=", used, WORD(0)), cleared, kept), last)
