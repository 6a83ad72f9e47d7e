"""The deparser: from headers to octets."""

from __future__ import annotations

from softswitch.program.parser import DeparserDef
from softswitch.reference.checksums import Update
from softswitch.reference.packet import Packet
from softswitch.reference.primitives import Context, compile_primitive
from softswitch.reference.trace import Deparsed


class Deparser:
    """Updates checksums, then emits the valid headers in order, and the payload behind them."""

    def __init__(self, definition: DeparserDef, context: Context, updates: list[Update]) -> None:
        self._order = [context.layout.headers[header] for header in definition.order]
        self._primitives = [compile_primitive(call, context) for call in definition.primitives]
        self._updates = updates
        self._trace = context.trace

    def deparse(self, packet: Packet) -> bytes:
        """The packet as it leaves, cut to its limit if it has one."""
        for update in self._updates:
            update(packet)
        for primitive in self._primitives:
            primitive(packet)
        f = packet.fields
        emitted = [header for header in self._order if f[header.valid]]
        pieces = []
        for header in emitted:
            packed, bits = header.pack(f)
            pieces.append(packed.to_bytes(bits // 8))
        pieces.append(packet.payload)
        if self._trace is not None:
            self._trace(Deparsed(packet.id, tuple(header.name for header in emitted)))
        data = b"".join(pieces)
        return data if packet.limit is None else data[: packet.limit]
