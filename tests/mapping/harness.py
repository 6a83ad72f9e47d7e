"""Machines wired together over a simulated network, and a peer that is driven by hand.

`Network` carries datagrams between MapServers and Xtrs, loses, repeats and delays them under a seed, and calls
`tick` when a machine asked for it. Time is simulated: nothing sleeps. Everything that was sent is kept, decoded,
so that a test sees what a capture on the wire would show.

`Peer` is an xTR without a machine behind it: it signs what a test tells it to say.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_network
from itertools import count
from random import Random
from typing import Any, Protocol, TypeVar

from controller.lisp import (
    CONTROL_PORT,
    NO_ADDRESS,
    Address,
    Algorithm,
    Datagram,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    Message,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
)
from controller.mapping import (
    AuthorisedXtr,
    Change,
    Event,
    GroupScope,
    MapServer,
    MemoryStore,
    NameScope,
    NonceSource,
    Pod,
    Send,
    Store,
    StoreError,
    SubscriptionKind,
    fabric_map_server,
    pod_map_server,
)
from controller.xtr import MapCacheChange, MapCacheEntry, Replay, Xtr, XtrConfig, access_xtr, border_xtr

IID = 0x1001
M = TypeVar("M", bound=Message)


def nonce_source(seed: int, now: float = 0.0) -> NonceSource:
    """Nonces that depend on nothing but the seed and the simulated time."""
    return NonceSource(1_700_000_000_000 + int(now * 1000), now, Random(seed).getrandbits)


def eid(text: str, iid: int = IID) -> Eid:
    return Eid.of(iid, text)


def ip(text: str) -> IPv4Address:
    return IPv4Address(text)


def unwrap(payload: bytes) -> Message:
    """The message in a datagram, out of its ECM if it has one."""
    message = decode(payload)
    return decode(message.payload) if isinstance(message, Ecm) else message


@dataclass(frozen=True, slots=True)
class Seen:
    """A datagram on the wire, and the message in it."""

    at: float
    datagram: Datagram
    message: Message

    @property
    def source(self) -> str:
        return str(self.datagram.source.address)

    @property
    def destination(self) -> str:
        return str(self.datagram.destination.address)


def messages(outputs: Iterable[object], kind: type[M], to: Peer | None = None) -> list[M]:
    """The messages of one type, to one peer or to all, among the outputs of a machine."""
    found = (
        unwrap(datagram.payload)
        for datagram in sends(outputs)
        if to is None or datagram.destination.address == to.address
    )
    return [message for message in found if isinstance(message, kind)]


def sends(outputs: Iterable[object]) -> list[Datagram]:
    return [output.datagram for output in outputs if isinstance(output, Send)]


def events(outputs: Iterable[object], name: str | None = None) -> list[Event]:
    return [output for output in outputs if isinstance(output, Event) and name in (None, output.name)]


def drop_reason(outputs: Sequence[object]) -> str:
    """The reason of the one event that a refused datagram leaves; fails if there is anything else."""
    (event,) = outputs
    assert isinstance(event, Event), event
    assert event.name == "message-dropped", event
    return str(event.fields["reason"])


def rlocs(holder: EidRecord | MapCacheEntry) -> list[str]:
    return [str(locator.rloc) for locator in holder.locators]


@dataclass(slots=True)
class Peer:
    """An xTR (address, identity, key) that says what a test tells it to, with nonces counted up by itself."""

    address: IPv4Address
    identity: XtrIdentity
    key: Key
    nonce: int = 1000

    def _endpoint(self, port: int = CONTROL_PORT) -> Endpoint:
        return Endpoint(self.address, port)

    def next_nonce(self) -> int:
        self.nonce += 1
        return self.nonce

    def register(
        self,
        server: Endpoint,
        *eids: Eid,
        ttl: int = 1440,
        locators: Sequence[RlocRecord] | None = None,
        nonce: int | None = None,
        key: Key | None = None,
        port: int = CONTROL_PORT,
        **flags: Any,
    ) -> Datagram:
        """A Map-Register of `eids` with our RLOC; flags are fields of MapRegister."""
        where = [RlocRecord(self.address, local=True)] if locators is None else locators
        records = tuple(EidRecord.for_eid(one, ttl, where, authoritative=True) for one in eids)
        fields = {"merge": True, "want_notify": True, "proxy_reply": True, "xtr": self.identity, **flags}
        message = MapRegister(self.next_nonce() if nonce is None else nonce, records, **fields)
        return Datagram(self._endpoint(port), server, sign(message, key or self.key))

    def withdraw(self, server: Endpoint, *eids: Eid, **fields: Any) -> Datagram:
        return self.register(server, *eids, ttl=0, **fields)

    def request(
        self,
        server: Endpoint,
        *eids: Eid,
        subscribe: bool = False,
        nonce: int | None = None,
        itr_rlocs: tuple[Address, ...] | None = None,
        ecm: bool = True,
        port: int = 61000,
        inner_source: IPv4Address | None = None,
        **fields: Any,
    ) -> Datagram:
        """A Map-Request, by default in an ECM; `subscribe` sets N and I."""
        message = MapRequest(
            self.next_nonce() if nonce is None else nonce,
            (self.address,) if itr_rlocs is None else itr_rlocs,
            tuple(RequestRecord.for_eid(one, subscribe=subscribe) for one in eids),
            **{"xtr": self.identity if subscribe else None, **fields},
        )
        if not ecm:
            return Datagram(self._endpoint(port), server, encode(message))
        inner = Ecm(inner_source or self.address, ip("40.0.0.7"), port, CONTROL_PORT, encode(message))
        return Datagram(self._endpoint(), server, encode(inner))

    def unsubscribe(self, server: Endpoint, one: Eid, **fields: Any) -> Datagram:
        return self.request(server, one, subscribe=True, itr_rlocs=(NO_ADDRESS,), **fields)

    def ack(self, notify: Datagram, key: Key | None = None) -> Datagram:
        """The Map-Notify-Ack for a Map-Notify that came to us."""
        message = decode(notify.payload)
        assert isinstance(message, MapNotify)
        self.nonce = max(self.nonce, message.nonce)
        ack = MapNotifyAck(message.nonce, message.records)
        return Datagram(notify.destination, notify.source, sign(ack, key or self.key))

    def ack_all(self, machine: MapServer, outputs: Iterable[object], now: float) -> list[MapNotify]:
        """Acknowledge every Map-Notify to us among the outputs, and what follows; returns the messages."""
        found: list[MapNotify] = []
        todo = sends(outputs)
        while todo:
            datagram = todo.pop(0)
            message = decode(datagram.payload)
            if datagram.destination.address == self.address and isinstance(message, MapNotify):
                found.append(message)
                todo += sends(machine.receive(self.ack(datagram), now))
        return found


def identity(site: int, number: int) -> XtrIdentity:
    return XtrIdentity(bytes([site]) * 8 + bytes([number]) * 8, site)


def secret_key(site: int, key_id: int = 1, algorithm: Algorithm = Algorithm.HMAC_SHA256_128) -> Key:
    return Key(key_id, algorithm, f"lab-psk-{site:04}-{key_id}".encode())


class StubbornStore(MemoryStore):
    """Refuses to commit while `broken`; keeps what it was asked to, change by change and by transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.committed: list[Change] = []
        self.transactions: list[list[Change]] = []

    def commit(self, changes: Iterable[Change]) -> None:
        if self.broken:
            raise StoreError("disk full")
        taken = list(changes)
        self.committed += taken
        self.transactions.append(taken)
        super().commit(taken)


