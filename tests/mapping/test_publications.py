"""Publications of a Map-Server: what subscribers are told, and when (RFC 9437)."""

from __future__ import annotations

from typing import Any

import pytest

from controller.lisp import Action, Endpoint, MapNotify, MapReply, RlocRecord, decode, verify
from controller.mapping import SubscriptionKind
from tests.mapping.harness import Bench, eid, events, messages, rlocs, sends
from tests.mapping.support import GATEWAY, HOST, SUBNET, told


@pytest.mark.requirement("SO-SUB-5", "SO-REG-11", "PR-PUB-3")
def test_an_accepted_subscription_is_confirmed_with_the_mapping() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    outputs = bench.request(bench.d3, HOST, subscribe=True, nonce=0x2222)
    (datagram,) = sends(outputs)
    assert (datagram.source, datagram.destination) == (bench.endpoint, Endpoint(bench.d3.address, 4342))
    notify = decode(datagram.payload)
    assert isinstance(notify, MapNotify)
    verify(datagram.payload, notify, bench.d3.key)
    assert notify.nonce == 0x2222
    assert [(record.key, rlocs(record)) for record in notify.records] == [(HOST, ["192.0.40.1"])]
    assert notify.xtr is None
    (subscription,) = bench.server.subscriptions()
    assert subscription.eid == HOST
    assert subscription.itr_rlocs == (bench.d3.address,)
    assert subscription.xtr == (40, bench.d3.identity.xtr_id)
    assert subscription.kind is SubscriptionKind.MAPPING


@pytest.mark.requirement("SO-SUB-7", "SO-SUB-8", "SO-SUB-9", "SO-PATH-9", "SO-REG-10", "PR-PUB-5")
def test_changes_are_published_with_ascending_nonces() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    outsider = bench.d4
    bench.subscribe(outsider, HOST, nonce=500)
    added = bench.register(bench.d2, HOST)
    assert told(added, outsider) == [("40.0.0.7/32", 1440, ["192.0.40.1", "192.0.40.2"])]
    (first,) = outsider.ack_all(bench.server, added, 0.0)
    removed = bench.withdraw(bench.d1, HOST)
    assert told(removed, outsider) == [("40.0.0.7/32", 1440, ["192.0.40.2"])]
    (second,) = outsider.ack_all(bench.server, removed, 0.0)
    assert [first.nonce, second.nonce] == [501, 502]
    assert bench.server.pending() == [] or all(
        p.xtr.identity != outsider.identity.xtr_id for p in bench.server.pending()
    )


@pytest.mark.requirement("PR-PUB-8", "SO-MS-7")
def test_a_removal_is_published_with_ttl_0() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    assert told(bench.withdraw(bench.d1, HOST), bench.d4) == [("40.0.0.7/32", 0, [])]
    back = bench.register(bench.d1, HOST)
    assert told(back, bench.d4) == [("40.0.0.7/32", 1440, ["192.0.40.1"])], "the subscription outlives the mapping"


@pytest.mark.requirement("SO-MS-6")
def test_a_refresh_without_change_is_told_to_nobody() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    outputs = bench.register(bench.d1, HOST, now=60.0)
    assert [datagram.destination.address for datagram in sends(outputs)] == [bench.d1.address]
    assert not events(outputs, "mapping-changed")


@pytest.mark.parametrize("difference", [{"priority": 2}, {"weight": 50}, {"reachable": False}, {"mpriority": 3}])
def test_every_difference_of_a_locator_is_a_change(difference: dict[str, Any]) -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    changed = RlocRecord(bench.d1.address, local=True, **difference)
    assert len(told(bench.register(bench.d1, HOST, locators=[changed]), bench.d4)) == 1


def test_so_is_one_of_the_lifetime() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    assert told(bench.register(bench.d1, HOST, ttl=60), bench.d4) == [("40.0.0.7/32", 60, ["192.0.40.1"])]


@pytest.mark.requirement("PR-PUB-7")
def test_more_specifics_are_published_to_subscribers_of_the_prefix() -> None:
    bench = Bench()
    bench.register(bench.d3, SUBNET)
    bench.subscribe(bench.d2, SUBNET)
    outputs = bench.register(bench.d1, HOST)
    assert told(outputs, bench.d2) == [("40.0.0.7/32", 1440, ["192.0.40.1"])]


@pytest.mark.requirement("SO-REG-16", "SU-FLOW-4")
def test_a_table_can_be_subscribed_to_before_anything_is_registered() -> None:
    bench = Bench()
    (confirmation,) = bench.subscribe(bench.d2, SUBNET)
    (record,) = confirmation.records
    assert (record.key, record.locators, record.action) == (SUBNET, (), Action.SEND_MAP_REQUEST)
    assert bench.server.subscriptions()[0].kind is SubscriptionKind.TABLE
    outputs = bench.register(bench.d1, HOST)
    assert told(outputs, bench.d2) == [("40.0.0.7/32", 1440, ["192.0.40.1"])]
    bench.d2.ack_all(bench.server, outputs, 0.0)
    outputs = bench.register(bench.d3, SUBNET)
    assert told(outputs, bench.d2) == [("40.0.0.0/16", 1440, ["192.0.40.3"])]
    bench.d2.ack_all(bench.server, outputs, 0.0)
    gone = bench.withdraw(bench.d3, SUBNET)
    assert [
        (record.key, record.ttl, record.action)
        for message in messages(gone, MapNotify, to=bench.d2)
        for record in message.records
    ] == [(SUBNET, 15, Action.SEND_MAP_REQUEST)], "the table stays, without a way of its own"


