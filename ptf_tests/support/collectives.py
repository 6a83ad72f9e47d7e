"""Collectives for tests: the packets of docs/incc.md, what a switch is told of a group, and sums done otherwise.

Values are unsigned numbers of 32 bits, as they stand in a packet.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from ipaddress import ip_address

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from controller.dataplane.addresses import Endpoint, kind_of
from controller.dataplane.codepoints import CollectiveKind, CollectiveOperation
from controller.dataplane.entries import mac
from controller.p4rt.actions import Action
from controller.p4rt.entities import MulticastGroup, Replica, State, TableEntry
from controller.p4rt.matches import Exact
from controller.p4rt.values import ValueLike
from ptf_tests.support.headers import ScaleUp
from ptf_tests.support.packets import hop

VALUES = 64
PORT = 49169
EVERYBODY = 0xFFFF
EMPTY, OVERFLOW, MISMATCH = 1, 2, 4

_HEADER = struct.Struct("!BBBBHHHHHHII")
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Incc:
    """A packet of a collective, as far as it is not the carrier's. No values: EMPTY."""

    rank: int = 0
    values: tuple[int, ...] = ()
    kind: int = CollectiveKind.CONTRIBUTION
    operation: int = CollectiveOperation.SUM
    flags: int = 0
    generation: int = 1
    group: int = 7
    slot: int = 0
    round: int = 1
    target: int = EVERYBODY
    signature: int = 0xABCD
    scale: int = 0
    cookie: int = 0x1234
    version: int = 1

    def octets(self) -> bytes:
        """As on the wire."""
        flags = self.flags | (0 if self.values else EMPTY)
        return _HEADER.pack(
            self.version << 4 | self.kind,
            self.operation,
            flags,
            self.generation,
            self.group,
            self.rank,
            self.slot,
            self.round,
            self.target,
            self.signature,
            self.scale & _MASK,
            self.cookie,
        ) + b"".join(value.to_bytes(4, "big") for value in self.values)

    def but(self, **changes: object) -> Incc:
        """The same with other fields."""
        return replace(self, **changes)  # type: ignore[arg-type]


def carried(
    packet: Incc | bytes, src: Endpoint, dst: Endpoint, *, sport: int = PORT, checksum: int | None = 0
) -> Packet:
    """A packet in its carrier: a Scale-Up frame between AccIDs, UDP between IPs. `checksum` None: a right one."""
    octets = packet if isinstance(packet, bytes) else packet.octets()
    if isinstance(src, int):
        return ScaleUp(src=src, dst=dst, operation=5, next_header=1) / Raw(octets)
    if src.version == 4:
        header: Packet = IP(src=str(src), dst=str(dst), id=0, flags="DF")
    else:
        header = IPv6(src=str(src), dst=str(dst))
    return header / UDP(sport=sport, dport=PORT, chksum=checksum) / Raw(octets)


def signed(value: int) -> int:
    """As a number in two's complement."""
    return value - (1 << 32) if value >> 31 else value


def _saturated(a: int, b: int) -> int:
    return min(max(signed(a) + signed(b), -(1 << 31)), (1 << 31) - 1) & _MASK


_COMBINE = {
    CollectiveOperation.SUM: _saturated,
    CollectiveOperation.MINIMUM: lambda a, b: min(a, b, key=signed),
    CollectiveOperation.MAXIMUM: lambda a, b: max(a, b, key=signed),
    CollectiveOperation.AND: lambda a, b: a & b,
    CollectiveOperation.OR: lambda a, b: a | b,
    CollectiveOperation.XOR: lambda a, b: a ^ b,
}


def combined(operation: CollectiveOperation, *contributions: Sequence[int]) -> tuple[int, ...]:
    """What is to come of contributions, in their order."""
    return tuple(reduce(_COMBINE[operation], lane) for lane in zip(*contributions, strict=True))


@dataclass(frozen=True)
class Member:
    """A child on a port."""

    rank: int
    port: int
    address: Endpoint


@dataclass(frozen=True)
class Node:
    """A child behind a tunnel, out of `port`."""

    rank: int
    port: int
    rloc: str


@dataclass(frozen=True)
class Group:
    """A group as one switch has it."""

    iid: int
    eid: Endpoint
    children: tuple[Member | Node, ...]
    source_rloc: str
    number: int = 7
    generation: int = 1
    first_slot: int = 0
    slots: int = 4
    parent: str | None = None
    rank: int = 0x8005
    multicast: int = 16384
    first_copy: int = 1

    def entries(self) -> list[State]:
        """All that the switch is told."""
        found: list[State] = []
        for bit, child in enumerate(self.children):
            found += [self._contributor(child, bit), self._copy(child, self.first_copy + bit)]
        copies = [Replica(child.port, self.first_copy + bit) for bit, child in enumerate(self.children)]
        return [*found, MulticastGroup(self.multicast, copies), self.entry()]

    def entry(self) -> TableEntry:
        """That of table `collective`."""
        match = {"iid": Exact(self.iid), "kind": Exact(kind_of(self.eid)), "eid": Exact(self.eid)}
        params: dict[str, ValueLike] = {
            "group": self.number,
            "generation": self.generation,
            "first_slot": self.first_slot,
            "slots": self.slots,
            "everyone": (1 << len(self.children)) - 1,
            "replicas": self.multicast,
        }
        if self.parent is None:
            return TableEntry("collective", match, Action("collective_root", params))
        parent, source = ip_address(self.parent), ip_address(self.source_rloc)
        params |= {"rank": self.rank, "parent": parent, "source_rloc": source}
        name = "collective_branch" if parent.version == 4 else "collective_branch_ipv6"
        return TableEntry("collective", match, Action(name, params))

    def _contributor(self, child: Member | Node, bit: int) -> TableEntry:
        member = isinstance(child, Member)
        match = {
            "group": Exact(self.number),
            "rank": Exact(child.rank),
            "port": Exact(child.port if member else 0),
            "rloc": Exact(0 if isinstance(child, Member) else ip_address(child.rloc)),
        }
        return TableEntry("contributor", match, Action("admit", {"child": 1 << bit, "copy": self.first_copy + bit}))

    def _copy(self, child: Member | Node, number: int) -> TableEntry:
        way = hop(child.port)
        params: dict[str, ValueLike] = {
            "port_mac": mac(way.port_mac),
            "next_hop_mac": mac(way.next_hop_mac),
            "rank": child.rank,
        }
        if isinstance(child, Member):
            action = Action("to_member", params | {"eid": child.address})
        else:
            rloc = ip_address(child.rloc)
            name = "to_node" if rloc.version == 4 else "to_node_ipv6"
            action = Action(name, params | {"rloc": rloc, "source_rloc": ip_address(self.source_rloc)})
        return TableEntry("collective_copy", {"replica": Exact(number)}, action)


def clear(cell: int) -> Packet:
    """The controller's order to empty a cell."""
    return carried(Incc(kind=CollectiveKind.CLEAR, slot=cell, group=0, rank=0), 1, 1)  # type: ignore[arg-type]
