"""Subscriptions of other kinds: temporary, configured and locked ones; and what becomes of one at a second ITR-RLOC."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from controller.lisp import Action, DistinguishedName, Eid, MapNotify, MapReply
from controller.mapping import (
    AuthorisedXtr,
    ConfigError,
    ConfiguredSubscription,
    MapServer,
    NegativePolicy,
    SubscriptionKind,
)
from tests.mapping.harness import IID, Bench, Peer, eid, events, ip, messages, nonce_source, rlocs, sends

HOST = eid("40.0.0.7")
SUBNET = eid("40.0.0.0/16")
GATEWAY = Eid(IID, DistinguishedName("pETR"))


def patient(minutes: int = 15) -> Bench:
    return Bench(registration_timeout=10_000.0, negative=NegativePolicy(temporary=True, temporary_ttl=minutes))


# ---- temporary: choice C8b ----------------------------------------------------------------------------------------


@pytest.mark.requirement("PR-PUB-3", "SO-SUB-5")
def test_an_unknown_host_can_be_followed_until_it_is_registered() -> None:
    bench = patient()
    (confirmation,) = bench.subscribe(bench.d2, HOST, nonce=900)
    (record,) = confirmation.records
    assert (record.key, record.ttl, record.locators, record.action) == (HOST, 15, (), Action.DROP)
    (subscription,) = bench.server.subscriptions()
    assert subscription.kind is SubscriptionKind.TEMPORARY
    (published,) = messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d2)
    assert (published.nonce, rlocs(published.records[0])) == (901, ["192.0.40.1"])
    assert [found.kind for found in bench.server.subscriptions()] == [SubscriptionKind.MAPPING]


def test_a_temporary_subscription_ends_unless_it_is_renewed() -> None:
    bench = patient()
    bench.subscribe(bench.d2, HOST)
    bench.server.tick(600.0)
    bench.subscribe(bench.d2, HOST, now=600.0)
    assert events(bench.server.tick(900.0), "subscription-ended") == []
    assert bench.server.next_deadline() == 1500.0
    (event,) = events(bench.server.tick(1500.0), "subscription-ended")
    assert event.fields["reason"] == "temporary"
    assert bench.server.subscriptions() == []
    assert messages(bench.register(bench.d1, HOST, now=1501.0), MapNotify, to=bench.d2) == []


def test_one_whose_host_has_come_does_not_end() -> None:
    bench = patient()
    bench.subscribe(bench.d2, HOST)
    bench.d2.ack_all(bench.server, bench.register(bench.d1, HOST, now=800.0), 800.0)
    bench.server.tick(901.0)
    assert len(bench.server.subscriptions()) == 1


def test_a_temporary_subscription_survives_a_restart_with_a_new_term() -> None:
    bench = patient()
    bench.subscribe(bench.d2, HOST)
    server = MapServer(bench.config, bench.store, 500.0, nonces=nonce_source(9))
    bench.d2.ack_all(server, server.tick(500.0), 500.0)
    server.tick(1399.0)
    assert len(server.subscriptions()) == 1
    server.tick(1400.0)
    assert server.subscriptions() == []


def test_a_range_without_gateway_can_be_followed_until_there_is_one() -> None:
    bench = patient()
    (confirmation,) = bench.subscribe(bench.d1, eid("10.0.0.1"))
    assert (confirmation.records[0].key, confirmation.records[0].action) == (eid("0.0.0.0/3"), Action.DROP)
    (published,) = messages(bench.register(bench.d3, GATEWAY), MapNotify, to=bench.d1)
    assert rlocs(published.records[0]) == ["192.0.40.3"]
    bench.server.tick(901.0)
    assert [found.kind for found in bench.server.subscriptions()] == [SubscriptionKind.HOLE]


# ---- configured and locked: RFC 9437 §5 ---------------------------------------------------------------------------


def configured(locked: bool = True, **changes: object) -> Bench:
    bench = Bench(registration_timeout=10_000.0)
    (site,) = bench.config.sites
    one = ConfiguredSubscription(bench.d2.identity.xtr_id, SUBNET, (bench.d2.address,), 5000, locked)
    one = replace(one, **changes)  # type: ignore[arg-type]
    bench.config = replace(bench.config, sites=(replace(site, subscriptions=(one,)),))
    bench.server = MapServer(bench.config, bench.store, 0.0, nonces=nonce_source(7))
    return bench


def test_a_configured_subscription_publishes_from_its_initial_nonce_on() -> None:
    bench = configured()
    first = bench.d2.ack_all(bench.server, bench.server.tick(0.0), 0.0)
    assert [message.nonce for message in first] == [5001]
    outputs = bench.register(bench.d1, HOST)
    (published,) = messages(outputs, MapNotify, to=bench.d2)
    assert (published.nonce, published.records[0].key) == (5002, HOST)
    bench.d2.ack_all(bench.server, outputs, 0.0)
    again = MapServer(bench.config, bench.store, 10.0, nonces=nonce_source(8))
    (restarted,) = messages(again.tick(10.0), MapNotify, to=bench.d2)
    assert restarted.nonce == 5003, "it goes on where it was, not where the configuration begins"


@pytest.mark.requirement("PR-PUB-10")
def test_a_locked_subscription_can_neither_be_changed_nor_ended() -> None:
    bench = configured()
    bench.d2.ack_all(bench.server, bench.server.tick(0.0), 0.0)
    before = bench.server.subscriptions()
    (reply,) = messages(bench.request(bench.d2, SUBNET, subscribe=True, nonce=9000), MapReply)
    assert (reply.records[0].key, reply.records[0].action) == (SUBNET, Action.DROP_POLICY)
    for one in (SUBNET, HOST):
        outputs = bench.server.receive(bench.d2.unsubscribe(bench.endpoint, one, nonce=9000), 5.0)
        (datagram,) = sends(outputs)
        (reply,) = messages(outputs, MapReply)
        assert (reply.records[0].key, reply.records[0].action) == (one, Action.DROP_POLICY)
        assert datagram.destination.address == bench.d2.address
    assert bench.server.subscriptions() == before


def test_a_configured_one_that_is_not_locked_can() -> None:
    bench = configured(locked=False)
    bench.d2.ack_all(bench.server, bench.server.tick(0.0), 0.0)
    assert bench.subscribe(bench.d2, SUBNET, nonce=9000)
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, SUBNET), 0.0), 0.0)
    assert bench.server.subscriptions() == []


def test_a_locked_subscription_is_never_given_up() -> None:
    bench = configured()
    bench.register(bench.d1, HOST)
    at, nonces, refusals = 0.0, set(), 0
    while (due := bench.server.next_deadline()) is not None and due < 200.0:
        at = due
        for message in messages(bench.server.tick(due), MapNotify, to=bench.d2):
            nonces.add(message.nonce)
            refusals += message.records[0].action == Action.DROP_AUTH
    assert at > 150.0
    assert len(nonces) == 3, "a new nonce every 75 seconds"
    assert refusals == 0
    assert len(bench.server.subscriptions()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xtr_id": bytes(16)}, r"subscriptions\[0\].xtr_id = 0{32}: is no xTR of the site"),
        ({"itr_rlocs": (ip("192.0.40.3"),)}, r"itr_rlocs = 192.0.40.3: are not RLOCs of that xTR"),
        ({"nonce": 2**64 - 1}, "nonce = 18446744073709551615: leaves no nonces"),
    ],
)
def test_a_configured_subscription_that_cannot_be_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(**changes)  # type: ignore[arg-type]


# ---- other ITR-RLOCs: RFC 9437 §6 ---------------------------------------------------------------------------------

SECOND = ip("192.0.41.2")


def two_homed() -> tuple[Bench, Peer]:
    """D2 with a second RLOC, and D2 as it is seen at that."""
    bench = Bench(registration_timeout=10_000.0)
    (site,) = bench.config.sites
    xtrs = tuple(
        AuthorisedXtr(xtr.xtr_id, (*xtr.rlocs, SECOND), xtr.border) if xtr.xtr_id == bench.d2.identity.xtr_id else xtr
        for xtr in site.xtrs
    )
    bench.config = replace(bench.config, sites=(replace(site, xtrs=xtrs),))
    bench.server = MapServer(bench.config, bench.store, 0.0, nonces=nonce_source(7))
    return bench, replace(bench.d2, address=SECOND)


@pytest.mark.requirement("PR-NOT-1", "PR-PUB-11")
def test_the_second_itr_rloc_is_tried_when_the_first_does_not_answer() -> None:
    bench, second = two_homed()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST, nonce=100, itr_rlocs=(bench.d2.address, SECOND))
    bench.register(bench.d3, HOST)
    seen: list[tuple[float, str, int]] = []
    while (due := bench.server.next_deadline()) is not None and due <= 75.0:
        outputs = bench.server.tick(due)
        for peer in (bench.d2, second):
            seen += [(due, str(peer.address), m.nonce) for m in messages(outputs, MapNotify, to=peer)]
    first = [at for at, address, _ in seen if address == str(bench.d2.address)]
    assert first == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]
    assert seen[-1] == (75.0, str(SECOND), 101), "the same message"
    (again,) = second.ack_all(bench.server, bench.server.tick(78.0), 78.0)
    assert (again.nonce, rlocs(again.records[0])) == (101, ["192.0.40.1", "192.0.40.3"])
    outputs = bench.withdraw(bench.d3, HOST, now=80.0)
    assert messages(outputs, MapNotify, to=bench.d2) == []
    assert [message.nonce for message in messages(outputs, MapNotify, to=second)] == [102], "what answers is first now"


@pytest.mark.requirement("PR-PUB-11")
def test_when_none_answers_the_subscription_ends() -> None:
    bench, second = two_homed()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST, nonce=100, itr_rlocs=(bench.d2.address, SECOND))
    bench.register(bench.d3, HOST)
    last = None
    while (due := bench.server.next_deadline()) is not None and due <= 300.0:
        for message in messages(bench.server.tick(due), MapNotify, to=second):
            last = (due, message.nonce, message.records[0].action)
    assert last == (150.0, 101, Action.DROP_AUTH)
    assert bench.server.subscriptions() == []


def test_an_itr_rloc_of_the_other_ip_version_is_not_tried() -> None:
    bench, _ = two_homed()
    (site,) = bench.config.sites
    six = IPv6Address("2001:db8::2")
    xtrs = tuple(replace(xtr, rlocs=(*xtr.rlocs, six)) if SECOND in xtr.rlocs else xtr for xtr in site.xtrs)
    server = MapServer(replace(bench.config, sites=(replace(site, xtrs=xtrs),)), bench.store, 0.0)
    server.receive(bench.d1.register(bench.endpoint, HOST), 0.0)
    asked = bench.d2.request(bench.endpoint, HOST, subscribe=True, itr_rlocs=(six, bench.d2.address))
    (confirmation,) = [
        datagram for datagram in sends(server.receive(asked, 0.0)) if datagram.destination.address != six
    ]
    assert confirmation.destination.address == bench.d2.address
    assert [found.itr_rlocs for found in server.subscriptions()] == [(bench.d2.address,)]
    only = bench.d2.request(bench.endpoint, HOST, subscribe=True, itr_rlocs=(six,))
    (event,) = events(server.receive(only, 0.0), "subscription-limited")
    assert "IP version" in str(event.fields["reason"])
