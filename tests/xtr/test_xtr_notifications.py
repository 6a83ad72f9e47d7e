"""Map-Notifies at an xTR: confirmations, publications in order, member notifications, what is lost and found again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Action, Algorithm, Key, MapNotify, NoAddress, sign, verify
from controller.mapping.machine.nonces import NonceUse
from controller.xtr import DatabaseChange, MemoryNonceStore, Send, Source
from controller.xtr.ledger import Ledger, Verdict
from controller.xtr.nonces import NonceKeeper
from tests.mapping.harness import drop_reason, eid, events, ip, nonce_source, sends, unwrap
from tests.xtr.support import (
    EVERYTHING,
    GATEWAY,
    HOST,
    KEY,
    OTHER,
    SO,
    SU,
    SUBNET,
    XtrBench,
    acks,
    changes,
    names,
    record,
    registers,
    requests,
)

MEMBER = NonceUse.MEMBER.lowest + 1000
"""A nonce such as a Map-Server gives to member notifications."""


@pytest.mark.requirement("PR-PUB-4", "SO-SUB-11")
def test_a_confirmation_fills_the_map_cache_and_is_acknowledged() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(HOST))
    outputs = bench.notify(request.nonce, record(HOST, "192.0.40.2", "192.0.40.3"))
    assert bench.entries() == {"40.0.0.7/32": ("forward", ["192.0.40.2", "192.0.40.3"])}
    (entry,) = bench.xtr.map_cache()
    assert (entry.source, entry.expires, entry.ttl, entry.link) == (Source.PUBLICATION, 86400.0, 1440, "scale-up")
    (datagram,) = sends(outputs)
    ack = unwrap(datagram.payload)
    assert acks(outputs) == [request.nonce]
    assert (str(datagram.source), str(datagram.destination)) == ("192.0.40.1:4342", f"{SU}:4342")
    assert not isinstance(ack, MapNotify)
    verify(datagram.payload, ack, KEY)  # type: ignore[arg-type]
    assert [one.key for one in ack.records] == [HOST]  # type: ignore[union-attr]
    (subscription,) = bench.xtr.subscriptions()
    assert (subscription.eid, subscription.link, subscription.base) == (HOST, "scale-up", request.nonce)
    assert bench.xtr.pending() == []


@pytest.mark.requirement("PR-NOT-2", "SO-REG-10")
def test_the_acknowledgement_goes_to_the_port_that_the_notification_came_from() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(HOST))
    payload = sign(MapNotify(request.nonce, (record(HOST, "192.0.40.2"),)), KEY)
    (datagram,) = sends(bench.hear(payload, port=55555))
    assert str(datagram.destination) == f"{SU}:55555"


@pytest.mark.requirement("SO-SUB-8", "SO-SUB-9", "SO-PATH-10", "SO-PATH-11", "SU-SUB-4", "SU-PATH-11")
def test_publications_follow_the_rloc_set() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    added = bench.notify(nonce + 1, record(HOST, "192.0.40.2", "192.0.40.3"))
    assert (changes(added), acks(added)) == ([("40.0.0.7/32", "forward")], [nonce + 1])
    bench.notify(nonce + 2, record(HOST, "192.0.40.3"))
    assert bench.entries() == {"40.0.0.7/32": ("forward", ["192.0.40.3"])}
    gone = bench.notify(nonce + 3, record(HOST, ttl=0))
    assert (changes(gone), acks(gone)) == ([("40.0.0.7/32", None)], [nonce + 3])
    assert bench.entries() == {}


def test_the_same_mapping_again_changes_nothing_but_its_lifetime() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2", ttl=10))
    bench.now = 100.0
    assert changes(bench.notify(nonce + 1, record(HOST, "192.0.40.2", ttl=10))) == []
    assert [entry.expires for entry in bench.xtr.map_cache()] == [700.0]


@pytest.mark.requirement("PR-PUB-6")
def test_an_old_publication_is_dropped_and_the_last_one_is_acknowledged_again() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.notify(nonce + 5, record(HOST, "192.0.40.3"))
    before = bench.state()
    again = bench.notify(nonce + 5, record(HOST, "192.0.40.4"))
    assert (acks(again), changes(again)) == ([nonce + 5], [])
    for old in (nonce + 4, nonce, nonce - 1):
        assert drop_reason(bench.notify(old, record(HOST, "192.0.40.4"))) == "replay"
    assert bench.state() == before


def test_a_repeated_confirmation_is_acknowledged_again() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    bench.notify(nonce + 1, record(HOST, ttl=0))
    repeated = bench.notify(nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert (acks(repeated), changes(repeated)) == ([nonce], [])
    assert list(bench.entries()) == ["40.0.0.0/16"], "what was withdrawn meanwhile stays withdrawn"


@pytest.mark.requirement("PR-AUTH-3")
def test_a_notification_with_a_wrong_mac_or_key_or_from_a_stranger_is_dropped() -> None:
    bench = XtrBench()
    nonce = bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    before = bench.state()
    evil = record(HOST, "203.0.113.1")
    guessed = Key(1, Algorithm.HMAC_SHA256_128, b"guessed")
    assert drop_reason(bench.notify(nonce + 1, evil, key=guessed)) == "authentication-failed"
    assert drop_reason(bench.notify(nonce + 1, evil, key=replace(KEY, key_id=9))) == "unknown-key"
    assert drop_reason(bench.notify(nonce + 1, evil, key=Key(1, Algorithm.NONE, b""))) == "authentication-failed"
    assert drop_reason(bench.notify(nonce + 1, evil, source=ip("203.0.113.1"))) == "unknown-map-server"
    assert drop_reason(bench.notify(nonce + 1)) == "no-records"
    assert drop_reason(bench.notify(2**64 - 1, evil)) == "nonce-exhausted"
    assert bench.state() == before


@pytest.mark.requirement("SO-REG-13", "SO-REG-17", "PR-PUB-7")
def test_more_specifics_of_a_table_are_installed() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3", "192.0.40.4"), record(HOST, "192.0.40.2"))
    bench.notify(nonce + 1, record(OTHER, "192.0.40.2"))
    assert bench.entries() == {
        "40.0.0.0/16": ("forward", ["192.0.40.3", "192.0.40.4"]),
        "40.0.0.7/32": ("forward", ["192.0.40.2"]),
        "40.0.0.8/32": ("forward", ["192.0.40.2"]),
    }


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8), max_size=6))
def test_publications_in_any_order_end_in_the_last_state_of_each_eid(order: list[int], repeats: list[int]) -> None:
    """Two EIDs change in turn; messages overtake each other and come twice."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    publication = {
        step: record(HOST if step % 2 else OTHER, f"192.0.40.{10 + step}", ttl=1440 if step < 7 else step - 7)
        for step in range(1, 9)
    }
    publication[8] = record(OTHER, "192.0.40.99")
    for step in [*order, *repeats]:
        heard = bench.notify(nonce + step, publication[step])
        assert (acks(heard) == [nonce + step]) != (names(heard)[-1:] == ["message-dropped"])
    assert bench.entries() == {
        "40.0.0.0/16": ("forward", ["192.0.40.3"]),
        "40.0.0.8/32": ("forward", ["192.0.40.99"]),
    }, "nonce 7 withdrew the one, nonce 8 is the last word on the other"


