"""The packet replication engine: multicast groups and clone sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from p4.v1 import p4runtime_pb2

from controller.p4rt.codec.encoded import Encoded, Rank
from controller.p4rt.entities import CloneSession, MulticastGroup, Replica
from controller.p4rt.errors import EncodingError


class _Replicas(Protocol):
    def add(self, *, egress_port: int, instance: int) -> p4runtime_pb2.Replica: ...


def encode_multicast_group(group: MulticastGroup) -> Encoded:
    """A multicast group; raises EncodingError if its id is not positive."""
    if group.group_id < 1:
        raise EncodingError(f"group_id = {group.group_id}: is not at least 1")
    entity = p4runtime_pb2.Entity()
    message = entity.packet_replication_engine_entry.multicast_group_entry
    message.multicast_group_id = group.group_id
    key = entity.SerializeToString()
    _encode_replicas(message.replicas, group.replicas)
    return Encoded(key, entity.SerializeToString(), Rank.REPLICATION)


def decode_multicast_group(message: p4runtime_pb2.MulticastGroupEntry) -> MulticastGroup:
    """The multicast group."""
    return MulticastGroup(message.multicast_group_id, _decode_replicas(message.replicas))


def encode_clone_session(session: CloneSession) -> Encoded:
    """A clone session; raises EncodingError if its id is not positive."""
    if session.session_id < 1:
        raise EncodingError(f"session_id = {session.session_id}: is not at least 1")
    entity = p4runtime_pb2.Entity()
    message = entity.packet_replication_engine_entry.clone_session_entry
    message.session_id = session.session_id
    key = entity.SerializeToString()
    _encode_replicas(message.replicas, session.replicas)
    message.class_of_service = session.class_of_service
    message.packet_length_bytes = session.packet_length
    return Encoded(key, entity.SerializeToString(), Rank.REPLICATION)


def decode_clone_session(message: p4runtime_pb2.CloneSessionEntry) -> CloneSession:
    """The clone session."""
    return CloneSession(
        message.session_id,
        _decode_replicas(message.replicas),
        message.class_of_service,
        message.packet_length_bytes,
    )


def _encode_replicas(messages: _Replicas, replicas: Iterable[Replica]) -> None:
    # The deprecated numeric port is the one every switch understands: servers of P4Runtime 1.3 know no
    # other, and PI refuses port 0 in the newer form.
    for replica in sorted(replicas):
        messages.add(egress_port=replica.port, instance=replica.instance)


def _decode_replicas(messages: Iterable[p4runtime_pb2.Replica]) -> list[Replica]:
    return [
        Replica(
            int.from_bytes(message.port, "big") if message.WhichOneof("port_kind") == "port" else message.egress_port,
            message.instance,
        )
        for message in messages
    ]
