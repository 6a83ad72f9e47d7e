"""What the architecture needs of a program besides its parts: fields it knows, field lists, digests, sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from llvmlite import ir

from softswitch.native.runtime import program as hooks
from softswitch.native.runtime.structs import CTX_FIELDS, DIGEST
from softswitch.native.translate.body import Body, Unit
from softswitch.native.translate.expressions import Expressions
from softswitch.native.translate.primitives import note
from softswitch.native.words import POINTER, WORD
from softswitch.program.headers import FieldRef
from softswitch.program.stateful import DigestDef

_SETTERS: Final[dict[Callable[..., int], str]] = {
    hooks.p4_set_ingress_port: "standard_metadata.ingress_port",
    hooks.p4_set_packet_length: "standard_metadata.packet_length",
    hooks.p4_set_instance_type: "standard_metadata.instance_type",
    hooks.p4_set_egress_port: "standard_metadata.egress_port",
    hooks.p4_set_egress_spec: "standard_metadata.egress_spec",
    hooks.p4_set_parser_error: "standard_metadata.parser_error",
    hooks.p4_set_checksum_error: "standard_metadata.checksum_error",
    hooks.p4_set_ingress_timestamp: "intrinsic_metadata.ingress_global_timestamp",
    hooks.p4_set_egress_timestamp: "intrinsic_metadata.egress_global_timestamp",
    hooks.p4_set_replica_id: "intrinsic_metadata.egress_rid",
    hooks.p4_set_enqueued_at: "queueing_metadata.enq_timestamp",
    hooks.p4_set_enqueued_depth: "queueing_metadata.enq_qdepth",
    hooks.p4_set_queued_for: "queueing_metadata.deq_timedelta",
    hooks.p4_set_dequeued_depth: "queueing_metadata.deq_qdepth",
    hooks.p4_set_queue_id: "queueing_metadata.qid",
}
_GETTERS: Final[dict[Callable[..., int], str]] = {
    hooks.p4_get_egress_spec: "standard_metadata.egress_spec",
    hooks.p4_get_group: "intrinsic_metadata.mcast_grp",
    hooks.p4_get_priority: "intrinsic_metadata.priority",
    hooks.p4_get_enqueued_at: "queueing_metadata.enq_timestamp",
}
# Set only where the program has the time a packet was enqueued.
_DEQUEUED: Final = (hooks.p4_set_queued_for, hooks.p4_set_dequeued_depth, hooks.p4_set_queue_id)


def write_architecture(unit: Unit) -> None:
    """The hooks that are not parts of the program."""
    for hook, octets in (
        (hooks.context_bytes, CTX_FIELDS + unit.layout.size),
        (hooks.field_bytes, unit.layout.size),
    ):
        function = unit.linker.define(hook.__name__, WORD, [])
        ir.IRBuilder(function.append_basic_block("entry")).ret(WORD(octets))
    for setter, name in _SETTERS.items():
        _write_setter(unit, setter, unit.program.field(name))
    for getter, name in _GETTERS.items():
        _write_getter(unit, getter, unit.program.field(name))
    _write_keep_fields(unit)
    _write_sample_digest(unit)


def _write_setter(unit: Unit, hook: Callable[..., int], ref: FieldRef | None) -> None:
    function = unit.linker.define(hook.__name__, WORD, [POINTER, WORD])
    body = Body(unit, function, context=function.args[0])
    enqueued = unit.program.field("queueing_metadata.enq_timestamp")
    if ref is not None and not (hook in _DEQUEUED and enqueued is None):
        place = body.header(ref.header)
        Expressions(body).write_word(place.pointer, body.slot(ref), function.args[1])
    body.finish()


def _write_getter(unit: Unit, hook: Callable[..., int], ref: FieldRef | None) -> None:
    function = unit.linker.define(hook.__name__, WORD, [POINTER])
    body = Body(unit, function, context=function.args[0])
    if ref is not None:
        slot = body.slot(ref)
        body.b.ret(body.resize(body.read(body.header(ref.header).pointer, slot), 64, slot.signed))
    body.finish()


def _write_keep_fields(unit: Unit) -> None:
    """Metadata of a copy is zero but for the fields of the list. The copy is never the packet itself."""
    function = unit.linker.define(hooks.p4_keep_fields.__name__, WORD, [WORD, POINTER, POINTER])
    list_id, source, target = function.args
    body = Body(unit, function, context=target)
    layout = unit.layout
    start = body.offset(body.fields, layout.metadata_start)
    body.clear(start, layout.metadata_end - layout.metadata_start)
    origin = body.offset(source, CTX_FIELDS)
    end = body.block("kept")
    switch = body.b.switch(list_id, end)
    for number, fields in unit.program.field_lists.items():
        block = body.block(f"list_{number}")
        switch.add_case(WORD(number), block)
        body.at(block)
        for ref in fields.fields:
            _keep(body, ref, origin)
        body.b.branch(end)
    body.at(end)
    body.finish()


def _keep(body: Body, ref: FieldRef, origin: ir.Value) -> None:
    slot, offset = body.slot(ref), body.unit.layout.headers[ref.header]
    at = offset + slot.offset
    octets = slot.storage // 8
    body.copy(body.offset(body.fields, at), body.offset(origin, at), octets)


def digest_words(definition: DigestDef) -> list[int]:
    """Words that each field of a digest takes."""
    return [max((ref.width + 63) // 64, 1) for ref in definition.fields]


def _write_sample_digest(unit: Unit) -> None:
    function = unit.linker.define(hooks.p4_sample_digest.__name__, WORD, [POINTER, POINTER, WORD])
    switch_argument, context, number = function.args
    body = Body(unit, function, switch=switch_argument, context=context)
    unknown, end = body.block("unknown"), body.block("sampled")
    switch = body.b.switch(number, unknown)
    for definition in unit.program.digests.values():
        block = body.block(f"digest_{definition.id}")
        switch.add_case(WORD(definition.id), block)
        body.at(block)
        words = digest_words(definition)
        space = body.alloca(ir.ArrayType(WORD, max(sum(words), 1)))
        at = 0
        for ref, count in zip(definition.fields, words, strict=True):
            slot = body.slot(ref)
            value = body.read_wire(body.header(ref.header).pointer, slot) if slot.width else ir.IntType(1)(0)
            body.store(body.resize(value, 64 * count), body.offset(space, 8 * at))
            at += count
        body.call(note, body.switch, DIGEST, number, space, sum(words))
        body.b.branch(end)
    body.at(unknown)
    body.call(note, body.switch, DIGEST, number, POINTER(None), 0)
    body.b.branch(end)
    body.at(end)
    body.finish()
