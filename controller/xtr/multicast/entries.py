"""What an xTR does with packets to a group, as the data plane and operators see it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.lisp import Eid, IPAddress


@dataclass(frozen=True, slots=True)
class Replication:
    """Who gets a copy of a packet to `group`: an (S,G), a (*,G) or a Scale-Up group.

    `receivers`: EIDs of attached accelerators that this xTR is designated for. `pod`: RLOCs of the own Site's
    xTRs to encapsulate to, `fabric`: those of other Sites. One list serves packets from every side, because the
    data plane adds the split horizon (requirements MH-FWD-4, -5): no copy returns to the accelerator or to the
    Site that the packet comes from, and none that came from another Site leaves for another.

    A border has `pod` only while it is the designated one for what comes from the fabric, and `fabric` only while
    it is for what the PoD sends. No RLOC of the own Site is ever in `fabric`. Where there is an (S,G) it has
    everything that (*,G) has.
    """

    group: Eid
    receivers: tuple[Eid, ...] = ()
    pod: tuple[IPAddress, ...] = ()
    fabric: tuple[IPAddress, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.receivers or self.pod or self.fabric)


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
