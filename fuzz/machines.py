"""The Map-Server and the xTR as targets: conversations in which most messages are authentic, and no two are alike.

A decoder's fuzzer never gets past the authentication. Here a message that decodes is signed with the right key, and
may get a nonce that the machine waits for: what is fuzzed is what a machine does with what it believes. It may raise
nothing, send only what decodes, and must not ask to be called at a time that is over.

An input is a row of steps: an octet of flags, one that says which nonce, two of length, so many of a datagram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from random import Random
from typing import Final, Protocol

from controller.lisp import (
    CONTROL_PORT,
    Algorithm,
    Datagram,
    DecodeError,
    DistinguishedName,
    Ecm,
    Eid,
    Endpoint,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    decode,
    encode,
    sign,
)
from controller.mapping import AuthorisedXtr, Event, MapServer, MemoryStore, NameScope, Pod, Send, pod_map_server
from controller.mapping.machine import NonceSource
from controller.xtr import Probing, Xtr, border_xtr

KEY: Final = Key(1, Algorithm.HMAC_SHA256_128, b"lab-psk-0001")
XTR_IDS: Final = (bytes(range(0x10, 0x20)), bytes(range(0x20, 0x30)))
RLOCS: Final = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.11"))
SERVER, FABRIC_SERVER, STRANGER = (IPv4Address(f"192.0.2.{number}") for number in (200, 201, 66))
SITE: Final = 13
SUBNET: Final = Eid.of(0x1001, "40.0.0.0/16")
HOST: Final = Eid.of(0x1001, "40.0.0.7")
EVERYTHING: Final = Eid.of(0x1001, "0.0.0.0/0")
NAME: Final = Eid(0x2001, DistinguishedName("POD-D-AccID-7"))

# Flags of a step.
AUTHENTIC: Final = 0x80  # sign it, if it can be
AWAITED: Final = 0x40  # with the nonce of a message that the machine sent
NEXT: Final = 0x20  # with the one after that
WAIT: Final = 0x10  # two minutes pass before
_SOURCE: Final = 0x03  # who sends it

MAX_STEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One datagram, and how it comes; `back`: of which of the last messages it has the nonce, the latest is 0."""

    flags: int
    payload: bytes
    back: int = 0

    def encode(self) -> bytes:
        """As a part of an input."""
        return bytes((self.flags, self.back)) + len(self.payload).to_bytes(2, "big") + self.payload


def steps_of(octets: bytes) -> Iterator[Step]:
    """The steps of an input; a length that is too large takes what is left."""
    for _ in range(MAX_STEPS):
        if len(octets) < 4:
            return
        length = int.from_bytes(octets[2:4], "big")
        yield Step(octets[0], octets[4 : 4 + length], octets[1])
        octets = octets[4 + length :]


class _Machine(Protocol):
    def receive(self, datagram: Datagram, now: float) -> Sequence[object]: ...
    def tick(self, now: float) -> Sequence[object]: ...
    def next_deadline(self) -> float | None: ...


class Conversation:
    """A machine, its clock, the nonces of what it sent, and the names of the events it reported."""

    def __init__(self, machine: _Machine, address: IPv4Address, peers: tuple[IPv4Address, ...]) -> None:
        self._machine = machine
        self._address = address
        self._peers = peers
        self._nonces: list[int] = []
        self.events: set[str] = set()
        self._now = 0.0

    def notice(self, outputs: Sequence[object]) -> None:
        """Take the machine's outputs; what it sends has to be a message."""
        for output in outputs:
            if isinstance(output, Event):
                self.events.add(output.name)
            if isinstance(output, Send):
                message = decode(output.datagram.payload)
                if isinstance(message, Ecm):
                    message = decode(message.payload)
                assert not isinstance(message, Ecm)
                self._nonces.append(message.nonce)

    def run(self, octets: bytes) -> None:
        """Do what an input says."""
        for step in steps_of(octets):
            if step.flags & WAIT:
                self._wait(120.0)
            source = Endpoint(self._peers[(step.flags & _SOURCE) % len(self._peers)], CONTROL_PORT)
            datagram = Datagram(source, Endpoint(self._address, CONTROL_PORT), self._prepared(step))
            self.notice(self._machine.receive(datagram, self._now))

    def _wait(self, seconds: float) -> None:
        until = self._now + seconds
        for _ in range(10_000):
            due = self._machine.next_deadline()
            if due is None or due > until:
                break
            self._now = max(self._now, due)
            self.notice(self._machine.tick(self._now))
            again = self._machine.next_deadline()
            assert again is None or again > self._now, "a deadline that is over"
        else:
            raise AssertionError("the machine never comes to rest")
        self._now = until

    def _prepared(self, step: Step) -> bytes:
        try:
            message = decode(step.payload)
        except DecodeError:
            return step.payload
        nonce = None
        if step.flags & (AWAITED | NEXT) and self._nonces:
            nonce = self._nonces[-1 - step.back % len(self._nonces)] + bool(step.flags & NEXT)
            nonce &= 2**64 - 1
        if isinstance(message, (MapNotify, MapNotifyAck)):
            message = replace(message, xtr=None)  # accepted from older implementations, but nothing to encode
        if isinstance(message, (MapNotify, MapNotifyAck, MapRegister)) and step.flags & AUTHENTIC:
            return sign(message if nonce is None else replace(message, nonce=nonce), KEY)
        if isinstance(message, (MapNotify, MapReply)) and nonce is not None:
            return encode(replace(message, nonce=nonce))
        return step.payload


def _nonces() -> NonceSource:
    return NonceSource(1_700_000_000_000, 0.0, Random(1).getrandbits)


def conversation_with_map_server() -> Conversation:
    """The Map-Server of a PoD with two xTRs."""
    xtrs = tuple(AuthorisedXtr(one, (rloc,)) for one, rloc in zip(XTR_IDS, RLOCS, strict=True))
    pod = Pod(SITE, (SUBNET,), (KEY,), xtrs, (NameScope(NAME.iid, "POD-D-"),))
    server = MapServer(pod_map_server(SERVER, pod), MemoryStore(), 0.0, nonces=_nonces())
    return Conversation(server, SERVER, (*RLOCS, STRANGER))


def conversation_with_xtr() -> Conversation:
    """A border pxTR with an attached host and a name, that probes."""
    config = border_xtr(
        xtr_id=XTR_IDS[0],
        site_id=SITE,
        rlocs=(RLOCS[0],),
        map_server=SERVER,
        keys=(KEY,),
        fabric_map_server=FABRIC_SERVER,
        fabric_keys=(KEY,),
        subnets=(SUBNET,),
        name_iids=frozenset({NAME.iid}),
    )
    machine = Xtr(replace(config, probing=Probing()), 0.0, nonces=_nonces())
    conversation = Conversation(machine, RLOCS[0], (SERVER, FABRIC_SERVER, RLOCS[1], STRANGER))
    conversation.notice(machine.attach(HOST, 0.0))
    conversation.notice(machine.attach(NAME, 0.0))
    conversation.notice(machine.miss(Eid.of(HOST.iid, "10.0.0.1"), 0.0, b"packet"))
    conversation.notice(machine.start(0.0))  # its requests come last: their nonces are in reach
    return conversation


MACHINES: Final = {
    "map_server": lambda octets: conversation_with_map_server().run(octets),
    "xtr": lambda octets: conversation_with_xtr().run(octets),
}
