"""Map-Registers that give registered EIDs other RLOC-sets are taken without being decoded, with the same effect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Datagram, Eid, EidRecord, MapNotify, Message, RlocRecord, decode
from controller.mapping import MemoryStore, server
from tests.mapping.harness import Bench, Peer, eid, events, ip, sends

HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 6)]
SIZES = (65536, 0)


def register(bench: Bench, peer: Peer, hosts: list[int], **fields: Any) -> Datagram:
    priority = fields.pop("priority")
    where = [RlocRecord(peer.address, priority=priority, local=True)]
    return peer.register(bench.endpoint, *(HOSTS[number] for number in hosts), locators=where, **fields)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The Map-Registers that the server decodes."""
    found: list[object] = []

    def observed(*arguments: Any) -> Message:
        message = decode(*arguments)
        found.append(message)
        return message

    monkeypatch.setattr(server, "decode", observed)
    return found


@pytest.mark.requirement("PR-AUTH-6")
def test_a_change_is_not_decoded_but_acknowledged_stored_and_published(decoded: list[object]) -> None:
    bench = Bench()
    bench.server.receive(register(bench, bench.d1, [0, 1, 2], priority=1), 0.0)
    bench.server.receive(register(bench, bench.d2, [2], priority=1), 0.0)
    assert isinstance(bench.subscribe(bench.d4, HOSTS[0])[0], MapNotify)
    decoded.clear()
    outputs = bench.server.receive(register(bench, bench.d1, [0, 1, 2], priority=9), 100.0)
    assert decoded == []
    told: dict[object, dict[Eid, set[int]]] = {}
    for one in sends(outputs):
        heard = decode(one.payload)
        assert isinstance(heard, MapNotify)
        for record in heard.records:
            where = [locator.priority for locator in record.locators if locator.rloc == bench.d1.address]
            told.setdefault(one.destination.address, {})[record.key] = set(where)
    expected = {
        bench.d1.address: {host: {9} for host in HOSTS[:3]},  # its acknowledgement
        bench.d2.address: {HOSTS[2]: {9}},  # the other one in an RLOC-set
        bench.d3.address: {host: {9} for host in HOSTS[:3]},  # a pxTR of the site
        bench.d4.address: {host: {9} for host in HOSTS[:3]},  # another, which has subscribed to one of them
    }
    assert told == expected
    stored = {
        part.eid: part for part in bench.store.load().contributions if part.xtr.identity == bench.d1.identity.xtr_id
    }
    assert [stored[host].terms.content.locators[0].priority for host in HOSTS[:3]] == [9, 9, 9]
    assert bench.server.next_deadline() is not None
    assert {part.expires for view in bench.server.registrations() for part in view.contributions} == {180.0, 280.0}


def test_a_wrong_mac_an_old_nonce_and_another_sender_change_nothing() -> None:
    bench = Bench()
    bench.server.receive(register(bench, bench.d1, [0, 1], priority=1), 0.0)
    before = bench.state()
    datagram = register(bench, bench.d1, [0, 1], priority=9)
    forged = bytearray(datagram.payload)
    forged[20] ^= 1
    bench.server.receive(datagram._replace(payload=bytes(forged)), 1.0)
    bench.server.receive(datagram._replace(source=bench.d2.register(bench.endpoint, HOSTS[4]).source), 1.0)
    bench.d1.nonce -= 5
    bench.server.receive(register(bench, bench.d1, [0, 1], priority=9), 1.0)
    assert bench.state() == before
    bench.server.receive(datagram, 1.0)
    assert bench.state() != before


def test_somebody_elses_rloc_is_still_refused() -> None:
    bench = Bench()
    bench.server.receive(register(bench, bench.d1, [0], priority=1), 0.0)
    stranger = [RlocRecord(ip("198.51.100.7"), local=True)]
    outputs = bench.server.receive(bench.d1.register(bench.endpoint, HOSTS[0], locators=stranger), 1.0)
    assert [event.name for event in events(outputs)] == ["map-register-record-refused"]


records = st.tuples(
    st.integers(0, 2),  # who
    st.lists(st.integers(0, 4), min_size=1, max_size=5),  # which EIDs, some of them twice
    st.sampled_from([1, 2, 3]),  # priority
    st.sampled_from([1440, 1440, 1440, 2, 0]),  # TTL
    st.sampled_from([True, True, True, False]),  # merge
    st.sampled_from([True, True, False]),  # want_notify
    st.booleans(),  # an RLOC of a neighbour too
    st.sampled_from([0, 0, 1, 2]),  # how much more the priority of the next EID may be
    st.sampled_from([0.0, 1.0, 100.0]),  # seconds after
)


