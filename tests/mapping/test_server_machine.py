"""A Map-Server against a model of a few dictionaries: messages get lost, come twice or late, and it restarts."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.lisp import Datagram, Eid, MapNotify, RlocRecord, decode
from controller.mapping import MapServer
from controller.mapping.machine import NonceUse
from tests.mapping.harness import Bench, Peer, eid, nonce_source, rlocs, sends

SUBNET = eid("40.0.0.0/16")
HOSTS = [eid(f"40.0.0.{number}") for number in (7, 8, 9)]
LEASE = 180.0
NUMBERS = st.integers(1, 3)
SOME_HOSTS = st.sets(st.sampled_from(HOSTS), min_size=1)
FATES = st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late"])


class MapServerMachine(RuleBasedStateMachine):
    """`held`: who registered what, with which priority, and until when. `view`: what the subscriber D4 was told."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.now = 0.0
        self.held: dict[tuple[Eid, str], tuple[int, float]] = {}
        self.last_nonce: dict[str, int] = {}
        self.on_the_way: list[tuple[Datagram, Peer, list[Eid], int | None, int]] = []
        self.view: dict[Eid, tuple[int, list[str]]] = {}
        self.subscribed = False
        self.restarts = 0
        self.latest = NonceUse.SUBSCRIPTION.lowest

    # ---- what happens

    @rule(
        number=st.integers(1, 3),
        hosts=st.sets(st.sampled_from(HOSTS), min_size=1),
        priority=st.integers(1, 3),
        fate=FATES,
    )
    def register(self, number: int, hosts: set[Eid], priority: int, fate: str) -> None:
        self._send(number, sorted(hosts), priority, fate)

    @rule(number=NUMBERS, hosts=SOME_HOSTS, fate=FATES)
    def withdraw(self, number: int, hosts: set[Eid], fate: str) -> None:
        self._send(number, sorted(hosts), None, fate)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def a_late_message_arrives(self, data: st.DataObject) -> None:
        self._arrive(*self.on_the_way.pop(data.draw(st.integers(0, len(self.on_the_way) - 1))))

    @rule(seconds=st.sampled_from([0.5, 3.0, 30.0, 100.0]), heard=st.booleans())
    def time_passes(self, seconds: float, heard: bool) -> None:
        """`heard`: what the Map-Server says meanwhile reaches D4, and its answers come back."""
        self._run(self.now + seconds, heard)

    @rule()
    def the_server_restarts(self) -> None:
        self.restarts += 1
        server = MapServer(self.bench.config, self.bench.store, self.now, nonces=nonce_source(self.restarts, self.now))
        self.bench.server = server
        self.held = {key: (priority, self.now + LEASE) for key, (priority, _) in self.held.items()}

    @rule(heard=st.booleans())
    def d4_subscribes(self, heard: bool) -> None:
        asked = self.bench.d4.request(self.bench.endpoint, SUBNET, subscribe=True, nonce=self._fresh())
        self.subscribed = True
        self._tell(self.bench.server.receive(asked, self.now), heard)

    @precondition(lambda self: self.subscribed)
    @rule()
    def d4_unsubscribes(self) -> None:
        ended = self.bench.d4.unsubscribe(self.bench.endpoint, SUBNET, nonce=self._fresh())
        self._tell(self.bench.server.receive(ended, self.now), True)
        self.subscribed = False
        assert SUBNET not in [found.eid for found in self.bench.server.subscriptions()]

    # ---- what has to be true

    @invariant()
    def it_holds_what_was_registered(self) -> None:
        assert self.bench.mappings() == {str(host.target): where for host, where in self._expected().items()}
        for one in self.bench.server.registrations():
            for locator in one.locators:
                name = f"d{str(locator.rloc)[-1]}"
                assert locator.priority == self.held[one.eid, name][0]

    def teardown(self) -> None:
        """In the end everybody can hear, and a subscriber knows what there is."""
        self._run(self.now + 80.0, True)  # what was given up is subscribed to again below
        if not self.subscribed:
            return
        if SUBNET not in [found.eid for found in self.bench.server.subscriptions()]:
            self.d4_subscribes(True)
        self._run(self.now + 80.0, True)
        # What a renewed subscription did not bring again is gone: an xTR sweeps it.
        told = {host: where for host, (nonce, where) in self.view.items() if nonce >= self.latest}
        known = {host: where for host, where in told.items() if where and host != SUBNET}
        assert known == self._expected()

    # ---- how

    def _send(self, number: int, hosts: list[Eid], priority: int | None, fate: str) -> None:
        peer: Peer = getattr(self.bench, f"d{number}")
        if priority is None:
            datagram = peer.withdraw(self.bench.endpoint, *hosts)
        else:
            where = [RlocRecord(peer.address, priority=priority, local=True)]
            datagram = peer.register(self.bench.endpoint, *hosts, locators=where)
        message = (datagram, peer, hosts, priority, peer.nonce)
        if fate == "late":
            self.on_the_way.append(message)
        elif fate != "lost":
            self._arrive(*message)
            if fate == "twice":
                self._arrive(*message)

    def _arrive(self, datagram: Datagram, peer: Peer, hosts: list[Eid], priority: int | None, nonce: int) -> None:
        name = f"d{str(peer.address)[-1]}"
        self._tell(self.bench.server.receive(datagram, self.now), True)
        if nonce <= self.last_nonce.get(name, 0):
            return
        self.last_nonce[name] = nonce
        for host in hosts:
            if priority is None:
                self.held.pop((host, name), None)
            else:
                self.held[host, name] = (priority, self.now + LEASE)

    def _run(self, until: float, heard: bool) -> None:
        while (due := self.bench.server.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self._tell(self.bench.server.tick(self.now), heard)
        self.now = until
        self.held = {key: held for key, held in self.held.items() if held[1] > self.now}

    def _tell(self, outputs: Iterable[object], heard: bool) -> None:
        todo = sends(outputs)
        while todo:
            datagram = todo.pop(0)
            message = decode(datagram.payload)
            if datagram.destination.address != self.bench.d4.address or not isinstance(message, MapNotify) or not heard:
                continue
            for record in message.records:
                last = self.view.get(record.key, (-1, []))[0]
                if message.nonce >= last:
                    self.view[record.key] = (message.nonce, rlocs(record))
            todo += sends(self.bench.server.receive(self.bench.d4.ack(datagram), self.now))

    def _fresh(self) -> int:
        """A nonce beyond all that D4 knows of, as an xTR takes it from its clock."""
        self.latest += 1 << 32
        return self.latest

    def _expected(self) -> dict[Eid, list[str]]:
        found: dict[Eid, list[str]] = {}
        for host, name in sorted(self.held):
            found.setdefault(host, []).append(f"192.0.40.{name[1]}")
        return found


MapServerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestMapServerMachine = MapServerMachine.TestCase
