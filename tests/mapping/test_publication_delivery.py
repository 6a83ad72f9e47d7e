"""Publications that are lost, overtaken or never acknowledged (RFC 9437)."""

from __future__ import annotations

import pytest

from controller.lisp import Action, Algorithm, Endpoint, Key, MapNotify, decode
from tests.mapping.harness import Bench, drop_reason, eid, events, messages, sends
from tests.mapping.support import HOST, SUBNET, retransmissions, told


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


def test_an_unsubscription_that_is_not_acknowledged_is_not_ended_twice() -> None:
    bench = Bench(registration_timeout=10_000.0)
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST)
    bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0)
    repeated = retransmissions(bench, bench.d2, 200.0)
    assert [at for at, _ in repeated] == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]
    assert {message.records[0].action for _, message in repeated} == {Action.NO_ACTION}


def test_what_a_wider_subscription_had_under_way_is_left_to_the_narrower_one() -> None:
    bench = Bench(registration_timeout=10_000.0)
    other = eid("40.0.0.8")
    bench.subscribe(bench.d2, SUBNET, nonce=5000)
    bench.register(bench.d1, HOST, other)  # both in one message, not acknowledged
    outputs = bench.request(bench.d2, HOST, subscribe=True, nonce=9000)
    found = {message.nonce: [record.key for record in message.records] for message in messages(outputs, MapNotify)}
    assert found == {9000: [HOST], 5002: [other]}
    assert {message.nonce for _, message in retransmissions(bench, bench.d2, 20.0)} == {9000, 5002}
