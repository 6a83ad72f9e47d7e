"""What the stream to a switch carries besides arbitration: packets, digests, ageing and errors, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.codec import Codec
from controller.p4rt.codec.fields import decode_value, encode_value
from controller.p4rt.entities import TableEntry
from controller.p4rt.errors import DecodingError, EncodingError
from controller.p4rt.status import status_code
from controller.p4rt.values import FrozenMap, Value, ValueLike, as_value


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet from the switch.

    Attributes:
        payload: the packet, without the header that carried the metadata.
        metadata: the fields of the program's ``packet_in`` header.
    """

    payload: bytes
    metadata: FrozenMap[Value]


@dataclass(frozen=True, slots=True, init=False)
class PacketOut:
    """A packet for the switch.

    Attributes:
        metadata: the fields of the program's ``packet_out`` header. Fields whose name starts with an
            underscore are padding and may be left out.
    """

    payload: bytes
    metadata: FrozenMap[Value]

    def __init__(self, payload: bytes, metadata: Mapping[str, ValueLike] | None = None) -> None:
        values = {name: as_value(value) for name, value in metadata.items()} if metadata else None
        object.__setattr__(self, "payload", payload)
        object.__setattr__(self, "metadata", FrozenMap(values))


@dataclass(frozen=True, slots=True)
class DigestList:
    """Messages of the data plane; to be acknowledged by `list_id`.

    Attributes:
        data: one item for each message, as `controller.p4rt.p4types` describes.
        timestamp_ns: when the switch sent it, nanoseconds since the Epoch by its clock.
    """

    digest: str
    list_id: int
    data: tuple[object, ...]
    timestamp_ns: int


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Entries that no packet has hit for their `idle_timeout_ns`; they stay until deleted.

    Attributes:
        entries: with at least their keys.
        timestamp_ns: as in `DigestList`.
    """

    entries: tuple[TableEntry, ...]
    timestamp_ns: int


@dataclass(frozen=True, slots=True)
class StreamError:
    """The switch could not use something the controller sent on the stream.

    Attributes:
        subject: ``packet_out``, ``digest_list_ack`` or ``other``.
    """

    subject: str
    code: StatusCode
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.code.name}: {self.reason}"


class StreamCodec:
    """Translates the stream's messages, for one program."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._in = codec.info.packet_headers.get("packet_in")
        self._out = codec.info.packet_headers.get("packet_out")

    def packet_in(self, message: p4runtime_pb2.PacketIn) -> PacketIn:
        """A packet from the switch; raises DecodingError if its metadata is not that of the program."""
        values: dict[str, Value] = {}
        for part in message.metadata:
            if self._in is None:
                raise DecodingError("a packet-in has metadata, but the program has no packet_in header")
            field = self._in.fields.by_id(part.metadata_id)
            values[field.name] = decode_value(field, part.value)
        return PacketIn(message.payload, FrozenMap(values))

    def packet_out(self, packet: PacketOut) -> p4runtime_pb2.PacketOut:
        """A packet for the switch.

        Raises:
            EncodingError: naming the field that is missing or whose value does not fit.
            UnknownNameError: for a field that the header does not have.
        """
        message = p4runtime_pb2.PacketOut(payload=packet.payload)
        if self._out is None:
            if packet.metadata:
                raise EncodingError("a packet-out has metadata, but the program has no packet_out header")
            return message
        given = {self._out.fields[name].name: value for name, value in packet.metadata.items()}
        for field in self._out.fields:
            value = given.get(field.name)
            if value is None:
                if not field.name.startswith("_"):
                    raise EncodingError(f"packet_out: field {field.name!r} is missing")
                value = 0
            message.metadata.add(metadata_id=field.id, value=encode_value(field, value))
        return message

    def digest_list(self, message: p4runtime_pb2.DigestList) -> DigestList:
        """A list of digests; raises DecodingError if its data is not of the program's type."""
        info = self._codec.info.digests.by_id(message.digest_id)
        data = tuple(info.type.decode(item) for item in message.data)
        return DigestList(info.name, message.list_id, data, message.timestamp)

    def digest_ack(self, digests: DigestList) -> p4runtime_pb2.DigestListAck:
        """The acknowledgement of a list; raises UnknownNameError."""
        digest_id = self._codec.info.digests[digests.digest].id
        return p4runtime_pb2.DigestListAck(digest_id=digest_id, list_id=digests.list_id)

    def idle_timeout(self, message: p4runtime_pb2.IdleTimeoutNotification) -> IdleTimeout:
        """Entries that aged; raises DecodingError for unknown ids."""
        entries = []
        for entry in message.table_entry:
            entity = self._codec.decode(p4runtime_pb2.Entity(table_entry=entry))
            assert isinstance(entity, TableEntry)
            entries.append(entity)
        return IdleTimeout(tuple(entries), message.timestamp)


def decode_stream_error(message: p4runtime_pb2.StreamError) -> StreamError:
    """An error the switch reports on the stream."""
    subject = message.WhichOneof("details") or "other"
    return StreamError(subject, status_code(message.canonical_code), message.message)
