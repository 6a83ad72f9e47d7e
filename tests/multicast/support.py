"""PoDs with groups, what their designated forwarders are, and packets that follow the replication entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address
from typing import Any

from controller.lisp import DistinguishedName, Eid, IPAddress, MapRegister, group_eid, replicas, scale_up_group_eid
from controller.lisp.replication import BROADCAST_GROUP, any_source
from controller.xtr import Designation, MulticastConfig, Replication, Xtr
from controller.xtr.multicast.election import rank
from tests.mapping.harness import GROUPS, IID, POD_LETTERS, SCALE_UP_IID, Fabric, eid

GROUP = group_eid(IID, ip_address("239.1.1.1"))
OTHER_GROUP = group_eid(IID, ip_address("239.2.2.2"))
BROADCAST = group_eid(IID, ip_address("255.255.255.255"))
SCALE_UP_GROUP = scale_up_group_eid(SCALE_UP_IID, 0xAB)
SCALE_UP_BROADCAST = scale_up_group_eid(SCALE_UP_IID, BROADCAST_GROUP)
RANGES = tuple(scope.eid for scope in GROUPS if scope.eid is not None)

# Where accelerators are: all dual-homed in PoD D, single-homed in PoD A.
CABLES = {"40.0.0.7": ("D1", "D2"), "40.0.0.8": ("D1", "D2"), "10.0.0.1": ("A1",), "10.0.0.2": ("A2",)}


def accelerator(letter: str, number: int) -> Eid:
    """A Scale-Up EID."""
    return Eid(SCALE_UP_IID, DistinguishedName(f"POD-{letter}-AccID-{number}"))


class GroupFabric(Fabric):
    """The fabric of the harness, taking part in multicast. `settings`: fields of MulticastConfig."""

    def __init__(self, pods: str = "AD", seed: int = 1, **settings: Any) -> None:
        self.settings = settings
        self.cables: dict[Eid, tuple[str, ...]] = {eid(host): names for host, names in CABLES.items()}
        super().__init__(pods, seed)

    def options(self, letter: str) -> dict[str, Any]:
        site = frozenset(self.rloc(f"{letter}{number}") for number in (1, 2, 3, 4))
        borders = frozenset(self.rloc(f"{letter}{number}") for number in (3, 4))
        settings = {"site_rlocs": site, "borders": borders, **self.settings}
        return {"groups": RANGES, "multicast": MulticastConfig(**settings)}

    def up(self, name: str, one: Eid) -> None:
        """An accelerator's port at an xTR comes up."""
        cabled = tuple(self.rloc(other) for other in self.cables.get(one, ()))
        self.net.do(self.node(name), lambda now: self.xtr(name).attach(one, now, cabled=cabled))

    def down(self, name: str, one: Eid) -> None:
        self.net.do(self.node(name), self.xtr(name).detach, one)

    def join(self, name: str, one: Eid, group: Eid) -> None:
        self.net.do(self.node(name), self.xtr(name).join, one, group)

    def leave(self, name: str, one: Eid, group: Eid) -> None:
        self.net.do(self.node(name), self.xtr(name).leave, one, group)

    def everybody_up(self) -> None:
        for one, names in self.cables.items():
            for name in names:
                if name in self.net.nodes:
                    self.up(name, one)

    def member(self, one: Eid, group: Eid) -> None:
        """An accelerator joins at all its xTRs."""
        for name in self.cables[one]:
            self.join(name, one, group)

    def xtrs(self) -> Iterator[tuple[str, Xtr]]:
        for name, node in self.net.nodes.items():
            if isinstance(node.machine, Xtr):
                yield name, node.machine

    def lists(self, server: str) -> dict[Eid, list[str]]:
        """The replication lists of a Map-Server, by the names of the xTRs."""
        return {
            view.eid: [self.name_at(rloc) for rloc in replicas(self.record(view))]
            for view in self.server(server).registrations()
            if any(view.eid == one or one.covers(view.eid) for one in RANGES) or "group-" in str(view.eid)
        }

    @staticmethod
    def record(view: Any) -> Any:
        from controller.lisp import EidRecord

        return EidRecord.for_eid(view.eid, 1, view.locators)

    def name_at(self, rloc: IPAddress) -> str:
        letters = {site: letter for letter, site in POD_LETTERS.items()}
        return f"{letters[rloc.packed[2]]}{rloc.packed[3]}"

    def designated(self, group: Eid, names: str) -> dict[str, list[Designation]]:
        """Who, of the xTRs named by their letters and digits as in "D1 D2", is granted anything for a group."""
        found = {name: self.xtr(name).designations() for name in names.split()}
        return {
            name: granted
            for name, all_of_it in found.items()
            if (granted := [one for one in all_of_it if one.group == group and one.granted])
        }

    def best(self, group: Eid, names: str) -> str:
        return self.name_at(rank(group, [self.rloc(name) for name in names.split()])[0])

    def registrants(self, server: str, group: Eid, since: float = 0.0) -> set[str]:
        """Who sent a Map-Register, other than a withdrawal, for a group to a Map-Server."""
        address = self.server(server).config.address
        return {
            self.name_at(seen.datagram.source.address)
            for seen, register in self.net.seen(MapRegister, since)
            if seen.datagram.destination.address == address
            for record in register.records
            if record.key == group and not record.is_withdrawal
        }

    # Packets.

    def entry(self, name: str, group: Eid) -> Replication | None:
        """What a data plane would use: (S,G), or else (*,G)."""
        entries = {entry.group: entry for entry in self.xtr(name).replication()}
        return entries.get(group) or entries.get(any_source(group))

    def send(self, name: str, source: Eid, group: Eid) -> Counter[Eid]:
        """An accelerator at an xTR sends a packet to a group: how many copies each receiver gets."""
        if group.iid == IID:
            assert isinstance(source.target, IPv4Network)
            target: Any = group.target
            group = group_eid(IID, target.group, source.target)
        got: Counter[Eid] = Counter()
        entry = self.entry(name, group)
        if entry is None:
            return got
        got.update(one for one in entry.receivers if one != source)
        todo = [(self.name_at(rloc), name, 1) for rloc in entry.pod + entry.fabric]
        while todo:
            here, outer_source, hops = todo.pop()
            assert hops <= 3, "a packet goes round in circles"
            entry = self.entry(here, group)
            if entry is None or not self.node(here).up:
                continue
            inside = here[0] == outer_source[0]
            assert inside or not entry.receivers
            got.update(one for one in entry.receivers if one != source)
            todo += [(self.name_at(rloc), here, hops + 1) for rloc in (entry.fabric if inside else entry.pod)]
        return got
