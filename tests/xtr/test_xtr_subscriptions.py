"""An xTR's subscriptions: renewed, swept, denied, ended (RFC 9437)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import Action, NoAddress
from controller.mapping.machine.nonces import NonceUse
from controller.xtr import Send
from tests.mapping.harness import drop_reason, events
from tests.xtr.support import HOST, MEMBER, OTHER, SUBNET, XtrBench, acks, changes, names, record, requests


def test_a_subscription_is_renewed_with_the_next_nonce() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.notify(nonce + 1, record(HOST, "192.0.40.2"))
    found = [(at, output) for at, output in bench.run(900.0) if isinstance(output, Send)]
    assert [at for at, _ in found] == [900.0]
    (renewal,) = requests([output for _, output in found])
    assert (renewal.records[0].key, renewal.records[0].subscribe, renewal.nonce) == (SUBNET, True, nonce + 2)
    assert bench.entries().keys() == {"40.0.0.0/16", "40.0.0.7/32"}, "nothing is lost meanwhile"
    (again,) = requests([output for _, output in bench.run(901.0)])
    assert again.nonce > renewal.nonce


def test_a_subscription_is_renewed_before_the_shortest_ttl_ends() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2", ttl=10))
    assert bench.run(479.0) == []
    (renewal,) = requests([output for _, output in bench.run(480.0)])
    assert renewal.nonce == nonce + 1
    bench.notify(renewal.nonce, record(HOST, "192.0.40.2", ttl=10))
    assert [entry.expires for entry in bench.xtr.map_cache()] == [1080.0]
    assert [found.renew for found in bench.xtr.subscriptions()] == [960.0]


def test_an_entry_that_cannot_be_renewed_expires_with_its_subscription() -> None:
    bench = XtrBench()
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2", ttl=1))
    found = [output for _, output in bench.run(60.0)]
    assert len(requests(found)) == 10
    assert changes(found) == [("40.0.0.7/32", None)]
    assert bench.xtr.subscriptions() == []
    assert bench.xtr.pending() == []
    assert bench.run(3600.0) == []


def test_a_renewal_that_is_denied_ends_the_subscription() -> None:
    bench = XtrBench()
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2", ttl=10))
    (renewal,) = requests([output for _, output in bench.run(480.0)])
    bench.reply(renewal.nonce, record(HOST, ttl=1, action=Action.DROP))
    assert bench.entries() == {"40.0.0.7/32": ("negative", [])}
    assert bench.xtr.subscriptions() == []


def test_what_a_renewal_does_not_bring_again_is_swept() -> None:
    """The withdrawal of an entry was missed, and the Map-Server has given up on telling it."""
    bench = XtrBench()
    nonce = bench.subscribed(
        SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"), record(OTHER, "192.0.40.2")
    )
    lost = bench.notify(nonce + 7, record(SUBNET, ttl=15, action=Action.DROP_AUTH))
    assert names(lost) == ["subscription-lost"]
    assert bench.entries().keys() == {"40.0.0.0/16", "40.0.0.7/32", "40.0.0.8/32"}, "the map-cache stays"
    assert bench.xtr.subscriptions() == []
    found = [output for _, output in bench.run(1.0)]
    (again,) = requests([*lost, *found])
    assert (again.records[0].key, again.nonce > nonce + 7) == (SUBNET, True)
    bench.notify(again.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    swept = [(at, output) for at, output in bench.run(300.0)]
    assert [at for at, _ in swept] == [121.0, 121.0]
    assert changes([output for _, output in swept]) == [("40.0.0.8/32", None)]


def test_before_sweeping_after_a_doubtful_confirmation_one_more_is_asked_for() -> None:
    """The Map-Server published with the nonce of the renewal at the same time, and dropped the renewal."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    (renewal,) = requests([output for _, output in bench.run(900.0)])
    assert renewal.nonce == nonce + 1
    bench.notify(nonce + 1, record(SUBNET, "192.0.40.4"))
    found = [output for _, output in bench.run(1021.0)]
    assert changes(found) == []
    (sure,) = requests(found[:1])
    assert sure.nonce > nonce + 2**20, "not the next one: nothing can be confused with it"
    bench.notify(sure.nonce, record(SUBNET, "192.0.40.4"), record(HOST, "192.0.40.2"))
    bench.run(1500.0)
    assert "40.0.0.7/32" in bench.entries()


def test_an_old_end_of_a_subscription_played_again_is_nothing() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    farewell = record(SUBNET, ttl=15, action=Action.DROP_AUTH)
    lost = bench.notify(nonce, farewell)
    (again,) = requests([*lost, *(output for _, output in bench.run(1.0))])
    bench.notify(again.nonce, record(SUBNET, "192.0.40.3"))
    before = bench.state()
    assert drop_reason(bench.notify(nonce, farewell)) == "replay"
    assert bench.state() == before


def test_a_confirmation_that_says_it_was_given_up() -> None:
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    heard = bench.notify(request.nonce, record(SUBNET, ttl=15, action=Action.DROP_AUTH))
    assert names(heard) == ["subscription-lost"]
    assert bench.entries() == {}
    assert len(requests([output for _, output in bench.run(1.0)])) == 1


@pytest.mark.requirement("PR-PUB-9")
def test_unsubscribing() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.now = 5.0
    outputs = bench.xtr.unsubscribe(HOST, 5.0)
    (request,) = requests(outputs)
    assert isinstance(request.itr_rlocs[0], NoAddress)
    assert len(request.itr_rlocs) == 1
    assert request.nonce > nonce + 2**20, "no publication can have it"
    assert request.records[0].subscribe
    assert request.xtr is not None
    assert len(bench.run(7.0)) == 2, "repeated until it is confirmed"
    heard = bench.notify(request.nonce, record(HOST, "192.0.40.2"))
    assert acks(heard) == [request.nonce]
    assert changes(heard) == [("40.0.0.7/32", None)]
    assert bench.xtr.subscriptions() == []
    assert bench.run(3600.0) == []
    assert [event.fields["reason"] for event in events(bench.xtr.unsubscribe(HOST, 3600.0))] == ["not subscribed"]


