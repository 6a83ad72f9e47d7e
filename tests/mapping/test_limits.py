"""What one xTR may occupy, and how fast: floods end in refusals, with bounded memory (RFC 9437 §5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import MapNotify, MapReply
from controller.mapping import ConfigError, Limits, MapServer
from controller.mapping.machine import Pace
from tests.mapping.harness import Bench, drop_reason, eid, events, messages, nonce_source, sends

SUBNET = eid("40.0.0.0/16")
HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 31)]


def limited(**limits: float) -> Bench:
    return Bench(registration_timeout=10_000.0, limits=Limits(**limits))  # type: ignore[arg-type]


@pytest.mark.requirement("PR-PUB-13")
def test_subscriptions_of_one_xtr_are_counted_and_those_beyond_are_answered_plainly() -> None:
    bench = limited(subscriptions_per_xtr=3)
    bench.register(bench.d1, *HOSTS[:5])
    for host in HOSTS[:3]:
        assert bench.subscribe(bench.d2, host)
    outputs = bench.request(bench.d2, HOSTS[3], subscribe=True)
    (event,) = events(outputs, "subscription-limited")
    assert event.fields["reason"] == "too many of this xTR"
    (reply,) = messages(outputs, MapReply)
    assert [record.key for record in reply.records] == [HOSTS[3]]
    assert reply.records[0].locators, "RFC 9437 §5: processed like any Map-Request"
    assert messages(outputs, MapNotify) == []
    assert bench.subscribe(bench.d2, HOSTS[0], now=1.0), "what it has it may renew"
    assert bench.subscribe(bench.d4, HOSTS[3]), "others are not concerned"
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOSTS[0]), 2.0), 2.0)
    assert bench.subscribe(bench.d2, HOSTS[3], now=5.0), "one that has ended makes room"


@pytest.mark.requirement("PR-PUB-13")
def test_all_subscriptions_together_are_limited_too() -> None:
    bench = limited(subscriptions=2)
    bench.register(bench.d1, HOSTS[0])
    assert bench.subscribe(bench.d2, HOSTS[0])
    assert bench.subscribe(bench.d3, HOSTS[0])
    (event,) = events(bench.request(bench.d4, HOSTS[0], subscribe=True), "subscription-limited")
    assert event.fields["reason"] == "too many in all"


@pytest.mark.requirement("PR-PUB-13")
def test_a_flood_of_subscriptions_is_answered_at_the_allowed_rate() -> None:
    bench = limited(subscribe_rate=2.0, subscribe_burst=5)
    bench.register(bench.d1, HOSTS[0])
    flood = [bench.d2.request(bench.endpoint, HOSTS[0], subscribe=True) for _ in range(100)]
    outputs = bench.server.receive_all(flood, 0.0)
    assert len(messages(outputs, MapNotify, to=bench.d2)) == 5
    assert len(messages(outputs, MapReply)) == 1, "and the rest as Map-Requests, which have a limit of their own"
    assert len(bench.server.subscriptions()) == 1
    later = [bench.d2.request(bench.endpoint, HOSTS[0], subscribe=True) for _ in range(100)]
    assert len(messages(bench.server.receive_all(later, 2.0), MapNotify, to=bench.d2)) == 4
    ends = [bench.d2.unsubscribe(bench.endpoint, HOSTS[0]) for _ in range(100)]
    outputs = bench.server.receive_all(ends, 3.0)
    assert len(messages(outputs, MapNotify, to=bench.d2)) == 2
    assert {event.fields["reason"] for event in events(outputs, "message-dropped")} == {"too-fast"}


def test_unsubscribing_from_nothing_leaves_nothing() -> None:
    """Map-Requests are not authenticated: what anybody can send must not cost memory."""
    bench = Bench()
    for number in range(200):
        outputs = bench.server.receive(bench.d2.unsubscribe(bench.endpoint, eid(f"10.0.0.{number}")), 0.0)
        (notify,) = messages(outputs, MapNotify, to=bench.d2)
        assert (notify.nonce, notify.records[0].ttl) == (bench.d2.nonce, 0)
    assert bench.server.pending() == []
    assert bench.store.load().subscriptions == ()


def test_what_is_left_out_of_a_table_is_limited() -> None:
    bench = limited(subscriptions_per_xtr=4)
    bench.subscribe(bench.d2, SUBNET)
    reasons = [
        event.fields["reason"]
        for host in HOSTS[:6]
        for event in events(bench.server.receive(bench.d2.unsubscribe(bench.endpoint, host), 0.0), "message-dropped")
    ]
    assert reasons == ["too-many", "too-many"]
    assert [len(found.muted) for found in bench.server.subscriptions()] == [4]


@pytest.mark.requirement("PR-PUB-2")
def test_nonces_of_ended_subscriptions_protect_even_when_those_are_forgotten() -> None:
    bench = limited(subscriptions_per_xtr=4)
    bench.register(bench.d1, *HOSTS[:10])
    bench.register(bench.d1, *HOSTS[10:20])
    captured = []
    for host in HOSTS[:20]:
        subscribe = bench.d2.request(bench.endpoint, host, subscribe=True)
        captured.append(subscribe)
        bench.d2.ack_all(bench.server, bench.server.receive(subscribe, 0.0), 0.0)
        bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, host), 0.0), 0.0)
    stored = bench.store.load()
    assert len(stored.subscriptions) == 4, "four are remembered one by one"
    assert len(stored.floors) == 1, "and the rest by their greatest nonce"
    for again in (bench.server, MapServer(bench.config, bench.store, 10.0, nonces=nonce_source(9))):
        for datagram in captured:
            assert drop_reason(again.receive(datagram, 10.0)) == "replay"
    assert bench.subscribe(bench.d2, HOSTS[0], now=10.0), "a new nonce is taken"
    assert bench.subscribe(bench.d4, HOSTS[0], nonce=5, now=10.0), "every xTR counts for itself"


def test_registrations_of_one_xtr_are_limited() -> None:
    bench = limited(registrations_per_xtr=3)
    outputs = bench.register(bench.d1, *HOSTS[:5])
    refused = events(outputs, "map-register-record-refused")
    assert [event.fields["eid"] for event in refused] == [str(host) for host in HOSTS[3:5]]
    assert refused[0].fields["reason"] == "this xTR has registered 3 EIDs already"
    assert not events(bench.register(bench.d1, *HOSTS[:3], now=1.0), "map-register-record-refused"), "refreshes"
    bench.withdraw(bench.d1, HOSTS[0])
    assert not events(bench.register(bench.d1, HOSTS[4]), "map-register-record-refused")
    assert not events(bench.register(bench.d2, *HOSTS[:3]), "map-register-record-refused")


@pytest.mark.requirement("PR-PUB-13")
def test_publications_are_paced_and_nobody_is_left_behind() -> None:
    bench = limited(notify_rate=10.0, notify_burst=4)
    peers = (bench.d2, bench.d3, bench.d4)
    for peer in peers:
        bench.subscribe(peer, SUBNET)
    outputs = [output for host in HOSTS[:6] for output in bench.register(bench.d1, host, now=100.0)]
    at_once = [message for peer in peers for message in messages(outputs, MapNotify, to=peer)]
    assert len(at_once) == 4, "no more than the burst at once"
    told: dict[str, set[object]] = {str(peer.address): set() for peer in peers}

    def note(outputs: Sequence[object]) -> None:
        for peer in peers:
            for message in messages(outputs, MapNotify, to=peer):
                told[str(peer.address)] |= {record.key for record in message.records}

    note(outputs)
    times = []
    while (due := bench.server.next_deadline()) is not None and due < 103.0:
        outputs = bench.server.tick(due)
        times += [due for _ in sends(outputs)]
        note(outputs)
    assert times[0] == pytest.approx(100.1)
    assert all(later - earlier > 0.099 for earlier, later in pairwise(times))
    assert all(set(HOSTS[:6]) == known for known in told.values()), "what waits shares messages"


@settings(max_examples=100, deadline=None)
@given(st.floats(0.5, 1e4), st.integers(1, 50), st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60))
def test_a_pace_is_never_exceeded_and_always_comes_round(
    rate: float, burst: int, steps: list[tuple[float, bool]]
) -> None:
    pace, now, admitted = Pace(rate, burst, 0.0), 0.0, 0
    for wait, charge in steps:
        now += wait
        if charge:
            pace.charge(now)
        admitted += pace.admit(now)
        assert admitted <= burst + rate * now + 1e-6
        ready = pace.ready_at()
        if ready is not None:
            now = max(now, ready)
            assert pace.admit(now), "at the time it names"
            admitted += 1


@pytest.mark.parametrize("name", ["subscriptions", "notify_rate", "subscribe_burst"])
def test_a_limit_that_allows_nothing_is_refused(name: str) -> None:
    config = Bench().config
    with pytest.raises(ConfigError, match=rf"limits.{name} = 0: must be at least 1"):
        replace(config, limits=Limits(**{name: 0}))