def test_each_record_may_say_something_else(decoded: list[object]) -> None:
    bench = Bench()
    first = [EidRecord.for_eid(host, 1440, [RlocRecord(bench.d1.address, local=True)]) for host in HOSTS]
    bench.server.receive(bench.d1.say(bench.endpoint, first), 0.0)
    decoded.clear()
    levels = [7, 1, 7, 7, 8]
    where = [[RlocRecord(bench.d1.address, priority=level, local=True)] for level in levels]
    second = [EidRecord.for_eid(host, 1440, said) for host, said in zip(HOSTS, where, strict=True)]
    outputs = bench.server.receive(bench.d1.say(bench.endpoint, second), 1.0)
    assert decoded == []
    assert [view.locators[0].priority for view in bench.server.registrations()] == levels
    assert [part.terms.content.locators[0].priority for part in bench.store.load().contributions] == levels
    told = [event.fields["eids"] for event in events(outputs, "mapping-changed")]
    assert told == [" ".join(map(str, alike)) for alike in ([HOSTS[0], *HOSTS[2:4]], HOSTS[4:])]


@given(st.lists(records, min_size=1, max_size=25))
@settings(max_examples=120, deadline=None)
def test_read_or_recognized_the_outcome_is_the_same(history: list[tuple[Any, ...]]) -> None:
    fast, slow = (Bench(MemoryStore(), refresh_table=size) for size in SIZES)
    peers = [fast.d1, fast.d2, fast.d3]
    now, fraction = 0.0, 0.5  # no two leases end together
    for who, hosts, priority, ttl, merge, want_notify, both, more, seconds in history:
        peer = peers[who]
        said: list[EidRecord] = []
        for place, number in enumerate(hosts):
            level = priority + place * more % 3
            where = [RlocRecord(peer.address, priority=level, local=True)]
            if both:
                where.append(RlocRecord(peers[who - 1].address, priority=level))
            said.append(EidRecord.for_eid(HOSTS[number], ttl, where, authoritative=True))
        datagram = peer.say(fast.endpoint, said, merge=merge, want_notify=want_notify)
        one, other = fast.server.receive(datagram, now), slow.server.receive(datagram, now)
        assert [output for output in one if getattr(output, "name", "") != "map-register-accepted"] == [
            output for output in other if getattr(output, "name", "") != "map-register-accepted"
        ]
        now += seconds + fraction
        fraction /= 2
        assert fast.server.next_deadline() == slow.server.next_deadline()
        assert fast.server.tick(now) == slow.server.tick(now)
        assert fast.state() == slow.state()
        assert fast.store.load() == slow.store.load()


def test_a_mapping_that_came_back_is_found() -> None:
    bench = Bench()
    for _ in range(2):
        bench.server.receive(register(bench, bench.d1, [0], priority=1), 0.0)
        bench.server.receive(register(bench, bench.d1, [0], priority=2), 0.0)
        bench.withdraw(bench.d1, HOSTS[0])
        assert not bench.server.registrations()
    bench.server.receive(register(bench, bench.d1, [0], priority=1), 0.0)
    bench.server.receive(register(bench, bench.d1, [0], priority=3), 0.0)
    (view,) = bench.server.registrations()
    assert [locator.priority for locator in view.locators] == [3]


def test_the_merge_bit_decides_about_others(decoded: list[object]) -> None:
    bench = Bench()
    bench.server.receive(register(bench, bench.d1, [0], priority=1), 0.0)
    bench.server.receive(register(bench, bench.d2, [0], priority=1), 0.0)
    bench.server.receive(register(bench, bench.d1, [1], priority=1, merge=False), 0.0)
    decoded.clear()
    bench.server.receive(register(bench, bench.d1, [1], priority=2, merge=False), 0.0)
    assert decoded == []
    bench.server.receive(register(bench, bench.d1, [0], priority=2, merge=False), 0.0)
    assert len(decoded) == 1
    view = bench.server.registrations()[0]
    assert [locator.rloc for locator in view.locators] == [bench.d1.address]
