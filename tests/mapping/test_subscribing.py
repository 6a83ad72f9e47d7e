"""Who may subscribe to what at a Map-Server, with which nonces, and how a subscription ends (RFC 9437)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.lisp import Action, Endpoint, MapNotify, MapReply, XtrIdentity
from tests.mapping.harness import Bench, Peer, drop_reason, eid, identity, ip, messages, secret_key, sends
from tests.mapping.support import HOST, SUBNET, retransmissions, told


@pytest.mark.requirement("PR-PUB-2")
def test_a_replayed_subscription_is_silently_dropped() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    captured = bench.d3.request(bench.endpoint, HOST, subscribe=True, nonce=100)
    bench.d3.ack_all(bench.server, bench.server.receive(captured, 0.0), 0.0)
    before = bench.state()
    assert drop_reason(bench.server.receive(captured, 1.0)) == "replay"
    older = bench.request(bench.d3, HOST, subscribe=True, nonce=99)
    assert drop_reason(older) == "replay"
    assert bench.state() == before


@pytest.mark.requirement("PR-PUB-2")
def test_publications_raise_the_nonce_that_the_next_subscription_has_to_exceed() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST, nonce=100)
    bench.d4.ack_all(bench.server, bench.register(bench.d2, HOST), 0.0)
    assert drop_reason(bench.request(bench.d4, HOST, subscribe=True, nonce=101)) == "replay"
    assert messages(bench.request(bench.d4, HOST, subscribe=True, nonce=102), MapNotify)


def test_a_nonce_that_leaves_no_room_is_refused() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    assert drop_reason(bench.request(bench.d3, HOST, subscribe=True, nonce=2**64 - 1)) == "nonce-exhausted"
    assert messages(bench.request(bench.d3, HOST, subscribe=True, nonce=5), MapNotify)


@pytest.mark.requirement("PR-PUB-9")
def test_unsubscribing_is_confirmed_at_the_source_and_ends_publications() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST, nonce=100)
    outputs = bench.server.receive(bench.d4.unsubscribe(bench.endpoint, HOST, nonce=101), 0.0)
    (datagram,) = sends(outputs)
    assert datagram.destination == Endpoint(bench.d4.address, 4342)
    (notify,) = bench.d4.ack_all(bench.server, outputs, 0.0)
    assert (notify.nonce, [record.key for record in notify.records]) == (101, [HOST])
    assert bench.server.subscriptions() == []
    changed = bench.register(bench.d2, HOST)
    assert all(message.nonce != 102 for message in messages(changed, MapNotify, to=bench.d4))
    assert drop_reason(bench.request(bench.d4, HOST, subscribe=True, nonce=101)) == "replay", "the last nonce is kept"


def test_unsubscribing_needs_the_right_address_and_a_new_nonce() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST, nonce=100)
    spoofed = replace(bench.d4, address=ip("203.0.113.5")).unsubscribe(bench.endpoint, HOST, nonce=200)
    assert drop_reason(bench.server.receive(spoofed, 0.0)) == "unauthorised-xtr"
    old = bench.d4.unsubscribe(bench.endpoint, HOST, nonce=100)
    assert drop_reason(bench.server.receive(old, 0.0)) == "replay"
    assert len(bench.server.subscriptions()) == 1


def test_the_inner_source_counts_if_it_is_an_rloc_of_the_xtr() -> None:
    """Choice C10."""
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    foreign = bench.d4.unsubscribe(bench.endpoint, HOST, inner_source=ip("203.0.113.5"))
    (datagram,) = sends(bench.server.receive(foreign, 0.0))
    assert datagram.destination.address == bench.d4.address


def test_a_more_specific_can_be_left_out_of_a_table() -> None:
    bench = Bench()
    bench.subscribe(bench.d2, SUBNET)
    bench.d2.ack_all(bench.server, bench.register(bench.d1, HOST), 0.0)
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    changed = bench.register(bench.d3, HOST)
    assert told(changed, bench.d2) == []
    (renewed,) = bench.subscribe(bench.d2, SUBNET)
    assert [record.key for record in renewed.records] == [SUBNET], "renewing the table does not bring it back"
    bench.subscribe(bench.d2, HOST)
    assert told(bench.withdraw(bench.d3, HOST), bench.d2) == [("40.0.0.7/32", 1440, ["192.0.40.1"])]


@pytest.mark.requirement("PR-PUB-10", "SU-REG-7")
def test_a_stranger_is_refused_by_policy() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    stranger = Peer(ip("203.0.113.7"), identity(40, 9), secret_key(40))
    (reply,) = messages(bench.request(stranger, HOST, subscribe=True, nonce=5), MapReply)
    assert (reply.nonce, reply.records[0].locators, reply.records[0].action) == (5, (), Action.DROP_POLICY)
    assert bench.server.subscriptions() == []
    assert told(bench.register(bench.d2, HOST), stranger) == []


@pytest.mark.requirement("PR-PUB-10", "PR-PUB-12")
@pytest.mark.parametrize("what", ["address", "itr-rloc", "site"])
def test_an_impostor_is_refused_as_not_authentic(what: str) -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    impostor = bench.d3
    fields: dict[str, Any] = {}
    if what == "address":
        impostor = replace(bench.d3, address=ip("203.0.113.7"))
        fields = {"itr_rlocs": (bench.d3.address,)}
    elif what == "itr-rloc":
        fields = {"itr_rlocs": (bench.d3.address, ip("203.0.113.7"))}
    else:
        impostor = replace(bench.d3, identity=XtrIdentity(bench.d3.identity.xtr_id, 41))
    outputs = bench.request(impostor, HOST, subscribe=True, **fields)
    (reply,) = messages(outputs, MapReply)
    assert reply.records[0].action == Action.DROP_AUTH
    assert bench.server.subscriptions() == []


def test_n_without_identity_is_an_ordinary_request() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    outputs = bench.request(bench.d3, HOST, subscribe=True, xtr=None)
    assert messages(outputs, MapReply)
    assert bench.server.subscriptions() == []


def test_nonces_of_a_prefix_exceed_those_of_an_earlier_subscription_inside_it() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, SUBNET, nonce=100)
    bench.subscribe(bench.d4, HOST, nonce=70_000)
    bench.d4.ack_all(bench.server, bench.server.receive(bench.d4.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    (message,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d4)
    assert message.nonce == 70_002


def test_subscribing_to_what_was_left_out_brings_it_back_for_good() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, SUBNET)
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    bench.subscribe(bench.d2, HOST)
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    assert told(bench.withdraw(bench.d1, HOST), bench.d2) == [("40.0.0.7/32", 0, [])]


def test_a_denied_renewal_stops_what_was_under_way() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST)
    bench.withdraw(bench.d1, HOST)  # published, not acknowledged
    assert messages(bench.request(bench.d2, HOST, subscribe=True, nonce=2000, now=1.0), MapReply)
    assert retransmissions(bench, bench.d2, 200.0) == []


def test_only_one_subscription_speaks_about_an_eid() -> None:
    """The wider one leaves out what a narrower one follows; that goes on, with nonces beyond the wider one's."""
    bench = Bench(registration_timeout=10_000.0)
    other = eid("40.0.0.8")
    bench.register(bench.d1, HOST, other)
    bench.subscribe(bench.d2, HOST, nonce=100)
    table, host = bench.subscribe(bench.d2, SUBNET, nonce=5000)
    assert (table.nonce, [record.key for record in table.records]) == (5000, [SUBNET, other])
    assert (host.nonce, [record.key for record in host.records]) == (5001, [HOST])
    (message,) = messages(bench.register(bench.d3, HOST), MapNotify, to=bench.d2)
    assert message.nonce == 5002
