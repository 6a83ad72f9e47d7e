"""pcapng files: sections of interfaces with names, packets with comments (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

# Link types of interfaces.
ETHERNET, RAW_IP = 1, 101

_SECTION_HEADER, _INTERFACE, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LENGTH_UNKNOWN = 0xFFFFFFFFFFFFFFFF
_SNAPLEN = 262144

_END, _COMMENT = 0, 1
_SECTION_APPLICATION = 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_PACKET_FLAGS = 2
_NANOSECONDS = 9  # if_tsresol: 10^-9
_DIRECTIONS = {"in": 1, "out": 2}


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _options(options: Mapping[int, bytes]) -> bytes:
    found = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options.items())
    return found + struct.pack("<HH", _END, 0) if options else b""


class PcapngWriter:
    """Writes one section to a binary file; each packet is with the file before `write` returns."""

    def __init__(self, file: BinaryIO, application: str = "lispfabric") -> None:
        self._file = file
        self._interfaces = 0
        body = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _LENGTH_UNKNOWN)
        self._block(_SECTION_HEADER, body + _options({_SECTION_APPLICATION: application.encode()}))

    def add_interface(self, name: str, description: str, link_type: int = ETHERNET) -> int:
        """Declares an interface; returns its number."""
        options = {_IF_NAME: name.encode(), _IF_DESCRIPTION: description.encode(), _IF_TSRESOL: bytes([_NANOSECONDS])}
        self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, _SNAPLEN) + _options(options))
        self._interfaces += 1
        return self._interfaces - 1

    def write(self, interface: int, frame: bytes, nanoseconds: int, direction: str = "", comment: str = "") -> None:
        """A packet at a time since 1970; `direction` is "in" or "out", seen from the interface.

        Raises ValueError for an interface that has not been declared, OSError.
        """
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"interface {interface}: {self._interfaces} have been declared")
        options = {}
        if comment:
            options[_COMMENT] = comment.encode()
        if direction:
            options[_PACKET_FLAGS] = struct.pack("<I", _DIRECTIONS[direction])
        high, low = nanoseconds >> 32, nanoseconds & 0xFFFFFFFF
        head = struct.pack("<IIIII", interface, high, low, len(frame), len(frame))
        self._block(_ENHANCED_PACKET, head + _padded(frame) + _options(options))

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + length + body + length)
        self._file.flush()
