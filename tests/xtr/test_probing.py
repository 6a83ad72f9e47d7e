"""RLOC-probing by explicit time: who is probed when, what makes an RLOC unreachable, who answers (RFC 9301 §7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Address
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    CONTROL_PORT,
    NO_ADDRESS,
    Action,
    Datagram,
    Eid,
    EidRecord,
    Endpoint,
    InstanceId,
    MapReply,
    MapRequest,
    RequestRecord,
    RlocRecord,
    decode,
    encode,
)
from controller.xtr import ConfigError, MapCacheChange, Probing, RlocReachability
from tests.mapping.harness import IID, drop_reason, ip, sends
from tests.xtr.support import EVERYTHING, HOST, OTHER, SU, SUBNET, XtrBench, record, registers

D2, D4 = "192.0.40.2", "192.0.40.4"
EVERY_MINUTE = Probing(interval=60, jitter=0.25, timeout=1, tries=3, down_interval=10)
PLACEHOLDER = record(SUBNET, action=Action.SEND_MAP_REQUEST)
HOSTS = [Eid.of(IID, f"40.0.1.{number}") for number in range(200)]


def bench_with(*records: EidRecord, probing: Probing | None = EVERY_MINUTE, **options: Any) -> XtrBench:
    """D1, subscribed to its PoD's subnet, with these hosts in it."""
    bench = XtrBench(probing=probing, **options)
    bench.subscribed(SUBNET, PLACEHOLDER, *records)
    return bench


def probes(outputs: Sequence[object]) -> list[tuple[Datagram, MapRequest]]:
    """The probes among outputs: Map-Requests without envelope."""
    found = [(datagram, decode(datagram.payload)) for datagram in sends(outputs)]
    return [(datagram, message) for datagram, message in found if isinstance(message, MapRequest)]


def probe_times(bench: XtrBench, until: float) -> list[tuple[float, str]]:
    """When which RLOC is probed, up to a moment."""
    found = []
    for at, output in bench.run(until):
        found += [(at, str(datagram.destination.address)) for datagram, _ in probes([output])]
    return found


def reachability(outputs: Sequence[object]) -> list[tuple[str, bool]]:
    return [(str(output.rloc), output.reachable) for output in outputs if isinstance(output, RlocReachability)]


def locators(bench: XtrBench, eid: Eid = HOST) -> list[tuple[str, bool]]:
    """The locators of a map-cache entry, and whether they are thought to be reachable."""
    (entry,) = [entry for entry in bench.xtr.map_cache() if entry.eid == eid]
    return [(str(locator.rloc), locator.reachable) for locator in entry.locators]


def answer(bench: XtrBench, to: tuple[Datagram, MapRequest], **fields: Any) -> list[Any]:
    """What the ETR answers; `fields` of the EID-record and of the message."""
    datagram, request = to
    about = {"authoritative": True} | {name: fields.pop(name) for name in ("authoritative",) if name in fields}
    told = record(request.records[0].key, str(datagram.destination.address), **about)
    reply = MapReply(**{"nonce": request.nonce, "records": (told,), "probe": True, **fields})
    return bench.hear(encode(reply), datagram.destination.address)


def first_probe(bench: XtrBench) -> tuple[Datagram, MapRequest]:
    for _ in range(100):
        due = bench.xtr.next_deadline()
        assert due is not None
        if found := probes([output for _, output in bench.run(due)]):
            return found[0]
    raise AssertionError("no probe")


def fail(bench: XtrBench, rloc: str) -> list[Any]:
    """Let time pass without answers from one RLOC, all others answering, until it is given up."""
    for _ in range(10_000):
        due = bench.xtr.next_deadline()
        assert due is not None
        outputs = [output for _, output in bench.run(due)]
        if any(address == rloc for address, _ in reachability(outputs)):
            return outputs
        for probe in probes(outputs):
            if str(probe[0].destination.address) != rloc:
                answer(bench, probe)
    raise AssertionError(f"{rloc} is never given up")


def test_nobody_is_probed_unless_configured() -> None:
    bench = bench_with(record(HOST, D2), probing=None)
    assert probe_times(bench, 600) == []


