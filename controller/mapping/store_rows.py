"""What a Map-Server stores, as rows of octets and back.

Every table has the same shape: a key, and a value. EIDs, RLOCs and RLOC-sets are encoded as they are on the wire, so
that whatever can be registered can be stored, and one decoder checks both. Each value ends with a CRC-32 over key
and value: SQLite and etcd have none of rows, and an RLOC with a flipped bit is still an RLOC.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from ipaddress import ip_address
from operator import itemgetter
from typing import Final, TypeVar, assert_never

from controller.lisp import DecodeOptions, Eid, EidRecord, Endpoint, IPAddress, LispError, MacAddress, RequestRecord
from controller.lisp.address_decode import decode_address
from controller.lisp.address_encode import encode_address
from controller.lisp.constants import XTR_ID_LENGTH
from controller.lisp.errors import EncodeError
from controller.lisp.record_codec import (
    decode_eid_record,
    decode_request_record,
    encode_eid,
    encode_eid_record,
    encode_request_record,
)
from controller.lisp.records import RlocRecord
from controller.mapping.content import Terms
from controller.mapping.store import (
    Change,
    Contribution,
    Contributions,
    Forgotten,
    Gone,
    NonceFloor,
    Receipt,
    Refresh,
    Snapshot,
    StoreError,
    Subscription,
    SubscriptionKind,
    Withdrawn,
    XtrKey,
)
from controller.mapping.store_log import Body, DamagedRow, RowError, Rows, Table, body_of

T = TypeVar("T")

_CONTRIBUTION: Final = struct.Struct("!dQ?")  # timeout, serial, proxy-reply; then the EID-record
# Nonce, source port, whether replied, lengths of source RLOC and of the register; then these two and the reply.
_RECEIPT: Final = struct.Struct("!QH?BH")
_SUBSCRIPTION: Final = struct.Struct("!QB?")  # nonce, kind, active; then the EID with its ITR-RLOCs, muted EIDs
_FLOOR: Final = struct.Struct("!Q")  # nonce
_SITE_ID: Final = struct.Struct("!Q")
_CRC: Final = struct.Struct("!I")

# A Map-Register and its Map-Notify: first word, nonce, Key ID with algorithm and length of the MAC, MAC, records.
_NONCE: Final = slice(4, 12)
_NONCE_LENGTH: Final = 8
_MAC_LENGTH: Final = 15
_MAC: Final = 16

_KINDS: Final = {
    SubscriptionKind.MAPPING: 1,
    SubscriptionKind.TABLE: 2,
    SubscriptionKind.HOLE: 3,
    SubscriptionKind.TEMPORARY: 4,
}
_KIND_OF: Final = {code: kind for kind, code in _KINDS.items()}


def encode_change(change: Change, rows: Rows) -> None:
    """Append the rows that `change` makes. Raises EncodeError or struct.error for values without a place in them."""
    if isinstance(change, Refresh):  # by far the most frequent
        receipt, like, own = change
        body = partial(_body, receipt)
        if not rows.add_like("receipt", like, own, body):
            rows.begin_pattern("receipt", _receipt_key(receipt.xtr, receipt.key_id), like, body(), len(own))
            rows.add_like("receipt", like, own, body)
        return
    match change:
        case Receipt():
            rows.add_parts("receipt", _receipt_key(change.xtr, change.key_id), _receipt(change), partial(_body, change))
        case Contributions():
            _add_contributions(change, rows)
        case Contribution():
            _add_contribution(change, rows)
        case Withdrawn():
            rows.add("contribution", _eid(change.eid) + _xtr(change.xtr), None)
        case Subscription():
            rows.add("subscription", _eid(change.eid) + _xtr(change.xtr), _subscription(change))
        case Forgotten():
            rows.add("subscription", _eid(change.eid) + _xtr(change.xtr), None)
        case NonceFloor():
            rows.add("floor", _xtr(change.xtr), _FLOOR.pack(change.nonce))
        case Gone():
            rows.add("gone", _eid(change.eid), None if change.settled else b"")
        case _:
            assert_never(change)


def encode_changes(changes: Iterable[Change], rows: Rows, place: str) -> None:
    """Append the rows that `changes` make. Raises StoreError, which names the `place`, for what has no place there."""
    for change in changes:
        try:
            encode_change(change, rows)
        except (LispError, struct.error, OverflowError) as error:
            raise StoreError(f"{place}: cannot hold {change}: {error}") from error


def snapshot_of(
    stored: Callable[[Table], Iterable[tuple[bytes, bytes]]],
    late: Callable[[Table], dict[bytes, Body]],
    options: DecodeOptions,
    damaged: list[DamagedRow],
) -> Snapshot:
    """All rows as objects, in the order of their keys: those `stored` in a table, and those that came `late`.

    `stored` gives keys and checksummed values, in the order of the keys. Appends to `damaged` what is left out.
    """

    def rows(table: Table, decode: Callable[[bytes, bytes, DecodeOptions], T]) -> Iterator[T]:
        logged = {key: body_of(body) for key, body in late(table).items()}
        for key, value in heapq.merge(stored(table), sorted(logged.items(), key=itemgetter(0)), key=itemgetter(0)):
            if key in logged and value is not logged[key]:
                continue  # the table still has what was replaced
            try:
                if value is not None:
                    body = value if key in logged else without_checksum(key, value)
                    yield decode(key, body, options)
            except RowError as error:
                damaged.append(DamagedRow(table, key, str(error)))

    return Snapshot(
        tuple(rows("contribution", decode_contribution)),
        tuple(rows("receipt", decode_receipt)),
        tuple(rows("subscription", decode_subscription)),
        tuple(rows("floor", decode_floor)),
        tuple(rows("gone", decode_gone)),
    )


def checksummed(key: bytes, body: bytes) -> bytes:
    """The value of a row as it stands in its table."""
    return body + _CRC.pack(_crc(key, body))


def without_checksum(key: bytes, value: bytes) -> bytes:
    """The body in the value of a row. Raises RowError for a wrong checksum."""
    body = value[: -_CRC.size]
    if value[-_CRC.size :] != _CRC.pack(_crc(key, body)):
        raise RowError("the checksum is wrong")
    return body


def decode_contribution(key: bytes, body: bytes, options: DecodeOptions) -> Contribution:
    """Read a row of the table `contribution`. Raises RowError."""
    try:
        timeout, serial, proxy_reply = _CONTRIBUTION.unpack_from(body)
        record, at = decode_eid_record(body, _CONTRIBUTION.size, len(body), options)
        _expect_end(body, at)
        eid = record.key
        terms = Terms.of(record.ttl, record.locators, timeout, proxy_reply)
        return Contribution(eid, _xtr_after(key, _eid(eid)), terms, serial)
    except (LispError, struct.error) as error:
        raise RowError(str(error)) from None


def decode_receipt(key: bytes, body: bytes, options: DecodeOptions) -> Receipt:
    """Read a row of the table `receipt`. Raises RowError."""
    try:
        nonce, port, replied, address_length, length = _RECEIPT.unpack_from(body)
        at = _RECEIPT.size + address_length
        address = ip_address(body[_RECEIPT.size : at])
    except (ValueError, struct.error) as error:
        raise RowError(str(error)) from None
    end = at + length
    if end > len(body):
        raise RowError(f"{end - len(body)} octets of the register are missing")
    if not replied:
        _expect_end(body, end)
    source, reply = Endpoint(address, port), body[end:] if replied else None
    return Receipt(_xtr_after(key, key[:1]), key[0], nonce, body[at:end], reply, source)


def decode_subscription(key: bytes, body: bytes, options: DecodeOptions) -> Subscription:
    """Read a row of the table `subscription`. Raises RowError."""
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


def decode_floor(key: bytes, body: bytes, _: DecodeOptions) -> NonceFloor:
    """Read a row of the table `floor`. Raises RowError."""
    try:
        (nonce,) = _FLOOR.unpack(body)
    except struct.error as error:
        raise RowError(str(error)) from None
    return NonceFloor(_decode_xtr(key), nonce)


def decode_gone(key: bytes, body: bytes, options: DecodeOptions) -> Eid:
    """Read a row of the table `gone`, which is all key. Raises RowError."""
    _expect_end(body, 0)
    try:
        record, at = decode_request_record(key, 0, len(key), options)
    except LispError as error:
        raise RowError(f"key: {error}") from None
    _expect_end(key, at)
    return record.key


def _add_contribution(change: Contribution, rows: Rows) -> None:
    eid, xtr, terms, serial = change
    in_key, in_record = _eid_twice(eid)
    before, after = terms.content.wire
    head = _CONTRIBUTION.pack(terms.timeout, serial, terms.proxy_reply)
    rows.add("contribution", in_key + _xtr(xtr), b"".join((head, before, in_record, after)))


def _add_contributions(change: Contributions, rows: Rows) -> None:
    eids, xtr, terms, serial = change
    before, after = terms.content.wire
    head = _CONTRIBUTION.pack(terms.timeout, serial, terms.proxy_reply) + before
    in_keys, in_records = _held_twice(eids, xtr)
    for key, in_record in zip(in_keys, in_records, strict=True):
        rows.add("contribution", key, head + in_record + after)


_HELD: Final[dict[int, tuple[tuple[Eid, ...], XtrKey, list[bytes], list[bytes]]]] = {}


def _held_twice(eids: tuple[Eid, ...], xtr: XtrKey) -> tuple[list[bytes], list[bytes]]:
    """The keys of several contributions, and their EIDs in values, remembered by the identity of `eids`."""
    found = _HELD.get(id(eids))
    if found is None or found[1] != xtr:
        if len(_HELD) >= 1 << 12:
            _HELD.clear()
        both = [_eid_twice(eid) for eid in eids]
        of_xtr = _xtr(xtr)
        found = _HELD[id(eids)] = (eids, xtr, [key + of_xtr for key, _ in both], [name for _, name in both])
    return found[2], found[3]


def _receipt(change: Receipt) -> tuple[bytes, ...]:
    """The body of a receipt, in parts."""
    _, _, nonce, register, reply, source = change
    address = _packed(source)
    head = _RECEIPT.pack(nonce, source[1], reply is not None, len(address), len(register))
    return (head, address, register) if reply is None else (head, address, register, reply)


def _body(change: Receipt) -> bytes:
    return b"".join(_receipt(change))


def expand_receipt(pattern: bytes, own: bytes) -> bytes:
    """The body of a receipt that differs from that in `pattern` in what is its `own`: nonce, MAC, and MAC of the reply.

    Raises RowError.
    """
    try:
        *_, address_length, length = _RECEIPT.unpack_from(pattern)
        begin = _RECEIPT.size + address_length
        at = _NONCE_LENGTH
        parts = [own[:at], pattern[at:begin]]
        for message in (pattern[begin : begin + length], pattern[begin + length :]):
            if message:
                mac = message[_MAC_LENGTH]
                parts += (message[: _NONCE.start], own[:_NONCE_LENGTH], message[_NONCE.stop : _MAC], own[at : at + mac])
                parts.append(message[_MAC + mac :])
                at += mac
    except (IndexError, struct.error) as error:
        raise RowError(str(error)) from None
    return b"".join(parts)


_PACKED: Final[dict[int, tuple[Endpoint, bytes]]] = {}


def _packed(source: Endpoint) -> bytes:
    """The octets of an address, remembered by the identity of the endpoint: hashing an address takes longer."""
    found = _PACKED.get(id(source))
    if found is None:
        if len(_PACKED) >= 1 << 14:
            _PACKED.clear()
        found = _PACKED[id(source)] = (source, source.address.packed)
    return found[1]


def _subscription(change: Subscription) -> bytes:
    head = _SUBSCRIPTION.pack(change.nonce, _KINDS[change.kind], change.active)
    if isinstance(change.eid.target, MacAddress):
        return head + _subscribed(change.eid, change.itr_rlocs) + _muted(change.muted)
    return head + _subscribed_no_mac(change.eid, change.itr_rlocs) + _muted(change.muted)


def _subscribed(eid: Eid, itr_rlocs: tuple[IPAddress, ...]) -> bytes:
    rlocs = tuple(RlocRecord(address) for address in itr_rlocs)
    return encode_eid_record(EidRecord(*eid.to_wire(), 0, rlocs))


@lru_cache(maxsize=1 << 14)
def _subscribed_no_mac(eid: Eid, itr_rlocs: tuple[IPAddress, ...]) -> bytes:
    """Remembered, for a publication changes the nonce alone; equal MAC addresses may have different AFIs."""
    return _subscribed(eid, itr_rlocs)


def _muted(eids: frozenset[Eid]) -> bytes:
    return b"".join(sorted(encode_request_record(RequestRecord.for_eid(one)) for one in eids)) if eids else b""


@lru_cache(maxsize=1 << 15)
def _eid(eid: Eid) -> bytes:
    """The EID in a key: equal EIDs give equal octets."""
    if isinstance(eid.target, MacAddress):  # two AFIs are in use for one address
        eid = Eid(eid.iid, MacAddress(eid.target.octets))
    return encode_request_record(RequestRecord.for_eid(eid))


def _eid_twice(eid: Eid) -> tuple[bytes, bytes]:
    """The EID in a key and in a value, in which a MAC address keeps the AFI that it came with."""
    return (_eid(eid), encode_eid(eid)) if isinstance(eid.target, MacAddress) else _no_mac_twice(eid)


@lru_cache(maxsize=1 << 15)
def _no_mac_twice(eid: Eid) -> tuple[bytes, bytes]:
    return _eid(eid), encode_eid(eid)


@lru_cache(maxsize=1 << 12)
def _xtr(xtr: XtrKey) -> bytes:
    """The xTR in a key: Site-ID, and either the xTR-ID or AFI and address. The three differ in length."""
    if not isinstance(xtr.identity, bytes):
        return _SITE_ID.pack(xtr.site_id) + encode_address(xtr.identity)
    if len(xtr.identity) != XTR_ID_LENGTH:
        raise EncodeError("xtr-id", xtr.identity, f"must have {XTR_ID_LENGTH} octets")
    return _SITE_ID.pack(xtr.site_id) + xtr.identity


@lru_cache(maxsize=1 << 16)
def _receipt_key(xtr: XtrKey, key_id: int) -> bytes:
    return key_id.to_bytes(1, "big") + _xtr(xtr)


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


def _crc(key: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(key))


def _expect_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise RowError(f"{len(body) - at} octets too many")