def test_the_end_of_a_lasting_subscriptions_own_entry_does_not_end_it() -> None:
    bench = XtrBench()
    bench.subscribed(SUBNET, record(SUBNET, ttl=1, action=Action.SEND_MAP_REQUEST))
    assert ("40.0.0.0/16", None) in changes([output for _, output in bench.run(60.0)])
    assert [found.eid for found in bench.xtr.subscriptions()] == [SUBNET]
    assert [pending.eid for pending in bench.xtr.pending()] == [SUBNET]


def test_a_renewed_subscription_still_ends_with_its_entry() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2", ttl=10))
    bench.run(480.0)
    bench.notify(nonce + 1, record(HOST, "192.0.40.2", ttl=10))
    bench.run(1080.0)
    assert (bench.entries(), bench.xtr.subscriptions(), bench.xtr.pending()) == ({}, [], [])


def test_an_entry_from_elsewhere_does_not_end_a_lasting_request() -> None:
    bench = XtrBench()
    bench.xtr.start(0.0)
    bench.notify(MEMBER, record(SUBNET, "192.0.40.3"))
    assert bench.entries() == {"40.0.0.0/16": ("forward", ["192.0.40.3"])}
    assert [pending.eid for pending in bench.xtr.pending()] == [SUBNET]


def test_a_request_that_a_configured_subscription_joins_is_not_given_up() -> None:
    config = XtrBench().config
    (link,) = config.links
    bench = XtrBench(config=replace(config, links=(replace(link, subscribe=(HOST,)),)))
    bench.miss(HOST)
    assert requests(bench.xtr.start(0.0)) == []
    sent = [at for at, output in bench.run(130.0) if isinstance(output, Send)]
    assert sent[-1] >= 120.0


def test_unsubscribing_from_a_prefix_keeps_what_is_subscribed_to_inside_it() -> None:
    bench = XtrBench()
    bench.subscribed(SUBNET, record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST), record(OTHER, "192.0.40.2"))
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.now = 5.0
    (request,) = requests(bench.xtr.unsubscribe(SUBNET, 5.0))
    bench.notify(request.nonce, record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST))
    assert bench.entries() == {"40.0.0.7/32": ("forward", ["192.0.40.2"])}
    assert [found.eid for found in bench.xtr.subscriptions()] == [HOST]


def test_sweeping_a_prefix_spares_other_subscriptions_and_answers() -> None:
    bench = XtrBench()
    table = record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST)
    nonce = bench.subscribed(SUBNET, table)
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    (request,) = requests(bench.miss(OTHER))
    bench.reply(request.nonce, record(OTHER, ttl=1440, action=Action.DROP))
    bench.now = 5.0
    (again,) = requests(bench.notify(nonce, record(SUBNET, ttl=15, action=Action.DROP_AUTH)))
    bench.notify(again.nonce, table)
    assert changes([output for _, output in bench.run(300.0)]) == []
    assert bench.entries().keys() == {"40.0.0.0/16", "40.0.0.7/32", "40.0.0.8/32"}


def test_a_more_specific_can_be_left_out_of_a_wider_subscription() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    (request,) = requests(bench.xtr.unsubscribe(HOST, 0.0))
    assert (request.records[0].key, isinstance(request.itr_rlocs[0], NoAddress)) == (HOST, True)
    heard = bench.notify(request.nonce, record(HOST, "192.0.40.2"))
    assert changes(heard) == [("40.0.0.7/32", None)]
    assert [found.eid for found in bench.xtr.subscriptions()] == [SUBNET]
    bench.notify(nonce + 1, record(OTHER, "192.0.40.2"))
    assert list(bench.entries()) == ["40.0.0.0/16", "40.0.0.8/32"], "the rest is still followed"


def test_a_subscription_by_configuration_is_not_asked_for() -> None:
    """RFC 9437 §5: both ends know the initial nonce, and what is published continues it."""
    plain = XtrBench()
    (link,) = plain.config.links
    initial = NonceUse.SUBSCRIPTION.lowest + 77
    bench = XtrBench(links=(replace(link, subscribe=(), configured=((SUBNET, initial),)),), accept_unsolicited=False)
    assert requests(bench.xtr.start(0.0)) == []
    assert drop_reason(bench.notify(initial - 1, record(HOST, "203.0.113.1"))) == "replay"
    heard = bench.notify(initial + 1, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert acks(heard) == [initial + 1]
    assert bench.entries() == {"40.0.0.0/16": ("forward", ["192.0.40.3"]), "40.0.0.7/32": ("forward", ["192.0.40.2"])}
    assert requests([output for _, output in bench.run(1000.0 * 60)]) == [], "nor renewed"


def test_a_temporary_subscription_is_kept_and_renewed() -> None:
    """Choice C8b: a Map-Notify without locators confirms it, and drops until there is more to say."""
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST, b"lost"), record(HOST, ttl=15, action=Action.DROP))
    assert bench.entries() == {"40.0.0.7/32": ("negative", [])}
    (request,) = requests([output for _, output in bench.run(12 * 60.0)])
    assert request.nonce > nonce
    bench.notify(request.nonce, record(HOST, ttl=15, action=Action.DROP))
    bench.notify(request.nonce + 1, record(HOST, "192.0.40.2"))
    assert bench.entries() == {"40.0.0.7/32": ("forward", ["192.0.40.2"])}
