"""The desired entries of a router's replication lists, kept as lists and underlay routes change."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from controller.dataplane import replication
from controller.dataplane.addresses import IPAddress
from controller.dataplane.changes import Changes, DesiredState
from controller.dataplane.entries import NextHop, source_for
from controller.dataplane.numbers import Numbers
from controller.dataplane.replication import ListKey, Receiver, ReplicaRouter, ReplicationList

Target = Receiver | ReplicaRouter
NextHops = Callable[[IPAddress], tuple[NextHop, ...]]


class ReplicationTables:
    """Lists, the receivers they share, and their multicast groups.

    A receiver that is in several lists has one entry of `replica`. A router that the underlay has no way to is left out
    until there is one.
    """

    def __init__(self, desired: DesiredState, source_rlocs: tuple[IPAddress, ...], next_hops: NextHops) -> None:
        """`next_hops`: the underlay's ways to an RLOC, none if there is none."""
        self._desired = desired
        self._source_rlocs = source_rlocs
        self._next_hops = next_hops
        self._lists: dict[ListKey, ReplicationList] = {}
        self._users: dict[Target, set[ListKey]] = {}
        self._groups = Numbers(replication.GROUP_LIMIT)
        self._replicas = Numbers(replication.REPLICA_LIMIT)

    def put(self, wanted: ReplicationList) -> Changes:
        """This is a group's list from now on.

        Raises ValueError for a router that cannot be tunnelled to, OverflowError when there are no numbers left.
        """
        key = wanted.key
        for router in wanted.routers:
            source_for(router.rloc, self._source_rlocs)
        before = self._targets(self._lists.get(key))
        after = self._targets(wanted)
        changes = Changes()
        for target in after - before:
            changes += self._copy(target)
            self._users.setdefault(target, set()).add(key)
        self._lists[key] = wanted
        changes += self._group(wanted)
        changes += self._desired.put(replication.list_entry(key, self._groups.of(key)))
        return changes + self._leave(before - after, key)

    def remove(self, key: ListKey) -> Changes:
        """There is no list for this any more."""
        gone = self._lists.pop(key, None)
        if gone is None:
            return Changes()
        number = self._groups.of(key)
        changes = self._desired.remove(replication.list_entry(key, number))
        changes += self._desired.remove(replication.multicast_group(number, ()))
        self._groups.release(key)
        return changes + self._leave(self._targets(gone), key)

    def route_changed(self, rloc: IPAddress) -> Changes:
        """The underlay has other ways to `rloc` than before."""
        changes = Changes()
        for target in [t for t in self._users if isinstance(t, ReplicaRouter) and t.rloc == rloc]:
            changes += self._copy(target)
            for key in self._users[target]:
                changes += self._group(self._lists[key])
        return changes

    @staticmethod
    def _targets(wanted: ReplicationList | None) -> set[Target]:
        return set() if wanted is None else {*wanted.receivers, *wanted.routers}

    def _hop(self, target: Target) -> NextHop | None:
        if isinstance(target, Receiver):
            return target.next_hop
        # Of several ways each router gets one of its own, so that copies spread over them.
        hops = self._next_hops(target.rloc)
        return hops[crc32(target.rloc.packed) % len(hops)] if hops else None

    def _copy(self, target: Target) -> Changes:
        hop = self._hop(target)
        if hop is None:
            return Changes()
        number = self._replicas.of(target)
        if isinstance(target, Receiver):
            return self._desired.put(replication.receiver_copy(number, target))
        return self._desired.put(replication.router_copy(number, target, hop, *self._source_rlocs))

    def _group(self, wanted: ReplicationList) -> Changes:
        ways = [(self._hop(target), target) for target in self._targets(wanted)]
        copies = [(hop.port, self._replicas.of(target)) for hop, target in ways if hop is not None]
        return self._desired.put(replication.multicast_group(self._groups.of(wanted.key), copies))

    def _leave(self, targets: set[Target], key: ListKey) -> Changes:
        changes = Changes()
        for target in targets:
            self._users[target].discard(key)
            if self._users[target]:
                continue
            del self._users[target]
            if target in self._replicas:
                number = self._replicas.of(target)
                changes += self._desired.remove(replication.receiver_copy(number, Receiver(_NOWHERE)))
                self._replicas.release(target)
        return changes


# Only the key of an entry matters where it is removed.
_NOWHERE = NextHop(0, "00:00:00:00:00:00", "00:00:00:00:00:00")