def test_a_publication_that_overtakes_the_confirmation() -> None:
    """Choice C19: it counts, and what the confirmation says about the same EID is older."""
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    bench.notify(request.nonce + 1, record(HOST, "192.0.40.2"))
    bench.notify(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.4"))
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    bench.run(800.0)
    assert "40.0.0.7/32" in bench.entries(), "its lifetime is that of a publication, not of an unsolicited one"


@pytest.mark.requirement("MH-MRG-9", "SO-MS-5")
def test_the_rloc_set_of_an_own_eid_goes_to_the_database() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    outputs = bench.notify(MEMBER, record(HOST, "192.0.40.1", "192.0.40.2"))
    (change,) = [output for output in outputs if isinstance(output, DatabaseChange)]
    assert change.entry is not None
    assert [str(rloc) for rloc in change.entry.peers] == ["192.0.40.1", "192.0.40.2"]
    assert acks(outputs) == [MEMBER]
    assert bench.entries()["40.0.0.7/32"][0] == "local", "an own EID never enters the map-cache"
    assert drop_reason(bench.notify(MEMBER - 1, record(HOST, "192.0.40.1"))) == "replay"
    assert acks(bench.notify(MEMBER, record(HOST, "192.0.40.1"))) == [MEMBER]
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2"]


@pytest.mark.requirement("SU-PATH-12", partial=True)  # the map-cache, not a frame
def test_when_an_eid_is_detached_its_peers_take_over_at_once() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.acknowledge(bench.attach(HOST))
    bench.notify(nonce + 1, record(HOST, "192.0.40.1", "192.0.40.2"))
    assert changes(bench.detach(HOST)) == [("40.0.0.7/32", "forward")]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    bench.notify(nonce + 2, record(HOST, "192.0.40.4"))
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.4"])


def test_without_subscription_what_is_known_of_peers_does_not_last() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    bench.notify(MEMBER, record(HOST, "192.0.40.1", "192.0.40.2"))
    bench.detach(HOST)
    bench.run(179.0)
    assert bench.entries() == {"40.0.0.7/32": ("forward", ["192.0.40.2"])}
    bench.run(180.0)
    assert bench.entries() == {}


def test_what_was_in_the_map_cache_is_out_of_sight_while_the_eid_is_local() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert changes(bench.attach(HOST)) == [("40.0.0.7/32", "local")]
    assert bench.database()["40.0.0.7/32"] == ("registering", ["192.0.40.2"])
    assert changes(bench.notify(nonce + 1, record(HOST, "192.0.40.4"))) == []
    assert changes(bench.notify(nonce + 2, record(HOST, ttl=0))) == []
    assert bench.database()["40.0.0.7/32"] == ("registering", [])


def test_an_unsolicited_notification_is_believed_for_a_while() -> None:
    bench = XtrBench()
    assert acks(bench.notify(MEMBER, record(HOST, "192.0.40.2"))) == [MEMBER]
    (entry,) = bench.xtr.map_cache()
    assert entry.expires == 180.0
    wary = XtrBench(accept_unsolicited=False)
    assert names(wary.notify(MEMBER, record(HOST, "192.0.40.2"))) == ["publication-ignored"]
    assert wary.entries() == {}


def test_a_member_notification_to_a_subscriber_makes_it_subscribe_again() -> None:
    """Either it is from before the subscription, or the Map-Server has lost it: the next confirmation tells."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    bench.now = 10.0
    outputs = bench.notify(MEMBER, record(HOST, "192.0.40.4"))
    assert acks(outputs) == [MEMBER]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    (renewal,) = requests(outputs)
    assert (renewal.records[0].key, renewal.nonce) == (SUBNET, nonce + 1)


@pytest.mark.requirement("SO-REG-13")
def test_a_border_believes_each_mapping_system_within_its_bounds() -> None:
    bench = XtrBench("D3")
    outputs = bench.xtr.start(0.0)
    by_eid = {request.records[0].key: request.nonce for request in requests(outputs)}
    bench.notify(by_eid[SUBNET], record(SUBNET, "192.0.40.3", "192.0.40.4"), record(HOST, "192.0.40.1"))
    everything = record(EVERYTHING, ttl=15, action=Action.SEND_MAP_REQUEST)
    pods = (record(eid("10.0.0.0/16"), "192.0.10.3"), record(HOST, "203.0.113.1"))
    heard = bench.notify(by_eid[EVERYTHING], everything, *pods, source=SO)
    assert acks(heard) == [by_eid[EVERYTHING]]
    assert bench.entries() == {
        "10.0.0.0/16": ("forward", ["192.0.10.3"]),
        "40.0.0.7/32": ("forward", ["192.0.40.1"]),
    }, "hosts of the PoD are the business of its own mapping system; own subnets and the gateway EID are not cached"
    assert bench.database()["40.0.0.0/16"][1] == ["192.0.40.3", "192.0.40.4"]
    gone = bench.notify(by_eid[EVERYTHING] + 1, record(HOST, ttl=0), source=SO)
    assert changes(gone) == []
    assert bench.database()[str(GATEWAY.target)][0] == "registering"


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


def test_registrations_and_subscriptions_do_not_get_in_each_others_way() -> None:
    bench = XtrBench()
    attached = bench.attach(HOST)
    (message,) = registers(attached)
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.acknowledge(attached, record(HOST, "192.0.40.1"))
    assert message.nonce < MEMBER < nonce
    assert bench.database()["40.0.0.7/32"] == ("registered", []), "the subscription has the say about it"
    bench.notify(nonce + 1, record(HOST, "192.0.40.1"))
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1"])


@pytest.mark.requirement("PR-PUB-6")
def test_what_was_published_before_the_confirmation_is_old_for_every_eid() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    for old in (nonce - 1, nonce - 2**30):
        assert drop_reason(bench.notify(old, record(HOST, "203.0.113.1"))) == "replay"
    assert list(bench.entries()) == ["40.0.0.0/16"]


def test_a_publication_with_the_nonce_of_a_renewal_is_not_its_confirmation() -> None:
    """Choice C19: both sides used the next nonce; the EID tells which of the two it is."""
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"))
    bench.run(900.0)
    heard = bench.notify(nonce + 1, record(HOST, "192.0.40.2"))
    assert acks(heard) == [nonce + 1]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2"])
    assert [pending.eid for pending in bench.xtr.pending()] == [SUBNET], "the renewal still waits"


def test_the_end_of_a_lasting_subscriptions_own_entry_does_not_end_it() -> None:
    bench = XtrBench()
    bench.subscribed(SUBNET, record(SUBNET, ttl=1, action=Action.SEND_MAP_REQUEST))
    assert ("40.0.0.0/16", None) in changes([output for _, output in bench.run(60.0)])
    assert [found.eid for found in bench.xtr.subscriptions()] == [SUBNET]
    assert [pending.eid for pending in bench.xtr.pending()] == [SUBNET]


def test_a_gateway_that_retires_does_not_use_the_others_by_itself() -> None:
    """The gateway EID came from the PoD's mapping system; what is outside is the business of the fabric's."""
    bench = XtrBench("D3")
    bench.acknowledge(bench.xtr.start(0.0))
    bench.notify(MEMBER, record(EVERYTHING, "192.0.40.3", "192.0.40.4"))
    assert bench.database()["0.0.0.0/0"][1] == ["192.0.40.3", "192.0.40.4"]
    assert changes(bench.detach(EVERYTHING)) == []
    assert bench.entries() == {}


def test_what_comes_beside_an_answer_does_not_replace_publications() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST), record(HOST, "192.0.40.2"))
    (request,) = requests(bench.miss(OTHER))
    bench.reply(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "203.0.113.1"))
    assert bench.entries() == {"40.0.0.0/16": ("forward", ["192.0.40.3"]), "40.0.0.7/32": ("forward", ["192.0.40.2"])}
    assert request.nonce > nonce


def test_settled_nonces_are_forgotten_and_others_kept() -> None:
    ledger = Ledger(NonceKeeper(("su", "so"), MemoryNonceStore(), nonce_source(1), 0.0))
    low = NonceUse.SUBSCRIPTION.lowest
    ledger.see("su", HOST, low + 5)
    ledger.see("su", OTHER, low + 9)
    ledger.see("su", HOST, MEMBER)
    ledger.settle("su", SUBNET, low + 8)
    assert ledger.highest("su", HOST) == -1
    assert ledger.highest("su", SUBNET) == low + 9
    assert ledger.verdict("su", HOST, MEMBER) is Verdict.REPEATED
    assert ledger.verdict("su", HOST, MEMBER - 1) is Verdict.OLD
    assert ledger.verdict("so", HOST, MEMBER - 1) is Verdict.NEW


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


def test_the_mapping_system_responsible_has_the_say_about_an_own_eid() -> None:
    bench = XtrBench("D3")
    bench.attach(SUBNET, links=("scale-out", "scale-up"), deliver=False)
    bench.notify(MEMBER, record(SUBNET, "192.0.40.3", "192.0.40.4"))
    assert names(bench.notify(MEMBER, record(SUBNET, "192.0.40.9"), source=SO))[0] == "publication-ignored"
    assert bench.database()["40.0.0.0/16"][1] == ["192.0.40.3", "192.0.40.4"]


def test_an_acknowledgement_is_newer_than_what_was_heard_before_the_registration() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    bench.now = 5.0
    bench.notify(MEMBER, record(HOST, "192.0.40.1", "192.0.40.2"))
    bench.now = 10.0
    changed = bench.attach(HOST, locators=(replace(record(HOST, "192.0.40.1").locators[0], priority=7),))
    bench.acknowledge(changed, record(HOST, "192.0.40.1", "192.0.40.2", "192.0.40.4"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2", "192.0.40.4"]


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


def test_an_answer_says_nothing_about_own_eids() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    (request,) = requests(bench.miss(OTHER))
    bench.reply(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "203.0.113.1"))
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1"])


def test_a_confirmation_counts_although_the_question_was_answered_otherwise_meanwhile() -> None:
    """The Map-Server has taken the subscription: it follows the prefix, and its nonces are the ones to compare."""
    bench = XtrBench("D3")
    outputs = bench.xtr.start(0.0)
    far, pod = eid("10.0.0.1"), eid("10.0.0.0/16")
    (question,) = requests(bench.miss(far))
    everything = next(request for request in requests(outputs) if request.records[0].key == EVERYTHING)
    table = record(EVERYTHING, ttl=15, action=Action.SEND_MAP_REQUEST)
    bench.notify(everything.nonce, table, record(pod, "192.0.10.3"), source=SO)
    assert [pending.eid for pending in bench.xtr.pending() if pending.eid == far] == []
    assert acks(bench.notify(question.nonce, record(pod, "192.0.10.3", "192.0.10.4"), source=SO)) == [question.nonce]
    assert pod in [found.eid for found in bench.xtr.subscriptions()]
    assert bench.entries()["10.0.0.0/16"] == ("forward", ["192.0.10.3", "192.0.10.4"])
    again = bench.notify(question.nonce, record(pod, "192.0.10.3"), source=SO)
    assert (acks(again), changes(again)) == ([question.nonce], [])


def test_so_it_does_after_a_negative_answer_and_after_the_last_try() -> None:
    bench = XtrBench()
    (question,) = requests(bench.miss(HOST))
    bench.reply(question.nonce, record(HOST, ttl=1, action=Action.DROP))
    bench.notify(question.nonce, record(HOST, "192.0.40.2"))
    (last, *_) = requests(bench.miss(OTHER))
    bench.run(15.0)
    bench.notify(last.nonce, record(OTHER, "192.0.40.2"))
    assert [found.eid for found in bench.xtr.subscriptions()] == [HOST, OTHER]
    (lost, *_) = requests(bench.miss(eid("40.0.0.9")))
    bench.run(100.0)
    bench.notify(lost.nonce, record(eid("40.0.0.9"), "192.0.40.2"))
    assert len(bench.xtr.subscriptions()) == 2, "but not for ever"


def test_a_repeated_farewell_is_acknowledged_and_nothing_more() -> None:
    bench = XtrBench()
    bench.confirm(bench.miss(HOST), record(HOST, "192.0.40.2"))
    bench.now = 5.0
    (request,) = requests(bench.xtr.unsubscribe(HOST, 5.0))
    for _ in range(2):
        heard = bench.notify(request.nonce, record(HOST, "192.0.40.2"))
        assert acks(heard) == [request.nonce]
        assert bench.entries() == {}


def test_a_member_notification_after_a_publication_is_from_before_it() -> None:
    """The publication overtook both it and the confirmation of the subscription."""
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    bench.notify(request.nonce + 1, record(HOST, "192.0.40.2", "192.0.40.3"))
    late = bench.notify(MEMBER, record(HOST, "192.0.40.2"))
    assert (acks(late), changes(late), requests(late)) == ([MEMBER], [], [])
    bench.notify(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.2", "192.0.40.3"])


def test_a_member_notification_after_the_end_of_a_subscription_is_news() -> None:
    bench = XtrBench()
    nonce = bench.subscribed(SUBNET, record(SUBNET, "192.0.40.3"), record(HOST, "192.0.40.2"))
    bench.notify(nonce, record(SUBNET, ttl=15, action=Action.DROP_AUTH))
    assert changes(bench.notify(MEMBER, record(HOST, "192.0.40.4"))) == [("40.0.0.7/32", "forward")]
    assert bench.entries()["40.0.0.7/32"] == ("forward", ["192.0.40.4"])


@pytest.mark.requirement("MH-MRG-9")
def test_a_member_notification_from_before_the_own_registration_does_not_hide_its_acknowledgement() -> None:
    """D2 had registered first; D1 hears of that while its own registration is on its way."""
    bench = XtrBench("D1")
    outputs = bench.attach(HOST)
    bench.notify(NonceUse.MEMBER.lowest + 1, record(HOST, "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.2"]
    bench.acknowledge(outputs, record(HOST, "192.0.40.1", "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2"]


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


def test_unsolicited_notifications_can_be_ignored() -> None:
    bench = XtrBench(accept_unsolicited=False)
    heard = bench.notify(MEMBER, record(HOST, "192.0.40.2"))
    assert acks(heard) == [MEMBER]
    assert [event.fields["reason"] for event in events(heard, "publication-ignored")] == ["unsolicited"]
    assert bench.entries() == {}
    bench.attach(HOST)
    bench.notify(MEMBER + 1, record(HOST, "192.0.40.1", "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2"], "those about own EIDs are none"


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
