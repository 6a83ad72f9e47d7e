"""The packet replication engine: multicast groups and clone sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from softswitch.state.errors import AlreadyExists, InvalidEntry, NotFound
from softswitch.state.observers import Changed

MAX_SESSION_ID = (1 << 15) - 1
_MAX_PORT = (1 << 32) - 1


class Replica(NamedTuple):
    """One copy: the egress port and the value of egress_rid."""

    port: int
    instance: int = 0


def _ordered(replicas: Iterable[Replica | tuple[int, int]]) -> tuple[Replica, ...]:
    """Copies leave by instance, then by port; a pair named twice is an error."""
    ordered = sorted((Replica(*replica) for replica in replicas), key=lambda r: (r.instance, r.port))
    for replica, following in pairwise(ordered):
        if replica == following:
            raise InvalidEntry(f"replica (port {replica.port}, instance {replica.instance}) given twice")
    for replica in ordered:
        if not 0 <= replica.port <= _MAX_PORT or not 0 <= replica.instance <= 0xFFFF:
            raise InvalidEntry(f"replica (port {replica.port}, instance {replica.instance}) is out of range")
    return tuple(ordered)


@dataclass(frozen=True, slots=True)
class MulticastGroup:
    """A group and its copies."""

    id: int
    replicas: tuple[Replica, ...]


class MulticastGroups:
    """Multicast groups by id."""

    def __init__(self) -> None:
        self._groups: dict[int, MulticastGroup] = {}
        self.observer: Changed | None = None

    def create_group(self, id: int, replicas: Iterable[Replica | tuple[int, int]]) -> MulticastGroup:
        """AlreadyExists; InvalidEntry unless 0 < id < 65536 and the replicas are distinct."""
        if not 0 < id < 1 << 16:
            raise InvalidEntry(f"multicast group id {id} not in 1..65535")
        if id in self._groups:
            raise AlreadyExists(f"multicast group {id} exists")
        self._groups[id] = MulticastGroup(id, _ordered(replicas))
        self._tell(id)
        return self._groups[id]

    def modify_group(self, id: int, replicas: Iterable[Replica | tuple[int, int]]) -> MulticastGroup:
        """NotFound, InvalidEntry."""
        self.get(id)
        self._groups[id] = MulticastGroup(id, _ordered(replicas))
        self._tell(id)
        return self._groups[id]

    def delete_group(self, id: int) -> None:
        """NotFound."""
        self.get(id)
        del self._groups[id]
        self._tell(id)

    def get(self, id: int) -> MulticastGroup:
        """NotFound."""
        if id not in self._groups:
            raise NotFound(f"no multicast group {id}")
        return self._groups[id]

    def find(self, id: int) -> MulticastGroup | None:
        """The group or None."""
        return self._groups.get(id)

    def replicas(self, id: int) -> tuple[Replica, ...]:
        """The copies of a group; none for an unknown group."""
        group = self._groups.get(id)
        return group.replicas if group else ()

    def __iter__(self) -> Iterator[MulticastGroup]:
        return iter(self._groups.values())

    def clear(self) -> None:
        """Forget all groups."""
        ids = list(self._groups)
        self._groups.clear()
        self._tell(*ids)

    def _tell(self, *ids: int) -> None:
        if self.observer is not None:
            for id in ids:
                self.observer(id)


@dataclass(frozen=True, slots=True)
class CloneSession:
    """Where clones go. packet_length_bytes cuts longer clones, 0 for not at all."""

    id: int
    replicas: tuple[Replica, ...]
    class_of_service: int = 0
    packet_length_bytes: int = 0


class CloneSessions:
    """Clone sessions by id."""

    def __init__(self) -> None:
        self._sessions: dict[int, CloneSession] = {}
        self.observer: Changed | None = None

    def create(self, session: CloneSession) -> None:
        """AlreadyExists, InvalidEntry."""
        if session.id in self._sessions:
            raise AlreadyExists(f"clone session {session.id} exists")
        self._sessions[session.id] = self._checked(session)
        self._tell(session.id)

    def modify(self, session: CloneSession) -> None:
        """NotFound, InvalidEntry."""
        self.get(session.id)
        self._sessions[session.id] = self._checked(session)
        self._tell(session.id)

    def delete(self, id: int) -> None:
        """NotFound."""
        self.get(id)
        del self._sessions[id]
        self._tell(id)

    def get(self, id: int) -> CloneSession:
        """NotFound."""
        if id not in self._sessions:
            raise NotFound(f"no clone session {id}")
        return self._sessions[id]

    def find(self, id: int) -> CloneSession | None:
        """The session or None."""
        return self._sessions.get(id)

    def __iter__(self) -> Iterator[CloneSession]:
        return iter(self._sessions.values())

    def clear(self) -> None:
        """Forget all sessions."""
        ids = list(self._sessions)
        self._sessions.clear()
        self._tell(*ids)

    def _tell(self, *ids: int) -> None:
        if self.observer is not None:
            for id in ids:
                self.observer(id)

    @staticmethod
    def _checked(session: CloneSession) -> CloneSession:
        if not 0 <= session.id <= MAX_SESSION_ID:
            raise InvalidEntry(f"clone session id {session.id} not in 0..{MAX_SESSION_ID}")
        if session.packet_length_bytes < 0:
            raise InvalidEntry(f"clone session {session.id}: packet length is negative")
        return CloneSession(
            session.id, _ordered(session.replicas), session.class_of_service, session.packet_length_bytes
        )
