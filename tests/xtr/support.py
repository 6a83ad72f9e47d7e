"""An xTR whose mapping systems are the test itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from controller.lisp import (
    CONTROL_PORT,
    Datagram,
    DistinguishedName,
    Eid,
    EidRecord,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    RlocRecord,
    encode,
    sign,
)
from controller.mapping.machine.nonces import NonceUse
from controller.xtr import MapCacheChange, NonceSource, Output, Replay, Xtr, XtrConfig
from tests.mapping.harness import IID, Fabric, events, ip, nonce_source, secret_key, sends, unwrap

HOST = Eid.of(IID, "40.0.0.7")
OTHER = Eid.of(IID, "40.0.0.8")
SUBNET = Eid.of(IID, "40.0.0.0/16")
EVERYTHING = Eid.of(IID, "0.0.0.0/0")
GATEWAY = Eid(IID, DistinguishedName("pETR"))
SU, SO = Fabric.su_address("D"), Fabric.so_address()
KEY = secret_key(40)

MEMBER = NonceUse.MEMBER.lowest + 1000
"""A nonce such as a Map-Server gives to member notifications."""


def record(eid: Eid, *rlocs: str, ttl: int = 1440, **fields: Any) -> EidRecord:
    return EidRecord.for_eid(eid, ttl, [RlocRecord(ip(rloc)) for rloc in rlocs], **fields)


class FixedNonces(NonceSource):
    """Begins every counter where a test vector does."""

    def __init__(self, nonce: int) -> None:
        super().__init__(0, 0.0)
        self._nonce = nonce

    def first(self, use: NonceUse, now: float) -> int:
        return self._nonce


class XtrBench:
    """The xTR D1 (access) or D3 (border), and what its Map-Servers may answer.

    Outputs of every call are kept in `outputs` until `take`.
    """

    def __init__(
        self, name: str = "D1", config: XtrConfig | None = None, nonces: NonceSource | None = None, **options: Any
    ) -> None:
        self.config = config or replace(Fabric("D").config(name), **options)
        self.rloc = self.config.rlocs[0]
        self.xtr = Xtr(self.config, 0.0, nonces=nonces or nonce_source(3))
        self.now = 0.0

    def attach(self, eid: Eid, **fields: Any) -> list[Output]:
        return self.xtr.attach(eid, self.now, **fields)

    def detach(self, eid: Eid) -> list[Output]:
        return self.xtr.detach(eid, self.now)

    def miss(self, eid: Eid, packet: bytes | None = None) -> list[Output]:
        return self.xtr.miss(eid, self.now, packet)

    def run(self, until: float) -> list[tuple[float, Output]]:
        """Let time pass up to a moment; returns what was put out, and when."""
        found: list[tuple[float, Output]] = []
        while (due := self.xtr.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            found += [(self.now, output) for output in self.xtr.tick(self.now)]
        self.now = until
        return found

    def hear(self, payload: bytes, source: Any = SU, port: int = CONTROL_PORT) -> list[Output]:
        datagram = Datagram(Endpoint(source, port), Endpoint(self.rloc, CONTROL_PORT), payload)
        return self.xtr.receive(datagram, self.now)

    def notify(self, nonce: int, *records: EidRecord, key: Key = KEY, source: Any = SU) -> list[Output]:
        return self.hear(sign(MapNotify(nonce, records), key), source)

    def reply(self, nonce: int, *records: EidRecord, **fields: Any) -> list[Output]:
        return self.hear(encode(MapReply(nonce, records, **fields)))

    def acknowledge(self, outputs: Sequence[object], *records: EidRecord) -> list[Output]:
        """Acknowledge the Map-Registers among outputs, with their own records unless others are given."""
        found: list[Output] = []
        for datagram in sends(outputs):
            message = unwrap(datagram.payload)
            if isinstance(message, MapRegister):
                found += self.notify(message.nonce, *(records or message.records), source=datagram.destination.address)
        return found

    def confirm(self, outputs: Sequence[object], *records: EidRecord, source: Any = SU) -> int:
        """Confirm the one subscription request among outputs; returns its nonce."""
        (request,) = requests(outputs)
        heard = self.notify(request.nonce, *records, source=source)
        assert acks(heard) == [request.nonce]
        return request.nonce

    def subscribed(self, eid: Eid, *records: EidRecord) -> int:
        """Start, and confirm the subscription for `eid`; returns its nonce."""
        outputs = self.xtr.start(self.now)
        (request,) = [one for one in requests(outputs) if one.records[0].key == eid]
        source = SO if eid == EVERYTHING else SU
        assert acks(self.notify(request.nonce, *records, source=source)) == [request.nonce]
        return request.nonce

    def entries(self) -> dict[str, tuple[str, list[str]]]:
        return {
            str(entry.eid.target): (entry.kind.value, [str(locator.rloc) for locator in entry.locators])
            for entry in self.xtr.map_cache()
        }

    def database(self) -> dict[str, tuple[str, list[str]]]:
        return {
            str(entry.eid.target): (entry.state.value, [str(rloc) for rloc in entry.peers])
            for entry in self.xtr.database()
        }

    def state(self) -> tuple[object, ...]:
        subscriptions = [replace(found) for found in self.xtr.subscriptions()]
        return self.xtr.map_cache(), self.xtr.database(), subscriptions, self.xtr.pending(), self.xtr.next_deadline()


def registers(outputs: Sequence[object]) -> list[MapRegister]:
    found = (unwrap(datagram.payload) for datagram in sends(outputs))
    return [message for message in found if isinstance(message, MapRegister)]


def requests(outputs: Sequence[object]) -> list[MapRequest]:
    found = (unwrap(datagram.payload) for datagram in sends(outputs))
    return [message for message in found if isinstance(message, MapRequest)]


def acks(outputs: Sequence[object]) -> list[int]:
    found = (unwrap(datagram.payload) for datagram in sends(outputs))
    return [message.nonce for message in found if isinstance(message, MapNotifyAck)]


def changes(outputs: Sequence[object]) -> list[tuple[str, str | None]]:
    """EID and new kind of every map-cache change."""
    return [
        (str(output.eid.target), output.entry.kind.value if output.entry else None)
        for output in outputs
        if isinstance(output, MapCacheChange)
    ]


def replayed(outputs: Sequence[object]) -> list[bytes]:
    return [packet for output in outputs if isinstance(output, Replay) for packet in output.packets]


def names(outputs: Sequence[object]) -> list[str]:
    return [event.name for event in events(outputs)]
