"""Map-Notifies at an xTR: confirmations, publications and member notifications, and what they do to its tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import Action, Algorithm, Key, MapNotify, sign, verify
from controller.xtr import DatabaseChange, Source
from tests.mapping.harness import drop_reason, eid, events, ip, sends, unwrap
from tests.xtr.support import (
    EVERYTHING,
    GATEWAY,
    HOST,
    KEY,
    MEMBER,
    OTHER,
    SO,
    SU,
    SUBNET,
    XtrBench,
    acks,
    changes,
    names,
    record,
    requests,
)


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


def test_a_gateway_that_retires_does_not_use_the_others_by_itself() -> None:
    """The gateway EID came from the PoD's mapping system; what is outside is the business of the fabric's."""
    bench = XtrBench("D3")
    bench.acknowledge(bench.xtr.start(0.0))
    bench.notify(MEMBER, record(EVERYTHING, "192.0.40.3", "192.0.40.4"))
    assert bench.database()["0.0.0.0/0"][1] == ["192.0.40.3", "192.0.40.4"]
    assert changes(bench.detach(EVERYTHING)) == []
    assert bench.entries() == {}


def test_the_mapping_system_responsible_has_the_say_about_an_own_eid() -> None:
    bench = XtrBench("D3")
    bench.attach(SUBNET, links=("scale-out", "scale-up"), deliver=False)
    bench.notify(MEMBER, record(SUBNET, "192.0.40.3", "192.0.40.4"))
    assert names(bench.notify(MEMBER, record(SUBNET, "192.0.40.9"), source=SO))[0] == "publication-ignored"
    assert bench.database()["40.0.0.0/16"][1] == ["192.0.40.3", "192.0.40.4"]


def test_an_answer_says_nothing_about_own_eids() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    (request,) = requests(bench.miss(OTHER))
    bench.reply(request.nonce, record(SUBNET, "192.0.40.3"), record(HOST, "203.0.113.1"))
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1"])


def test_unsolicited_notifications_can_be_ignored() -> None:
    bench = XtrBench(accept_unsolicited=False)
    heard = bench.notify(MEMBER, record(HOST, "192.0.40.2"))
    assert acks(heard) == [MEMBER]
    assert [event.fields["reason"] for event in events(heard, "publication-ignored")] == ["unsolicited"]
    assert bench.entries() == {}
    bench.attach(HOST)
    bench.notify(MEMBER + 1, record(HOST, "192.0.40.1", "192.0.40.2"))
    assert bench.database()["40.0.0.7/32"][1] == ["192.0.40.1", "192.0.40.2"], "those about own EIDs are none"
