"""The decoders as targets: each takes any octets, and may do one of two things with them.

Either it raises DecodeError, which names field, place and reason; or it returns a value that encodes to octets which
decode to an equal value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from accelerator.ethernet import PacketError, decode_ethernet
from accelerator.ip import decode_ip
from controller.lisp import (
    Address,
    DecodeError,
    Ecm,
    Eid,
    EidRecord,
    MapNotify,
    MapNotifyAck,
    Message,
    Metadata,
    TunnelHeader,
    decode,
    decode_metadata,
    decode_udp_packet,
    encode,
    encode_metadata,
    encode_udp_packet,
)
from controller.lisp.address_decode import decode_address
from controller.lisp.address_encode import encode_address
from controller.lisp.constants import DATA_PORT, VXLAN_GPE_PORT, VXLAN_PORT, MessageType
from controller.lisp.options import DEFAULT_OPTIONS

Target = Callable[[bytes], None]
T = TypeVar("T")

_LCAF: Final = b"\x40\x03"
_TUNNEL_PORTS: Final = (DATA_PORT, VXLAN_PORT, VXLAN_GPE_PORT)


def _check(octets: bytes, read: Callable[[bytes], T], write: Callable[[T], bytes]) -> T | None:
    try:
        value = read(octets)
    except DecodeError as error:
        assert error.field, "an error without a field"
        assert error.reason, "an error without a reason"
        assert error.offset is None or 0 <= error.offset <= len(octets), f"{error.offset} is not in the message"
        assert str(error)
        return None
    again = read(write(value))
    assert again == value, f"{value} is {again} after encoding"
    return value


def _use(message: Message) -> None:
    """Touch what machines touch; nothing of it may raise once the decoder has accepted the message."""
    if isinstance(message, Ecm):
        return
    for record in message.records:
        assert Eid.from_wire(*record.key.to_wire()) == record.key
        assert str(record.key)
        if isinstance(record, EidRecord):
            for locator in record.locators:
                assert locator.rloc is None or locator.rloc.version in (4, 6)
                assert locator.metadata is None or isinstance(locator.metadata, Metadata)


def _read(octets: bytes) -> Message:
    """Decode; the trailer that older implementations append to two messages is accepted, and never sent."""
    message = decode(octets)
    return replace(message, xtr=None) if isinstance(message, (MapNotify, MapNotifyAck)) else message


def _message_of(kind: MessageType) -> Target:
    def target(octets: bytes) -> None:
        if octets:  # the fuzzer's time is for this type
            octets = bytes((kind << 4 | octets[0] & 0x0F,)) + octets[1:]
        message = _check(octets, _read, encode)
        if message is not None:
            _use(message)

    return target


def _address(octets: bytes) -> None:
    def read(octets: bytes) -> Address:
        return decode_address(octets, 0, len(octets), DEFAULT_OPTIONS)[0]

    _check(octets, read, encode_address)


def _lcaf(octets: bytes) -> None:
    _address(_LCAF + octets)


def _metadata(octets: bytes) -> None:
    _check(octets, decode_metadata, encode_metadata)


def _udp_packet(octets: bytes) -> None:
    _check(octets, lambda octets: decode_udp_packet(octets, 0), encode_udp_packet)


def _tunnel_header(octets: bytes) -> None:
    """One octet for the UDP port, then the header."""
    port = _TUNNEL_PORTS[octets[0] % len(_TUNNEL_PORTS)] if octets else DATA_PORT
    _check(octets[1:], lambda octets: TunnelHeader.decode(octets, port), TunnelHeader.encode)


def _frame(octets: bytes) -> None:
    """What an accelerator receives."""
    try:
        decode_ip(decode_ethernet(octets)[3])
    except PacketError as error:
        assert str(error)


DECODERS: Final[dict[str, Target]] = {
    "map_request": _message_of(MessageType.MAP_REQUEST),
    "map_reply": _message_of(MessageType.MAP_REPLY),
    "map_register": _message_of(MessageType.MAP_REGISTER),
    "map_notify": _message_of(MessageType.MAP_NOTIFY),
    "map_notify_ack": _message_of(MessageType.MAP_NOTIFY_ACK),
    "ecm": _message_of(MessageType.ECM),
    "address": _address,
    "lcaf": _lcaf,
    "metadata": _metadata,
    "udp_packet": _udp_packet,
    "tunnel_header": _tunnel_header,
    "frame": _frame,
}
