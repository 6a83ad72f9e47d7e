"""Packet I/O: controller headers on the wire of the CPU port, metadata in P4Runtime messages.

Fields stand side by side in the order of the P4Info, most significant bit first; the last octet is filled up with
zero bits (specification section "Packet I/O").
"""

from __future__ import annotations

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.schema import PacketHeader


def serialise(header: PacketHeader | None, packet: p4rt.PacketOut) -> bytes:
    """The packet as it enters the CPU port.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT if the metadata are not exactly those of the P4Info, OUT_OF_RANGE if a value
            is too wide.
    """
    values: dict[int, bytes] = {}
    for metadata in packet.metadata:
        if metadata.metadata_id in values:
            raise invalid_argument(f"packet-out: metadata {metadata.metadata_id} is given twice")
        values[metadata.metadata_id] = metadata.value
    fields = header.fields if header is not None else ()
    for extra in values.keys() - {field.id for field in fields}:
        raise invalid_argument(f"packet-out: the P4Info has no packet_out metadata with id {extra}")
    bits = 0
    for field in fields:
        if field.id not in values:
            raise invalid_argument(f"packet-out: metadata {field.name} (id {field.id}) is missing")
        value = field.type.decode(values[field.id], f"packet-out: metadata {field.name}")
        bits = bits << field.type.width | value
    if header is None:
        return packet.payload
    padding = header.size * 8 - sum(field.type.width for field in fields)
    return (bits << padding).to_bytes(header.size, "big") + packet.payload


def parse(header: PacketHeader | None, packet: bytes) -> p4rt.PacketIn | None:
    """The message of a packet that left by the CPU port, None if it is shorter than the header."""
    if header is None:
        return p4rt.PacketIn(payload=packet)
    if len(packet) < header.size:
        return None
    bits = int.from_bytes(packet[: header.size], "big")
    message = p4rt.PacketIn(payload=packet[header.size :])
    shift = header.size * 8
    for field in header.fields:
        shift -= field.type.width
        value = bits >> shift & ((1 << field.type.width) - 1)
        message.metadata.add(metadata_id=field.id, value=field.type.encode(value))
    return message
