"""Map-Notifies that nobody subscribed to: members of an RLOC-set hear of each other (RFC 9301 section 5.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import AuthenticationError, MapNotify, RlocRecord, decode, verify
from tests.mapping.harness import Bench, events, messages, secret_key, sends
from tests.mapping.support import HOST, SUBNET, retransmissions, told


@pytest.mark.requirement("SO-MS-5", "MH-MRG-5", "MH-MRG-6", "SU-MS-4")
def test_members_and_pxtrs_are_told_without_subscribing() -> None:
    bench = Bench()
    alone = bench.register(bench.d1, HOST)
    assert told(alone, bench.d3) == told(alone, bench.d4) == [("40.0.0.7/32", 1440, ["192.0.40.1"])]
    for peer in (bench.d3, bench.d4):
        peer.ack_all(bench.server, alone, 0.0)
    joined = bench.register(bench.d2, HOST)
    merged = [("40.0.0.7/32", 1440, ["192.0.40.1", "192.0.40.2"])]
    for peer in (bench.d1, bench.d2, bench.d3, bench.d4):
        assert told(joined, peer) == merged
    (ack,) = messages(joined, MapNotify, to=bench.d2)
    assert ack.nonce == bench.d2.nonce, "the one that registered has it from its acknowledgement"


@pytest.mark.requirement("MH-MRG-7", "SO-MS-5", "SO-MS-7")
def test_all_remaining_members_are_told_when_one_leaves() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    outputs = bench.withdraw(bench.d1, HOST)
    for peer in (bench.d2, bench.d3, bench.d4):
        assert told(outputs, peer) == [("40.0.0.7/32", 1440, ["192.0.40.2"])]
    assert told(outputs, bench.d1) == [("40.0.0.7/32", 0, ["192.0.40.1"])], "its own record back"
    outputs = bench.withdraw(bench.d2, HOST)
    assert told(outputs, bench.d3) == [("40.0.0.7/32", 0, [])]


@pytest.mark.requirement("MH-MRG-8")
def test_and_when_one_falls_silent() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, now=0.0)
    bench.register(bench.d2, HOST, now=60.0)
    for peer in (bench.d1, bench.d3, bench.d4):
        peer.ack_all(bench.server, [out for at in (3.0,) for out in bench.server.tick(at)], 3.0)
    outputs = bench.server.tick(180.0)
    for peer in (bench.d1, bench.d2, bench.d3, bench.d4):
        assert ("40.0.0.7/32", 1440, ["192.0.40.2"]) in told(outputs, peer)


def test_a_subscriber_who_is_a_member_too_is_told_once_by_publication() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.subscribe(bench.d1, SUBNET, nonce=500)
    (message,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d1)
    assert message.nonce == 501


def test_member_notifications_ascend_and_are_repeated() -> None:
    bench = Bench(registration_timeout=10_000.0)
    (first,) = messages(bench.register(bench.d1, HOST), MapNotify, to=bench.d3)
    (second,) = messages(bench.register(bench.d2, HOST), MapNotify, to=bench.d3)
    assert second.nonce > first.nonce
    assert [at for at, _ in retransmissions(bench, bench.d3, 300.0)] == [3.0, 6.0, 9.0, 15.0, 27.0, 51.0]


def test_a_notification_is_made_with_the_key_of_the_last_registration() -> None:
    bench = Bench()
    old, new = secret_key(40, 1), secret_key(40, 2)
    (site,) = bench.config.sites
    server = type(bench.server)(replace(bench.config, sites=(replace(site, keys=(old, new)),)), bench.store, 0.0)
    server.receive(bench.d1.register(bench.endpoint, HOST, key=new), 0.0)
    outputs = server.receive(bench.d2.register(bench.endpoint, HOST, key=old), 0.0)
    for datagram in sends(outputs):
        message = decode(datagram.payload)
        assert isinstance(message, MapNotify)
        expected = new if datagram.destination.address == bench.d1.address else old
        verify(datagram.payload, message, expected)
        with pytest.raises(AuthenticationError):
            verify(datagram.payload, message, new if expected is old else old)


def test_what_adds_nothing_to_the_mapping_is_told_to_nobody() -> None:
    """D2 lists D1's RLOC too, as D1 itself describes it better."""
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    bench.subscribe(bench.d4, HOST)
    both = [RlocRecord(bench.d1.address, priority=9), RlocRecord(bench.d2.address, local=True)]
    outputs = bench.register(bench.d2, HOST, locators=both)
    assert [sent.destination.address for sent in sends(outputs)] == [bench.d2.address]
    assert not events(outputs, "mapping-changed")


def test_whoever_owns_an_rloc_of_the_set_is_told() -> None:
    bench = Bench()
    listed = [RlocRecord(bench.d1.address, local=True), RlocRecord(bench.d2.address)]
    outputs = bench.register(bench.d1, HOST, locators=listed)
    assert told(outputs, bench.d2) == [("40.0.0.7/32", 1440, ["192.0.40.1", "192.0.40.2"])]
