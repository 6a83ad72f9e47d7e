"""Ethernet frames as an accelerator's network interface builds and reads them; MAC addresses are six octets."""

from __future__ import annotations

import struct

ETHERTYPE_IPV4 = 0x0800

_ETHERNET = struct.Struct("!6s6sH")


class PacketError(ValueError):
    """A frame that this endpoint cannot read; the text names the field and the reason."""


def internet_checksum(octets: bytes) -> int:
    """RFC 1071: the 16-bit one's complement of the one's complement sum."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination: bytes, source: bytes, ether_type: int, payload: bytes) -> bytes:
    """An Ethernet frame, padded to the minimum of 60 octets."""
    return (_ETHERNET.pack(destination, source, ether_type) + payload).ljust(60, b"\0")


def decode_ethernet(frame: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Destination, source, EtherType and payload of a frame. Raises PacketError."""
    if len(frame) < _ETHERNET.size:
        raise PacketError(f"ethernet: {len(frame)} octets are no header")
    destination, source, ether_type = _ETHERNET.unpack_from(frame)
    return destination, source, ether_type, frame[_ETHERNET.size :]
