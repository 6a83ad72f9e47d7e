"""What an xTR does with packets to a group, as the data plane and operators see it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.lisp import Eid, IPAddress


@dataclass(frozen=True, slots=True)
class Copies:
    """Where copies of a packet go: attached `receivers` (EIDs of accelerators), and `rlocs` to encapsulate to."""

    receivers: tuple[Eid, ...] = ()
    rlocs: tuple[IPAddress, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.receivers or self.rlocs)


@dataclass(frozen=True, slots=True)
class Replication:
    """What becomes of packets to `group`, an (S,G), a (*,G) or a Scale-Up group, by where they come from.

    `from_port`: from an attached accelerator. It does not get its own packet back: of the receivers the one
    on the port that the packet came in by is left out. All other attached receivers are served from here,
    whether or not this xTR is their designated one (local bias, RFC 8365 §8.3.1).

    `from_pod`: encapsulated by an xTR of the own Site. Receivers for which this xTR is designated, except
    those that `shared` names for the outer source RLOC: they are attached there too and were served there.
    At the Site's designated border the RLOCs are those of the other PoDs.

    `from_fabric`: encapsulated by an xTR of another Site, which only the Site's designated border accepts:
    to the PoD and nowhere else. What came from the fabric never returns to it, and no RLOC of the own Site
    is ever a target of what leaves it: the split horizon (requirements MH-FWD-4, -5).

    What is empty is dropped. Where there is an (S,G) it has everything that (*,G) has.
    """

    group: Eid
    from_port: Copies = Copies()
    from_pod: Copies = Copies()
    from_fabric: Copies = Copies()
    shared: tuple[tuple[IPAddress, tuple[Eid, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.from_port or self.from_pod or self.from_fabric)


@dataclass(frozen=True, slots=True)
class ReplicationChange:
    """From now on packets to `group` are treated so; None: there is nobody to send them to."""

    group: Eid
    entry: Replication | None


@dataclass(frozen=True, slots=True)
class Designation:
    """Whether this xTR forwards to a group on behalf of others, for the state dump.

    `receiver`: the accelerator that it serves, None for the Site as a whole (a border). `link`: the mapping
    system whose list it has joined for that. `granted`: it is the designated one; otherwise it waits.
    """

    link: str
    group: Eid
    receiver: Eid | None
    granted: bool
