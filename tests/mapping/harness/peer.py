"""An xTR without a machine behind it: it signs what a test tells it to say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from controller.lisp import (
    CONTROL_PORT,
    NO_ADDRESS,
    Address,
    Algorithm,
    Datagram,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
)
from controller.mapping import MapServer
from tests.mapping.harness.observe import M, ip, sends, unwrap


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
        records = [EidRecord.for_eid(one, ttl, where, authoritative=True) for one in eids]
        return self.say(server, records, nonce, key, port, **flags)

    def say(
        self,
        server: Endpoint,
        records: Sequence[EidRecord],
        nonce: int | None = None,
        key: Key | None = None,
        port: int = CONTROL_PORT,
        **flags: Any,
    ) -> Datagram:
        """A Map-Register of these records."""
        fields = {"merge": True, "want_notify": True, "proxy_reply": True, "xtr": self.identity, **flags}
        message = MapRegister(self.next_nonce() if nonce is None else nonce, tuple(records), **fields)
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


def messages(outputs: Iterable[object], kind: type[M], to: Peer | None = None) -> list[M]:
    """The messages of one type, to one peer or to all, among the outputs of a machine."""
    found = (
        unwrap(datagram.payload)
        for datagram in sends(outputs)
        if to is None or datagram.destination.address == to.address
    )
    return [message for message in found if isinstance(message, kind)]