class Bench:
    """One Map-Server of PoD D (Site-ID 40, subnet 40.0.0.0/16) and its xTRs d1 to d4 as Peers, driven by hand.

    `options` are fields of MapServerConfig. Time stands still until a test gives another `now`.
    """

    def __init__(self, store: Store | None = None, now: float = 0.0, pods: str = "D", **options: Any) -> None:
        self.store = store or MemoryStore()
        described = [Fabric.pod(letter) for letter in pods]
        whole = fabric_map_server if len(pods) > 1 else lambda address, pods: pod_map_server(address, pods[0])
        self.config = replace(whole(Fabric.su_address("D"), described), **options)
        self.server = MapServer(self.config, self.store, now, nonces=nonce_source(7, now))
        self.endpoint = Endpoint(self.config.address, CONTROL_PORT)
        self.d1, self.d2, self.d3, self.d4 = (self.peer("D", number) for number in (1, 2, 3, 4))

    @staticmethod
    def peer(letter: str, number: int) -> Peer:
        site = POD_LETTERS[letter]
        return Peer(Fabric.rloc(f"{letter}{number}"), identity(site, number), secret_key(site))

    def register(self, peer: Peer, *eids: Eid, now: float = 0.0, **fields: Any) -> list[Any]:
        return self.server.receive(peer.register(self.endpoint, *eids, **fields), now)

    def withdraw(self, peer: Peer, *eids: Eid, now: float = 0.0, **fields: Any) -> list[Any]:
        return self.server.receive(peer.withdraw(self.endpoint, *eids, **fields), now)

    def request(self, peer: Peer, *eids: Eid, now: float = 0.0, **fields: Any) -> list[Any]:
        return self.server.receive(peer.request(self.endpoint, *eids, **fields), now)

    def subscribe(self, peer: Peer, one: Eid, now: float = 0.0, **fields: Any) -> list[MapNotify]:
        """Subscribe, acknowledge what comes, and return it."""
        return peer.ack_all(self.server, self.request(peer, one, now=now, subscribe=True, **fields), now)

    def mappings(self) -> dict[str, list[str]]:
        return {
            str(view.eid.target): [str(locator.rloc) for locator in view.locators]
            for view in self.server.registrations()
        }

    def state(self) -> tuple[object, ...]:
        """Everything that the state dump shows."""
        return self.server.registrations(), self.server.subscriptions(), self.server.pending()


