"""Matches of table entries and value sets (specification section "Match Format").

The canonical form leaves "don't care" fields out; a request must do so too.
"""

from __future__ import annotations

from collections.abc import Sequence

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import Code, P4RuntimeError, invalid_argument
from softswitch.p4runtime.schema import Key, MatchKind
from softswitch.state import Exact, Lpm, Match, MatchValue, Optional_, Range, Ternary


def decode_match(keys: Sequence[Key], fields: Sequence[p4rt.FieldMatch], where: str) -> Match:
    """What the fields ask of the keys, one value for every key.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT or OUT_OF_RANGE, naming `where` and the field.
    """
    given: dict[int, p4rt.FieldMatch] = {}
    known = {key.id for key in keys}
    for field in fields:
        if field.field_id not in known:
            raise invalid_argument(f"{where}: it has no match field with id {field.field_id}")
        if field.field_id in given:
            raise invalid_argument(f"{where}: match field {field.field_id} is given twice")
        given[field.field_id] = field
    return tuple(
        _decode(key, given[key.id], f"{where}: match field {key.name or key.id}")
        if key.id in given
        else _dont_care(key, where)
        for key in keys
    )


def encode_match(keys: Sequence[Key], match: Match) -> list[p4rt.FieldMatch]:
    """The canonical fields of a match."""
    return [field for key, value in zip(keys, match, strict=True) if (field := _encode(key, value)) is not None]


def _dont_care(key: Key, where: str) -> MatchValue:
    match key.kind:
        case MatchKind.EXACT:
            raise invalid_argument(f"{where}: the exact match field {key.name or key.id} is missing")
        case MatchKind.LPM:
            return Lpm(0, 0)
        case MatchKind.TERNARY:
            return Ternary(0, 0)
        case MatchKind.RANGE:
            return Range(0, (1 << key.type.width) - 1)
        case MatchKind.OPTIONAL:
            return _optional(key, None)


def _decode(key: Key, field: p4rt.FieldMatch, where: str) -> MatchValue:
    given = field.WhichOneof("field_match_type")
    if given != key.kind.value:
        raise invalid_argument(f"{where}: the match is of kind {given or 'unset'}, the field is {key.kind.value}")
    decode = key.type.decode
    width = key.type.width
    match key.kind:
        case MatchKind.EXACT:
            value = decode(field.exact.value, where)
            return Exact(value if key.engine is None or key.engine.mask is None else value & key.engine.mask)
        case MatchKind.OPTIONAL:
            return _optional(key, decode(field.optional.value, where))
        case MatchKind.LPM:
            value, length = decode(field.lpm.value, where), field.lpm.prefix_len
            if not 0 < length <= width:
                hint = "; leave the field out to match everything" if length == 0 else ""
                raise invalid_argument(f"{where}: prefix length {length} is not in 1..{width}{hint}")
            if value & ((1 << (width - length)) - 1):
                raise invalid_argument(f"{where}: 0x{value:x} has bits beyond its prefix length {length}")
            return Lpm(value, length)
        case MatchKind.TERNARY:
            value, mask = decode(field.ternary.value, where), decode(field.ternary.mask, where)
            if mask == 0:
                raise invalid_argument(f"{where}: the mask is 0; leave the field out to match everything")
            if value & ~mask:
                raise invalid_argument(f"{where}: 0x{value:x} has bits outside its mask 0x{mask:x}")
            return Ternary(value, mask)
        case MatchKind.RANGE:
            low, high = decode(field.range.low, where), decode(field.range.high, where)
            if low > high:
                raise invalid_argument(f"{where}: the range 0x{low:x}..0x{high:x} is empty")
            if low == 0 and high == (1 << width) - 1:
                raise invalid_argument(f"{where}: the range covers every value; leave the field out instead")
            return Range(low, high)


def _optional(key: Key, value: int | None) -> MatchValue:
    """In the form that the forwarding state keeps: bmv2 knows optional keys as ternary ones."""
    if key.engine is None or key.engine.match_type == "optional":
        return Optional_(value)
    return Ternary(0, 0) if value is None else Ternary(value, (1 << key.type.width) - 1)


def _encode(key: Key, value: MatchValue) -> p4rt.FieldMatch | None:
    encode = key.type.encode
    field = p4rt.FieldMatch(field_id=key.id)
    match key.kind, value:
        case _, (Lpm(_, 0) | Ternary(_, 0) | Optional_(None)):
            return None
        case MatchKind.EXACT, Exact(exact):
            field.exact.value = encode(exact)
        case MatchKind.LPM, Lpm(prefix, length):
            field.lpm.value, field.lpm.prefix_len = encode(prefix), length
        case MatchKind.TERNARY, Ternary(pattern, mask):
            field.ternary.value, field.ternary.mask = encode(pattern), encode(mask)
        case MatchKind.RANGE, Range(low, high):
            if low == 0 and high == (1 << key.type.width) - 1:
                return None
            field.range.low, field.range.high = encode(low), encode(high)
        case MatchKind.OPTIONAL, (Ternary(pattern, _) | Optional_(int(pattern))):
            field.optional.value = encode(pattern)
        case _:
            raise P4RuntimeError(Code.INTERNAL, f"match field {key.name} is {key.kind.value}, the entry has {value}")
    return field
