"""Writing control messages (RFC 9301 §5, RFC 9437 §4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final

from controller.lisp.address_encode import checked, encode_address
from controller.lisp.constants import MAX_ITR_RLOCS, MessageType
from controller.lisp.errors import EncodeError
from controller.lisp.ip_udp import UdpPacket, encode_udp_packet
from controller.lisp.messages import (
    Authenticated,
    Ecm,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
)
from controller.lisp.record_codec import encode_eid_record, encode_identity, encode_request_record
from controller.lisp.records import EidRecord

_HEADER: Final = Struct("!IQ")  # first word, nonce
_AUTHENTICATED: Final = Struct("!IQBBH")  # the same with key id, algorithm id, authentication data length

_REQUEST_FLAGS: Final = (
    ("authoritative", 0x08000000),
    ("probe", 0x02000000),
    ("smr", 0x01000000),
    ("pitr", 0x00800000),
    ("smr_invoked", 0x00400000),
    ("local_xtr", 0x00004000),
    ("dont_map_reply", 0x00002000),
)
_REQUEST_M: Final = 0x04000000
_REQUEST_I: Final = 0x00100000


def encode(message: Message) -> bytes:
    """Return the UDP payload that `message` is.

    Raises EncodeError, naming the field, for a value that has no place on the wire.
    """
    kind = type(message)
    name, encoder = _ENCODERS[kind]
    try:
        return encoder(message)
    except EncodeError as error:
        error.within(name)
        raise


def _encode_request(message: MapRequest) -> bytes:
    rlocs = message.itr_rlocs
    if not 1 <= len(rlocs) <= MAX_ITR_RLOCS:
        raise EncodeError("itr-rlocs.count", len(rlocs), f"must be 1 to {MAX_ITR_RLOCS}")
    if not message.records:
        raise EncodeError("records.count", 0, "a request asks for something")
    word = MessageType.MAP_REQUEST << 28 | (len(rlocs) - 1) << 8
    word |= checked("records.count", len(message.records), 8)
    for name, mask in _REQUEST_FLAGS:
        if getattr(message, name):
            word |= mask
    parts = [b"", _encode_named("source-eid", encode_address, message.source_eid)]
    parts += [_encode_named(f"itr-rlocs[{i}]", encode_address, rloc) for i, rloc in enumerate(rlocs)]
    parts += [_encode_named(f"records[{i}]", encode_request_record, r) for i, r in enumerate(message.records)]
    if message.reply_record is not None:
        word |= _REQUEST_M
        parts.append(_encode_named("reply-record", encode_eid_record, message.reply_record))
    if message.xtr is not None:
        word |= _REQUEST_I
        parts.append(encode_identity(message.xtr))
    parts[0] = _HEADER.pack(word, checked("nonce", message.nonce, 64))
    return b"".join(parts)


def _encode_reply(message: MapReply) -> bytes:
    word = MessageType.MAP_REPLY << 28 | checked("records.count", len(message.records), 8)
    word |= message.probe << 27 | message.echo_nonce << 26 | (message.security is not None) << 25
    head = _HEADER.pack(word, checked("nonce", message.nonce, 64))
    return head + _encode_records(message.records) + (message.security or b"")


def _encode_authenticated(message: Authenticated) -> bytes:
    header, records, trailer = authenticated_parts(message, message.key_id, message.algorithm, len(message.auth_data))
    return b"".join((header, message.auth_data, records, trailer))


def authenticated_parts(
    message: Authenticated, key_id: int, algorithm: int, auth_length: int
) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the Authentication Data, the EID-records after it, and xTR-ID with Site-ID.

    Key ID, algorithm and length, in octets, are those given, not those of the message. Raises EncodeError.
    """
    word = checked("records.count", len(message.records), 8)
    if isinstance(message, MapRegister):
        word |= MessageType.MAP_REGISTER << 28 | message.proxy_reply << 27 | message.lisp_sec << 26
        word |= (message.xtr is not None) << 25 | message.eid_notify << 12 | message.use_ttl << 11
        word |= message.merge << 10 | message.want_notify << 8
    else:
        if message.xtr is not None:
            raise EncodeError("xtr", message.xtr, "RFC 9301 §5.7 has no such field, it is only accepted")
        kind = MessageType.MAP_NOTIFY if isinstance(message, MapNotify) else MessageType.MAP_NOTIFY_ACK
        word |= kind << 28
    header = _AUTHENTICATED.pack(
        word,
        checked("nonce", message.nonce, 64),
        checked("key-id", key_id, 8),
        checked("algorithm", algorithm, 8),
        checked("auth-data.length", auth_length, 16),
    )
    return header, _encode_records(message.records), encode_identity(message.xtr)


def _encode_ecm(message: Ecm) -> bytes:
    flags = (message.security is not None) << 3 | message.ddt << 2 | message.to_etr << 1 | message.to_ms
    head = bytes((MessageType.ECM << 4 | flags, 0, 0, 0)) + (message.security or b"")
    packet = UdpPacket(
        message.source,
        message.destination,
        message.source_port,
        message.destination_port,
        message.payload,
        message.ttl,
    )
    return head + encode_udp_packet(packet)


def _encode_records(records: Sequence[EidRecord]) -> bytes:
    if len(records) == 1:  # as in nearly every message of the fabric
        return _encode_named("records[0]", encode_eid_record, records[0])
    return b"".join(_encode_named(f"records[{i}]", encode_eid_record, r) for i, r in enumerate(records))


def _encode_named(field: str, encoder: Callable[[Any], bytes], value: object) -> bytes:
    try:
        return encoder(value)
    except EncodeError as error:
        error.within(field)
        raise


_ENCODERS: Final[dict[type, tuple[str, Callable[[Any], bytes]]]] = {
    MapRequest: ("map-request", _encode_request),
    MapReply: ("map-reply", _encode_reply),
    MapRegister: ("map-register", _encode_authenticated),
    MapNotify: ("map-notify", _encode_authenticated),
    MapNotifyAck: ("map-notify-ack", _encode_authenticated),
    Ecm: ("ecm", _encode_ecm),
}
