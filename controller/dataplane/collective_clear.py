"""The packet that empties a cell: a Scale-Up frame with a clear in it, for the switch's own pipeline (docs/incc.md)."""

from __future__ import annotations

import struct

# Scale-Up: version 1, operation 5 (collective), hop limit 64, next header 1; its addresses mean nothing here.
_SCALE_UP = struct.pack("!BBBBIIHHII", 0x15, 0, 64, 1, 1, 1, 0, 24, 0, 0)
_ETHERNET = bytes(12) + b"\x88\xb5"
_VERSION_1_CLEAR = 0x12
_EMPTY = 0x01


def clear_packet(cell: int) -> bytes:
    """A clear for cell number `cell` of a switch, 16 bits."""
    incc = struct.pack("!BBBBHHHHHHiI", _VERSION_1_CLEAR, 0, _EMPTY, 0, 0, 0, cell, 0, 0, 0, 0, 0)
    return _ETHERNET + _SCALE_UP + incc
