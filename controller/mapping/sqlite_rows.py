"""What a Map-Server stores, as rows of octets and back.

Every table has the same shape: a key, and a value. EIDs, RLOCs and RLOC-sets are encoded as they are on the wire, so
that whatever can be registered can be stored, and one decoder checks both. Each value ends with a CRC-32 over key
and value: SQLite has no checksums of its own, and an RLOC with a flipped bit is still an RLOC.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from controller.lisp import DecodeOptions, Eid, EidRecord, Endpoint, IPAddress, LispError, MacAddress, RequestRecord
from controller.lisp.address_decode import decode_address
from controller.lisp.address_encode import encode_address
from controller.lisp.constants import XTR_ID_LENGTH
from controller.lisp.errors import EncodeError
from controller.lisp.record_codec import (
    decode_eid_record,
    decode_request_record,
    encode_eid_record,
    encode_request_record,
)
from controller.lisp.records import RlocRecord
from controller.mapping.store import (
    Change,
    Contribution,
    Receipt,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
)

Table: TypeAlias = Literal["contribution", "receipt", "subscription"]

_CONTRIBUTION: Final = struct.Struct("!dQ?")  # timeout, serial, proxy-reply; then the EID-record
_RECEIPT: Final = struct.Struct("!QH32s?")  # nonce, source port, digest, whether replied; then source RLOC, reply
_SUBSCRIPTION: Final = struct.Struct("!QB?")  # nonce, kind, active; then the EID with its ITR-RLOCs, muted EIDs
_SITE_ID: Final = struct.Struct("!Q")
_CRC: Final = struct.Struct("!I")
_DIGEST_LENGTH: Final = 32

_KINDS: Final = {SubscriptionKind.MAPPING: 1, SubscriptionKind.TABLE: 2, SubscriptionKind.HOLE: 3}
_KIND_OF: Final = {code: kind for kind, code in _KINDS.items()}


class RowError(Exception):
    """A row does not hold what was once written to it; the text says why."""


class Row(NamedTuple):
    """A row of `table`; `value` None means that there shall be none with this key."""

    table: Table
    key: bytes
    value: bytes | None


def encode_change(change: Change) -> Row:
    """Return the row that `change` makes. Raises EncodeError or struct.error for values without a place in it."""
    match change:
        case Contribution():
            return _row("contribution", _eid(change.eid) + _xtr(change.xtr), _contribution(change))
        case Withdrawn():
            return Row("contribution", _eid(change.eid) + _xtr(change.xtr), None)
        case Receipt():
            return _row("receipt", change.key_id.to_bytes(1, "big") + _xtr(change.xtr), _receipt(change))
        case Subscription():
            return _row("subscription", _eid(change.eid) + _xtr(change.xtr), _subscription(change))
        case _:
            assert_never(change)


def decode_contribution(key: bytes, value: bytes, options: DecodeOptions) -> Contribution:
    """Read a row of the table `contribution`. Raises RowError."""
    body = _checked(key, value)
    try:
        timeout, serial, proxy_reply = _CONTRIBUTION.unpack_from(body)
        record, at = decode_eid_record(body, _CONTRIBUTION.size, len(body), options)
        _expect_end(body, at)
        eid = record.key
        return Contribution(eid, _xtr_after(key, _eid(eid)), record.locators, record.ttl, timeout, proxy_reply, serial)
    except (LispError, struct.error) as error:
        raise RowError(str(error)) from None


def decode_receipt(key: bytes, value: bytes, options: DecodeOptions) -> Receipt:
    """Read a row of the table `receipt`. Raises RowError."""
    body = _checked(key, value)
    try:
        nonce, port, digest, replied = _RECEIPT.unpack_from(body)
        address, at = decode_address(body, _RECEIPT.size, len(body), options)
    except (LispError, struct.error) as error:
        raise RowError(str(error)) from None
    if not isinstance(address, IPAddress):
        raise RowError(f"source {address} is no IP address")
    if not replied:
        _expect_end(body, at)
    return Receipt(
        _xtr_after(key, key[:1]), key[0], nonce, digest, body[at:] if replied else None, Endpoint(address, port)
    )


def decode_subscription(key: bytes, value: bytes, options: DecodeOptions) -> Subscription:
    """Read a row of the table `subscription`. Raises RowError."""
    body = _checked(key, value)
    try:
        nonce, code, active = _SUBSCRIPTION.unpack_from(body)
        record, at = decode_eid_record(body, _SUBSCRIPTION.size, len(body), options)
        muted: list[Eid] = []
        while at < len(body):
            silent, at = decode_request_record(body, at, len(body), options)
            muted.append(silent.key)
        eid = record.key
        kind = _KIND_OF.get(code)
        if kind is None:
            raise RowError(f"kind {code} is unknown")
        itr_rlocs = tuple(locator.address for locator in record.locators if isinstance(locator.address, IPAddress))
        return Subscription(eid, _xtr_after(key, _eid(eid)), kind, itr_rlocs, nonce, active, frozenset(muted))
    except (LispError, struct.error) as error:
        raise RowError(str(error)) from None


def _contribution(change: Contribution) -> bytes:
    head = _CONTRIBUTION.pack(change.timeout, change.serial, change.proxy_reply)
    return head + encode_eid_record(EidRecord(*change.eid.to_wire(), change.ttl, change.locators))


def _receipt(change: Receipt) -> bytes:
    if len(change.digest) != _DIGEST_LENGTH:  # packing would cut it or fill it up in silence
        raise EncodeError("digest", change.digest, f"must have {_DIGEST_LENGTH} octets")
    head = _RECEIPT.pack(change.nonce, change.source.port, change.digest, change.reply is not None)
    return head + encode_address(change.source.address) + (change.reply or b"")


def _subscription(change: Subscription) -> bytes:
    head = _SUBSCRIPTION.pack(change.nonce, _KINDS[change.kind], change.active)
    rlocs = tuple(RlocRecord(address) for address in change.itr_rlocs)
    muted = sorted(encode_request_record(RequestRecord.for_eid(eid)) for eid in change.muted)
    return head + encode_eid_record(EidRecord(*change.eid.to_wire(), 0, rlocs)) + b"".join(muted)


@lru_cache(maxsize=1 << 15)
def _eid(eid: Eid) -> bytes:
    """The EID in a key: equal EIDs give equal octets."""
    if isinstance(eid.target, MacAddress):  # two AFIs are in use for one address
        eid = Eid(eid.iid, MacAddress(eid.target.octets))
    return encode_request_record(RequestRecord.for_eid(eid))


@lru_cache(maxsize=1 << 12)
def _xtr(xtr: XtrKey) -> bytes:
    """The xTR in a key: Site-ID, and either the xTR-ID or AFI and address. The three differ in length."""
    if not isinstance(xtr.identity, bytes):
        return _SITE_ID.pack(xtr.site_id) + encode_address(xtr.identity)
    if len(xtr.identity) != XTR_ID_LENGTH:
        raise EncodeError("xtr-id", xtr.identity, f"must have {XTR_ID_LENGTH} octets")
    return _SITE_ID.pack(xtr.site_id) + xtr.identity


def _xtr_after(key: bytes, before: bytes) -> XtrKey:
    """The xTR at the end of `key`, which has to begin with `before`."""
    at = len(before)
    if key[:at] != before:
        raise RowError("key and value name different EIDs")
    return _decode_xtr(key[at:])


@lru_cache(maxsize=1 << 12)
def _decode_xtr(octets: bytes) -> XtrKey:
    if len(octets) < _SITE_ID.size:
        raise RowError("the key is too short")
    (site_id,) = _SITE_ID.unpack_from(octets)
    identity = octets[_SITE_ID.size :]
    if len(identity) == XTR_ID_LENGTH:
        return XtrKey(site_id, identity)
    try:
        address, at = decode_address(identity, 0, len(identity), DecodeOptions())
    except LispError as error:
        raise RowError(f"key: {error}") from None
    if not isinstance(address, IPAddress) or at != len(identity):
        raise RowError("the key names no xTR")
    return XtrKey(site_id, address)


def _row(table: Table, key: bytes, body: bytes) -> Row:
    return Row(table, key, body + _CRC.pack(_crc(key, body)))


def _checked(key: bytes, value: bytes) -> bytes:
    """The value without its checksum."""
    body = value[: -_CRC.size]
    if value[-_CRC.size :] != _CRC.pack(_crc(key, body)):
        raise RowError("the checksum is wrong")
    return body


def _crc(key: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(key))


def _expect_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise RowError(f"{len(body) - at} octets too many")
