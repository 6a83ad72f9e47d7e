"""Writing control messages (RFC 9301 §5, RFC 9437 §4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final

from controller.lisp import header_bits as bits
from controller.lisp.address_encode import checked, encode_address
from controller.lisp.constants import MAX_ITR_RLOCS, MAX_SECURITY_LENGTH, MessageType
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
    word = (
        MessageType.MAP_REQUEST << bits.TYPE_SHIFT
        | bits.REQUEST_A * message.authoritative
        | bits.REQUEST_M * (message.reply_record is not None)
        | bits.REQUEST_P * message.probe
        | bits.REQUEST_S * message.smr
        | bits.REQUEST_PITR * message.pitr
        | bits.REQUEST_SMR_INVOKED * message.smr_invoked
        | bits.REQUEST_I * (message.xtr is not None)
        | bits.REQUEST_L * message.local_xtr
        | bits.REQUEST_D * message.dont_map_reply
        | (len(rlocs) - 1) << bits.REQUEST_IRC_SHIFT
        | checked("records.count", len(message.records), 8)
    )
    parts = [
        _HEADER.pack(word, checked("nonce", message.nonce, 64)),
        _encode_named("source-eid", encode_address, message.source_eid),
    ]
    parts += [_encode_named(f"itr-rlocs[{i}]", encode_address, rloc) for i, rloc in enumerate(rlocs)]
    parts += [_encode_named(f"records[{i}]", encode_request_record, r) for i, r in enumerate(message.records)]
    if message.reply_record is not None:
        parts.append(_encode_named("reply-record", encode_eid_record, message.reply_record))
    parts.append(encode_identity(message.xtr))
    return b"".join(parts)


def _encode_reply(message: MapReply) -> bytes:
    word = (
        MessageType.MAP_REPLY << bits.TYPE_SHIFT
        | bits.REPLY_P * message.probe
        | bits.REPLY_E * message.echo_nonce
        | bits.REPLY_S * (message.security is not None)
        | checked("records.count", len(message.records), 8)
    )
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
        word |= (
            MessageType.MAP_REGISTER << bits.TYPE_SHIFT
            | bits.REGISTER_P * message.proxy_reply
            | bits.REGISTER_S * message.lisp_sec
            | bits.REGISTER_I * (message.xtr is not None)
            | bits.REGISTER_E * message.eid_notify
            | bits.REGISTER_T * message.use_ttl
            | bits.REGISTER_MERGE * message.merge
            | bits.REGISTER_M * message.want_notify
        )
    else:
        if message.xtr is not None:
            raise EncodeError("xtr", message.xtr, "RFC 9301 §5.7 has no such field, it is only accepted")
        kind = MessageType.MAP_NOTIFY if isinstance(message, MapNotify) else MessageType.MAP_NOTIFY_ACK
        word |= kind << bits.TYPE_SHIFT
    header = _AUTHENTICATED.pack(
        word,
        checked("nonce", message.nonce, 64),
        checked("key-id", key_id, 8),
        checked("algorithm", algorithm, 8),
        checked("auth-data.length", auth_length, 16),
    )
    return header, _encode_records(message.records), encode_identity(message.xtr)


def _encode_ecm(message: Ecm) -> bytes:
    security = message.security or b""
    if len(security) > MAX_SECURITY_LENGTH:
        raise EncodeError("security.length", len(security), f"at most {MAX_SECURITY_LENGTH} octets")
    word = (
        MessageType.ECM << bits.TYPE_SHIFT
        | bits.ECM_S * (message.security is not None)
        | bits.ECM_D * message.ddt
        | bits.ECM_E * message.to_etr
        | bits.ECM_M * message.to_ms
    )
    packet = UdpPacket(
        message.source,
        message.destination,
        message.source_port,
        message.destination_port,
        message.payload,
        message.ttl,
    )
    return word.to_bytes(4, "big") + security + encode_udp_packet(packet)


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