def test_a_probe_is_a_bare_request_to_the_rloc_itself() -> None:
    bench = bench_with(record(HOST, D2))
    datagram, request = first_probe(bench)
    assert datagram.source == Endpoint(bench.rloc, CONTROL_PORT)
    assert datagram.destination == Endpoint(ip(D2), CONTROL_PORT)
    assert request.probe
    assert request.source_eid == NO_ADDRESS
    assert request.itr_rlocs == (bench.rloc,)
    assert request.records == (RequestRecord.for_eid(HOST),)
    assert not request.smr
    assert request.xtr is None


def test_one_probe_speaks_for_all_eids_behind_an_rloc() -> None:
    bench = bench_with(*(record(host, D2, D4) for host in HOSTS))
    seen = []
    while (due := bench.xtr.next_deadline()) is not None and due <= 60:
        for probe in probes([output for _, output in bench.run(due)]):
            seen.append(str(probe[0].destination.address))
            answer(bench, probe)
    assert sorted(set(seen)) == [D2, D4]
    assert len(seen) <= 4  # each in its first interval, and early in the next one


def test_mapping_systems_and_own_rlocs_are_not_probed() -> None:
    bench = bench_with(record(HOST, str(SU), "192.0.40.1", D2))
    assert {rloc for _, rloc in probe_times(bench, 300)} == {D2}


def test_answered_probes_come_again_after_the_jittered_interval() -> None:
    bench = bench_with(record(HOST, D2))
    gaps: list[float] = []
    answered_at = None
    for _ in range(40):
        probe = first_probe(bench)
        if answered_at is not None:
            gaps.append(bench.now - answered_at)
        bench.run(bench.now + 0.25)
        assert reachability(answer(bench, probe)) == []
        answered_at = bench.now
        (health,) = bench.xtr.rloc_health()
        assert (str(health.rloc), health.answers) == (D2, True)
        assert health.round_trip == pytest.approx(0.25)
    assert all(45 <= gap <= 75 for gap in gaps)
    assert max(gaps) - min(gaps) > 5  # jittered, not in step


def test_an_rloc_that_answers_no_probe_is_unreachable_and_comes_back() -> None:
    bench = bench_with(record(HOST, D2, D4))
    assert reachability(fail(bench, D2)) == [(D2, False)]
    assert locators(bench) == [(D2, False), (D4, True)]
    probe = first_probe(bench)
    while str(probe[0].destination.address) != D2:
        answer(bench, probe)
        probe = first_probe(bench)
    assert reachability(answer(bench, probe)) == [(D2, True)]
    assert locators(bench) == [(D2, True), (D4, True)]


def test_giving_up_takes_all_tries_a_timeout_apart_and_the_mapping_stays() -> None:
    bench = bench_with(record(HOST, D2))
    times = [at for at, _ in probe_times(bench, 80)]
    first = times[0]
    assert times[:3] == [first, first + 1, first + 2]
    gaps = [b - a for a, b in pairwise(times[2:])]
    assert 1 + 7.5 <= gaps[0] <= 1 + 12.5  # the last timeout, then the interval for those that are down
    assert all(7.5 <= gap <= 12.5 for gap in gaps[1:])
    assert bench.entries()["40.0.0.7/32"] == ("forward", [D2])


def test_what_is_reported_is_one_rloc_and_no_mapping() -> None:
    bench = bench_with(*(record(host, D2, D4) for host in HOSTS))
    outputs = fail(bench, D2)
    assert reachability(outputs) == [(D2, False)]
    assert not any(isinstance(output, MapCacheChange) for output in outputs)


def test_a_late_answer_to_an_earlier_try_counts() -> None:
    bench = bench_with(record(HOST, D2))
    probe = first_probe(bench)
    bench.run(bench.now + 1.5)
    assert answer(bench, probe) == []
    assert bench.xtr.rloc_health()[0].round_trip == pytest.approx(1.5)
    assert drop_reason(answer(bench, probe)) == "unknown-nonce"  # once


def test_an_answer_without_authority_or_with_a_wrong_nonce_counts_for_nothing() -> None:
    bench = bench_with(record(HOST, D2))
    probe = first_probe(bench)
    assert drop_reason(answer(bench, probe, authoritative=False)) == "not-authoritative"
    assert drop_reason(answer(bench, probe, records=())) == "not-authoritative"
    assert drop_reason(answer(bench, probe, nonce=probe[1].nonce + 1)) == "unknown-nonce"
    assert drop_reason(answer(bench, probe, probe=False)) == "unknown-nonce"  # that is no answer to a probe
    assert bench.xtr.rloc_health()[0].round_trip is None


