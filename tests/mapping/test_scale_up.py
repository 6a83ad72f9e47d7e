"""Scale-Up accelerators by name (draft section 5): followed as a whole, described, moved, and kept apart by segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from controller.lisp import (
    Action,
    Algorithm,
    DistinguishedName,
    Eid,
    IPAddress,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Metadata,
    RlocRecord,
    decode,
    verify,
    with_metadata,
)
from controller.lisp.lcaf import find_ip
from controller.mapping import MapServer, MemoryStore, NameScope, SubscriptionKind
from controller.xtr import Cause, Kind, LocalEid, MapCacheEntry, Xtr
from tests.mapping.harness import (
    IID,
    SCALE_UP_IID,
    Bench,
    Fabric,
    assert_synchronised,
    events,
    messages,
    nonce_source,
    rlocs,
    secret_key,
    sends,
    unwrap,
)

EVERYTHING = Eid.whole(SCALE_UP_IID)
D1, D2 = "192.0.40.1", "192.0.40.2"


def acc(number: int, iid: int = SCALE_UP_IID) -> Eid:
    return Eid(iid, DistinguishedName(f"POD-D-AccID-{number}"))


def started(*, follow: bool = True) -> Fabric:
    fabric = Fabric("AD", follow_names=follow)
    fabric.start()
    fabric.net.run(5)
    return fabric


def attach(fabric: Fabric, name: str, *numbers: int) -> None:
    known = [LocalEid(acc(number), metadata=Metadata(model="GPU0", acc_id=number)) for number in numbers]
    fabric.net.do(fabric.node(name), lambda now: fabric.xtr(name).attach_all(known, now))


def withdraw(fabric: Fabric, name: str, numbers: Iterable[int], cause: Cause = Cause.FAILED) -> None:
    gone = [acc(number) for number in numbers]
    fabric.net.do(fabric.node(name), lambda now: fabric.xtr(name).withdraw(gone, now, cause))


def entry(fabric: Fabric, name: str, number: int) -> MapCacheEntry | None:
    return next((found for found in fabric.xtr(name).map_cache() if found.eid == acc(number)), None)


@pytest.mark.requirement("SU-REG-6", "SU-FLOW-4", "SU-FLOW-5", "SU-REG-8", "SU-MS-2")
@pytest.mark.requirement("SU-REG-10", partial=True)  # the map-cache, no frame
def test_all_accelerators_are_published_to_every_xtr_of_the_pod() -> None:
    fabric = started()
    at = fabric.net.now
    attach(fabric, "D1", 7, 8)
    attach(fabric, "D2", 8)
    fabric.net.run(1)
    for name in ("D2", "D3", "D4"):
        known = entry(fabric, name, 7)
        assert known is not None
        assert (known.kind, rlocs(known)) == (Kind.FORWARD, [D1])
    assert fabric.net.seen(MapRequest, at) == [], "nobody had to ask"
    told = {seen.destination for seen, message in fabric.net.seen(MapNotify, at) if message.records[0].key == acc(7)}
    assert told == {str(fabric.rloc(f"D{number}")) for number in (1, 2, 3, 4)}
    registered = {view.eid for view in fabric.server("SU-D").registrations() if view.eid.iid == SCALE_UP_IID}
    assert registered == {acc(7), acc(8)}
    assert_synchronised(fabric)


@pytest.mark.requirement("SU-FLOW-4")
def test_a_late_subscriber_gets_the_whole_table() -> None:
    bench = Bench()
    numbers = range(1, 101)
    bench.register(bench.d1, *(acc(number) for number in numbers[:50]))
    bench.register(bench.d1, *(acc(number) for number in numbers[50:]))
    received = bench.subscribe(bench.d2, EVERYTHING, nonce=900)
    first, *_ = received
    assert (first.nonce, first.records[0].key, first.records[0].action) == (900, EVERYTHING, Action.SEND_MAP_REQUEST)
    brought = {record.key for message in received for record in message.records}
    assert brought == {EVERYTHING, *(acc(number) for number in numbers)}
    (subscription,) = bench.server.subscriptions()
    assert (subscription.eid, subscription.kind) == (EVERYTHING, SubscriptionKind.TABLE)


@pytest.mark.requirement("SU-REG-7")
def test_a_stranger_cannot_follow_a_pod() -> None:
    bench = Bench()
    bench.register(bench.d1, acc(7))
    stranger = bench.peer("A", 1)
    (reply,) = messages(bench.request(stranger, EVERYTHING, subscribe=True, nonce=5), MapReply)
    assert (reply.records[0].key, reply.records[0].action) == (EVERYTHING, Action.DROP_POLICY)
    outputs = bench.register(bench.d2, acc(7))
    assert messages(outputs, MapNotify, to=stranger) == []


def test_an_instance_that_nobody_may_register_in_is_no_table() -> None:
    bench = Bench()
    (reply,) = messages(bench.request(bench.d1, Eid.whole(77), subscribe=True, nonce=5), MapReply)
    assert reply.records[0].locators == ()
    assert bench.server.subscriptions() == []
    assert events(bench.register(bench.d1, EVERYTHING), "map-register-record-refused")


@pytest.mark.requirement("SU-SUB-1", "SU-SUB-2", "SU-FLOW-3", "SU-PATH-3")
def test_without_an_established_path_the_first_frame_asks_with_n_bit() -> None:
    fabric = started(follow=False)
    attach(fabric, "D2", 8)
    fabric.net.run(1)
    at = fabric.net.now
    xtr = fabric.xtr("D1")
    fabric.net.do(fabric.node("D1"), lambda now: xtr.miss(acc(8), now, b"frame"))
    fabric.net.run(1)
    ((_, request),) = fabric.net.seen(MapRequest, at)
    assert (request.records[0].key, request.records[0].subscribe) == (acc(8), True)
    assert request.xtr is not None
    assert (request.xtr.site_id, request.xtr.xtr_id) == (40, xtr.config.xtr_id)
    assert fabric.node("D1").replayed() == [b"frame"]
    known = entry(fabric, "D1", 8)
    assert known is not None
    assert rlocs(known) == [D2]
    fabric.net.do(fabric.node("D1"), lambda now: xtr.miss(acc(8), now, b"next"))
    assert len(fabric.net.seen(MapRequest, at)) == 1, "an entry needs no further request"


@pytest.mark.requirement("SU-UNK-1", "SU-UNK-2", "SU-SUB-7", "SU-SUB-8")
def test_an_unknown_accelerator_is_dropped_although_the_table_is_followed() -> None:
    fabric = started()
    attach(fabric, "D1", 7)
    fabric.net.run(1)
    xtr, at = fabric.xtr("D3"), fabric.net.now
    fabric.net.do(fabric.node("D3"), lambda now: xtr.miss(acc(70), now, b"lost"))
    fabric.net.run(1)
    ((_, reply),) = fabric.net.seen(MapReply, at)
    assert (reply.records[0].key, reply.records[0].action) == (acc(70), Action.DROP)
    assert fabric.node("D3").replayed() == []
    attach(fabric, "D1", 70)
    fabric.net.run(1)
    known = entry(fabric, "D3", 70)
    assert known is not None
    assert known.kind is Kind.FORWARD, "its registration replaces the negative entry at once"


@pytest.mark.requirement("SU-REG-5", "SU-REG-9", "SU-SUB-5", "SO-SUB-10")
def test_metadata_travels_from_the_register_to_the_map_cache() -> None:
    fabric = started()
    at = fabric.net.now
    attach(fabric, "D1", 7)
    fabric.net.run(1)
    ((_, register),) = fabric.net.seen(MapRegister, at)
    described = Metadata(model="GPU0", acc_id=7)
    assert [locator.metadata for locator in register.records[0].locators] == [described]
    for name in ("D2", "D3", "D4"):
        known = entry(fabric, name, 7)
        assert known is not None
        assert [(str(locator.rloc), locator.metadata) for locator in known.locators] == [(D1, described)]
        assert known.acc_id == 7
    own = entry(fabric, "D1", 7)
    assert own is not None
    assert (own.kind, own.acc_id) == (Kind.LOCAL, 7)


@pytest.mark.requirement("SU-SUB-3", "SO-SUB-4")
def test_requests_can_describe_the_xtr() -> None:
    bench = Bench()
    bench.register(bench.d2, acc(8))
    config = replace(Fabric("D").config("D1"), metadata=Metadata(pod_id=40, rail=3))
    xtr = Xtr(config, 0.0, nonces=nonce_source(3))
    (datagram,) = sends(xtr.miss(acc(8), 0.0))
    request = unwrap(datagram.payload)
    assert isinstance(request, MapRequest)
    assert [str(find_ip(rloc)) for rloc in request.itr_rlocs] == [D1]
    (confirmation,) = sends(bench.server.receive(datagram, 0.0))
    assert xtr.receive(confirmation, 0.0)
    assert [rlocs(found) for found in xtr.map_cache()] == [[D2]]


def test_two_accelerators_of_a_segment_cannot_have_one_binary_id() -> None:
    bench = Bench()

    def described(number: int, acc_id: int) -> list[object]:
        where = RlocRecord(with_metadata(bench.d1.address, Metadata(acc_id=acc_id)), local=True)
        return bench.register(bench.d1, acc(number), locators=[where])

    described(7, 7)
    (refused,) = events(described(8, 7), "map-register-record-refused")
    assert refused.fields["reason"] == "AccID 7 is that of [8193] POD-D-AccID-7"
    bench.withdraw(bench.d1, acc(7))
    assert not events(described(8, 7), "map-register-record-refused")
    assert not events(described(8, 9), "map-register-record-refused")
    assert not events(described(7, 7), "map-register-record-refused"), "given up, it is free again"


@pytest.mark.requirement("SU-PATH-1", "SU-PATH-12", "SU-PATH-13", "SU-PATH-14", partial=True)  # tables, no frames
@pytest.mark.requirement("SU-PATH-2", "SU-PATH-4", "SU-PATH-5", "SU-PATH-6", "SU-PATH-7", "SU-PATH-8")
@pytest.mark.requirement("SU-PATH-9", "SU-PATH-10", "SU-PATH-11")
@pytest.mark.parametrize("cause", [Cause.DETACHED, Cause.FAILED, Cause.CONGESTED, Cause.OPERATOR])
def test_a_path_change_is_one_sequence_whatever_its_cause(cause: Cause) -> None:
    """Draft section 5.4, with the example's names: D2 gives accelerator 8 up, D1 keeps it."""
    fabric = started()
    attach(fabric, "D1", 8)
    attach(fabric, "D2", 8)
    fabric.net.run(1)
    server = fabric.server("SU-D")
    followers = {found.xtr.identity for found in server.subscriptions() if found.eid == EVERYTHING}
    assert followers == {fabric.xtr(f"D{number}").config.xtr_id for number in (1, 2, 3, 4)}
    at = fabric.net.now
    withdraw(fabric, "D2", [8], cause)
    (state,) = [one.state.value for one in fabric.xtr("D2").database()]
    assert state == "withdrawn"
    known = entry(fabric, "D2", 8)
    assert known is not None
    assert rlocs(known) == [D1], "frames that come to D2 go on to D1"
    fabric.net.run(0.0)
    ((_, deregister),) = fabric.net.seen(MapRegister, at, source="D2")
    assert [(record.key, record.ttl, rlocs(record)) for record in deregister.records] == [(acc(8), 0, [D2])]
    fabric.net.run(1)
    answers = [message for _, message in fabric.net.seen(MapNotify, at, destination="D2")]
    assert answers[0].nonce == deregister.nonce
    assert fabric.xtr("D2").database() == []
    for name in ("D3", "D4"):
        ((seen, told),) = fabric.net.seen(MapNotify, at, destination=name)
        assert [(record.key, rlocs(record)) for record in told.records] == [(acc(8), [D1])]
        assert seen.at - at < 0.01, "published as soon as the deregistration arrived"
        known = entry(fabric, name, 8)
        assert known is not None
        assert rlocs(known) == [D1]
    assert fabric.net.seen(MapRequest, at) == [], "no request, no SMR: publications alone"
    acknowledged = {seen.source for seen, _ in fabric.net.seen(MapNotifyAck, at)}
    assert acknowledged >= {str(fabric.rloc(name)) for name in ("D1", "D3", "D4")}
    fabric.net.run(180)
    later = [
        record.ttl
        for _, message in fabric.net.seen(MapRegister, at, source="D2")
        for record in message.records
        if record.key == acc(8)
    ]
    assert later == [0], "and then silence"
    assert_synchronised(fabric)


