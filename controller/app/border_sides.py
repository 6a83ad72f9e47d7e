"""A border that has lost one of its two sides is no way to the other: what it advertises is withdrawn until it is back.

A border advertises its PoD's subnets to the fabric, and itself as the gateway of its PoD. Left in the RLOC-sets without
a link to the other PoDs, or to its own, it would drop its share of the packets.
"""

from __future__ import annotations

from collections.abc import Collection

from controller.lisp import IPAddress
from controller.xtr import LocalEid, XtrConfig


class BorderSides:
    """Which of its sides a router can reach; one that advertises nothing for others has none to lose."""

    def __init__(self, config: XtrConfig) -> None:
        self.advertised: tuple[LocalEid, ...] = tuple(local for local in config.database if not local.deliver)
        known = config.multicast
        # The other borders may be reached from either side.
        self._pod = known.site_rlocs - known.borders
        self._neither = known.site_rlocs | {link.address for link in config.links} | set(config.rlocs)
        self.withdrawn = False

    def changed(self, routed: Collection[IPAddress], cut_off: Collection[IPAddress]) -> bool:
        """Whether to withdraw or to advertise again: `withdrawn` says which.

        `routed`: the RLOCs that the underlay has routes to, `cut_off`: those of them that no port leads to now.
        """
        sides = self._pod & set(routed), set(routed) - self._neither
        lost = any(side and side <= set(cut_off) for side in sides)
        before, self.withdrawn = self.withdrawn, lost and bool(self.advertised)
        return before != self.withdrawn
