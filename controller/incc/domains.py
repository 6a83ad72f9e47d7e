"""INCC domains: where groups live, and the EIDs that they can have.

A domain is one Instance-ID, as a VRF is. A shared one has many groups; a dedicated one has a single group, which so has
an Instance-ID of its own (draft sections 4.5.1 and 5.5.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

from controller.incc.errors import InccError
from controller.lisp import IPAddress

GroupEid = IPAddress | int
"""The address of a group in its Instance-ID: an IP address, or an AccID of 32 bits."""


class Carrier(Enum):
    """What carries the packets of a group."""

    SCALE_UP = "scale-up"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


@dataclass(frozen=True, slots=True)
class EidPool:
    """Addresses that groups can have when their root is in a PoD.

    `source`: a prefix, of which the first and last address stay unused, or a range of AccIDs. `pod`: None for any, as
    AccIDs are known inside a PoD only.
    """

    source: IPv4Network | IPv6Network | range
    pod: str | None = None

    def addresses(self) -> Iterator[GroupEid]:
        """All of them, ascending."""
        return iter(self.source) if isinstance(self.source, range) else self.source.hosts()

    def __contains__(self, eid: object) -> bool:
        return eid in self.source


@dataclass(frozen=True, slots=True)
class Domain:
    """An INCC domain. `slots`: of a group that does not say how many it wants.

    Raises InccError for pools that do not fit the carrier.
    """

    name: str
    iid: int
    carrier: Carrier
    pools: tuple[EidPool, ...]
    dedicated: bool = False
    slots: int = 64

    def __post_init__(self) -> None:
        kinds = {Carrier.SCALE_UP: range, Carrier.IPV4: IPv4Network, Carrier.IPV6: IPv6Network}
        for pool in self.pools:
            if not isinstance(pool.source, kinds[self.carrier]):
                raise InccError("pools", pool.source, f"no EIDs of domain {self.name}, which is {self.carrier.value}")

    def pods(self) -> frozenset[str | None]:
        """The PoDs that a root can be in; with None in it, all."""
        return frozenset(pool.pod for pool in self.pools)

    def free(self, pod: str, taken: set[GroupEid]) -> GroupEid | None:
        """The lowest address for a group with its root in `pod` that nobody has."""
        pools = [pool for pool in self.pools if pool.pod in (None, pod)]
        return next((eid for pool in pools for eid in pool.addresses() if eid not in taken), None)

    def serves(self, eid: GroupEid, pod: str) -> bool:
        """Whether a group whose root is in `pod` can have this address."""
        return any(eid in pool for pool in self.pools if pool.pod in (None, pod))
