"""The packet replication engine: multicast groups and clone sessions (`PacketReplicationEngineEntry`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.bytestring import encode_unsigned
from softswitch.p4runtime.errors import invalid_argument, not_found, out_of_range, unimplemented
from softswitch.p4runtime.notes import put
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.ports import backup_port, canonical_replica, replica_port
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import CloneSession, Replica

MAX_GROUP_ID: Final = (1 << 15) - 1
"""The upper half of v1model's 16 bits belongs to the clone sessions, as in bmv2."""

MAX_SESSION_ID: Final = (1 << 15) - 1
_MAX_INSTANCE: Final = (1 << 16) - 1

Update = p4rt.Update


def write_replication(
    pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.PacketReplicationEngineEntry
) -> None:
    """Applies one update of a multicast group or clone session.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    match message.WhichOneof("type"):
        case "multicast_group_entry":
            _write_group(pipeline, undo, kind, message.multicast_group_entry)
        case "clone_session_entry":
            _write_session(pipeline, undo, kind, message.clone_session_entry)
        case _:
            raise invalid_argument("packet replication engine: neither a multicast group nor a clone session is set")


def read_replication(pipeline: Pipeline, wanted: p4rt.PacketReplicationEngineEntry) -> Iterator[p4rt.Entity]:
    """The groups or sessions that a request asks for; id 0 asks for all.

    Raises:
        P4RuntimeError: the request is refused; NOT_FOUND if it names one that is not there.
    """
    match wanted.WhichOneof("type"):
        case "multicast_group_entry":
            group_id = wanted.multicast_group_entry.multicast_group_id
            groups = pipeline.notes.multicast_groups
            if group_id and group_id not in groups:
                raise not_found(f"there is no multicast group {group_id}")
            for group in [groups[group_id]] if group_id else list(groups.values()):
                entry = p4rt.PacketReplicationEngineEntry(multicast_group_entry=group)
                yield p4rt.Entity(packet_replication_engine_entry=entry)
        case "clone_session_entry":
            session_id = wanted.clone_session_entry.session_id
            sessions = pipeline.notes.clone_sessions
            if session_id and session_id not in sessions:
                raise not_found(f"there is no clone session {session_id}")
            for session in [sessions[session_id]] if session_id else list(sessions.values()):
                entry = p4rt.PacketReplicationEngineEntry(clone_session_entry=session)
                yield p4rt.Entity(packet_replication_engine_entry=entry)
        case _:
            raise invalid_argument("packet replication engine: neither a multicast group nor a clone session is set")


def _write_group(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.MulticastGroupEntry) -> None:
    state, group_id = pipeline.state.multicast, message.multicast_group_id
    where = f"multicast group {group_id}"
    if group_id == 0:
        raise invalid_argument("0 is not a valid multicast group id")
    if group_id > MAX_GROUP_ID:
        raise out_of_range(f"multicast group id {group_id} is not in 1..{MAX_GROUP_ID}")
    if kind == Update.DELETE:
        old = state.get(group_id).replicas
        state.delete_group(group_id)
        undo.push(lambda: state.create_group(group_id, old))
        put(pipeline.notes.multicast_groups, group_id, None, undo)
        return
    canonical = _canonical(message.replicas, where)
    replicas = _chosen(pipeline, canonical)
    if kind == Update.INSERT:
        state.create_group(group_id, replicas)
        undo.push(lambda: state.delete_group(group_id))
    else:
        old = state.get(group_id).replicas
        state.modify_group(group_id, replicas)
        undo.push(lambda: state.modify_group(group_id, old))
    note = p4rt.MulticastGroupEntry(multicast_group_id=group_id, replicas=canonical, metadata=message.metadata)
    put(pipeline.notes.multicast_groups, group_id, note, undo)


def _write_session(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.CloneSessionEntry) -> None:
    state, session_id = pipeline.state.clone_sessions, message.session_id
    where = f"clone session {session_id}"
    if not 0 < session_id <= MAX_SESSION_ID:
        raise invalid_argument(f"clone session id {session_id} is not in 1..{MAX_SESSION_ID}")
    if kind == Update.DELETE:
        old = state.get(session_id)
        state.delete(session_id)
        undo.push(lambda: state.create(old))
        put(pipeline.notes.clone_sessions, session_id, None, undo)
        return
    if message.class_of_service:
        raise unimplemented(f"{where}: class_of_service {message.class_of_service}; bmv2 has one class only")
    canonical = _canonical(message.replicas, where)
    replicas = _chosen(pipeline, canonical)
    session = CloneSession(session_id, tuple(replicas), 0, message.packet_length_bytes)
    if kind == Update.INSERT:
        state.create(session)
        undo.push(lambda: state.delete(session_id))
    else:
        old = state.get(session_id)
        state.modify(session)
        undo.push(lambda: state.modify(old))
    note = p4rt.CloneSessionEntry(
        session_id=session_id, replicas=canonical, packet_length_bytes=message.packet_length_bytes
    )
    put(pipeline.notes.clone_sessions, session_id, note, undo)


def ports_changed(pipeline: Pipeline) -> None:
    """Chooses anew among replicas and their backups, since a port has gone up or down."""
    notes, state = pipeline.notes, pipeline.state
    for group_id, group in notes.multicast_groups.items():
        if _with_backups(group.replicas):
            state.multicast.modify_group(group_id, _chosen(pipeline, group.replicas))
    for session_id, session in notes.clone_sessions.items():
        if _with_backups(session.replicas):
            chosen = tuple(_chosen(pipeline, session.replicas))
            state.clone_sessions.modify(CloneSession(session_id, chosen, 0, session.packet_length_bytes))


def _with_backups(replicas: Sequence[p4rt.Replica]) -> bool:
    return any(replica.backup_replicas for replica in replicas)


def _chosen(pipeline: Pipeline, replicas: Sequence[p4rt.Replica]) -> list[Replica]:
    """For each replica the first of itself and its backups whose port is up; itself if none is."""
    return [_preferred(pipeline, replica) for replica in replicas]


def _preferred(pipeline: Pipeline, replica: p4rt.Replica) -> Replica:
    own = Replica(replica_port(replica, ""), replica.instance)
    if not replica.backup_replicas:
        return own
    backups = [Replica(backup_port(backup, ""), backup.instance) for backup in replica.backup_replicas]
    return next((choice for choice in (own, *backups) if pipeline.state.port_is_up(choice.port)), own)


def _canonical(messages: Sequence[p4rt.Replica], where: str) -> list[p4rt.Replica]:
    """The replicas as they are read back.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`, for a bad port or instance, for a pair of them that is given
            twice, and for a backup on the port that it is to stand in for.
    """
    seen: set[tuple[int, int]] = set()
    canonical = []
    for message in messages:
        port = replica_port(message, where)
        copy = canonical_replica(message, port)
        _check_pair(port, message.instance, seen, where)
        for backup in message.backup_replicas:
            spare = backup_port(backup, where)
            if spare == port:
                raise invalid_argument(f"{where}: the replica of port {port} has a backup on the same port")
            _check_pair(spare, backup.instance, seen, where)
            copy.backup_replicas.add(port=encode_unsigned(spare), instance=backup.instance)
        canonical.append(copy)
    return canonical


def _check_pair(port: int, instance: int, seen: set[tuple[int, int]], where: str) -> None:
    if instance > _MAX_INSTANCE:
        raise invalid_argument(f"{where}: instance {instance} is not in 0..{_MAX_INSTANCE}")
    if (port, instance) in seen:
        raise invalid_argument(f"{where}: port {port} with instance {instance} is given twice")
    seen.add((port, instance))
