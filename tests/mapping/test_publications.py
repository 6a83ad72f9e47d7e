"""Subscriptions, publications and member notifications at a Map-Server (RFC 9437)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from controller.lisp import (
    Action,
    Algorithm,
    AuthenticationError,
    DistinguishedName,
    Eid,
    Endpoint,
    Key,
    MapNotify,
    MapReply,
    RlocRecord,
    XtrIdentity,
    decode,
    verify,
)
from controller.mapping import SubscriptionKind
from tests.mapping.harness import (
    IID,
    Bench,
    Peer,
    drop_reason,
    eid,
    events,
    identity,
    ip,
    messages,
    rlocs,
    secret_key,
    sends,
)

HOST = eid("40.0.0.7")
SUBNET = eid("40.0.0.0/16")
GATEWAY = Eid(IID, DistinguishedName("pETR"))


def told(outputs: Sequence[object], peer: Peer) -> list[tuple[str, int, list[str]]]:
    """EID, TTL and RLOCs of every record in Map-Notifies to a peer."""
    return [
        (str(record.key.target), record.ttl, rlocs(record))
        for message in messages(outputs, MapNotify, to=peer)
        for record in message.records
    ]


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


def retransmissions(bench: Bench, peer: Peer, until: float) -> list[tuple[float, MapNotify]]:
    """Let time pass; returns when which Map-Notify went to a peer."""
    found: list[tuple[float, MapNotify]] = []
    while (due := bench.server.next_deadline()) is not None and due <= until:
        found += [(due, message) for message in messages(bench.server.tick(due), MapNotify, to=peer)]
    return found


@pytest.mark.requirement("PR-NOT-1", "PR-PUB-11")
def test_an_unacknowledged_publication_is_repeated_and_given_up() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST, nonce=100)
    outputs = bench.register(bench.d2, HOST)
    (sent,) = [one for one in sends(outputs) if one.destination.address == bench.d4.address]
    again = retransmissions(bench, bench.d4, 200.0)
    repeated, last = again[:-1], again[-1]
    assert [at for at, _ in repeated] == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]
    assert {message.nonce for _, message in repeated} == {101}
    assert decode(sent.payload) == repeated[0][1]
    at, farewell = last
    assert at == 75.0
    assert farewell.nonce == 101
    (record,) = farewell.records
    assert (record.key, record.locators, record.action) == (HOST, (), Action.DROP_AUTH)
    assert bench.server.subscriptions() == []
    assert told(bench.register(bench.d3, HOST, now=300.0), bench.d1), "the others are still told"
    assert drop_reason(bench.request(bench.d4, HOST, subscribe=True, nonce=101, now=300.0)) == "replay"


@pytest.mark.requirement("PR-NOT-2")
def test_an_acknowledgement_ends_the_repetition() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    bench.d4.ack_all(bench.server, bench.register(bench.d2, HOST), 1.0)
    assert retransmissions(bench, bench.d4, 200.0) == []


@pytest.mark.requirement("PR-NOT-3", "PR-AUTH-3")
def test_a_false_acknowledgement_does_not() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST)
    outputs = bench.register(bench.d2, HOST)
    (datagram,) = [one for one in sends(outputs) if one.destination.address == bench.d4.address]
    false_key = bench.d4.ack(datagram, key=Key(1, Algorithm.HMAC_SHA256_128, b"guessed"))
    assert drop_reason(bench.server.receive(false_key, 1.0)) == "authentication-failed"
    good = bench.d4.ack(datagram)
    flipped = good._replace(payload=good.payload[:20] + bytes([good.payload[20] ^ 1]) + good.payload[21:])
    assert drop_reason(bench.server.receive(flipped, 1.0)) == "authentication-failed"
    elsewhere = good._replace(source=Endpoint(bench.d2.address, 4342))
    assert [event.name for event in events(bench.server.receive(elsewhere, 1.0))] == ["map-notify-ack-ignored"]
    assert [at for at, _ in retransmissions(bench, bench.d4, 10.0)] == [3.0, 6.0, 9.0]
    assert events(bench.server.receive(good, 10.0), "map-notify-acknowledged")
    assert retransmissions(bench, bench.d4, 200.0) == []


def test_news_overtake_what_is_not_acknowledged() -> None:
    """Choice C20: the new content at once with the next nonce, and the old one never again."""
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, HOST, nonce=100)
    (old,) = [one for one in sends(bench.register(bench.d2, HOST)) if one.destination.address == bench.d4.address]
    new = bench.withdraw(bench.d1, HOST, now=1.0)
    assert told(new, bench.d4) == [("40.0.0.7/32", 1440, ["192.0.40.2"])]
    assert [message.nonce for message in messages(new, MapNotify, to=bench.d4)] == [102]
    assert [event.name for event in events(bench.server.receive(bench.d4.ack(old), 1.5))] == ["map-notify-ack-ignored"]
    repeated = retransmissions(bench, bench.d4, 20.0)
    assert {message.nonce for _, message in repeated} == {102}


def test_publications_of_other_eids_are_not_held_up() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    bench.register(bench.d1, HOST)
    bench.register(bench.d1, eid("40.0.0.8"), now=1.0)
    repeated = retransmissions(bench, bench.d2, 4.0)
    assert [(at, message.nonce) for at, message in repeated] == [(3.0, 101), (4.0, 102)]


def test_a_full_window_merges_what_waits() -> None:
    bench = Bench(registration_timeout=10_000.0, window=2)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    outputs = [out for n in range(1, 20) for out in bench.register(bench.d1, eid(f"40.0.0.{n}"))]
    first = messages(outputs, MapNotify, to=bench.d2)
    assert [message.nonce for message in first] == [101, 102]
    (waiting,) = [one for one in bench.server.pending() if one.subscription == SUBNET]
    assert len(waiting.waiting) == 17
    received = bench.d2.ack_all(bench.server, outputs, 0.0)
    assert {str(r.key.target) for message in received for r in message.records} == {
        f"40.0.0.{n}/32" for n in range(1, 20)
    }
    assert len(received) < 10, "what waited shares messages"


@pytest.mark.requirement("SO-MS-5", "MH-MRG-5", "MH-MRG-6", "SU-MS-4")
def test_members_and_pxtrs_are_told_without_subscribing() -> None:
    bench = Bench()
    alone = bench.register(bench.d1, HOST)
    assert told(alone, bench.d3) == told(alone, bench.d4) == [("40.0.0.7/32", 1440, ["192.0.40.1"])]
    for peer in (bench.d3, bench.d4):
        peer.ack_all(bench.server, alone, 0.0)
    joined = bench.register(bench.d2, HOST)
    merged = [("40.0.0.7/32", 1440, ["192.0.40.1", "192.0.40.2"])]
    for peer in (bench.d1, bench.d2, bench.d3, bench.d4):
        assert told(joined, peer) == merged
    (ack,) = messages(joined, MapNotify, to=bench.d2)
    assert ack.nonce == bench.d2.nonce, "the one that registered has it from its acknowledgement"


@pytest.mark.requirement("MH-MRG-7", "SO-MS-5", "SO-MS-7")
def test_all_remaining_members_are_told_when_one_leaves() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    outputs = bench.withdraw(bench.d1, HOST)
    for peer in (bench.d2, bench.d3, bench.d4):
        assert told(outputs, peer) == [("40.0.0.7/32", 1440, ["192.0.40.2"])]
    assert told(outputs, bench.d1) == [("40.0.0.7/32", 0, ["192.0.40.1"])], "its own record back"
    outputs = bench.withdraw(bench.d2, HOST)
    assert told(outputs, bench.d3) == [("40.0.0.7/32", 0, [])]


@pytest.mark.requirement("MH-MRG-8")
def test_and_when_one_falls_silent() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, now=0.0)
    bench.register(bench.d2, HOST, now=60.0)
    for peer in (bench.d1, bench.d3, bench.d4):
        peer.ack_all(bench.server, [out for at in (3.0,) for out in bench.server.tick(at)], 3.0)
    outputs = bench.server.tick(180.0)
    for peer in (bench.d1, bench.d2, bench.d3, bench.d4):
        assert ("40.0.0.7/32", 1440, ["192.0.40.2"]) in told(outputs, peer)


def test_a_subscriber_who_is_a_member_too_is_told_once_by_publication() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d1, SUBNET, nonce=500)
    (message,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d1)
    assert message.nonce == 501


def test_member_notifications_ascend_and_are_repeated() -> None:
    bench = Bench(registration_timeout=10_000.0)
    (first,) = messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d3)
    (second,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d3)
    assert second.nonce > first.nonce
    assert [at for at, _ in retransmissions(bench, bench.d3, 300.0)] == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]


def test_a_notification_is_made_with_the_key_of_the_last_registration() -> None:
    bench = Bench()
    old, new = secret_key(40, 1), secret_key(40, 2)
    (site,) = bench.config.sites
    server = type(bench.server)(replace(bench.config, sites=(replace(site, keys=(old, new)),)), bench.store, 0.0)
    server.receive(bench.d1.register(bench.endpoint, HOST, key=new), 0.0)
    outputs = server.receive(bench.d2.register(bench.endpoint, HOST, key=old), 0.0)
    for datagram in sends(outputs):
        message = decode(datagram.payload)
        assert isinstance(message, MapNotify)
        expected = new if datagram.destination.address == bench.d1.address else old
        verify(datagram.payload, message, expected)
        with pytest.raises(AuthenticationError):
            verify(datagram.payload, message, new if expected is old else old)


def test_what_adds_nothing_to_the_mapping_is_told_to_nobody() -> None:
    """D2 lists D1's RLOC too, as D1 itself describes it better."""
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    bench.subscribe(bench.d4, HOST)
    both = [RlocRecord(bench.d1.address, priority=9), RlocRecord(bench.d2.address, local=True)]
    outputs = bench.register(bench.d2, HOST, locators=both)
    assert [sent.destination.address for sent in sends(outputs)] == [bench.d2.address]
    assert not events(outputs, "mapping-changed")


