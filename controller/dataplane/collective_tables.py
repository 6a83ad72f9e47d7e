"""The entries of the groups that a switch combines contributions for (docs/incc.md, the collective stages of p4src).

    tables.put(CollectiveBranch(number=7, iid=4097, eid=IPv4Address("10.0.255.1"), generation=1, first_slot=0, slots=64,
                                children=(MemberCopy(0, hop, IPv4Address("10.0.0.1")), NodeCopy(0x8001, hop, rloc))))

Multicast groups from GROUP_LIMIT on are the collectives'. The replica of a child has its number in `collective_copy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.dataplane import replication
from controller.dataplane.addresses import Endpoint, IPAddress, kind_of
from controller.dataplane.changes import Changes, DesiredState
from controller.dataplane.entries import NextHop, mac, source_for
from controller.dataplane.numbers import Numbers
from controller.p4rt.actions import Action
from controller.p4rt.entities import MulticastGroup, Replica, State, TableEntry
from controller.p4rt.matches import Exact
from controller.p4rt.values import ValueLike

# Multicast group ids end below 2**15 on bmv2; copies have numbers of 16 bits.
MULTICAST_GROUPS = 32768
COPIES = 65536
MAX_CHILDREN = 64


@dataclass(frozen=True, slots=True)
class MemberCopy:
    """A child on a port: a member of this rank. `address`: its own, which its results go to."""

    rank: int
    hop: NextHop
    address: Endpoint


@dataclass(frozen=True, slots=True)
class NodeCopy:
    """A child behind a tunnel: the switch with this RLOC. `hop`: the way there."""

    rank: int
    hop: NextHop
    rloc: IPAddress


@dataclass(frozen=True, slots=True)
class CollectiveBranch:
    """What one switch does for one group.

    `number`, 16 bits; `generation`, 8; slots from `first_slot` on; `parent`: the parent's RLOC, None at the root;
    `rank`: the switch's own there. The children's order gives their bits.
    """

    number: int
    iid: int
    eid: Endpoint
    generation: int
    first_slot: int
    slots: int
    children: tuple[MemberCopy | NodeCopy, ...]
    rank: int = 0
    parent: IPAddress | None = None


class CollectiveTables:
    """The groups of one switch. Every change returns what it means to the switch."""

    def __init__(self, desired: DesiredState, source_rlocs: tuple[IPAddress, ...]) -> None:
        self._desired = desired
        self._source_rlocs = source_rlocs
        self._groups = Numbers(MULTICAST_GROUPS - replication.GROUP_LIMIT)
        self._copies = Numbers(COPIES)
        self._entries: dict[int, TableEntry] = {}
        self._closed: dict[int, TableEntry] = {}
        self._branches: dict[int, list[State]] = {}  # what goes with an entry

    def put(self, branch: CollectiveBranch) -> Changes:
        """A group that is not there, or is closed, is combined for from now on.

        Raises ValueError for more children than a set has bits, or a tunnel of an IP version that the switch has no
        RLOC of; OverflowError when there are no numbers left.
        """
        if not 1 <= len(branch.children) <= MAX_CHILDREN:
            raise ValueError(f"group {branch.number}: {len(branch.children)} children, must be 1 to {MAX_CHILDREN}")
        if branch.number in self._branches:
            raise ValueError(f"group {branch.number}: is there already")
        found: list[State] = []
        copies: list[Replica] = []
        for bit, child in enumerate(branch.children):
            copy = self._copies.of((branch.number, bit))
            copies.append(Replica(child.hop.port, copy))
            found += [self._copy(copy, child), self._contributor(branch.number, child, 1 << bit, copy)]
        multicast = replication.GROUP_LIMIT + self._groups.of(branch.number) - 1
        entry = self._collective(branch, multicast)
        changes = Changes()
        closed = self._closed.pop(branch.number, None)
        if closed is not None and closed.key() != entry.key():
            changes += self._desired.remove(closed)
        self._branches[branch.number] = [*found, MulticastGroup(multicast, copies)]
        self._entries[branch.number] = entry
        for entity in (*self._branches[branch.number], entry):
            changes += self._desired.put(entity)
        return changes

    def close(self, number: int) -> Changes:
        """A group is combined for no more; what is sent to it is dropped, for want of a slot. Nothing if it was not."""
        entry = self._entries.pop(number, None)
        if entry is None:
            return Changes()
        assert isinstance(entry.action, Action)
        params = {name: entry.action.params[name] for name in ("group", "generation")}
        closed = dict.fromkeys(("first_slot", "slots", "everyone", "replicas"), 0)
        self._closed[number] = replace(entry, action=Action("collective_root", {**params, **closed}))
        return self._desired.put(self._closed[number]) + self._without(number)

    def remove(self, number: int) -> Changes:
        """A group is unknown from now on, combined for or closed; nothing if it was."""
        entry = self._entries.pop(number, None) or self._closed.pop(number, None)
        if entry is None:
            return Changes()
        return self._desired.remove(entry) + self._without(number)

    def _without(self, number: int) -> Changes:
        """All that goes with a group's entry goes."""
        changes = Changes()
        for entity in reversed(self._branches.pop(number, [])):
            changes += self._desired.remove(entity)
        if number in self._groups:
            self._groups.release(number)
        for bit in range(MAX_CHILDREN):
            if (number, bit) in self._copies:
                self._copies.release((number, bit))
        return changes

    def _collective(self, branch: CollectiveBranch, multicast: int) -> TableEntry:
        match = {"iid": Exact(branch.iid), "kind": Exact(kind_of(branch.eid)), "eid": Exact(branch.eid)}
        params: dict[str, ValueLike] = {
            "group": branch.number,
            "generation": branch.generation,
            "first_slot": branch.first_slot,
            "slots": branch.slots,
            "everyone": (1 << len(branch.children)) - 1,
            "replicas": multicast,
        }
        if branch.parent is None:
            return TableEntry("collective", match, Action("collective_root", params))
        source = source_for(branch.parent, self._source_rlocs)
        params |= {"rank": branch.rank, "parent": branch.parent, "source_rloc": source}
        name = "collective_branch" if branch.parent.version == 4 else "collective_branch_ipv6"
        return TableEntry("collective", match, Action(name, params))

    def _contributor(self, number: int, child: MemberCopy | NodeCopy, bit: int, copy: int) -> TableEntry:
        port: int = child.hop.port if isinstance(child, MemberCopy) else 0
        rloc: ValueLike = 0 if isinstance(child, MemberCopy) else child.rloc
        match = {"group": Exact(number), "rank": Exact(child.rank), "port": Exact(port), "rloc": Exact(rloc)}
        return TableEntry("contributor", match, Action("admit", {"child": bit, "copy": copy}))

    def _copy(self, copy: int, child: MemberCopy | NodeCopy) -> TableEntry:
        params: dict[str, ValueLike] = {
            "port_mac": mac(child.hop.port_mac),
            "next_hop_mac": mac(child.hop.next_hop_mac),
            "rank": child.rank,
        }
        if isinstance(child, MemberCopy):
            action = Action("to_member", params | {"eid": child.address})
        else:
            source = source_for(child.rloc, self._source_rlocs)
            name = "to_node" if child.rloc.version == 4 else "to_node_ipv6"
            action = Action(name, params | {"rloc": child.rloc, "source_rloc": source})
        return TableEntry("collective_copy", {"replica": Exact(copy)}, action)
