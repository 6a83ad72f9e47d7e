"""What a Map-Server promised holds after a restart, and it promises nothing that it could not store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import DistinguishedName, Eid, MapNotify, RlocRecord, decode, verify
from controller.mapping import MapServer, MemoryStore, Receipt, Snapshot, Withdrawn
from tests.mapping.harness import (
    IID,
    Bench,
    StubbornStore,
    drop_reason,
    eid,
    events,
    ip,
    messages,
    nonce_source,
    secret_key,
    sends,
)

HOST = eid("40.0.0.7")
SUBNET = eid("40.0.0.0/16")


def restart(bench: Bench, now: float) -> None:
    bench.server = MapServer(bench.config, bench.store, now, nonces=nonce_source(8, now))


@pytest.mark.requirement("PR-AUTH-6")
def test_the_last_nonce_survives() -> None:
    bench = Bench()
    captured = bench.d1.register(bench.endpoint, HOST)
    answer = sends(bench.server.receive(captured, 0.0))[0]
    newer = bench.register(bench.d1, eid("40.0.0.8"))
    assert messages(newer, MapNotify)
    restart(bench, 10.0)
    assert drop_reason(bench.server.receive(captured, 10.0)) == "replay"
    latest = bench.d1.register(bench.endpoint, HOST)
    first = sends(bench.server.receive(latest, 11.0))[0]
    restart(bench, 12.0)
    assert sends(bench.server.receive(latest, 12.0)) == [first], "a repeated datagram is answered as before"
    assert first.destination == answer.destination


def test_registrations_survive_with_a_new_lease() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    bench.register(bench.d2, eid("40.0.0.9"))
    bench.withdraw(bench.d2, eid("40.0.0.9"))
    restart(bench, 100.0)
    assert bench.mappings() == {"40.0.0.7/32": ["192.0.40.1", "192.0.40.2"]}
    assert [part.expires for part in bench.server.registrations()[0].contributions] == [280.0, 280.0]
    bench.server.tick(280.0)
    assert bench.mappings() == {}
    restart(bench, 300.0)
    assert bench.mappings() == {}, "what expired stays expired"


def test_subscriptions_survive_and_are_brought_up_to_date() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, SUBNET, nonce=100)
    bench.register(bench.d1, eid("40.0.0.8"))  # published with nonce 101, never acknowledged
    restart(bench, 10.0)
    assert bench.server.next_deadline() == 10.0
    received = bench.d2.ack_all(bench.server, bench.server.tick(10.0), 10.0)
    assert [message.nonce for message in received] == [102]
    assert {record.key for record in received[0].records} == {SUBNET, HOST, eid("40.0.0.8")}
    assert drop_reason(bench.request(bench.d2, SUBNET, subscribe=True, nonce=102, now=10.0)) == "replay"
    assert bench.server.pending() == []


def test_a_withdrawal_that_a_subscriber_missed_is_told_after_a_restart() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d3, eid("40.0.0.8"))
    bench.subscribe(bench.d2, SUBNET)
    bench.subscribe(bench.d4, HOST)
    bench.server.tick(180.0)  # both have expired, and nobody hears of it
    bench.register(bench.d3, eid("40.0.0.8"), now=181.0)
    assert bench.mappings() == {"40.0.0.8/32": ["192.0.40.3"]}
    assert bench.store.load().gone == (HOST,)
    restart(bench, 200.0)
    outputs = bench.server.tick(200.0)
    for peer, told in ((bench.d2, {HOST: 0, eid("40.0.0.8"): 1}), (bench.d4, {HOST: 0})):
        records = [record for message in peer.ack_all(bench.server, outputs, 200.0) for record in message.records]
        assert {record.key: len(record.locators) for record in records if record.key != SUBNET} == told
    assert bench.server.pending() == []


def test_who_is_gone_is_remembered_as_long_as_somebody_may_have_to_be_told() -> None:
    bench = Bench()
    others = [eid(f"40.0.1.{number}") for number in range(3)]
    bench.register(bench.d1, HOST, *others)
    bench.withdraw(bench.d1, others[2])
    assert bench.store.load().gone == (), "nobody has subscribed"
    bench.subscribe(bench.d2, SUBNET)
    bench.d2.ack_all(bench.server, bench.withdraw(bench.d1, HOST, others[0], now=1.0), 1.0)
    assert set(bench.store.load().gone) == {HOST, others[0]}
    bench.d2.ack_all(bench.server, bench.register(bench.d1, HOST, now=2.0), 2.0)
    assert bench.store.load().gone == (others[0],)
    bench.d2.ack_all(bench.server, bench.withdraw(bench.d1, others[1], now=100.0), 100.0)
    assert set(bench.store.load().gone) == {*others[:2]}
    restart(bench, 101.0)
    bench.d2.ack_all(bench.server, bench.server.tick(101.0), 101.0)
    bench.d2.ack_all(bench.server, bench.server.tick(5000.0), 5000.0)
    assert bench.store.load().gone == (HOST,), "it has expired itself"


def test_whoever_withdraws_very_much_has_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.mapping.gone._MOST", 2)
    bench = Bench()
    hosts = [eid(f"40.0.1.{number}") for number in range(4)]
    bench.register(bench.d1, *hosts)
    bench.subscribe(bench.d2, SUBNET)
    for host in hosts:
        bench.d2.ack_all(bench.server, bench.withdraw(bench.d1, host), 0.0)
    assert set(bench.store.load().gone) == {*hosts[2:]}


def test_what_a_subscriber_left_out_stays_left_out() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, SUBNET)
    bench.d2.ack_all(bench.server, bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST), 0.0), 0.0)
    restart(bench, 10.0)
    received = bench.d2.ack_all(bench.server, bench.server.tick(10.0), 10.0)
    assert [record.key for message in received for record in message.records] == [SUBNET]


def test_the_end_of_a_subscription_survives() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d2, HOST, nonce=100)
    bench.server.receive(bench.d2.unsubscribe(bench.endpoint, HOST, nonce=101), 0.0)
    restart(bench, 10.0)
    assert bench.server.subscriptions() == []
    assert drop_reason(bench.request(bench.d2, HOST, subscribe=True, nonce=101, now=10.0)) == "replay"


def test_gateways_and_holes_survive() -> None:
    bench = Bench()
    gateway = Eid(IID, DistinguishedName("pETR"))
    bench.register(bench.d3, gateway)
    bench.subscribe(bench.d1, eid("10.0.0.1"))
    restart(bench, 10.0)
    bench.d1.ack_all(bench.server, bench.server.tick(10.0), 10.0)
    outputs = bench.register(bench.d4, gateway, now=11.0)
    (notify,) = messages(outputs, MapNotify, to=bench.d1)
    assert notify.records[0].key == eid("0.0.0.0/3")
    assert len(notify.records[0].locators) == 2


def test_a_registration_that_the_configuration_no_longer_allows_is_not_restored() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    (site,) = bench.config.sites
    bench.config = replace(bench.config, sites=(replace(site, prefixes=()),))
    restart(bench, 10.0)
    assert bench.mappings() == {}
    bench.register(bench.d1, HOST, now=11.0)
    assert bench.store.load().contributions == ()


def test_the_key_of_the_last_registration_is_remembered() -> None:
    bench = Bench()
    one, other = secret_key(40, 1), secret_key(40, 2)
    (site,) = bench.config.sites
    bench.config = replace(bench.config, sites=(replace(site, keys=(other, one)),))
    restart(bench, 0.0)
    for key in (one, other, one):
        bench.register(bench.d1, HOST, key=key)
    restart(bench, 10.0)
    (notify,) = [sent for sent in sends(bench.register(bench.d2, HOST)) if sent.destination.address == bench.d1.address]
    message = decode(notify.payload)
    assert isinstance(message, MapNotify)
    verify(notify.payload, message, one)


def test_who_registered_later_is_remembered() -> None:
    """Of two xTRs that list a third one's RLOC, the later one is believed, also after a restart."""
    bench = Bench()
    third = ip("192.0.40.3")
    for priority in (8, 9):
        bench.register(bench.d1, HOST, locators=[RlocRecord(third, priority=priority)])
    restart(bench, 10.0)
    bench.register(bench.d2, HOST, locators=[RlocRecord(third, priority=3)], now=10.0)
    assert [locator.priority for locator in bench.server.registrations()[0].locators] == [3]