def test_congestion_does_not_take_the_only_path() -> None:
    fabric = started()
    attach(fabric, "D1", 7, 8)
    attach(fabric, "D2", 8)
    fabric.net.run(1)
    at = fabric.net.now
    withdraw(fabric, "D1", [7, 8], Cause.CONGESTED)
    (kept,) = fabric.node("D1").events("withdrawal-ignored", at)
    assert (kept.fields["eid"], kept.fields["reason"]) == (str(acc(7)), "no other path")
    fabric.net.run(1)
    assert [found.eid for found in fabric.xtr("D1").database()] == [acc(7)]
    assert fabric.registered("SU-D")["POD-D-AccID-8"] == [D2]
    attach(fabric, "D1", 8)
    fabric.net.run(1)
    assert fabric.registered("SU-D")["POD-D-AccID-8"] == [D1, D2]


@pytest.mark.requirement("SU-MAP-1", "SU-MAP-2", "SU-MAP-4", "SU-MAP-5", "SU-MS-1", "MH-FWD-6")
def test_attaching_registers_and_detaching_deregisters_at_every_active_xtr() -> None:
    fabric = started()
    at = fabric.net.now
    for name in ("D1", "D2"):
        attach(fabric, name, 7)
    fabric.net.run(70)
    for name in ("D1", "D2"):
        sent = [message for _, message in fabric.net.seen(MapRegister, at, source=name)]
        assert [message.records[0].ttl for message in sent] == [1440, 1440], "at once, and after a minute"
        for message in sent:
            assert message.xtr is not None
            assert message.xtr.site_id == 40
            assert [record.key for record in message.records] == [acc(7)]
            assert len(message.records[0].locators) >= 1
            assert all(isinstance(locator.rloc, IPAddress) for locator in message.records[0].locators)
            acknowledged = fabric.net.seen(MapNotify, at, destination=name)
            assert any(notify.nonce == message.nonce for _, notify in acknowledged)
    assert fabric.registered("SU-D")["POD-D-AccID-7"] == [D1, D2]
    for name in ("D1", "D2"):
        withdraw(fabric, name, [7], Cause.DETACHED)
        fabric.net.run(1)
    assert "POD-D-AccID-7" not in fabric.registered("SU-D")


