"""Reading control messages (RFC 9301 §5, RFC 9437 §4). Reserved bits are ignored, as the RFCs say."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from controller.lisp import header_bits as bits
from controller.lisp.address_decode import decode_address, truncated
from controller.lisp.constants import (
    MAX_SECURITY_LENGTH,
    XTR_ID_LENGTH,
    XTR_IDENTITY_LENGTH,
    MessageType,
)
from controller.lisp.errors import DecodeError
from controller.lisp.ip_udp import decode_udp_packet
from controller.lisp.lcaf import Address, is_ignorable
from controller.lisp.messages import Ecm, MapNotify, MapNotifyAck, MapRegister, MapReply, MapRequest, Message
from controller.lisp.options import DEFAULT_OPTIONS, DecodeOptions
from controller.lisp.record_codec import decode_eid_record, decode_identity, decode_request_record
from controller.lisp.records import EidRecord, RequestRecord, XtrIdentity

_HEADER: Final = Struct("!IQ")
_AUTHENTICATED: Final = Struct("!IQBBH")


def decode(octets: bytes, options: DecodeOptions = DEFAULT_OPTIONS) -> Message:
    """Read a UDP payload as control message.

    Every EID-record and request record of the result has a `key`. Authentication is not checked: see
    `auth.verify`.

    Raises DecodeError, and nothing else, for octets that are no valid message; it names field, value and
    offset.
    """
    if not octets:
        raise truncated("type", octets, 0, 0, 1)
    kind = octets[0] >> 4
    known = _READERS.get(kind)
    if known is None:
        raise DecodeError("type", kind, 0, "no message type that this node understands")
    name, reader = known
    try:
        return reader(octets, options)
    except DecodeError as error:
        error.within(name)
        raise


def _decode_request(octets: bytes, options: DecodeOptions) -> MapRequest:
    end = len(octets)
    at = _HEADER.size
    if at > end:
        raise truncated("header", octets, 0, end, at)
    word, nonce = _HEADER.unpack_from(octets)
    source_eid, at = _decode_address("source-eid", octets, at, end, options)
    itr_rlocs: list[Address] = []
    for index in range((word >> bits.REQUEST_IRC_SHIFT & bits.REQUEST_IRC_MASK) + 1):
        rloc, at = _decode_address(f"itr-rlocs[{index}]", octets, at, end, options)
        itr_rlocs.append(rloc)
    if all(is_ignorable(rloc) for rloc in itr_rlocs):
        raise DecodeError("itr-rlocs", len(itr_rlocs), _HEADER.size, "none of a known LCAF type (RFC 9306 §3)")
    count = word & bits.RECORD_COUNT
    if not count:
        raise DecodeError("records.count", 0, 3, "a request asks for something")
    records: list[RequestRecord] = []
    for index in range(count):
        try:
            record, at = decode_request_record(octets, at, end, options)
        except DecodeError as error:
            error.within(f"records[{index}]")
            raise
        records.append(record)
    reply_record = None
    if word & bits.REQUEST_M:
        try:
            reply_record, at = decode_eid_record(octets, at, end, options)
        except DecodeError as error:
            error.within("reply-record")
            raise
    xtr = None
    if word & bits.REQUEST_I:
        xtr = _decode_request_identity(octets, at, end, options)
    elif at != end:
        raise _trailing(octets, at)
    return MapRequest(
        nonce,
        tuple(itr_rlocs),
        tuple(records),
        source_eid,
        bool(word & bits.REQUEST_A),
        bool(word & bits.REQUEST_P),
        bool(word & bits.REQUEST_S),
        bool(word & bits.REQUEST_PITR),
        bool(word & bits.REQUEST_SMR_INVOKED),
        bool(word & bits.REQUEST_L),
        bool(word & bits.REQUEST_D),
        reply_record,
        xtr,
    )


def _decode_request_identity(octets: bytes, at: int, end: int, options: DecodeOptions) -> XtrIdentity:
    if options.short_request_trailer and end - at == XTR_ID_LENGTH:
        return XtrIdentity(octets[at:end], 0)
    return decode_identity(octets, at, end)


def _decode_reply(octets: bytes, options: DecodeOptions) -> MapReply:
    end = len(octets)
    if _HEADER.size > end:
        raise truncated("header", octets, 0, end, _HEADER.size)
    word, nonce = _HEADER.unpack_from(octets)
    records, at = _decode_records(octets, _HEADER.size, end, word & bits.RECORD_COUNT, options)
    security = None
    if word & bits.REPLY_S:
        security = octets[at:]
    elif at != end:
        raise _trailing(octets, at)
    return MapReply(nonce, records, bool(word & bits.REPLY_P), bool(word & bits.REPLY_E), security)


def _decode_register(octets: bytes, options: DecodeOptions) -> MapRegister:
    word, nonce, key_id, algorithm, at = _decode_authenticated(octets)
    auth_data = octets[_AUTHENTICATED.size : at]
    end = len(octets)
    records, at = _decode_records(octets, at, end, word & bits.RECORD_COUNT, options)
    xtr = None
    if word & bits.REGISTER_I:
        xtr = decode_identity(octets, at, end)
    elif at != end:
        raise _trailing(octets, at)
    return MapRegister(
        nonce,
        records,
        key_id,
        algorithm,
        auth_data,
        bool(word & bits.REGISTER_P),
        bool(word & bits.REGISTER_S),
        bool(word & bits.REGISTER_E),
        bool(word & bits.REGISTER_T),
        bool(word & bits.REGISTER_MERGE),
        bool(word & bits.REGISTER_M),
        xtr,
    )


def _decode_notify(octets: bytes, options: DecodeOptions) -> MapNotify:
    word, nonce, key_id, algorithm, at = _decode_authenticated(octets)
    auth_data = octets[_AUTHENTICATED.size : at]
    records, at = _decode_records(octets, at, len(octets), word & bits.RECORD_COUNT, options)
    return MapNotify(nonce, records, key_id, algorithm, auth_data, _decode_old_trailer(octets, at))


def _decode_notify_ack(octets: bytes, options: DecodeOptions) -> MapNotifyAck:
    word, nonce, key_id, algorithm, at = _decode_authenticated(octets)
    auth_data = octets[_AUTHENTICATED.size : at]
    end = len(octets)
    count = word & bits.RECORD_COUNT
    records, at = _decode_records(octets, at, end, count, options)
    if options.uncounted_ack_records and not count:
        found: list[EidRecord] = []
        while at < end:
            more, at = _decode_records(octets, at, end, 1, options)
            found += more
        records = tuple(found)
    return MapNotifyAck(nonce, records, key_id, algorithm, auth_data, _decode_old_trailer(octets, at))


def _decode_authenticated(octets: bytes) -> tuple[int, int, int, int, int]:
    """Return first word, nonce, key id, algorithm, and the offset after the Authentication Data."""
    end = len(octets)
    at = _AUTHENTICATED.size
    if at > end:
        raise truncated("header", octets, 0, end, at)
    word, nonce, key_id, algorithm, auth_length = _AUTHENTICATED.unpack_from(octets)
    if at + auth_length > end:
        raise truncated("auth-data", octets, at, end, auth_length)
    return word, nonce, key_id, algorithm, at + auth_length


def _decode_records(
    octets: bytes, at: int, end: int, count: int, options: DecodeOptions
) -> tuple[tuple[EidRecord, ...], int]:
    records: list[EidRecord] = []
    for index in range(count):
        try:
            record, at = decode_eid_record(octets, at, end, options)
        except DecodeError as error:
            error.within(f"records[{index}]")
            raise
        records.append(record)
    return tuple(records), at


def _decode_address(field: str, octets: bytes, at: int, end: int, options: DecodeOptions) -> tuple[Address, int]:
    try:
        return decode_address(octets, at, end, options)
    except DecodeError as error:
        error.within(field)
        raise


def _decode_old_trailer(octets: bytes, at: int) -> XtrIdentity | None:
    """Read what older implementations append to a Map-Notify, by whichever flag they announce it."""
    remaining = len(octets) - at
    if not remaining:
        return None
    if remaining != XTR_IDENTITY_LENGTH:
        raise _trailing(octets, at)
    return decode_identity(octets, at, len(octets))


def _decode_ecm(octets: bytes, _: DecodeOptions) -> Ecm:
    if len(octets) < 4:
        raise truncated("header", octets, 0, len(octets), 4)
    word = int.from_bytes(octets[:4], "big")
    at = 4
    security = None
    if word & bits.ECM_S:
        at = _find_inner_packet(octets)
        security = octets[4:at]
    packet = decode_udp_packet(octets, at)
    return Ecm(
        packet.source,
        packet.destination,
        packet.source_port,
        packet.destination_port,
        packet.payload,
        security,
        bool(word & bits.ECM_D),
        bool(word & bits.ECM_E),
        bool(word & bits.ECM_M),
        packet.ttl,
    )


def _find_inner_packet(octets: bytes) -> int:
    """Return where the inner IP header begins behind authentication data.

    The data has no length of its own, and this node does not interpret it (RFC 9303 is optional here). The
    inner packet is what it is followed by: the one place from which lengths and checksums agree up to the
    end of the message.
    """
    for at in range(4, min(len(octets), 4 + MAX_SECURITY_LENGTH + 1)):
        if octets[at] >> 4 in (4, 6) and _is_packet(octets, at):
            return at
    raise DecodeError("security", octets[4:], 4, "no IP and UDP header follows the authentication data")


def _is_packet(octets: bytes, at: int) -> bool:
    try:
        decode_udp_packet(octets, at)
    except DecodeError:
        return False
    return True


def _trailing(octets: bytes, at: int) -> DecodeError:
    return DecodeError("trailing", octets[at:], at, f"{len(octets) - at} octets too many")


_READERS: Final[dict[int, tuple[str, Callable[[bytes, DecodeOptions], Message]]]] = {
    MessageType.MAP_REQUEST: ("map-request", _decode_request),
    MessageType.MAP_REPLY: ("map-reply", _decode_reply),
    MessageType.MAP_REGISTER: ("map-register", _decode_register),
    MessageType.MAP_NOTIFY: ("map-notify", _decode_notify),
    MessageType.MAP_NOTIFY_ACK: ("map-notify-ack", _decode_notify_ack),
    MessageType.ECM: ("ecm", _decode_ecm),
}
