"""Map-Requests without subscription: longest match, holes, negative answers, rates."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    NO_ADDRESS,
    Action,
    Datagram,
    DistinguishedName,
    Ecm,
    Eid,
    Endpoint,
    MapNotify,
    MapReply,
    MapRequest,
    Metadata,
    decode,
    encode,
    with_metadata,
)
from controller.mapping import (
    AuthorisedXtr,
    MapServer,
    MapServerConfig,
    MemoryStore,
    NameScope,
    NegativePolicy,
    SiteConfig,
    SitePrefix,
)
from tests.mapping.harness import (
    IID,
    Bench,
    Peer,
    drop_reason,
    eid,
    events,
    identity,
    ip,
    messages,
    nonce_source,
    rlocs,
    secret_key,
    sends,
)

HOST = eid("40.0.0.7")
GATEWAY = Eid(IID, DistinguishedName("pETR"))


def one_reply(outputs: Sequence[object]) -> MapReply:
    (reply,) = messages(outputs, MapReply)
    return reply


@pytest.mark.requirement("SO-PATH-3", "SO-FLOW-4", "PR-REP-1")
def test_the_mapping_is_answered_by_proxy() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    outputs = bench.request(bench.d3, HOST, port=61000, nonce=0x4444)
    (datagram,) = sends(outputs)
    assert datagram.destination == Endpoint(bench.d3.address, 61000), "the inner source port is where the answer goes"
    reply = one_reply(outputs)
    assert reply.nonce == 0x4444
    (record,) = reply.records
    assert (record.key, record.ttl, rlocs(record)) == (HOST, 1440, ["192.0.40.1", "192.0.40.2"])
    assert not record.authoritative
    assert not any(locator.local for locator in record.locators)


def test_a_bare_request_is_answered_too() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    outputs = bench.request(bench.d3, HOST, ecm=False, port=61001)
    assert sends(outputs)[0].destination == Endpoint(bench.d3.address, 61001)
    assert rlocs(one_reply(outputs).records[0]) == ["192.0.40.1"]


@pytest.mark.requirement("SO-SUB-12", "SO-UNK-1", "SO-UNK-3", "SU-UNK-1")
def test_an_undiscovered_host_of_a_pod_is_answered_with_drop() -> None:
    bench = Bench()
    bench.register(bench.d3, eid("40.0.0.0/16"))  # the subnet does not answer for hosts that are not there
    reply = one_reply(bench.request(bench.d1, eid("40.0.0.99"), nonce=0x3333))
    (record,) = reply.records
    assert (reply.nonce, record.key, record.locators) == (0x3333, eid("40.0.0.99"), ())
    assert (record.action, record.ttl) == (Action.DROP, 1)
    v13 = bytes.fromhex("20000001000000000000333300000001002060000000400300000200000a00001001000128000063")
    assert encode(reply) == v13


@pytest.mark.requirement("SO-SUB-13", "SO-UNK-3")
def test_so_is_a_deregistered_host() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.withdraw(bench.d1, HOST)
    (record,) = one_reply(bench.request(bench.d3, HOST)).records
    assert (record.key, record.action, record.ttl, record.locators) == (HOST, Action.DROP, 1, ())


def test_a_range_inside_a_pod_is_not_dropped_as_a_whole() -> None:
    bench = Bench()
    (record,) = one_reply(bench.request(bench.d1, eid("40.0.1.0/24"))).records
    assert (record.key, record.action) == (eid("40.0.1.0/24"), Action.SEND_MAP_REQUEST)


def test_a_range_around_a_pod_is_neither_a_hole_nor_dropped() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    reply = one_reply(bench.request(bench.d1, eid("40.0.0.0/8")))
    assert [(record.key, record.action, rlocs(record)) for record in reply.records] == [
        (eid("40.0.0.0/8"), Action.SEND_MAP_REQUEST, []),
        (HOST, Action.NO_ACTION, ["192.0.40.1"]),
    ]


def test_a_name_like_that_of_gateways_is_none_where_gateways_are_not_configured() -> None:
    key, xtr = secret_key(1), AuthorisedXtr(identity(1, 1).xtr_id, (ip("192.0.2.1"),))
    site = SiteConfig(1, (key,), names=(NameScope(9),), xtrs=(xtr,))
    server = MapServer(MapServerConfig(ip("192.0.2.100"), (site,)), MemoryStore(), 0.0, nonces=nonce_source(1))
    peer, end = Peer(ip("192.0.2.1"), identity(1, 1), key), Endpoint(ip("192.0.2.100"), 4342)
    server.receive(peer.register(end, Eid(9, DistinguishedName("pETR"))), 0.0)
    assert len(server.registrations()) == 1
    (record,) = one_reply(server.receive(peer.request(end, eid("8.8.8.8", iid=9)), 0.0)).records
    assert (record.key, record.locators) == (eid("0.0.0.0/0", iid=9), ())


def test_actions_and_lifetimes_are_configurable() -> None:
    policy = NegativePolicy(Action.NATIVELY_FORWARD, 3, Action.NO_ACTION, 7)
    bench = Bench(negative=policy)
    (inside,) = one_reply(bench.request(bench.d1, HOST)).records
    (outside,) = one_reply(bench.request(bench.d1, eid("8.8.8.8"))).records
    assert (inside.action, inside.ttl) == (Action.NATIVELY_FORWARD, 3)
    assert (outside.action, outside.ttl) == (Action.NO_ACTION, 7)


def test_an_unknown_name_is_unknown_as_a_whole() -> None:
    bench = Bench()
    name = Eid(0x2001, DistinguishedName("POD-D-AccID-70"))
    (record,) = one_reply(bench.request(bench.d1, name)).records
    assert (record.key, record.action, record.ttl) == (name, Action.DROP, 1)


def test_outside_without_gateway_is_a_hole_that_spares_every_pod() -> None:
    bench = Bench()
    (record,) = one_reply(bench.request(bench.d1, eid("41.0.0.1"))).records
    assert (record.key, record.action, record.ttl) == (eid("41.0.0.0/8"), Action.DROP, 15)
    assert not record.key.covers(eid("40.0.0.0/16"))


@pytest.mark.requirement("SO-FLOW-6")
def test_outside_leads_to_the_gateways() -> None:
    bench = Bench()
    bench.register(bench.d3, GATEWAY)
    bench.register(bench.d4, GATEWAY)
    (record,) = one_reply(bench.request(bench.d1, eid("10.0.0.1"))).records
    assert record.key == eid("0.0.0.0/3"), "the widest prefix around 10.0.0.1 without 40.0.0.0/16"
    assert rlocs(record) == ["192.0.40.3", "192.0.40.4"]
    assert (record.action, record.ttl) == (Action.NO_ACTION, 1440)


def test_the_default_prefix_is_a_gateway_too_and_nothing_else() -> None:
    bench = Bench()
    bench.register(bench.d3, eid("0.0.0.0/0"))
    (unknown,) = one_reply(bench.request(bench.d1, eid("40.0.0.9"))).records
    assert unknown.locators == ()
    (outside,) = one_reply(bench.request(bench.d1, eid("10.0.0.1"))).records
    assert (outside.key, rlocs(outside)) == (eid("0.0.0.0/3"), ["192.0.40.3"])
    (itself,) = one_reply(bench.request(bench.d1, eid("0.0.0.0/0"))).records
    assert (itself.key, rlocs(itself)) == (eid("0.0.0.0/0"), ["192.0.40.3"])


def test_other_instances_have_no_part_in_an_answer() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d3, GATEWAY)
    (record,) = one_reply(bench.request(bench.d3, eid("40.0.0.7", iid=7))).records
    assert record.key == eid("0.0.0.0/0", iid=7)
    assert record.locators == ()


def layered_server(mtu: int | None = None) -> tuple[MapServer, Peer]:
    """A site with room for prefixes in prefixes, as in the example of RFC 9301 §5.5."""
    key = secret_key(1)
    site = SiteConfig(1, (key,), (SitePrefix(eid("10.0.0.0/8")),))
    server = MapServer(
        MapServerConfig(ip("192.0.2.100"), (site,), path_mtu=mtu), MemoryStore(), 0.0, nonces=nonce_source(1)
    )
    return server, Peer(ip("192.0.2.1"), identity(1, 1), key)


@pytest.mark.requirement("PR-REP-3")
def test_best_match_and_its_more_specifics_in_one_reply() -> None:
    server, peer = layered_server()
    end = Endpoint(ip("192.0.2.100"), 4342)
    for prefix in ("10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.2.0/24", "10.2.0.0/16"):
        server.receive(peer.register(end, eid(prefix)), 0.0)
    reply = one_reply(server.receive(peer.request(end, eid("10.1.5.5")), 0.0))
    found = [str(record.key.target) for record in reply.records]
    assert found == ["10.1.0.0/16", "10.1.1.0/24", "10.1.2.0/24"]


def test_more_specifics_that_do_not_fit_are_left_out_with_the_room_around_the_query() -> None:
    server, peer = layered_server()
    end = Endpoint(ip("192.0.2.100"), 4342)
    server.receive(peer.register(end, eid("10.0.0.0/8")), 0.0)
    for number in range(200):
        server.receive(peer.register(end, eid(f"10.0.{number}.0/24")), 0.0)
    outputs = server.receive(peer.request(end, eid("10.200.0.1")), 0.0)
    assert len(sends(outputs)[0].payload) <= 548
    (record,) = one_reply(outputs).records
    assert record.key == eid("10.128.0.0/9"), "the widest prefix around 10.200.0.1 without any of the others"
    assert rlocs(record) == ["192.0.2.1"]
    (again,) = one_reply(server.receive(peer.request(end, eid("10.0.0.0/12")), 0.0)).records
    assert (again.key, again.action) == (eid("10.0.0.0/12"), Action.SEND_MAP_REQUEST)


hosts = st.integers(0, 2**32 - 1).map(lambda value: IPv4Network((value, 32)))
taken = st.builds(lambda value, n: IPv4Network((value << 24, n), strict=False), st.integers(0, 255), st.integers(1, 12))


@settings(max_examples=60, deadline=None)
@given(st.lists(taken, min_size=1, max_size=6, unique=True), hosts)
def test_a_hole_never_touches_a_configured_prefix_and_is_the_widest(
    held: list[IPv4Network], asked: IPv4Network
) -> None:
    site = SiteConfig(1, (secret_key(1),), tuple(SitePrefix(Eid(IID, prefix), host_routes=True) for prefix in held))
    config = MapServerConfig(ip("192.0.2.100"), (site,))
    server = MapServer(config, MemoryStore(), 0.0, nonces=nonce_source(1))
    peer = Peer(ip("192.0.2.1"), identity(1, 1), secret_key(1))
    outputs = server.receive(peer.request(Endpoint(config.address, 4342), Eid(IID, asked)), 0.0)
    (record,) = one_reply(outputs).records
    answered = record.key.target
    assert isinstance(answered, IPv4Network)
    if any(asked.subnet_of(prefix) for prefix in held):
        assert (answered, record.ttl) == (asked, 1)
    else:
        assert not any(answered.overlaps(prefix) for prefix in held)
        assert answered.prefixlen > 0
        assert any(answered.supernet().overlaps(prefix) for prefix in held)


@pytest.mark.requirement("PR-REQ-2")
def test_several_records_are_answered_each_on_its_own() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    outputs = bench.request(bench.d3, HOST, eid("40.0.0.8"))
    replies = messages(outputs, MapReply)
    assert [(str(reply.records[0].key), bool(reply.records[0].locators)) for reply in replies] == [
        ("[4097] 40.0.0.7/32", True),
        ("[4097] 40.0.0.8/32", False),
    ]


@pytest.mark.requirement("PR-REQ-3")
def test_probes_and_smrs_are_dropped() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    assert drop_reason(bench.request(bench.d3, HOST, probe=True, ecm=False)) == "probe-to-map-server"
    assert drop_reason(bench.request(bench.d3, HOST, probe=True)) == "probe-to-map-server"
    assert drop_reason(bench.request(bench.d3, HOST, smr=True)) == "smr-to-map-server"


@pytest.mark.requirement("PR-REQ-4")
def test_a_request_without_itr_rloc_is_dropped() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    assert drop_reason(bench.request(bench.d3, HOST, itr_rlocs=(NO_ADDRESS,))) == "no-itr-rloc"
    whole = bench.d3.request(bench.endpoint, HOST, ecm=False).payload
    for length in range(len(whole)):
        cut = Datagram(Endpoint(bench.d3.address, 4342), bench.endpoint, whole[:length])
        assert drop_reason(bench.server.receive(cut, 0.0)) == "malformed"


@pytest.mark.requirement("SO-SUB-4")
def test_an_itr_rloc_may_carry_metadata() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    described = with_metadata(bench.d3.address, Metadata(rail=3))
    outputs = bench.request(bench.d3, HOST, itr_rlocs=(described,))
    assert sends(outputs)[0].destination.address == bench.d3.address
    confirmed = bench.subscribe(bench.d3, HOST, itr_rlocs=(described,))
    assert [message.records[0].key for message in confirmed] == [HOST]


def test_replies_about_one_eid_are_limited_per_rloc() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    assert messages(bench.request(bench.d3, HOST, now=0.0), MapReply)
    suppressed = bench.request(bench.d3, HOST, now=2.9)
    assert [event.name for event in events(suppressed)] == ["map-reply-suppressed"]
    assert sends(suppressed) == []
    assert messages(bench.request(bench.d3, eid("40.0.0.8"), now=2.9), MapReply), "another EID is not throttled"
    assert messages(bench.request(bench.d4, HOST, now=2.9), MapReply), "nor is another ITR"
    assert messages(bench.request(bench.d3, HOST, now=3.0), MapReply)


def test_the_rate_table_is_bounded() -> None:
    bench = Bench(reply_table=2)
    for host in ("40.0.0.1", "40.0.0.2", "40.0.0.3"):
        assert messages(bench.request(bench.d3, eid(host)), MapReply)
    assert messages(bench.request(bench.d3, eid("40.0.0.1")), MapReply), "the oldest was forgotten"
    assert messages(bench.request(bench.d3, eid("40.0.0.3")), MapReply) == []
    assert messages(bench.request(bench.d3, eid("40.0.0.3"), now=3.0), MapReply)
    assert messages(bench.request(bench.d3, eid("40.0.0.4"), now=3.0), MapReply)
    assert messages(bench.request(bench.d3, eid("40.0.0.3"), now=4.0), MapReply) == [], "it was not the oldest"


def test_a_site_that_answers_itself_gets_the_request() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, proxy_reply=False)
    asked = bench.d3.request(bench.endpoint, HOST, nonce=77)
    (forwarded,) = sends(bench.server.receive(asked, 0.0))
    assert forwarded.destination == Endpoint(bench.d1.address, 4342)
    ecm, sent = decode(forwarded.payload), decode(asked.payload)
    assert isinstance(ecm, Ecm)
    assert isinstance(sent, Ecm)
    assert (ecm.payload, ecm.source, ecm.source_port) == (sent.payload, sent.source, sent.source_port)
    assert sends(bench.server.receive(asked, 1.0)) == [], "as seldom as a reply"
    by_subscription = bench.request(bench.d3, HOST, subscribe=True, now=3.0)
    assert [type(message) for message in messages(by_subscription, MapRequest)] == [MapRequest]
    assert messages(by_subscription, MapNotify) == []
    assert bench.server.subscriptions() == []


def test_only_requests_come_in_an_envelope() -> None:
    bench = Bench()
    inner = bench.d1.register(bench.endpoint, HOST).payload
    ecm = encode(Ecm(bench.d1.address, ip("40.0.0.7"), 4342, 4342, inner))
    wrapped = Datagram(Endpoint(bench.d1.address, 4342), bench.endpoint, ecm)
    assert drop_reason(bench.server.receive(wrapped, 0.0)) == "unexpected-message"
    twice = encode(Ecm(bench.d1.address, ip("40.0.0.7"), 4342, 4342, ecm))
    assert drop_reason(bench.server.receive(wrapped._replace(payload=twice), 0.0)) == "unexpected-message"
    assert bench.mappings() == {}
