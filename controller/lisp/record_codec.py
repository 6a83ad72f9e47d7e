"""Writing and reading records: EID-record, RLOC-record, Map-Request record, xTR-ID with Site-ID."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from controller.lisp.address import NO_ADDRESS, NoAddress
from controller.lisp.address_decode import decode_address, truncated
from controller.lisp.address_encode import checked, encode_address
from controller.lisp.constants import XTR_ID_LENGTH, XTR_IDENTITY_LENGTH
from controller.lisp.eid import Eid
from controller.lisp.errors import DecodeError, EncodeError
from controller.lisp.lcaf import Address, is_ignorable
from controller.lisp.options import DecodeOptions
from controller.lisp.records import Action, EidRecord, RequestRecord, RlocRecord, XtrIdentity

_EID_RECORD: Final = Struct("!IBBHH")  # TTL, locator count, mask-len, ACT and A, map-version
_RLOC_RECORD: Final = Struct("!BBBBH")  # priority, weight, multicast priority and weight, flags
_IDENTITY: Final = Struct("!16sQ")

_MASK_LEN: Final = 5  # offsets in an EID-record
_EID: Final = _EID_RECORD.size

_AUTHORITATIVE: Final = 0x1000
_LOCAL: Final = 0x0004
_PROBED: Final = 0x0002
_REACHABLE: Final = 0x0001
_SUBSCRIBE: Final = 0x80
_ACTIONS: Final[tuple[Action | int, ...]] = (*Action, 6, 7)
_IPV4_AFI: Final = b"\x00\x01"


def encode_eid_record(record: EidRecord) -> bytes:
    """Return the record with its locators. Raises EncodeError for a value that does not fit its field.

    The last record is remembered: a mapping that changed is told to many subscribers, one after the other.
    """
    global _last_encoded
    last, octets = _last_encoded
    if last is not record:
        octets = _encode_eid_record(record)
        _last_encoded = (record, octets)
    return octets


_last_encoded: tuple[EidRecord | None, bytes] = (None, b"")


def _encode_eid_record(record: EidRecord) -> bytes:
    action, version = record.action, record.map_version
    try:
        if action >> 3 or version >> 12:  # not octets of their own, so packing would not notice
            raise struct.error
        head = _EID_RECORD.pack(
            record.ttl,
            len(record.locators),
            record.mask_len,
            action << 13 | (_AUTHORITATIVE if record.authoritative else 0),
            version,
        )
    except struct.error:
        checked("ttl", record.ttl, 32)
        checked("locators.count", len(record.locators), 8)
        checked("mask-len", record.mask_len, 8)
        checked("action", action, 3)
        checked("map-version", version, 12)
        raise
    try:
        eid = encode_address(record.eid)
    except EncodeError as error:
        error.within("eid")
        raise
    if not record.locators:
        return head + eid
    parts = [head, eid]
    for index, locator in enumerate(record.locators):
        try:
            parts.append(_encode_rloc_record(locator))
        except EncodeError as error:
            error.within(f"locators[{index}]")
            raise
    return b"".join(parts)


def encode_rloc_set(ttl: int, locators: Sequence[RlocRecord]) -> tuple[bytes, bytes]:
    """Return what stands in a record before the mask-len, and what after the EID. Raises EncodeError."""
    record = _encode_eid_record(EidRecord(NO_ADDRESS, 0, ttl, tuple(locators)))
    return record[:_MASK_LEN], record[_EID + len(encode_address(NO_ADDRESS)) :]


def encode_eid(eid: Eid) -> bytes:
    """Return what stands between those two: mask-len and EID; ACT, A and map-version are zero."""
    return _encode_eid_record(EidRecord.for_eid(eid, 0))[_MASK_LEN:]


def _encode_rloc_record(record: RlocRecord) -> bytes:
    flags = (
        (_LOCAL if record.local else 0) | (_PROBED if record.probed else 0) | (_REACHABLE if record.reachable else 0)
    )
    try:
        head = _RLOC_RECORD.pack(record.priority, record.weight, record.mpriority, record.mweight, flags)
    except struct.error:
        checked("priority", record.priority, 8)
        checked("weight", record.weight, 8)
        checked("mpriority", record.mpriority, 8)
        checked("mweight", record.mweight, 8)
        raise
    return head + encode_address(record.address)


def decode_eid_record(octets: bytes, offset: int, end: int, options: DecodeOptions) -> tuple[EidRecord, int]:
    """Read the record at `offset`; return it and the offset after its last locator.

    Locators that name nothing are left out, see `EidRecord`. Raises DecodeError, also for an EID that
    cannot be looked up.
    """
    at = offset + 10
    if at > end:
        raise truncated("eid-record", octets, offset, end, 10)
    ttl, count, mask_len, flags, version = _EID_RECORD.unpack_from(octets, offset)
    eid, at = _decode_eid(octets, at, end, mask_len, offset + 5, options)
    locators: list[RlocRecord] = []
    for index in range(count):
        # The commonest locator by far: AFI IPv4, 12 octets in all, seen before.
        if octets[at + 6 : at + 8] == _IPV4_AFI and at + 12 <= end:
            locators.append(_ipv4_rloc_record(octets[at : at + 12]))
            at += 12
            continue
        try:
            locator, at = _decode_rloc_record(octets, at, end, options)
        except DecodeError as error:
            error.within(f"locators[{index}]")
            raise
        if not isinstance(locator.address, NoAddress) and not is_ignorable(locator.address):
            locators.append(locator)
    record = EidRecord(
        eid,
        mask_len,
        ttl,
        tuple(locators),
        _ACTIONS[flags >> 13],
        bool(flags & _AUTHORITATIVE),
        version & 0x0FFF,
    )
    return record, at


def _decode_eid(
    octets: bytes, offset: int, end: int, mask_len: int, mask_len_offset: int, options: DecodeOptions
) -> tuple[Address, int]:
    """Read an EID-prefix and make sure that it is a possible lookup key."""
    try:
        eid, after = decode_address(octets, offset, end, options)
        Eid.from_wire(eid, mask_len)
    except DecodeError as error:
        if error.offset is None:
            error.offset = mask_len_offset if error.field == "mask-len" else offset
        if error.field != "eid":
            error.within("eid")
        raise
    return eid, after


@lru_cache(maxsize=1 << 14)
def _ipv4_rloc_record(octets: bytes) -> RlocRecord:
    priority, weight, mpriority, mweight, flags = _RLOC_RECORD.unpack_from(octets)
    return _rloc_record(IPv4Address(octets[8:]), priority, weight, mpriority, mweight, flags)


def _decode_rloc_record(octets: bytes, offset: int, end: int, options: DecodeOptions) -> tuple[RlocRecord, int]:
    at = offset + 6
    if at > end:
        raise truncated("rloc-record", octets, offset, end, 6)
    priority, weight, mpriority, mweight, flags = _RLOC_RECORD.unpack_from(octets, offset)
    address, after = decode_address(octets, at, end, options)
    return _rloc_record(address, priority, weight, mpriority, mweight, flags), after


def _rloc_record(address: Address, priority: int, weight: int, mpriority: int, mweight: int, flags: int) -> RlocRecord:
    return RlocRecord(
        address,
        priority,
        weight,
        mpriority,
        mweight,
        bool(flags & _LOCAL),
        bool(flags & _PROBED),
        bool(flags & _REACHABLE),
    )


def encode_request_record(record: RequestRecord) -> bytes:
    """Return the record of a Map-Request. Raises EncodeError for a value that does not fit."""
    mask_len = checked("mask-len", record.mask_len, 8)
    try:
        eid = encode_address(record.eid)
    except EncodeError as error:
        error.within("eid")
        raise
    return bytes((_SUBSCRIBE if record.subscribe else 0, mask_len)) + eid


def decode_request_record(octets: bytes, offset: int, end: int, options: DecodeOptions) -> tuple[RequestRecord, int]:
    """Read the Map-Request record at `offset`; return it and the offset after it. Raises DecodeError."""
    if offset + 2 > end:
        raise truncated("request-record", octets, offset, end, 2)
    flags, mask_len = octets[offset], octets[offset + 1]
    eid, after = _decode_eid(octets, offset + 2, end, mask_len, offset + 1, options)
    return RequestRecord(eid, mask_len, bool(flags & _SUBSCRIBE)), after


def encode_identity(identity: XtrIdentity | None) -> bytes:
    """Return xTR-ID and Site-ID, nothing for None. Raises EncodeError for a value that does not fit."""
    if identity is None:
        return b""
    if len(identity.xtr_id) != XTR_ID_LENGTH:
        raise EncodeError("xtr.xtr-id", identity.xtr_id, f"must have {XTR_ID_LENGTH} octets")
    return _IDENTITY.pack(identity.xtr_id, checked("xtr.site-id", identity.site_id, 64))


def decode_identity(octets: bytes, offset: int, end: int) -> XtrIdentity:
    """Read xTR-ID and Site-ID, which must be all that is left. Raises DecodeError."""
    if end - offset != XTR_IDENTITY_LENGTH:
        reason = f"xTR-ID and Site-ID must follow, {XTR_IDENTITY_LENGTH} octets; {end - offset} are left"
        raise DecodeError("xtr", octets[offset:end], offset, reason)
    return _identity(octets[offset:end])


@lru_cache(maxsize=1 << 12)
def _identity(octets: bytes) -> XtrIdentity:
    return XtrIdentity(*_IDENTITY.unpack(octets))
