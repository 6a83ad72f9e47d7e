"""Whatever comes in a datagram: at most an event that says what was wrong, and no change of any state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Datagram, Endpoint, MapReply, decode, encode
from controller.mapping import Event
from tests.lisp import strategies
from tests.mapping.harness import Bench, Fabric, drop_reason, eid, ip, sends

HOST = eid("40.0.0.7")
SUBNET = eid("40.0.0.0/16")
ENDPOINTS = st.sampled_from(
    [Endpoint(ip("192.0.40.1"), 4342), Endpoint(ip("192.0.40.4"), 4342), Endpoint(ip("203.0.113.1"), 9)]
)


def busy_bench() -> Bench:
    """A Map-Server with registrations, subscriptions and unacknowledged publications."""
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d3, SUBNET)
    bench.subscribe(bench.d2, SUBNET)
    bench.register(bench.d2, HOST)
    return bench


BENCH = busy_bench()
FABRIC = Fabric("AD")
FABRIC.start()
FABRIC.net.run(3)
FABRIC.attach("D1", "40.0.0.7")
FABRIC.net.run(3)
FABRIC.miss("D3", "40.0.0.9")


def server_state(bench: Bench) -> tuple[object, ...]:
    return (*bench.state(), bench.server.next_deadline(), bench.store.load())


def xtr_state(name: str) -> tuple[object, ...]:
    xtr = FABRIC.xtr(name)
    subscriptions = [replace(found) for found in xtr.subscriptions()]
    return xtr.map_cache(), xtr.database(), subscriptions, xtr.pending(), xtr.next_deadline()


def assert_refused(outputs: Sequence[object], fields: tuple[str, ...] = ("reason", "source")) -> None:
    assert sends(outputs) == []
    assert len(outputs) <= 1
    for event in outputs:
        assert isinstance(event, Event)
        assert all(event.fields.get(field) for field in fields), event


def check_server(datagram: Datagram) -> None:
    before = server_state(BENCH)
    assert_refused(BENCH.server.receive(datagram, 1.0))
    assert server_state(BENCH) == before


def check_xtr(name: str, datagram: Datagram) -> None:
    before = xtr_state(name)
    assert_refused(FABRIC.xtr(name).receive(datagram, FABRIC.net.now))
    assert xtr_state(name) == before


@settings(max_examples=150, deadline=None)
@given(ENDPOINTS, st.binary(max_size=200))
def test_random_octets(source: Endpoint, payload: bytes) -> None:
    check_server(Datagram(source, BENCH.endpoint, payload))
    for name in ("D1", "D3"):
        check_xtr(name, Datagram(source, Endpoint(FABRIC.rloc(name), 4342), payload))


def captured() -> list[Datagram]:
    """One of every message that a Map-Server hears or says."""
    bench = busy_bench()
    publication = next(
        one for one in sends(bench.register(bench.d1, eid("40.0.0.8"))) if one.destination.address == bench.d2.address
    )
    return [
        bench.d1.register(bench.endpoint, HOST),
        bench.d3.request(bench.endpoint, HOST, subscribe=True),
        bench.d3.request(bench.endpoint, HOST, ecm=False),
        bench.d2.ack(publication),
        publication,
        sends(bench.request(bench.d4, HOST))[0],
    ]


@pytest.mark.requirement("PR-PUB-1", "PR-REQ-4")
@pytest.mark.parametrize("index", range(6))
def test_every_truncation(index: int) -> None:
    datagram = captured()[index]
    for length in range(len(datagram.payload)):
        cut = datagram._replace(payload=datagram.payload[:length], destination=BENCH.endpoint)
        check_server(cut)
        check_xtr("D1", cut._replace(destination=Endpoint(FABRIC.rloc("D1"), 4342)))


@pytest.mark.requirement("PR-UDP-2")
def test_an_unknown_address_family_is_named_with_its_place() -> None:
    payload = bytearray(BENCH.d1.register(BENCH.endpoint, HOST).payload)
    payload[32 + 10 : 32 + 12] = (99).to_bytes(2, "big")  # EID-prefix AFI of the first record
    datagram = Datagram(Endpoint(BENCH.d1.address, 4342), BENCH.endpoint, bytes(payload))
    (event,) = BENCH.server.receive(datagram, 1.0)
    assert isinstance(event, Event)
    assert event.fields["field"] == "map-register.records[0].eid.afi"
    assert "99 at octet 42" in str(event.fields["detail"])
    check_server(datagram)


@settings(max_examples=200, deadline=None)
@given(
    ENDPOINTS,
    st.one_of(strategies.map_registers, strategies.map_notifies, strategies.map_notify_acks, strategies.map_replies),
)
def test_well_formed_messages_without_a_valid_mac(source: Endpoint, message: object) -> None:
    payload = encode(message)  # type: ignore[arg-type]
    before = server_state(BENCH)
    outputs = BENCH.server.receive(Datagram(source, BENCH.endpoint, payload), 1.0)
    assert sends(outputs) == []
    assert len(outputs) == 1
    assert server_state(BENCH) == before
    map_server = Endpoint(Fabric.su_address("D"), 4342)
    for sender in (source, map_server):
        check_xtr("D3", Datagram(sender, Endpoint(FABRIC.rloc("D3"), 4342), payload))


@settings(max_examples=150, deadline=None)
@given(ENDPOINTS, st.one_of(strategies.map_requests, strategies.ecms))
def test_well_formed_requests_of_strangers_leave_nothing(source: Endpoint, message: object) -> None:
    payload = encode(message)  # type: ignore[arg-type]
    before = server_state(BENCH)
    BENCH.server.receive(Datagram(source, BENCH.endpoint, payload), 1.0)
    assert server_state(BENCH) == before
    check_xtr("D1", Datagram(source, Endpoint(FABRIC.rloc("D1"), 4342), payload))


@pytest.mark.requirement("PR-AUTH-3")
@pytest.mark.parametrize("index", [0, 3, 4])
def test_every_flipped_octet_of_an_authenticated_message(index: int) -> None:
    """The trailer of a Map-Register is judged by the allow-list: its octets name no xTR that there is."""
    datagram = captured()[index]
    for at in range(len(datagram.payload)):
        octets = bytearray(datagram.payload)
        octets[at] ^= 0x55
        flipped = datagram._replace(payload=bytes(octets), destination=BENCH.endpoint)
        before = server_state(BENCH)
        outputs = BENCH.server.receive(flipped, 1.0)
        assert sends(outputs) == []
        assert server_state(BENCH) == before
        if index == 4:
            to_xtr = Endpoint(FABRIC.rloc("D2"), 4342)
            check_xtr("D2", flipped._replace(source=Endpoint(Fabric.su_address("D"), 4342), destination=to_xtr))


@pytest.mark.requirement("PR-AUTH-5", "PR-PUB-2", "PR-PUB-6")
def test_a_whole_capture_played_again_changes_nothing() -> None:
    """An hour later, everything that was ever sent comes once more, in order."""
    fabric = Fabric("AD")
    fabric.start()
    fabric.net.run(3)
    for name, host in (("D1", "40.0.0.7"), ("D2", "40.0.0.7"), ("A1", "10.0.0.1")):
        fabric.attach(name, host)
        fabric.net.run(1)
    fabric.miss("A1", "40.0.0.7")
    fabric.detach("D1", "40.0.0.7")
    fabric.net.run(100)
    capture = [seen.datagram for seen in fabric.net.sent]
    caches = {name: fabric.cache(name) for name in ("A1", "A3", "D1", "D3")}
    mappings = {name: fabric.registered(name) for name in ("SU-A", "SU-D", "SO")}
    for datagram in capture:
        fabric.net.inject(datagram)
    fabric.net.run(1)
    assert {name: fabric.cache(name) for name in caches} == caches
    assert {name: fabric.registered(name) for name in mappings} == mappings
    # Nobody was talked into anything that has to be withdrawn again.
    fabric.net.run(200)
    assert {name: fabric.cache(name) for name in caches} == caches
    assert {name: fabric.registered(name) for name in mappings} == mappings


def test_a_reply_for_another_eid_is_refused() -> None:
    """An answer with the right nonce about something else poisons nothing."""
    fabric = Fabric("D")
    fabric.start()
    fabric.net.run(3)
    xtr = fabric.xtr("D3")
    (request,) = sends(xtr.miss(eid("40.0.0.9"), fabric.net.now))
    answer = sends(fabric.server("SU-D").receive(request, fabric.net.now))[0]
    reply, other = (decode(one.payload) for one in (answer, sends(BENCH.request(BENCH.d4, eid("41.0.0.1")))[0]))
    assert isinstance(reply, MapReply)
    assert isinstance(other, MapReply)
    stray = answer._replace(payload=encode(replace(reply, records=other.records)))
    assert drop_reason(xtr.receive(stray, fabric.net.now)) == "reply-mismatch"
    assert [entry.eid for entry in xtr.map_cache() if entry.eid == eid("41.0.0.0/8")] == []
