"""Accelerator metadata: what the fabric says about an accelerator beside its locator (choice C13).

It travels as type-length-value triples, one octet each for type and length, in a vendor LCAF (RFC 9306 §4)
which stands in an AFI list together with the RLOC (requirements SO-REG-6, SU-REG-5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from controller.lisp.constants import DEFAULT_OUI
from controller.lisp.errors import DecodeError, EncodeError
from controller.lisp.lcaf import Address, AfiList, VendorSpecific

_MODEL: Final = 1
# TLV type -> attribute and width in octets, for the attributes that are numbers.
_NUMBERS: Final = {
    2: ("pod_id", 4),
    3: ("rail", 2),
    4: ("link_speed", 2),
    5: ("job_id", 4),
    6: ("congestion", 1),
    7: ("acc_id", 4),
}
_FIRST_UNASSIGNED: Final = 8


@dataclass(frozen=True, slots=True)
class Metadata:
    """Facts about one accelerator's attachment; None means not told.

    `model` ASCII, up to 255 characters; `pod_id` 32 bits; `rail` rail or port number, 16 bits; `link_speed`
    in Gb/s, 16 bits; `job_id` 32 bits; `congestion` state, 8 bits; `acc_id` the binary accelerator id that
    Scale-Up frames carry, 32 bits. `other` keeps triples of types that this version does not know, as
    (type, value).
    """

    model: str | None = None
    pod_id: int | None = None
    rail: int | None = None
    link_speed: int | None = None
    job_id: int | None = None
    congestion: int | None = None
    acc_id: int | None = None
    other: tuple[tuple[int, bytes], ...] = ()


def encode_metadata(metadata: Metadata) -> bytes:
    """Return the triples, known types first in ascending order.

    Raises EncodeError for a value that does not fit.
    """
    parts: list[bytes] = []
    if metadata.model is not None:
        if not metadata.model.isascii() or len(metadata.model) > 255:
            raise EncodeError("metadata.model", repr(metadata.model), "must be at most 255 ASCII characters")
        parts.append(bytes((_MODEL, len(metadata.model))) + metadata.model.encode("ascii"))
    for kind, (name, width) in _NUMBERS.items():
        number: int | None = getattr(metadata, name)
        if number is not None:
            if not 0 <= number < 1 << 8 * width:
                raise EncodeError(f"metadata.{name}", number, f"does not fit {8 * width} bits")
            parts.append(bytes((kind, width)) + number.to_bytes(width, "big"))
    for kind, value in metadata.other:
        if not (kind == 0 or _FIRST_UNASSIGNED <= kind <= 255) or len(value) > 255:
            raise EncodeError("metadata.other", kind, "must be an unassigned type with at most 255 octets")
        parts.append(bytes((kind, len(value))) + value)
    return b"".join(parts)


@lru_cache(maxsize=4096)  # an accelerator's metadata comes again with every refresh of its registration
def decode_metadata(data: bytes) -> Metadata:
    """Read the triples of a vendor LCAF. Raises DecodeError, its offset counted from the start of `data`."""
    known: dict[str, Any] = {}
    other: list[tuple[int, bytes]] = []
    offset, end = 0, len(data)
    while offset < end:
        kind = data[offset]
        value_at = offset + 2
        if value_at > end or value_at + data[offset + 1] > end:
            raise DecodeError("metadata", data[offset:], offset, "triple runs past the end of the LCAF")
        value = data[value_at : value_at + data[offset + 1]]
        if kind == _MODEL:
            if not value.isascii():
                raise DecodeError("metadata.model", value, value_at, "not ASCII")
            name = "model"
        elif kind in _NUMBERS:
            name, width = _NUMBERS[kind]
            if len(value) != width:
                raise DecodeError(f"metadata.{name}", value, value_at, f"must have {width} octets")
        else:
            other.append((kind, value))
            offset = value_at + len(value)
            continue
        if name in known:
            raise DecodeError(f"metadata.{name}", value, value_at, "given twice")
        known[name] = value.decode("ascii") if kind == _MODEL else int.from_bytes(value, "big")
        offset = value_at + len(value)
    return Metadata(other=tuple(other), **known)


def with_metadata(rloc: Address, metadata: Metadata, oui: int = DEFAULT_OUI) -> AfiList:
    """Return the locator that names `rloc` and carries `metadata` beside it."""
    return AfiList((rloc, VendorSpecific(oui, encode_metadata(metadata))))


def find_metadata(address: Address) -> Metadata | None:
    """Return the metadata in an AFI list or vendor LCAF, None if there is none.

    Raises DecodeError if it is malformed. In a message that `decode` accepted it is well-formed, for the
    decoder takes only OUIs whose data has this format.
    """
    if isinstance(address, VendorSpecific):
        return decode_metadata(address.data)
    if isinstance(address, AfiList):
        return next((found for e in address.elements if (found := find_metadata(e)) is not None), None)
    return None