def test_the_mapping_in_an_answer_is_not_believed() -> None:
    bench = bench_with(record(HOST, D2))
    probe = first_probe(bench)
    before = bench.entries()
    answer(bench, probe, records=(record(HOST, "203.0.113.9", authoritative=True),))
    assert bench.entries() == before


def test_an_rloc_that_nothing_uses_is_forgotten() -> None:
    bench = XtrBench(probing=EVERY_MINUTE)
    nonce = bench.subscribed(SUBNET, PLACEHOLDER, record(HOST, D2, D4))
    fail(bench, D2)
    outputs = bench.notify(nonce + 1, record(HOST, D4))
    assert reachability(outputs) == [(D2, True)]  # the data plane need not remember it
    assert [str(health.rloc) for health in bench.xtr.rloc_health()] == [D4]
    bench.notify(nonce + 2, record(HOST, ttl=0))
    assert bench.xtr.rloc_health() == []
    assert probe_times(bench, bench.now + 100) == []


def test_an_eid_learned_while_its_rloc_is_down_does_not_bring_it_back() -> None:
    bench = XtrBench(probing=EVERY_MINUTE)
    nonce = bench.subscribed(SUBNET, PLACEHOLDER, record(HOST, D2))
    fail(bench, D2)
    assert reachability(bench.notify(nonce + 1, record(OTHER, D2))) == []
    assert locators(bench, OTHER) == [(D2, False)]


def test_a_route_that_is_lost_counts_at_once_and_probes_do_not_bring_it_back() -> None:
    bench = bench_with(record(HOST, D2, D4))
    assert reachability(bench.xtr.rlocs_routed([ip(D2)], False)) == [(D2, False)]
    assert bench.xtr.rlocs_routed([ip(D2)], False) == []
    probe = first_probe(bench)
    while str(probe[0].destination.address) != D2:
        answer(bench, probe)
        probe = first_probe(bench)
    assert reachability(answer(bench, probe)) == []
    assert reachability(bench.xtr.rlocs_routed([ip(D2)], True)) == [(D2, True)]


def test_routes_count_without_probing() -> None:
    bench = bench_with(record(HOST, D2), probing=None)
    assert reachability(bench.xtr.rlocs_routed([ip(D2)], False)) == [(D2, False)]
    assert locators(bench) == [(D2, False)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([D2, D4]), st.booleans()), max_size=30))
def test_reports_alternate(steps: list[tuple[str, bool]]) -> None:
    """Whatever is answered and whatever is lost: each RLOC is reported down and up in turns, as it is seen."""
    bench = bench_with(record(HOST, D2, D4))
    last = {D2: True, D4: True}
    answering = dict(last)
    for rloc, answers in steps:
        answering[rloc] = answers
        until = bench.now + 90  # more than the longest interval and all tries
        while (due := bench.xtr.next_deadline()) is not None and due <= until:
            heard: list[Any] = [output for _, output in bench.run(due)]
            for probe in probes(heard):
                if answering[str(probe[0].destination.address)]:
                    heard += answer(bench, probe)
            for address, reachable in reachability(heard):
                assert last[address] != reachable
                last[address] = reachable
        assert last == answering


# The other side: an ETR that is probed.

PROBER = Endpoint(ip("192.0.10.1"), 61000)


def probed(bench: XtrBench, eid: Eid, rlocs: tuple[Any, ...] = (PROBER.address,), **fields: Any) -> list[Any]:
    request = MapRequest(77, rlocs, (RequestRecord.for_eid(eid),), probe=True, **fields)
    return bench.xtr.receive(Datagram(PROBER, Endpoint(bench.rloc, CONTROL_PORT), encode(request)), bench.now)


def the_answer(outputs: Sequence[object]) -> tuple[Datagram, MapReply]:
    (datagram,) = sends(outputs)
    message = decode(datagram.payload)
    assert isinstance(message, MapReply)
    return datagram, message


