"""One Map-Server that is driven by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from controller.lisp import CONTROL_PORT, Eid, Endpoint, MapNotify
from controller.mapping import Change, MapServer, MemoryStore, Store, StoreError, fabric_map_server, pod_map_server
from tests.mapping.harness.fabric import POD_LETTERS, Fabric
from tests.mapping.harness.observe import nonce_source
from tests.mapping.harness.peer import Peer, identity, secret_key


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
