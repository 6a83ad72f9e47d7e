"""What an xTR is told about groups."""

from __future__ import annotations

from dataclasses import dataclass

from controller.lisp import Eid, IPAddress
from controller.lisp.constants import REGISTER_TIMEOUT
from controller.lisp.replication import is_broadcast
from controller.mapping.machine import fail


@dataclass(frozen=True, slots=True)
class MulticastConfig:
    """How an xTR takes part in multicast. Times in seconds.

    `pod_link`: the mapping system whose lists say which xTRs of the own PoD have receivers; empty for the
    first link. `fabric_link`: the one whose lists say which PoDs have; only a border pxTR has it.
    `site_rlocs`: of every xTR of the own Site the RLOC that takes part, `borders` those of its pxTRs; empty
    means that they are not known. `common_name`: the name that all borders of the Site register in every
    instance-ID, by which they know each other (requirement MH-MRG-1). `broadcast`: the groups of everybody.

    `registration_timeout`: how long the mapping system keeps what is not refreshed. `patience`: how long the
    one next in rank waits for one that ought to join and does not. `poll`: how often one that waits asks again.

    `hold`: a rival that serves the same receiver may stay in the list for another receiver's sake, and so
    cannot show that it has stopped for this one. It is waited for so long. Being told takes it milliseconds;
    only a rival that the mapping system cannot reach goes on, until its lease is over: two may then forward
    for at most registration_timeout - hold seconds, and never if `hold` is as long as the lease.

    Raises ConfigError for the first thing that does not fit together.
    """

    pod_link: str = ""
    fabric_link: str = ""
    site_rlocs: frozenset[IPAddress] = frozenset()
    borders: frozenset[IPAddress] = frozenset()
    common_name: str = "pETR"
    broadcast: tuple[Eid, ...] = ()
    registration_timeout: float = REGISTER_TIMEOUT
    patience: float = 10.0
    hold: float = 10.0
    poll: float = 5.0

    def __post_init__(self) -> None:
        for name in ("registration_timeout", "patience", "hold", "poll"):
            if getattr(self, name) <= 0:
                fail(f"multicast.{name}", getattr(self, name), "must be positive")
        for group in self.broadcast:
            if not is_broadcast(group):
                fail("multicast.broadcast", group, "is not the group of everybody")
        for rloc in self.borders:
            if self.site_rlocs and rloc not in self.site_rlocs:
                fail("multicast.borders", rloc, "is not one of site_rlocs")