@pytest.mark.requirement("SU-SEG-7")
@pytest.mark.requirement("GEN-2", partial=True)  # mappings, no frames
def test_the_same_accelerator_in_two_segments_is_two_mappings() -> None:
    bench = Bench()
    (site,) = bench.config.sites
    other = SCALE_UP_IID + 1
    names = (NameScope(SCALE_UP_IID, "POD-D-"), NameScope(other, "POD-D-"))
    config = replace(bench.config, sites=(replace(site, names=names),))
    bench.server = MapServer(config, MemoryStore(), 0.0, nonces=nonce_source(7))
    bench.register(bench.d1, acc(7))
    bench.register(bench.d2, acc(7, other))
    known = {str(view.eid): [str(found.rloc) for found in view.locators] for view in bench.server.registrations()}
    assert known == {"[8193] POD-D-AccID-7": [D1], "[8194] POD-D-AccID-7": [D2]}
    (confirmation,) = bench.subscribe(bench.d4, Eid.whole(other))
    assert {record.key for record in confirmation.records} == {Eid.whole(other), acc(7, other)}
    assert messages(bench.withdraw(bench.d1, acc(7)), MapNotify, to=bench.d3)
    assert [view.eid for view in bench.server.registrations()] == [acc(7, other)]
    third = bench.register(bench.d1, acc(7, other + 1))
    assert events(third, "map-register-record-refused"), "a segment of nobody"


