"""Multicast groups and clone sessions."""

from __future__ import annotations

from softswitch.native.heap import Heap, write_words
from softswitch.state import CloneSessions, MulticastGroups
from softswitch.state.memory import Memory
from softswitch.state.replication import MAX_SESSION_ID, Replica

_GROUPS = 1 << 16
_HEADER = 24


class _Replications:
    """Addresses by id, and the memory they point to."""

    def __init__(self, count: int, heap: Heap) -> None:
        self._memory = Memory(8 * count)
        self._heap = heap
        self._blocks: dict[int, int] = {}
        self.address = self._memory.address

    def put(self, id: int, replicas: tuple[Replica, ...], octets: int) -> None:
        self.take(id)
        block = self._heap.take(_HEADER + 16 * len(replicas))
        words = [word for replica in replicas for word in (replica.port, replica.instance)]
        write_words(block, len(replicas), octets, block + _HEADER, *words)
        self._blocks[id] = block
        write_words(self.address + 8 * id, block)

    def take(self, id: int) -> None:
        write_words(self.address + 8 * id, 0)
        if id in self._blocks:
            self._heap.give(self._blocks.pop(id))


class MulticastMirror:
    """Multicast groups. address: of the table of their addresses."""

    def __init__(self, groups: MulticastGroups, heap: Heap) -> None:
        self._groups = groups
        self._blocks = _Replications(_GROUPS, heap)
        self.address = self._blocks.address
        for group in groups:
            self._changed(group.id)
        groups.observer = self._changed

    def _changed(self, id: int) -> None:
        known = self._groups.find(id)
        if known is None:
            self._blocks.take(id)
        else:
            self._blocks.put(id, known.replicas, 0)


class CloneMirror:
    """Clone sessions. address: of the table of their addresses."""

    def __init__(self, sessions: CloneSessions, heap: Heap) -> None:
        self._sessions = sessions
        self._blocks = _Replications(MAX_SESSION_ID + 1, heap)
        self.address = self._blocks.address
        for session in sessions:
            self._changed(session.id)
        sessions.observer = self._changed

    def _changed(self, id: int) -> None:
        session = self._sessions.find(id)
        if session is None:
            self._blocks.take(id)
        else:
            self._blocks.put(id, session.replicas, session.packet_length_bytes)