def attached(**options: Any) -> XtrBench:
    bench = XtrBench(**options)
    outputs = bench.attach(HOST)
    own, peer = record(HOST, "192.0.40.1").locators[0], record(HOST, D2).locators[0]
    bench.notify(registers(outputs)[0].nonce, EidRecord.for_eid(HOST, 1440, (own, peer)))
    return bench


def test_a_probe_is_answered_with_the_whole_rloc_set() -> None:
    bench = attached()
    datagram, reply = the_answer(probed(bench, HOST))
    assert datagram.source == Endpoint(bench.rloc, CONTROL_PORT)
    assert datagram.destination == PROBER
    assert (reply.nonce, reply.probe) == (77, True)
    (told,) = reply.records
    assert (told.key, told.authoritative, told.ttl) == (HOST, True, 1440)
    assert [(str(loc.rloc), loc.local, loc.probed, loc.reachable) for loc in told.locators] == [
        ("192.0.40.1", True, True, True),
        (D2, False, False, True),
    ]


def test_an_answer_repeats_the_eid_as_it_was_asked_for() -> None:
    """OpenOverlayRouter writes 32 into the IID mask-len, and compares."""
    bench = attached()
    for eid in (HOST, OTHER):
        asked = RequestRecord.for_eid(eid)
        assert isinstance(asked.eid, InstanceId)
        asked = replace(asked, eid=replace(asked.eid, mask_len=32))
        request = MapRequest(77, (PROBER.address,), (asked,), probe=True)
        outputs = bench.xtr.receive(Datagram(PROBER, Endpoint(bench.rloc, CONTROL_PORT), encode(request)), bench.now)
        (told,) = the_answer(outputs)[1].records
        assert (told.eid, told.mask_len) == (asked.eid, asked.mask_len)


def test_a_probe_for_what_is_not_here_is_answered_too() -> None:
    bench = attached()
    (told,) = the_answer(probed(bench, OTHER))[1].records
    assert (told.key, told.locators, told.authoritative, told.ttl) == (OTHER, (), True, 1)
    bench.detach(HOST)
    assert the_answer(probed(bench, HOST))[1].records[0].locators == ()


def test_a_border_answers_for_the_prefix_that_covers_the_question() -> None:
    bench = XtrBench("D3")
    bench.xtr.start(0.0)
    assert the_answer(probed(bench, HOST))[1].records[0].key == SUBNET
    hole = Eid.of(IID, "10.0.0.0/8")
    assert the_answer(probed(bench, hole))[1].records[0].key == EVERYTHING


def test_an_answer_goes_only_to_where_the_probe_came_from() -> None:
    bench = attached()
    assert drop_reason(probed(bench, HOST, (ip("203.0.113.1"),))) == "source-is-no-itr-rloc"
    both = (ip("203.0.113.1"), PROBER.address)
    assert the_answer(probed(bench, HOST, both))[0].destination == PROBER


def test_the_answers_of_a_second_are_bounded() -> None:
    bench = attached(probe_answers=10)
    assert sum(bool(sends(probed(bench, HOST))) for _ in range(100)) == 10
    bench.run(bench.now + 0.5)
    assert sum(bool(sends(probed(bench, HOST))) for _ in range(100)) == 5


def test_two_xtrs_probe_each_other() -> None:
    here, there = bench_with(record(OTHER, D2)), XtrBench("D2")
    there.attach(OTHER)
    probe = first_probe(here)
    (reply,) = sends(there.xtr.receive(probe[0], 0.0))
    assert here.xtr.receive(reply, here.now) == []
    assert here.xtr.rloc_health()[0].round_trip == 0


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"interval": 0}, "probing.interval"),
        ({"jitter": 1}, "probing.jitter"),
        ({"jitter": -0.1}, "probing.jitter"),
        ({"timeout": 0}, "probing.timeout"),
        ({"tries": 0}, "probing.tries"),
        ({"down_interval": -1}, "probing.down_interval"),
        ({"interval": 3, "timeout": 1, "tries": 3}, "probing.interval"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        Probing(**fields)


def test_locators_that_are_not_of_our_ip_version_are_not_probed() -> None:
    told = (RlocRecord(ip(D2)), RlocRecord(IPv6Address("2001:db8::2")))
    bench = bench_with(EidRecord.for_eid(HOST, 1440, told))
    assert {rloc for _, rloc in probe_times(bench, 100)} == {D2}