@pytest.mark.requirement("GEN-5", partial=True)  # the answer, no packet
def test_a_scale_up_name_is_unknown_to_scale_out() -> None:
    fabric = started()
    attach(fabric, "D1", 7)
    fabric.net.run(1)
    in_scale_out = Eid(IID, acc(7).target)
    bench_server = fabric.server("SU-D")
    asked = Bench().d3.request(Bench().endpoint, in_scale_out)
    (reply,) = messages(bench_server.receive(asked, fabric.net.now), MapReply)
    assert (reply.records[0].key, reply.records[0].action) == (in_scale_out, Action.DROP)
    (reply,) = messages(bench_server.receive(Bench().d3.request(Bench().endpoint, acc(7)), fabric.net.now), MapReply)
    assert rlocs(reply.records[0]) == [D1]


@pytest.mark.requirement("SU-SEG-1", "SU-SEG-2", "SU-MAP-3", "PR-DN-2")
def test_the_subscription_to_a_segment_on_the_wire() -> None:
    """An Instance-ID LCAF without an address, IID mask-len 32 (RFC 8060 §4.1), and the N bit."""
    fabric = started()
    asked = [seen for seen, message in fabric.net.seen(MapRequest, source="D1") if message.records[0].key == EVERYTHING]
    octets = asked[0].datagram.payload
    assert bytes.fromhex("80004003000002200006000020010000") in octets


@pytest.mark.requirement("SU-REG-4", "SEC-1")
@pytest.mark.parametrize("algorithm", [one for one in Algorithm if one is not Algorithm.NONE])
def test_every_algorithm_serves_registration_publication_and_acknowledgement(algorithm: Algorithm) -> None:
    fabric = Fabric("D", follow_names=True, algorithm=algorithm)
    fabric.start()
    fabric.net.run(5)
    attach(fabric, "D1", 7)
    fabric.net.run(5)
    key, checked = secret_key(40, algorithm=algorithm), set()
    for seen in fabric.net.sent:
        message = decode(seen.datagram.payload)
        if isinstance(message, (MapRegister, MapNotify, MapNotifyAck)):
            assert message.algorithm == algorithm
            verify(seen.datagram.payload, message, key)
            checked.add(type(message))
    assert checked == {MapRegister, MapNotify, MapNotifyAck}
    assert_synchronised(fabric)
    assert fabric.server("SU-D").pending() == []