def test_whoever_owns_an_rloc_of_the_set_is_told() -> None:
    bench = Bench()
    listed = [RlocRecord(bench.d1.address, local=True), RlocRecord(bench.d2.address)]
    outputs = bench.register(bench.d1, HOST, locators=listed)
    assert told(outputs, bench.d2) == [("40.0.0.7/32", 1440, ["192.0.40.1", "192.0.40.2"])]


def test_an_unacknowledged_withdrawal_is_told_again_to_one_who_subscribes_again() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    bench.withdraw(bench.d1, HOST)  # published with nonce 101, not acknowledged
    outputs = bench.request(bench.d2, SUBNET, subscribe=True, nonce=200)
    assert [
        (message.nonce, [str(r.key.target) for r in message.records]) for message in messages(outputs, MapNotify)
    ] == [
        (200, ["40.0.0.0/16"]),
        (201, ["40.0.0.7/32"]),
    ]
    assert told(outputs, bench.d2)[1] == ("40.0.0.7/32", 0, [])


def test_what_shared_a_message_with_overtaken_news_comes_again() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    other = eid("40.0.0.8")
    together = bench.register(bench.d1, HOST, other)
    assert [message.nonce for message in messages(together, MapNotify, to=bench.d2)] == [101]
    news = bench.withdraw(bench.d1, HOST)
    assert sorted(told(news, bench.d2)) == [("40.0.0.7/32", 0, []), ("40.0.0.8/32", 1440, ["192.0.40.1"])]
    assert {message.nonce for _, message in retransmissions(bench, bench.d2, 20.0)} == {102}


