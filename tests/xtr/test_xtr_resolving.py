"""The ITR: Map-Requests for missed packets, their pace, and what answers do to the map-cache."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import Action, DistinguishedName, Ecm, Eid, InstanceId, NoAddress, decode, encode
from controller.xtr import Kind, MapCacheChange, Send, Source
from tests.mapping.harness import drop_reason, eid, events, ip, sends, unwrap
from tests.xtr.support import (
    EVERYTHING,
    HOST,
    OTHER,
    SO,
    SU,
    SUBNET,
    FixedNonces,
    XtrBench,
    acks,
    changes,
    names,
    record,
    replayed,
    requests,
)
from tests.xtr.test_xtr_registering import VECTOR_CONFIG

FAR = eid("10.0.0.1")
HOLE = eid("0.0.0.0/3")


@pytest.mark.requirement("SO-SUB-1", "SO-SUB-2", "SO-SUB-3", "SO-PATH-4", "SU-SUB-1", "SU-SUB-2", "PR-DN-2")
def test_a_request_is_that_of_the_wire_reference() -> None:
    bench = XtrBench(config=VECTOR_CONFIG, nonces=FixedNonces(0x1111))
    (datagram,) = sends(bench.miss(Eid(0x2001, DistinguishedName("POD-D-AccID-8"))))
    ecm = decode(datagram.payload)
    assert isinstance(ecm, Ecm)
    assert ecm.payload.hex() == (
        "10100001000000000000111100000001c0000201807040030000020000140000"
        "20010011504f442d442d41636349442d3800101112131415161718191a1b1c1d"
        "1e1f000000000000000d"
    )
    assert (ecm.source, ecm.destination) == (ip("192.0.2.1"), ip("192.0.2.100"))
    assert (ecm.source_port, ecm.destination_port) == (4342, 4342)


@pytest.mark.requirement("SO-SUB-1", "PR-REQ-2")
def test_a_missed_packet_makes_one_request_in_an_envelope() -> None:
    bench = XtrBench()
    (datagram,) = sends(bench.miss(FAR))
    assert (str(datagram.source), str(datagram.destination)) == ("192.0.40.1:4342", f"{SU}:4342")
    ecm = decode(datagram.payload)
    assert isinstance(ecm, Ecm)
    assert (str(ecm.source), str(ecm.destination)) == ("192.0.40.1", "10.0.0.1")
    (request,) = requests([Send(datagram)])
    (asked,) = request.records
    assert (asked.key, asked.mask_len, asked.subscribe) == (FAR, 32, True)
    assert isinstance(asked.eid, InstanceId)
    assert request.itr_rlocs == (ip("192.0.40.1"),)
    assert isinstance(request.source_eid, NoAddress)
    assert request.xtr is not None
    assert (request.xtr.xtr_id, request.xtr.site_id) == (bench.config.xtr_id, 40)
    assert requests(bench.miss(FAR)) == [], "one is under way"


def test_without_subscription_the_request_is_an_ordinary_one() -> None:
    bench = XtrBench(subscribe_on_miss=False)
    (request,) = requests(bench.miss(FAR))
    assert request.xtr is None
    assert not request.records[0].subscribe
    bench.reply(request.nonce, record(HOLE, "192.0.40.3"))
    assert bench.entries() == {"0.0.0.0/3": ("forward", ["192.0.40.3"])}
    assert bench.xtr.subscriptions() == []


@pytest.mark.requirement("PR-REQ-1")
def test_requests_go_out_once_a_second_ten_times_and_then_there_is_a_pause() -> None:
    bench = XtrBench()
    bench.miss(FAR, b"packet")
    found = bench.run(39.0)
    at = [when for when, output in found if isinstance(output, Send)]
    assert at == [float(second) for second in range(1, 10)]
    assert [event.fields["packets"] for event in events([output for _, output in found])] == [1]
    for _ in range(5):
        assert requests(bench.miss(FAR)) == []
    resumed = [when for when, output in bench.run(45.0) if isinstance(output, Send)]
    assert resumed == [40.0, 41.0, 42.0, 43.0, 44.0, 45.0], "30 s after the last wait, since packets still came"


def test_nobody_asks_again_after_the_pause_if_no_packet_does() -> None:
    bench = XtrBench()
    bench.miss(FAR)
    bench.run(39.9)
    assert [output for _, output in bench.run(200.0)] == []
    assert bench.xtr.pending() == []
    assert len(requests(bench.miss(FAR))) == 1


@pytest.mark.requirement("PR-REQ-1")
def test_an_answer_does_not_free_from_the_rate() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    bench.reply(request.nonce, record(HOLE, ttl=0))
    bench.now = 0.5
    assert requests(bench.miss(FAR)) == []
    assert [when for when, output in bench.run(2.5) if isinstance(output, Send)] == [1.0, 2.0]
    assert len(requests(bench.miss(OTHER))) == 1, "each EID has a rate of its own"


def test_every_repetition_has_a_greater_nonce_and_any_may_be_answered() -> None:
    bench = XtrBench()
    (first,) = requests(bench.miss(FAR))
    later = requests([output for _, output in bench.run(3.0)])
    nonces = [first.nonce, *(request.nonce for request in later)]
    assert nonces == sorted(set(nonces))
    assert acks(bench.notify(nonces[1], record(HOLE, "192.0.40.3"))) == [nonces[1]]
    assert bench.entries() == {"0.0.0.0/3": ("forward", ["192.0.40.3"])}
    assert bench.run(5.0) == []


def test_packets_wait_for_the_answer_in_a_bounded_queue() -> None:
    bench = XtrBench(queue_per_eid=2, queue_total=3)
    (request,) = requests(bench.miss(FAR, b"1"))
    assert names(bench.miss(FAR, b"2")) == []
    assert names(bench.miss(FAR, b"3")) == ["packet-dropped"]
    bench.miss(OTHER, b"4")
    assert names(bench.miss(OTHER, b"5")) == ["packet-dropped"]
    outputs = bench.notify(request.nonce, record(HOLE, "192.0.40.3"))
    assert replayed(outputs) == [b"2", b"3"]
    change = next(output for output in outputs if isinstance(output, MapCacheChange))
    assert outputs.index(change) < len(outputs) - 1, "the entry comes before the packets"
    assert replayed(bench.miss(FAR, b"6")) == [b"6"], "there is an entry by now"


def test_one_answer_releases_all_who_wait_inside_it() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR, b"1"))
    bench.miss(eid("10.0.0.2"), b"2")
    assert sorted(replayed(bench.notify(request.nonce, record(HOLE, "192.0.40.3")))) == [b"1", b"2"]
    assert bench.xtr.pending() == []


@pytest.mark.requirement("SO-SUB-12", "SO-UNK-1", "SU-SUB-7")
def test_a_negative_answer_drops_for_its_lifetime() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(OTHER, b"lost"))
    outputs = bench.reply(request.nonce, record(OTHER, ttl=1, action=Action.DROP))
    assert replayed(outputs) == []
    (entry,) = bench.xtr.map_cache()
    assert (entry.kind, entry.action, entry.expires, entry.source) == (Kind.NEGATIVE, Action.DROP, 60.0, Source.REPLY)
    bench.now = 59.0
    assert bench.miss(OTHER, b"lost") == []
    assert changes([output for _, output in bench.run(60.0)]) == [("40.0.0.8/32", None)]
    assert len(requests(bench.miss(OTHER))) == 1, "the next packet asks again (choice C8b)"
    assert bench.xtr.subscriptions() == []


def test_send_map_request_makes_every_match_ask() -> None:
    bench = XtrBench()
    bench.subscribed(SUBNET, record(SUBNET, ttl=15, action=Action.SEND_MAP_REQUEST))
    assert bench.entries() == {"40.0.0.0/16": ("negative", [])}
    assert len(requests(bench.miss(HOST))) == 1


@pytest.mark.requirement("PR-REP-5")
def test_an_answer_with_an_unknown_nonce_is_ignored() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    before = bench.state()
    assert drop_reason(bench.reply(request.nonce ^ 1, record(HOLE, "203.0.113.1"))) == "unknown-nonce"
    assert bench.state() == before
    bench.reply(request.nonce, record(HOLE, "192.0.40.3"))
    assert drop_reason(bench.reply(request.nonce, record(HOLE, "203.0.113.1"))) == "unknown-nonce"
    assert bench.entries() == {"0.0.0.0/3": ("forward", ["192.0.40.3"])}


@pytest.mark.requirement("PR-REP-4")
def test_an_answer_with_ttl_0_removes_the_entry() -> None:
    bench = XtrBench(subscribe_on_miss=False)
    (request,) = requests(bench.miss(FAR))
    bench.reply(request.nonce, record(FAR, "192.0.40.3", ttl=1), record(eid("10.0.0.2"), "192.0.40.4"))
    assert bench.entries() == {"10.0.0.1/32": ("forward", ["192.0.40.3"])}, "what was not asked for is left aside"
    bench.run(60.0)
    (request,) = requests(bench.miss(FAR))
    bench.reply(request.nonce, record(FAR, "192.0.40.3"))
    (again,) = requests(bench.miss(eid("10.0.0.9")))
    outputs = bench.reply(again.nonce, record(eid("10.0.0.0/8"), "192.0.40.3"), record(FAR, ttl=0))
    assert ("10.0.0.1/32", None) in changes(outputs)


def test_more_specifics_come_with_the_best_match() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    bench.reply(
        request.nonce,
        record(eid("10.0.0.0/8"), "192.0.40.3"),
        record(eid("10.1.0.0/16"), "192.0.40.4"),
        record(eid("11.0.0.0/8"), "203.0.113.1"),
    )
    assert bench.entries() == {
        "10.0.0.0/8": ("forward", ["192.0.40.3"]),
        "10.1.0.0/16": ("forward", ["192.0.40.4"]),
    }


def test_an_answer_that_does_not_cover_the_question_is_refused() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    assert drop_reason(bench.reply(request.nonce, record(OTHER, "203.0.113.1"))) == "reply-mismatch"
    assert drop_reason(bench.reply(request.nonce, record(replace(FAR, iid=7), "203.0.113.1"))) == "reply-mismatch"
    assert drop_reason(bench.reply(request.nonce)) == "reply-mismatch"
    assert bench.entries() == {}
    assert len(bench.xtr.pending()) == 1


def test_probe_replies_and_other_messages_are_not_for_us() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    whole = record(FAR, "203.0.113.1", authoritative=True)
    assert drop_reason(bench.reply(request.nonce, whole, probe=True)) == "unknown-nonce"
    assert drop_reason(bench.hear(encode(request))) == "unexpected-message"


def test_locators_out_of_use_are_not_used() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    usable, unused = record(FAR, "192.0.40.2").locators[0], record(FAR, "192.0.40.4").locators[0]
    own = record(FAR, "192.0.40.1").locators[0]
    kept = replace(usable, priority=3, weight=7)
    lost = (replace(unused, priority=255), replace(unused, address=ip("192.0.40.5"), reachable=False), own)
    bench.reply(request.nonce, replace(record(FAR), locators=(*lost, kept)))
    (entry,) = bench.xtr.map_cache()
    assert [(str(locator.rloc), locator.priority, locator.weight) for locator in entry.locators] == [
        ("192.0.40.2", 3, 7)
    ]


def test_a_mapping_with_no_usable_locator_drops() -> None:
    bench = XtrBench()
    (request,) = requests(bench.miss(FAR))
    bench.reply(request.nonce, record(FAR, "192.0.40.1"))
    (entry,) = bench.xtr.map_cache()
    assert (entry.kind, entry.action, entry.locators) == (Kind.NEGATIVE, Action.DROP, ())


def test_a_ttl_that_is_left_to_the_receiver() -> None:
    bench = XtrBench(default_ttl=7, subscribe_on_miss=False)
    (request,) = requests(bench.miss(FAR))
    bench.reply(request.nonce, record(FAR, "192.0.40.3", ttl=0xFFFFFFFF))
    assert [entry.expires for entry in bench.xtr.map_cache()] == [420.0]


@pytest.mark.requirement("SO-MS-1")
def test_a_border_asks_the_mapping_system_that_is_responsible() -> None:
    bench = XtrBench("D3")
    for asked, server in ((HOST, SU), (FAR, SO)):
        (datagram,) = sends(bench.miss(asked))
        assert datagram.destination.address == server
    (event,) = events(bench.miss(eid("40.0.0.7", iid=7), b"packet"))
    assert (event.name, event.fields["reason"]) == ("packet-dropped", "no mapping system for it")


def test_a_local_eid_is_not_asked_for() -> None:
    bench = XtrBench()
    bench.attach(HOST)
    assert replayed(bench.miss(HOST, b"packet")) == [b"packet"]
    assert bench.xtr.pending()[0].what == "registration"


def test_at_the_start_the_configured_prefixes_are_subscribed_to() -> None:
    access = requests(XtrBench("D1").xtr.start(0.0))
    assert [(request.records[0].key, request.records[0].subscribe) for request in access] == [(SUBNET, True)]
    outputs = XtrBench("D3").xtr.start(0.0)
    asked = {
        (message.records[0].key, datagram.destination.address)
        for datagram in sends(outputs)
        if (message := unwrap(datagram.payload)) in requests(outputs)
    }
    assert asked == {(SUBNET, SU), (EVERYTHING, SO)}


def test_a_lasting_subscription_is_never_given_up() -> None:
    bench = XtrBench()
    bench.xtr.start(0.0)
    sent = [when for when, output in bench.run(125.0) if isinstance(output, Send)]
    assert sent == [
        float(start + second) for start in (0, 40, 80, 120) for second in range(10) if 0 < start + second <= 125
    ]


def test_a_refused_subscription_is_asked_for_again_when_the_refusal_has_run_out() -> None:
    bench = XtrBench()
    (request,) = requests(bench.xtr.start(0.0))
    bench.reply(request.nonce, record(SUBNET, ttl=2, action=Action.DROP_POLICY))
    sent = [when for when, output in bench.run(121.5) if isinstance(output, Send)]
    assert sent == [120.0, 121.0]


def test_room_in_the_queue_comes_back() -> None:
    bench = XtrBench(queue_total=2)
    for number in range(10, 16):
        host = eid(f"{number}.0.0.1")
        outputs = bench.miss(host, b"packet")
        (request,) = requests(outputs)
        assert names(outputs) == []
        assert replayed(bench.notify(request.nonce, record(host, "192.0.40.3"))) == [b"packet"]
