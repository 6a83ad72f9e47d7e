"""Networks for the group manager: leaves, borders and spines, with equal-cost ways between all xTRs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from controller.incc import (
    MAX_CHILDREN,
    Accelerator,
    Carrier,
    Domain,
    EidPool,
    GroupEid,
    GroupManager,
    Home,
    Network,
    Way,
    Xtr,
)

IID, SCALE_UP_IID, IPV6_IID = 4097, 8193, 4098


class Fabric:
    """PoDs of `leaves` access routers and two borders around a PoD switch; borders around two fabric switches.

    Accelerators are called A1.1 (on one leaf) and A12 (on the first two leaves of PoD A).
    """

    def __init__(
        self,
        pods: str = "ABCD",
        leaves: int = 2,
        each: int = 1,
        dual: int = 0,
        slots: int = 4096,
        children: int = MAX_CHILDREN,
        ipv6: bool = True,
    ) -> None:
        self.links: dict[str, list[tuple[str, int]]] = {}
        self.xtrs: list[Xtr] = []
        self.accelerators: list[Accelerator] = []
        self.plugged: list[tuple[str, Home]] = []
        for index, pod in enumerate(pods):
            names = [f"{pod}{number + 1}" for number in range(leaves)]
            borders = [f"{pod}x", f"{pod}y"]
            for number, name in enumerate([*names, *borders]):
                rloc = IPv4Address(0x0A000000 + 256 * (index + 1) + number)
                self.xtrs.append(Xtr(name, pod, rloc, name in borders, slots, children, ipv6))
                self._link(name, f"S-{pod}")
            for border in borders:
                for spine in ("F1", "F2"):
                    self._link(border, spine)
            for name in names:
                for number in range(each):
                    self._accelerator(f"{name}.{number + 1}", pod, [name])
            for number in range(dual):
                self._accelerator(f"{pod}12.{number + 1}", pod, names[:2])
        self.network = Network(self.xtrs, self.accelerators, self.ways)
        for accelerator, home in self.plugged:
            self.network.attach(accelerator, home)
        self.names = [one.name for one in self.accelerators]

    def _link(self, one: str, other: str) -> None:
        mine, theirs = self.links.setdefault(one, []), self.links.setdefault(other, [])
        mine.append((other, len(theirs) + 1))
        theirs.append((one, len(mine)))

    def _accelerator(self, name: str, pod: str, at: list[str]) -> None:
        number = len(self.accelerators) + 1
        addresses: dict[int, GroupEid] = {IID: IPv4Address(number), SCALE_UP_IID: number, IPV6_IID: IPv6Address(number)}
        self.accelerators.append(Accelerator(name, pod, addresses))
        for switch in at:
            self.links[switch].append((name, 1))
            self.plugged.append((name, Home(switch, len(self.links[switch]))))

    def ways(self, source: str, target: str) -> Sequence[Way]:
        """The ports of all shortest paths."""
        distance = {target: 0}
        todo = deque([target])
        while todo:
            here = todo.popleft()
            for peer, _ in self.links[here]:
                if peer in self.links and peer not in distance:
                    distance[peer] = distance[here] + 1
                    todo.append(peer)
        return [
            Way(port, peer, far)
            for port, (peer, far) in enumerate(self.links[source], start=1)
            if distance.get(peer, 99) == distance[source] - 1
        ]

    def port(self, switch: str, peer: str) -> int:
        """The port of a switch that is plugged into another, or into an accelerator."""
        return [name for name, _ in self.links[switch]].index(peer) + 1

    def manager(self, *, slots: int = 64, dedicated: bool = False, first_generation: int = 0) -> GroupManager:
        """A manager with a domain of each carrier: "out", whose roots are in PoD A or D, "up", and "six"."""
        pools = tuple(
            EidPool(IPv4Network(prefix), pod)
            for prefix, pod in (("10.0.255.0/29", "A"), ("40.0.255.0/29", "D"))
            if pod in {xtr.pod for xtr in self.xtrs}
        )
        domains = (
            Domain("out", IID, Carrier.IPV4, pools, dedicated, slots),
            Domain("up", SCALE_UP_IID, Carrier.SCALE_UP, (EidPool(range(1000, 1008)),), dedicated, slots),
            Domain("six", IPV6_IID, Carrier.IPV6, (EidPool(IPv6Network("fd00::ff00/125")),), dedicated, slots),
        )
        return GroupManager(self.network, domains, first_generation)
