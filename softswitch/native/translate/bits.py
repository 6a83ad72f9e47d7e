"""Bits in network order: reading from a packet, and writing to one."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.translate.body import Body

_LOADS = (1, 2, 4, 8, 16)  # octets of one load; packets may be read a little beyond their end


def read_bits(body: Body, pointer: ir.Value, position: int, width: int) -> ir.Value:
    """The unsigned number in width bits, position bits behind a pointer."""
    first, past = position // 8, (position + width + 7) // 8
    octets = past - first
    loaded = next((size for size in _LOADS if size >= octets), 0) or 1 << (octets - 1).bit_length()
    if loaded - octets > 32:
        loaded = (octets + 15) // 16 * 16
    value = body.load(body.offset(pointer, first), 8 * loaded)
    if loaded > 1:
        value = body.b.bswap(value)
    shift = 8 * loaded - position % 8 - width
    if shift:
        value = body.b.lshr(value, value.type(shift))
    return body.resize(value, width)


class BitWriter:
    """Gathers numbers and writes them octet by octet, not an octet further."""

    def __init__(self, body: Body, pointer: ir.Value) -> None:
        self._body = body
        self._pointer = pointer
        self._offset = 0
        self._value: ir.Value = None
        self._width = 0

    def put(self, value: ir.Value, width: int) -> None:
        """Append a number."""
        if width == 0:
            return
        if self._width % 8 == 0 and self._width + width > 64:
            self.flush()
        if self._value is None:
            self._value, self._width = value, width
            return
        b, kind = self._body.b, ir.IntType(self._width + width)
        high = b.shl(b.zext(self._value, kind), kind(width))
        self._value, self._width = b.or_(high, b.zext(value, kind)), self._width + width

    def flush(self) -> int:
        """Write what has been gathered, whole octets; how many octets there are in all."""
        if self._value is None:
            return self._offset
        assert self._width % 8 == 0
        left = self._width // 8
        while left:
            size = max(size for size in _LOADS if size <= left)
            shifted = self._value
            if left > size:
                shifted = self._body.b.lshr(shifted, shifted.type(8 * (left - size)))
            piece = self._body.resize(shifted, 8 * size)
            if size > 1:
                piece = self._body.b.bswap(piece)
            self._body.store(piece, self._body.offset(self._pointer, self._offset))
            self._offset += size
            left -= size
        self._value, self._width = None, 0
        return self._offset