def test_nonces_of_a_prefix_exceed_those_of_an_earlier_subscription_inside_it() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d4, SUBNET, nonce=100)
    bench.subscribe(bench.d4, HOST, nonce=70_000)
    bench.d4.ack_all(bench.server, bench.server.receive(bench.d4.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    (message,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d4)
    assert message.nonce == 70_002


def test_news_of_a_subscription_that_was_given_up_go_by_the_wider_one() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    bench.subscribe(bench.d2, HOST, nonce=200)
    bench.register(bench.d3, HOST)
    found = retransmissions(bench, bench.d2, 76.0)
    assert [(at, message.nonce, message.records[0].action) for at, message in found[-2:]] == [
        (75.0, 201, Action.DROP_AUTH),
        (75.0, 202, Action.NO_ACTION),
    ]
    assert [found.eid for found in bench.server.subscriptions()] == [SUBNET]


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


def test_an_unsubscription_that_is_not_acknowledged_is_not_ended_twice() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST)
    bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0)
    repeated = retransmissions(bench, bench.d2, 200.0)
    assert [at for at, _ in repeated] == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]
    assert {message.records[0].action for _, message in repeated} == {Action.NO_ACTION}


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


def test_what_a_wider_subscription_had_under_way_is_left_to_the_narrower_one() -> None:
    bench = Bench(registration_timeout=10_000.0)
    other = eid("40.0.0.8")
    bench.subscribe(bench.d2, SUBNET, nonce=5000)
    bench.register(bench.d1, HOST, other)  # both in one message, not acknowledged
    outputs = bench.request(bench.d2, HOST, subscribe=True, nonce=9000)
    found = {message.nonce: [record.key for record in message.records] for message in messages(outputs, MapNotify)}
    assert found == {9000: [HOST], 5002: [other]}
    assert {message.nonce for _, message in retransmissions(bench, bench.d2, 20.0)} == {9000, 5002}