def test_a_confirmation_brings_the_whole_table_in_as_many_messages_as_it_takes() -> None:
    bench = Bench(window=3)
    bench.register(bench.d3, SUBNET)
    hosts = [eid(f"40.0.1.{number}") for number in range(1, 201)]
    for host in hosts:
        bench.register(bench.d1, host)
    outputs = bench.request(bench.d2, SUBNET, subscribe=True, nonce=50_000)
    assert len(messages(outputs, MapNotify, to=bench.d2)) == 3, (
        "no more than the window before the first is acknowledged"
    )
    received = bench.d2.ack_all(bench.server, outputs, 0.0)
    assert [message.nonce for message in received] == list(range(50_000, 50_000 + len(received)))
    assert received[0].records[0].key == SUBNET
    brought = {record.key for message in received for record in message.records}
    assert brought == {SUBNET, *hosts}
    assert max(len(sent.payload) for sent in sends(outputs)) <= 548
    assert not [one for one in bench.server.pending() if one.subscription == SUBNET]


def test_the_path_mtu_makes_messages_larger() -> None:
    bench = Bench(path_mtu=1500)
    for number in range(1, 60):
        bench.register(bench.d1, eid(f"40.0.1.{number}"))
    outputs = bench.request(bench.d2, SUBNET, subscribe=True)
    sizes = [len(sent.payload) for sent in sends(outputs)]
    assert 548 < max(sizes) <= 1472


def test_a_subscription_to_a_host_inside_a_registered_prefix_follows_that_prefix() -> None:
    bench = Bench(pods="AD")
    bench.register(bench.d3, SUBNET)
    a3 = bench.peer("A", 3)
    (confirmation,) = bench.subscribe(a3, HOST)
    assert confirmation.records[0].key == SUBNET
    outputs = bench.register(bench.d4, SUBNET)
    assert told(outputs, a3) == [("40.0.0.0/16", 1440, ["192.0.40.3", "192.0.40.4"])]


@pytest.mark.requirement("SO-SUB-6", "SO-REG-7", "SO-REG-9")
def test_the_fabric_publishes_subnets_to_every_border() -> None:
    bench = Bench(pods="ABD")
    borders = [bench.peer(pod, number) for pod in "AB" for number in (3, 4)]
    for border in borders:
        bench.subscribe(border, eid("0.0.0.0/0"))
    outputs = bench.register(bench.d3, SUBNET)
    for border in borders:
        assert told(outputs, border) == [("40.0.0.0/16", 1440, ["192.0.40.3"])]
        border.ack_all(bench.server, outputs, 0.0)
    outputs = bench.withdraw(bench.d3, SUBNET)
    for border in borders:
        assert told(outputs, border) == [("40.0.0.0/16", 0, [])]


@pytest.mark.requirement("SO-SUB-14", "SO-UNK-2", "SU-UNK-2")
def test_a_subscription_to_an_unknown_host_is_answered_with_drop_and_leaves_nothing() -> None:
    bench = Bench()
    bench.register(bench.d3, SUBNET)
    outputs = bench.request(bench.d1, eid("40.0.0.99"), subscribe=True, nonce=900)
    assert messages(outputs, MapNotify) == []
    (reply,) = messages(outputs, MapReply)
    (record,) = reply.records
    assert (reply.nonce, record.key, record.action, record.ttl) == (900, eid("40.0.0.99"), Action.DROP, 1)
    assert bench.server.subscriptions() == []
    assert told(bench.register(bench.d2, eid("40.0.0.99")), bench.d1) == []


def test_a_subscription_renewed_for_a_host_that_is_gone_ends() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    bench.d4.ack_all(bench.server, bench.withdraw(bench.d1, HOST), 0.0)
    outputs = bench.request(bench.d4, HOST, subscribe=True)
    assert messages(outputs, MapReply)
    assert bench.server.subscriptions() == []


@pytest.mark.requirement("SO-SUB-14")
def test_a_hole_can_be_followed() -> None:
    bench = Bench()
    bench.register(bench.d3, GATEWAY)
    (confirmation,) = bench.subscribe(bench.d1, eid("10.0.0.1"))
    (record,) = confirmation.records
    assert (record.key, rlocs(record)) == (eid("0.0.0.0/3"), ["192.0.40.3"])
    assert bench.server.subscriptions()[0].kind is SubscriptionKind.HOLE
    outputs = bench.register(bench.d4, GATEWAY)
    assert told(outputs, bench.d1) == [("0.0.0.0/3", 1440, ["192.0.40.3", "192.0.40.4"])]
    bench.d1.ack_all(bench.server, outputs, 0.0)
    assert told(bench.register(bench.d4, eid("0.0.0.0/0")), bench.d1) == [], "the name has the say already"
    bench.withdraw(bench.d4, eid("0.0.0.0/0"))
    bench.d1.ack_all(bench.server, bench.withdraw(bench.d3, GATEWAY), 0.0)
    outputs = bench.withdraw(bench.d4, GATEWAY)
    (last,) = messages(outputs, MapNotify, to=bench.d1)
    (record,) = last.records
    assert (record.key, record.locators, record.action) == (eid("0.0.0.0/3"), (), Action.DROP)
    assert told(bench.register(bench.d3, GATEWAY), bench.d1) == [("0.0.0.0/3", 1440, ["192.0.40.3"])]


def test_the_gateways_default_prefix_is_no_route_of_a_table() -> None:
    bench = Bench()
    bench.subscribe(bench.d1, SUBNET)
    assert told(bench.register(bench.d3, eid("0.0.0.0/0")), bench.d1) == []
    (confirmation,) = bench.subscribe(bench.d2, eid("0.0.0.0/0"))
    assert [(str(record.key.target), rlocs(record)) for record in confirmation.records] == [
        ("0.0.0.0/0", ["192.0.40.3"])
    ]
