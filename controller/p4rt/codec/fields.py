"""Single values: match fields, action parameters and header fields, checked against their P4Info."""

from __future__ import annotations

from collections.abc import Mapping

from p4.v1 import p4runtime_pb2

from controller.p4rt.errors import DecodingError, EncodingError
from controller.p4rt.matches import Exact, Lpm, Match, Optional, Range, Ternary
from controller.p4rt.names import Index
from controller.p4rt.p4info import Field, MatchField, MatchKind
from controller.p4rt.values import Value, decode_unsigned

_FORMS: dict[type[Match], MatchKind] = {
    Exact: MatchKind.EXACT,
    Lpm: MatchKind.LPM,
    Ternary: MatchKind.TERNARY,
    Range: MatchKind.RANGE,
    Optional: MatchKind.OPTIONAL,
}


def encode_value(field: Field, value: Value) -> bytes:
    """Canonical octets of `value`; raises EncodingError naming field and value if it does not fit."""
    if isinstance(value, str):
        if not field.is_string:
            raise EncodingError(f"{field.name} = {value!r}: is a number of {field.width} bits, not a string")
        return value.encode()
    if field.is_string:
        raise EncodingError(f"{field.name} = {value!r}: is a string, not a number")
    bits = value.bit_length()
    if value < 0 or bits > field.width:
        raise EncodingError(f"{field.name} = {value:#x}: does not fit {field.width} bits")
    return value.to_bytes((bits + 7) // 8 or 1, "big")


def decode_value(field: Field, data: bytes) -> Value:
    """The value of octets; raises DecodingError naming the field."""
    if field.is_string:
        return data.decode(errors="surrogateescape")
    return _decode_number(field, data)


def _decode_number(field: Field, data: bytes) -> int:
    try:
        return decode_unsigned(data, field.width)
    except DecodingError as error:
        raise DecodingError(f"{field.name}: {error}") from None


def resolve_names(match: Mapping[str, Match], fields: Index[MatchField]) -> Mapping[str, Match]:
    """`match` with every field under its full name; raises UnknownNameError or EncodingError."""
    resolved: dict[str, Match] = {}
    for name, form in match.items():
        full = fields[name].name
        if full in resolved:
            raise EncodingError(f"{full}: is given twice, once as {name!r}")
        resolved[full] = form
    return resolved


def encode_match(message: p4runtime_pb2.FieldMatch, field: MatchField, form: Match) -> None:
    """Fill `message` with `form`; raises EncodingError naming field and value."""
    message.field_id = field.id
    kind = _FORMS[type(form)]
    if kind is not field.kind:
        raise EncodingError(f"{field.name} = {form}: is matched {field.kind.value}, not {kind.value}")
    if isinstance(form, Exact):
        message.exact.value = encode_value(field, form.value)
    elif isinstance(form, Lpm):
        if not 0 < form.prefix_len <= field.width:
            raise EncodingError(f"{field.name} = {form}: the length is not within 1..{field.width}")
        if form.value & ((1 << (field.width - form.prefix_len)) - 1):
            raise EncodingError(f"{field.name} = {form}: has bits beyond its prefix")
        message.lpm.value = encode_value(field, form.value)
        message.lpm.prefix_len = form.prefix_len
    elif isinstance(form, Ternary):
        if form.value & ~form.mask:
            raise EncodingError(f"{field.name} = {form}: has bits beyond its mask")
        message.ternary.value = encode_value(field, form.value)
        message.ternary.mask = encode_value(field, form.mask)
    elif isinstance(form, Range):
        if form.low > form.high:
            raise EncodingError(f"{field.name} = {form}: ends before it starts")
        message.range.low = encode_value(field, form.low)
        message.range.high = encode_value(field, form.high)
    else:
        message.optional.value = encode_value(field, form.value)


def spans_field(form: Match, field: MatchField) -> bool:
    """Whether `form` is a range that accepts every value, so that P4Runtime wants it left out."""
    return isinstance(form, Range) and form.low == 0 and form.high == (1 << field.width) - 1


def decode_match(message: p4runtime_pb2.FieldMatch, field: MatchField) -> Match:
    """The form that `message` describes; raises DecodingError if it is of another kind than the field."""
    found = message.WhichOneof("field_match_type")
    if found != field.kind.value:
        raise DecodingError(f"{field.name}: is matched {field.kind.value}, not {found or 'at all'}")
    match field.kind:
        case MatchKind.EXACT:
            return Exact(decode_value(field, message.exact.value))
        case MatchKind.LPM:
            return Lpm(_decode_number(field, message.lpm.value), message.lpm.prefix_len)
        case MatchKind.TERNARY:
            value = _decode_number(field, message.ternary.value)
            return Ternary(value, _decode_number(field, message.ternary.mask))
        case MatchKind.RANGE:
            low = _decode_number(field, message.range.low)
            return Range(low, _decode_number(field, message.range.high))
        case MatchKind.OPTIONAL:
            return Optional(decode_value(field, message.optional.value))