class Machine(Protocol):
    """What MapServer and Xtr have in common."""

    def receive(self, datagram: Datagram, now: float) -> Sequence[Any]: ...
    def tick(self, now: float) -> Sequence[Any]: ...
    def next_deadline(self) -> float | None: ...


@dataclass(slots=True)
class Node:
    """A machine on the network, and what it put out. `up` False: it neither hears nor speaks."""

    name: str
    machine: Machine
    up: bool = True
    outputs: list[tuple[float, object]] = field(default_factory=list)
    forwarding: dict[Eid, MapCacheEntry] = field(default_factory=dict)
    """The map-cache as a follower of the outputs has it."""

    def events(self, name: str, since: float = 0.0) -> list[Event]:
        return [
            output for at, output in self.outputs if isinstance(output, Event) and output.name == name and at >= since
        ]

    def replayed(self) -> list[bytes]:
        return [packet for _, output in self.outputs if isinstance(output, Replay) for packet in output.packets]


@dataclass(slots=True)
class Weather:
    """How the network treats datagrams: probabilities, and the range of the delay in seconds."""

    loss: float = 0.0
    repeat: float = 0.0
    delay: tuple[float, float] = (0.001, 0.001)


class Network:
    """Nodes by address, and datagrams on their way."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.weather = Weather()
        self.nodes: dict[str, Node] = {}
        self.sent: list[Seen] = []
        self.filter: Callable[[Seen], bool] = lambda seen: True
        """Datagrams for which it is False are lost."""
        self.watch: Callable[[], None] = lambda: None
        """Called whenever a machine may have changed."""
        self._random = Random(seed)
        self._by_address: dict[Any, Node] = {}
        self._queue: list[tuple[float, int, Datagram]] = []
        self._order = count()

    def add(self, name: str, machine: Machine, addresses: Iterable[Any]) -> Node:
        node = Node(name, machine)
        self.nodes[name] = node
        for address in addresses:
            self._by_address[address] = node
        return node

    def do(self, node: Node, action: Callable[..., Sequence[Any]], *args: Any, **fields: Any) -> Sequence[Any]:
        """Call a method of a node's machine at the present time and carry its outputs."""
        outputs = action(*args, self.now, **fields)
        self._take(node, outputs)
        self.watch()
        return outputs

    def inject(self, datagram: Datagram) -> None:
        """Put a datagram on the wire that no machine sent."""
        heapq.heappush(self._queue, (self.now, next(self._order), datagram))

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        end = self.now + seconds
        while (when := self._next()) is not None and when <= end:
            self.now = max(self.now, when)
            self._step()
        self.now = end

    def seen(self, kind: type[M], since: float = 0.0, **where: str) -> list[tuple[Seen, M]]:
        """Messages of one type sent since a time; `source` and `destination` name nodes."""
        found: list[tuple[Seen, M]] = []
        for seen in self.sent:
            if seen.at < since or not isinstance(seen.message, kind):
                continue
            ends = {
                "source": self._by_address.get(seen.datagram.source.address),
                "destination": self._by_address.get(seen.datagram.destination.address),
            }
            if all(ends[end] is self.nodes[name] for end, name in where.items()):
                found.append((seen, seen.message))
        return found

    def _next(self) -> float | None:
        deadlines = [node.machine.next_deadline() for node in self.nodes.values() if node.up]
        if self._queue:
            deadlines.append(self._queue[0][0])
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, datagram = heapq.heappop(self._queue)
            node = self._by_address.get(datagram.destination.address)
            if node is not None and node.up:
                self._take(node, node.machine.receive(datagram, self.now))
        for node in self.nodes.values():
            deadline = node.machine.next_deadline() if node.up else None
            if deadline is not None and deadline <= self.now:
                self._take(node, node.machine.tick(self.now))
                later = node.machine.next_deadline()
                assert later is None or later > self.now, f"{node.name} does not get on"
        self.watch()

    def _take(self, node: Node, outputs: Iterable[object]) -> None:
        for output in outputs:
            node.outputs.append((self.now, output))
            if isinstance(output, MapCacheChange):
                if output.entry is None:
                    del node.forwarding[output.eid]
                else:
                    node.forwarding[output.eid] = output.entry
            if isinstance(output, Send):
                self._carry(output.datagram)

    def _carry(self, datagram: Datagram) -> None:
        seen = Seen(self.now, datagram, unwrap(datagram.payload))
        self.sent.append(seen)
        if not self.filter(seen):
            return
        copies = 1 + (self._random.random() < self.weather.repeat)
        for _ in range(copies):
            if self._random.random() >= self.weather.loss:
                at = self.now + self._random.uniform(*self.weather.delay)
                heapq.heappush(self._queue, (at, next(self._order), datagram))


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
