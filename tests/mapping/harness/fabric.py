"""The draft's figure 2 as machines on a network, and what all of them have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from typing import Any

from controller.lisp import Algorithm, DistinguishedName, Eid
from controller.mapping import (
    AuthorisedXtr,
    GroupScope,
    MapServer,
    MemoryStore,
    NameScope,
    NonceSource,
    Pod,
    Store,
    SubscriptionKind,
    fabric_map_server,
    pod_map_server,
)
from controller.xtr import Xtr, XtrConfig, access_xtr, border_xtr
from tests.mapping.harness.network import Network, Node
from tests.mapping.harness.observe import IID, eid, ip, nonce_source, rlocs
from tests.mapping.harness.peer import identity, secret_key

SCALE_UP_IID = 0x2001
"""Accelerators by name: those of PoD D begin with "POD-D-"."""

GROUPS = (
    GroupScope(IID, ip_network("239.0.0.0/8")),
    GroupScope(IID, ip_network("255.255.255.255")),
    GroupScope(SCALE_UP_IID),
)
"""What every PoD may join."""

POD_LETTERS = {"A": 10, "B": 20, "C": 30, "D": 40}


class Fabric:
    """The draft's figure 2: PoDs with access xTRs x1, x2 and pxTRs x3, x4, a Map-Server each, and one for all.

    Node names: "A1" to "A4", "SU-A", "SO". PoD D has Site-ID 40, subnet 40.0.0.0/16 and RLOCs 192.0.40.1 to .4.
    """

    def __init__(
        self,
        pods: str = "AD",
        seed: int = 1,
        store: Callable[[], Store] = MemoryStore,
        *,
        follow_names: bool = False,
        algorithm: Algorithm = Algorithm.HMAC_SHA256_128,
    ) -> None:
        self.net = Network(seed)
        self._follow_names = follow_names
        self._algorithm = algorithm
        self._seed = seed
        self._store = store
        self.stores: dict[str, Store] = {}
        described = {letter: self.pod(letter, algorithm) for letter in pods}
        for letter, pod in described.items():
            self._add_server(f"SU-{letter}", pod_map_server(self.su_address(letter), pod))
        self._add_server("SO", fabric_map_server(self.so_address(), described.values()))
        for letter in pods:
            for number in (1, 2, 3, 4):
                self._add_xtr(letter, number)

    @staticmethod
    def su_address(letter: str) -> IPv4Address:
        return ip(f"192.0.{POD_LETTERS[letter]}.100")

    @staticmethod
    def so_address() -> IPv4Address:
        return ip("192.0.0.100")

    @staticmethod
    def subnet(letter: str) -> Eid:
        return eid(f"{POD_LETTERS[letter]}.0.0.0/16")

    @staticmethod
    def rloc(name: str) -> IPv4Address:
        return ip(f"192.0.{POD_LETTERS[name[0]]}.{name[1]}")

    @staticmethod
    def pod(letter: str, algorithm: Algorithm = Algorithm.HMAC_SHA256_128) -> Pod:
        site = POD_LETTERS[letter]
        xtrs = tuple(
            AuthorisedXtr(identity(site, n).xtr_id, (Fabric.rloc(f"{letter}{n}"),), border=n > 2) for n in (1, 2, 3, 4)
        )
        names = (NameScope(SCALE_UP_IID, f"POD-{letter}-"),)
        return Pod(site, (Fabric.subnet(letter),), (secret_key(site, algorithm=algorithm),), xtrs, names, groups=GROUPS)

    def config(self, name: str) -> XtrConfig:
        letter, number = name[0], int(name[1])
        site = POD_LETTERS[letter]
        keys = (secret_key(site, algorithm=self._algorithm),)
        common: dict[str, Any] = {
            "xtr_id": identity(site, number).xtr_id,
            "site_id": site,
            "rlocs": (self.rloc(name),),
            "map_server": self.su_address(letter),
            "keys": keys,
            "subnets": (self.subnet(letter),),
            "name_iids": frozenset({SCALE_UP_IID}),
            "follow_names": self._follow_names,
            **self.options(letter),
        }
        if number <= 2:
            return access_xtr(**common)
        return border_xtr(**common, fabric_map_server=self.so_address(), fabric_keys=keys)

    def options(self, letter: str) -> dict[str, Any]:
        """What else the xTRs of a PoD are told."""
        return {}

    def start(self, *names: str) -> None:
        """Start the named xTRs, or all."""
        for name in names or [name for name in self.net.nodes if not name.startswith("S")]:
            self.net.do(self.node(name), self.xtr(name).start)

    def node(self, name: str) -> Node:
        return self.net.nodes[name]

    def xtr(self, name: str) -> Xtr:
        machine = self.node(name).machine
        assert isinstance(machine, Xtr)
        return machine

    def server(self, name: str) -> MapServer:
        machine = self.node(name).machine
        assert isinstance(machine, MapServer)
        return machine

    def attach(self, name: str, host: str) -> None:
        xtr = self.xtr(name)
        self.net.do(self.node(name), xtr.attach, eid(host))

    def detach(self, name: str, host: str) -> None:
        self.net.do(self.node(name), self.xtr(name).detach, eid(host))

    def miss(self, name: str, host: str, packet: bytes | None = None) -> None:
        xtr = self.xtr(name)
        self.net.do(self.node(name), lambda now: xtr.miss(eid(host), now, packet))

    def restart_server(self, name: str) -> None:
        """A new Map-Server on the store of the old one."""
        node = self.node(name)
        config = self.server(name).config
        node.machine = MapServer(config, self.stores[name], self.net.now, nonces=self._nonces())

    def restart_xtr(self, name: str) -> None:
        """A new xTR that remembers nothing."""
        node = self.node(name)
        node.machine = Xtr(self.config(name), self.net.now, nonces=self._nonces())
        node.forwarding.clear()
        self.start(name)

    def cache(self, name: str) -> dict[str, list[str]]:
        """The forwarding entries of an xTR: EID to RLOCs."""
        return {
            str(entry.eid.target): rlocs(entry) for entry in self.xtr(name).map_cache() if entry.kind.value == "forward"
        }

    def registered(self, name: str) -> dict[str, list[str]]:
        """The mappings of a Map-Server: EID to RLOCs."""
        return {
            str(view.eid.target): [str(locator.rloc) for locator in view.locators]
            for view in self.server(name).registrations()
        }

    def _add_server(self, name: str, config: Any) -> None:
        self.stores[name] = self._store()
        server = MapServer(config, self.stores[name], 0.0, nonces=self._nonces())
        self.net.add(name, server, [config.address])

    def _add_xtr(self, letter: str, number: int) -> None:
        name = f"{letter}{number}"
        self.net.add(name, Xtr(self.config(name), 0.0, nonces=self._nonces()), [self.rloc(name)])

    def _nonces(self) -> NonceSource:
        self._seed += 1
        return nonce_source(self._seed, self.net.now)


def assert_synchronised(fabric: Fabric) -> None:
    """Every subscriber's view equals its Map-Server's, and every follower's equals its xTR's.

    The view of an xTR is its map-cache, and for its own EIDs the RLOC-set in its database.
    """
    for name, node in fabric.net.nodes.items():
        if not isinstance(node.machine, Xtr):
            continue
        xtr = node.machine
        followed = [(e, replace(entry, ttl=0, expires=None)) for e, entry in sorted(node.forwarding.items())]
        shown = [(entry.eid, replace(entry, ttl=0, expires=None)) for entry in xtr.map_cache()]
        assert followed == shown, f"{name}: the outputs do not add up to the map-cache"
        for subscription in xtr.subscriptions():
            server = server_of(fabric, xtr, subscription.link)
            said = {
                one: where
                for one, where in view_of_server(server, subscription.eid).items()
                if link_for(xtr, one) == subscription.link
            }
            known = view_of_xtr(xtr, subscription.link, subscription.eid)
            assert known == said, f"{name} and its {subscription.link} Map-Server disagree about {subscription.eid}"


def assert_restarts(store: Callable[[], Store]) -> None:
    """Map-Servers on such stores know after a restart what was registered, and the fabric goes on."""
    fabric = Fabric(store=store)
    fabric.start()
    fabric.attach("A1", "10.0.0.1")
    fabric.attach("D2", "40.0.0.7")
    fabric.net.run(5.0)
    for name in ("SU-A", "SU-D", "SO"):
        before = fabric.registered(name)
        assert before
        fabric.restart_server(name)
        assert fabric.registered(name) == before
    fabric.net.run(200.0)
    assert_synchronised(fabric)


def server_of(fabric: Fabric, xtr: Xtr, link: str) -> MapServer:
    address = xtr.config.link(link).address
    (server,) = [
        node.machine
        for node in fabric.net.nodes.values()
        if isinstance(node.machine, MapServer) and node.machine.config.address == address
    ]
    return server


def link_for(xtr: Xtr, one: Eid) -> str | None:
    """The link that an xTR believes about an EID: that of its instance-ID, or the longest of the prefixes."""
    if isinstance(one.target, DistinguishedName):
        return next((link.name for link in xtr.config.links if one.iid in link.name_iids), None)
    covering = [
        (prefix.mask_len, link.name) for link in xtr.config.links for prefix in link.prefixes if prefix.covers(one)
    ]
    return max(covering)[1] if covering else None


def view_of_xtr(xtr: Xtr, link: str, prefix: Eid) -> dict[Eid, list[str]]:
    view = {
        entry.eid: [str(locator.rloc) for locator in entry.locators]
        for entry in xtr.map_cache()
        if entry.link == link and entry.kind.value == "forward" and prefix.covers(entry.eid)
    }
    for own in xtr.database():
        if (
            own.eid.mask_len > 0
            and own.state.value != "withdrawn"
            and prefix.covers(own.eid)
            and link_for(xtr, own.eid) == link
            and own.peers
        ):
            view[own.eid] = [str(rloc) for rloc in own.peers]
    return view


def view_of_server(server: MapServer, prefix: Eid) -> dict[Eid, list[str]]:
    """The mappings inside a prefix; for a range without registrations, the way to the pETRs."""
    registrations = {view.eid: [str(locator.rloc) for locator in view.locators] for view in server.registrations()}
    subscribed = {found.eid: found.kind for found in server.subscriptions()}
    if subscribed.get(prefix) is SubscriptionKind.HOLE:
        petrs = registrations.get(Eid(prefix.iid, DistinguishedName("pETR")))
        return {prefix: petrs} if petrs else {}
    # The pETRs' default prefix is no route: it answers for what is unknown.
    return {one: where for one, where in registrations.items() if prefix.covers(one) and one.mask_len > 0}