def test_nothing_is_answered_that_is_not_stored() -> None:
    store = StubbornStore()
    bench = Bench(store)
    bench.subscribe(bench.d4, SUBNET)
    store.broken = True
    outputs = bench.register(bench.d1, HOST)
    assert sends(outputs) == []
    (event,) = events(outputs, "store-failed")
    assert event.fields["detail"] == "disk full"
    assert sends(bench.request(bench.d3, HOST)) == [], "not even a request, as long as earlier changes are not stored"
    store.broken = False
    outputs = bench.server.tick(3.0)
    published = bench.d4.ack_all(bench.server, outputs, 3.0)
    assert [record.key for message in published for record in message.records] == [HOST]
    assert [part.eid for part in store.load().contributions] == [HOST]
    again = bench.register(bench.d1, HOST, now=4.0)
    assert messages(again, MapNotify, to=bench.d1)


def test_a_refresh_stores_the_nonce_and_nothing_else() -> None:
    store = StubbornStore()
    bench = Bench(store)
    bench.register(bench.d1, HOST)
    store.committed.clear()
    bench.register(bench.d1, HOST, now=60.0)
    assert [type(change) for change in store.committed] == [Receipt]


def test_the_memory_store_replays_changes_to_the_same_state() -> None:
    store = StubbornStore()
    bench = Bench(store)
    for host in ("40.0.0.1", "40.0.0.2"):
        bench.register(bench.d1, eid(host))
        bench.register(bench.d2, eid(host))
    bench.subscribe(bench.d3, SUBNET)
    bench.withdraw(bench.d1, eid("40.0.0.1"))
    assert any(isinstance(change, Withdrawn) for change in store.committed)
    copy = MemoryStore()
    copy.commit(store.committed)
    assert copy.load() == store.load()
    assert isinstance(copy.load(), Snapshot)
    assert {(part.eid, part.xtr.identity) for part in copy.load().contributions} == {
        (eid("40.0.0.1"), bench.d2.identity.xtr_id),
        (eid("40.0.0.2"), bench.d1.identity.xtr_id),
        (eid("40.0.0.2"), bench.d2.identity.xtr_id),
    }
