"""Replication lists at the Map-Server: registered, merged, published, answered, refused (RFC 8378 §5)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import pytest

from controller.lisp import (
    Action,
    DistinguishedName,
    Eid,
    EidRecord,
    MapNotify,
    MapReply,
    ReplicationEntry,
    ReplicationList,
    RlocRecord,
    group_eid,
    replicas,
    replication_locator,
    scale_up_group_eid,
)
from controller.mapping import MemoryStore
from tests.mapping.harness import IID, SCALE_UP_IID, Bench, Peer, eid, events, messages

GROUP = group_eid(IID, ip_address("239.1.1.1"))
FROM_7 = group_eid(IID, ip_address("239.1.1.1"), ip_address("40.0.0.7"))
SCALE_UP_GROUP = scale_up_group_eid(SCALE_UP_IID, 0xAB)
BROADCAST = group_eid(IID, ip_address("255.255.255.255"))
D1, D2, D3 = "192.0.40.1", "192.0.40.2", "192.0.40.3"


def join(bench: Bench, peer: Peer, *groups: Eid, now: float = 0.0, **fields: Any) -> list[Any]:
    return bench.register(peer, *groups, now=now, locators=[replication_locator([peer.address])], **fields)


def targets(record: EidRecord) -> list[str]:
    return [str(rloc) for rloc in replicas(record)]


def lists(bench: Bench) -> dict[Eid, list[str]]:
    return {view.eid: targets(EidRecord.for_eid(view.eid, 1, view.locators)) for view in bench.server.registrations()}


def told(found: Iterable[MapNotify]) -> list[tuple[Eid, list[str]]]:
    return [(record.key, targets(record)) for message in found for record in message.records]


def refusals(outputs: list[Any]) -> list[str]:
    return [str(event.fields["reason"]) for event in events(outputs, "map-register-record-refused")]


@pytest.mark.parametrize("group", [GROUP, FROM_7, SCALE_UP_GROUP, BROADCAST])
def test_lists_of_different_xtrs_become_one(group: Eid) -> None:
    bench = Bench()
    assert told(messages(join(bench, bench.d2, group), MapNotify, bench.d2)) == [(group, [D2])]
    outputs = join(bench, bench.d1, group)
    assert told(messages(outputs, MapNotify, bench.d1)) == [(group, [D1, D2])]
    assert told(messages(outputs, MapNotify, bench.d2)) == [(group, [D1, D2])]
    (view,) = bench.server.registrations()
    assert [locator.address for locator in view.locators] == [
        ReplicationList((ReplicationEntry(128, ip_address(D1)), ReplicationEntry(128, ip_address(D2))))
    ]


def test_a_second_registration_replaces_the_first() -> None:
    bench = Bench()
    join(bench, bench.d1, GROUP)
    join(bench, bench.d2, GROUP)
    outputs = join(bench, bench.d1, GROUP)
    assert lists(bench) == {GROUP: [D1, D2]}
    assert messages(outputs, MapNotify, bench.d2) == []


def test_leaving_by_withdrawal_and_by_time_out() -> None:
    bench = Bench()
    for peer in (bench.d1, bench.d2, bench.d3):
        join(bench, peer, GROUP)
    bench.withdraw(bench.d1, GROUP, locators=[replication_locator([bench.d1.address])], now=10.0)
    assert lists(bench) == {GROUP: [D2, D3]}
    join(bench, bench.d2, GROUP, now=170.0)
    bench.server.tick(180.0)
    assert lists(bench) == {GROUP: [D2]}
    bench.server.tick(350.0)
    assert lists(bench) == {}


def test_subscribers_are_told_of_every_change() -> None:
    """A group can be followed before anybody has joined: then it has no receivers."""
    bench = Bench()
    (confirmed,) = bench.subscribe(bench.d4, GROUP)
    assert told([confirmed]) == [(GROUP, [])]
    assert confirmed.records[0].action == Action.DROP
    steps = [
        (join(bench, bench.d1, GROUP), [D1]),
        (join(bench, bench.d2, GROUP), [D1, D2]),
        (bench.withdraw(bench.d1, GROUP, locators=[replication_locator([bench.d1.address])]), [D2]),
    ]
    nonces = [confirmed.nonce]
    for outputs, expected in steps:
        (message,) = bench.d4.ack_all(bench.server, outputs, 0.0)
        assert told([message]) == [(GROUP, expected)]
        nonces.append(message.nonce)
    assert nonces == list(range(nonces[0], nonces[0] + 4))


def test_who_follows_all_groups_hears_of_each() -> None:
    bench = Bench()
    everything = group_eid(IID, eid("239.0.0.0/8").target)  # type: ignore[arg-type]
    bench.subscribe(bench.d4, everything)
    for group in (GROUP, FROM_7):
        outputs = join(bench, bench.d1, group)
        assert told(bench.d4.ack_all(bench.server, outputs, 0.0)) == [(group, [D1])]


def test_the_registrants_of_a_source_are_told_who_listens_to_it() -> None:
    """RFC 8378 §5.2: the RLOCs of the source's own registration get the replication list."""
    bench = Bench()
    bench.register(bench.d2, eid("40.0.0.7"))
    outputs = join(bench, bench.d1, FROM_7)
    assert told(messages(outputs, MapNotify, bench.d2)) == [(FROM_7, [D1])]
    other = group_eid(IID, ip_address("239.1.1.1"), ip_address("40.0.0.8"))
    assert messages(join(bench, bench.d1, other), MapNotify, bench.d2) == []


