"""Many datagrams in one system call: what arrives is what was sent, however it is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

import pytest

from controller.app import udp_batch
from controller.app.udp_addresses import KernelAddresses, Peers
from controller.app.udp_batch import SEND_ROOM, Receive, Send
from controller.lisp import CONTROL_PORT, Datagram, Endpoint, IPAddress
from tests.app.udp_support import IPV6_LOOPBACK, family_of, free_port, local
from tests.compiled import FORMS, compiled_part


@pytest.fixture(params=FORMS)
def calls(request: pytest.FixtureRequest) -> tuple[Receive, Send]:
    part = compiled_part("controller.app._udp_batch") if request.param == "compiled" else None
    if part is not None:
        return part.receive, part.send
    return udp_batch.receive_in_python, udp_batch.send_in_python


class Wire:
    """One socket that sends to itself, with what is known of addresses."""

    def __init__(self, calls: tuple[Receive, Send], address: IPAddress) -> None:
        self._receive, self._send = calls
        self.here = Endpoint(address, free_port(address))
        self.sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind((str(address), self.here.port))
        self.length = 16 if address.version == 4 else 28
        self.peers = Peers(self.here.port)
        self.addresses = KernelAddresses(self.here.port)

    def send(self, datagrams: list[Datagram], start: int = 0, longest: int = SEND_ROOM) -> int:
        known, find = self.addresses.known, self.addresses.find
        return self._send(self.sock.fileno(), datagrams, start, longest, self.length, known, find)

    def receive(self, limit: int = 128) -> list[Datagram]:
        known, meet = self.peers.known, self.peers.meet
        return self._receive(self.sock.fileno(), limit, self.here, known, meet, Datagram)

    def to_self(self, *payloads: bytes) -> list[Datagram]:
        return [Datagram(self.here, self.here, payload) for payload in payloads]


@pytest.fixture(params=[local(7), IPV6_LOOPBACK], ids=["IPv4", "IPv6"])
def wire(request: pytest.FixtureRequest, calls: tuple[Receive, Send]) -> Iterator[Wire]:
    with ExitStack() as stack:
        found = Wire(calls, request.param)
        stack.enter_context(found.sock)
        yield found


def test_all_lengths_in_their_order(wire: Wire) -> None:
    random = Random(1)
    lengths = [0, 1, 2, SEND_ROOM - 1, SEND_ROOM, *(random.randrange(SEND_ROOM) for _ in range(95))]
    sent = wire.to_self(*(random.randbytes(length) for length in lengths))
    assert wire.send(sent) == len(sent)
    heard = wire.receive(30) + wire.receive()
    assert [one.payload for one in heard] == [one.payload for one in sent]
    assert {type(one) for one in heard} == {Datagram}
    assert {one.destination for one in heard} == {wire.here}
    # The network's own port stands for the control port, and one peer is one object.
    assert heard[0].source == Endpoint(wire.here.address, CONTROL_PORT)
    assert len({id(one.source) for one in heard}) == 1
    with pytest.raises(BlockingIOError):
        wire.receive()


def test_what_does_not_belong_ends_what_is_sent_together(wire: Wire) -> None:
    other = Endpoint(IPV6_LOOPBACK if wire.here.address.version == 4 else local(7), wire.here.port)
    datagrams = wire.to_self(b"0", b"1", b"too long", b"3", b"4")
    datagrams[4] = datagrams[4]._replace(destination=other)
    assert wire.send(datagrams, longest=7) == 2
    assert wire.send(datagrams, 2, longest=7) == 0
    assert wire.send(datagrams, 3, longest=7) == 1
    assert wire.send(datagrams, 4, longest=7) == 0
    assert wire.send(datagrams, 5) == 0
    assert [one.payload for one in wire.receive()] == [b"0", b"1", b"3"]


def test_what_the_kernel_refuses_is_not_counted(wire: Wire) -> None:
    broadcast = Endpoint(type(wire.here.address)("255.255.255.255" if wire.length == 16 else "ff02::1"), 9)
    one, refused = wire.to_self(b"1", b"2")
    refused = refused._replace(destination=broadcast)
    if wire.length == 16:  # over IPv6 any host may send to a group
        assert wire.send([one, refused, one]) == 1
        assert wire.send([refused, one]) == 0
    wire.sock.close()
    assert wire.send([one]) == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.receive()


def test_more_than_fit_one_call(wire: Wire) -> None:
    datagrams = wire.to_self(*(number.to_bytes(2, "big") for number in range(700)))
    at = 0
    while at < len(datagrams):
        sent = wire.send(datagrams, at)
        assert sent > 0
        at += sent
    heard: list[bytes] = []
    while len(heard) < len(datagrams):
        heard += [one.payload for one in wire.receive(1 << 20)]
    assert heard == [one.payload for one in datagrams]


def test_peers_that_are_forgotten_are_met_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.app.udp_addresses._KEPT", 1)
    for _ in range(3):
        first, second = (Endpoint(wire.here.address, wire.here.port) for _ in range(2))
        assert wire.send([Datagram(wire.here, to, b"x") for to in (first, second, first)]) == 3
        wire.peers.known.clear()
    assert len(wire.addresses.known) == 1
    assert len(wire.receive()) == 9