def test_a_request_for_a_group_is_answered_with_the_merged_list() -> None:
    bench = Bench()
    join(bench, bench.d1, GROUP)
    join(bench, bench.d2, GROUP)
    (reply,) = messages(bench.request(bench.d4, GROUP), MapReply)
    assert [(record.key, targets(record)) for record in reply.records] == [(GROUP, [D1, D2])]


def test_s_g_goes_before_any_source() -> None:
    bench = Bench()
    join(bench, bench.d1, GROUP)
    (reply,) = messages(bench.request(bench.d4, FROM_7), MapReply)
    assert reply.records[0].key == GROUP
    join(bench, bench.d2, FROM_7)
    (reply,) = messages(bench.request(bench.d4, FROM_7, now=10.0), MapReply)
    assert [(record.key, targets(record)) for record in reply.records] == [(FROM_7, [D2])]
    other = group_eid(IID, ip_address("239.1.1.1"), ip_address("40.0.0.8"))
    (reply,) = messages(bench.request(bench.d4, other, now=20.0), MapReply)
    assert {record.key: targets(record) for record in reply.records} == {GROUP: [D1], FROM_7: [D2]}


@pytest.mark.parametrize("group", [GROUP, SCALE_UP_GROUP])
def test_a_group_without_receivers_is_dropped(group: Eid) -> None:
    bench = Bench()
    (reply,) = messages(bench.request(bench.d4, group), MapReply)
    assert [(record.locators, record.action) for record in reply.records] == [((), Action.DROP)]


def test_one_request_for_many_sources_gets_a_bounded_answer() -> None:
    """More (S,G) than fit a message: the answer is the best match alone."""
    bench = Bench()
    many = [group_eid(IID, ip_address("239.1.1.1"), ip_address(f"40.0.1.{number}")) for number in range(60)]
    join(bench, bench.d1, GROUP)
    for one in many:
        join(bench, bench.d1, one)
    (reply,) = messages(bench.request(bench.d4, GROUP), MapReply)
    assert [record.key for record in reply.records] == [GROUP]


def test_groups_of_other_instances_are_others() -> None:
    bench = Bench()
    foreign = group_eid(IID + 1, ip_address("239.1.1.1"))
    assert refusals(join(bench, bench.d1, foreign)) == ["not a prefix of site 40"]
    assert lists(bench) == {}


@pytest.mark.parametrize(
    "group",
    [
        group_eid(IID, ip_address("232.1.1.1")),
        scale_up_group_eid(IID, 5),
        Eid(SCALE_UP_IID, DistinguishedName("group-5")),
        group_eid(IID, eid("224.0.0.0/4").target),  # type: ignore[arg-type]
    ],
)
def test_groups_that_a_site_may_not_join(group: Eid) -> None:
    bench = Bench()
    assert refusals(join(bench, bench.d1, group)) == ["not a prefix of site 40"]


@pytest.mark.parametrize(
    ("locators", "reason"),
    [
        ([RlocRecord(ip_address(D1))], "needs one locator"),
        ([replication_locator([ip_address(D1)]), RlocRecord(ip_address(D1))], "needs one locator"),
        ([RlocRecord(ReplicationList(()))], "is empty"),
        ([replication_locator([ip_address(D2)])], "not the xTR's own"),
        ([replication_locator([ip_address(D1), ip_address("203.0.113.5")])], "not the xTR's own"),
        ([replication_locator([ip_address("239.9.9.9")])], "no unicast address"),
        ([RlocRecord(ReplicationList((ReplicationEntry(0, ip_address(D1)),)))], "level 0 instead of 128"),
    ],
)
def test_lists_that_are_refused(locators: list[RlocRecord], reason: str) -> None:
    """An xTR brings itself into a list and nobody else: traffic cannot be aimed at a stranger."""
    bench = Bench()
    (found,) = refusals(bench.register(bench.d1, GROUP, locators=locators))
    assert reason in found
    assert lists(bench) == {}


def test_an_endpoint_has_no_replication_list() -> None:
    bench = Bench()
    (found,) = refusals(join(bench, bench.d1, eid("40.0.0.7")))
    assert "is no group" in found


def test_pods_share_a_group_in_the_fabric_and_none_speaks_for_another() -> None:
    """One PoD registering without the merge bit does not remove the others."""
    bench = Bench(pods="AD")
    a3 = bench.peer("A", 3)
    join(bench, bench.d3, GROUP)
    join(bench, bench.d4, GROUP)
    join(bench, a3, GROUP)
    assert lists(bench) == {GROUP: ["192.0.10.3", D3, "192.0.40.4"]}
    join(bench, bench.d3, GROUP, merge=False)
    assert lists(bench) == {GROUP: ["192.0.10.3", D3]}


def test_scale_up_groups_stay_in_their_pod() -> None:
    bench = Bench(pods="AD")
    assert refusals(join(bench, bench.d3, SCALE_UP_GROUP)) == ["not a prefix of site 40"]


def test_lists_survive_a_restart() -> None:
    store = MemoryStore()
    bench = Bench(store)
    join(bench, bench.d1, GROUP, SCALE_UP_GROUP)
    join(bench, bench.d2, GROUP)
    again = Bench(store, now=1.0)
    assert lists(again) == {SCALE_UP_GROUP: [D1], GROUP: [D1, D2]}


def test_a_registration_that_asks_for_no_acknowledgement_is_taken_too() -> None:
    """RFC 8378 §5.1.2 has M=0: the xTR is told as a member of the list, with a nonce that is not its own."""
    bench = Bench()
    (told_as_member,) = messages(join(bench, bench.d1, FROM_7, want_notify=False), MapNotify, bench.d1)
    assert told_as_member.nonce != bench.d1.nonce
    assert lists(bench) == {FROM_7: [D1]}
