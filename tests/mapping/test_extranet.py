"""VPN segments see nothing of each other, unless a policy of the Map-Server makes an extranet of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from controller.lisp import Action, Address, Eid, InstanceId, MapNotify, MapReply, Metadata, RlocRecord, with_metadata
from controller.mapping import ConfigError, Extranet, MapServer, SitePrefix
from controller.xtr import Xtr
from tests.mapping.harness import IID, Bench, Fabric, eid, events, messages, nonce_source, sends

OTHER = IID + 1
HOST, SEEN = eid("40.0.0.7"), eid("40.0.0.7", OTHER)
SUBNET, IMPORTED = eid("40.0.0.0/16"), eid("40.0.0.0/16", OTHER)
POLICY = Extranet(IID, OTHER, (ip_network("40.0.0.0/16"),))


def bench(*policies: Extranet) -> Bench:
    return Bench(extranets=policies)


def asked(one: Bench, what: Eid) -> list[tuple[Eid, int, list[Address]]]:
    (reply,) = messages(one.request(one.d4, what), MapReply)
    return [(record.key, record.action, [locator.address for locator in record.locators]) for record in reply.records]


@pytest.mark.requirement("SO-SEG-7", "ARCH-4")
def test_without_a_policy_there_is_no_answer_across_segments() -> None:
    one = bench()
    one.register(one.d1, HOST)
    ((key, action, locators),) = asked(one, SEEN)
    assert (key.iid, action, locators) == (OTHER, Action.DROP, [])


def test_with_one_the_answer_names_the_providers_instance() -> None:
    one = bench(POLICY)
    one.register(one.d1, HOST)
    one.register(one.d2, HOST)
    addresses = [InstanceId(IID, one.d1.address), InstanceId(IID, one.d2.address)]
    assert asked(one, SEEN) == [(SEEN, Action.NO_ACTION, addresses)]
    assert asked(one, HOST) == [(HOST, Action.NO_ACTION, [one.d1.address, one.d2.address])], "the provider's is as ever"
    assert asked(one, eid("40.0.0.9", OTHER)) == [(eid("40.0.0.9", OTHER), Action.DROP, [])], "unknown is unknown"


def test_changes_are_published_to_the_subscribers_of_both() -> None:
    one = bench(POLICY)
    one.subscribe(one.d4, IMPORTED)
    outputs = one.register(one.d1, HOST)
    told = {record.key: record for m in messages(outputs, MapNotify, to=one.d4) for record in m.records}
    assert set(told) == {HOST, SEEN}, "as pxTR of the provider's segment, and as subscriber of the other"
    assert [locator.address for locator in told[SEEN].locators] == [InstanceId(IID, one.d1.address)]
    assert messages(outputs, MapNotify, to=one.d3)
    assert all(record.key == HOST for m in messages(outputs, MapNotify, to=one.d3) for record in m.records)
    one.d4.ack_all(one.server, outputs, 0.0)
    gone = one.withdraw(one.d1, HOST)
    withdrawn = {r.key: r.ttl for m in messages(gone, MapNotify, to=one.d4) for r in m.records}
    assert withdrawn == {HOST: 0, SEEN: 0}
    assert one.mappings() == {}


def test_an_extranet_is_there_again_after_a_restart_and_gone_without_its_policy() -> None:
    one = bench(POLICY)
    one.register(one.d1, HOST)
    for config, seen in ((one.config, True), (replace(one.config, extranets=()), False)):
        server = MapServer(config, one.store, 10.0, nonces=nonce_source(9))
        assert (SEEN in [view.eid for view in server.registrations()]) is seen


def test_nobody_registers_in_the_part_of_the_subscriber_that_is_imported() -> None:
    one = bench(POLICY)
    assert events(one.register(one.d1, SEEN), "map-register-record-refused")
    assert events(one.withdraw(one.d1, SEEN), "map-register-record-refused")


def test_metadata_stays_beside_the_rloc() -> None:
    one = bench(POLICY)
    described = with_metadata(one.d1.address, Metadata(model="GPU0"))
    one.register(one.d1, HOST, locators=[RlocRecord(described, local=True)])
    (view,) = [view for view in one.server.registrations() if view.eid == SEEN]
    assert [(locator.rloc, locator.metadata) for locator in view.locators] == [(one.d1.address, Metadata(model="GPU0"))]


@pytest.mark.parametrize("able", [True, False])
def test_an_xtr_uses_the_providers_instance_or_refuses_the_entry(able: bool) -> None:
    one = bench(POLICY)
    one.register(one.d1, HOST)
    config = Fabric("D").config("D4")
    links = tuple(
        replace(link, prefixes=(*link.prefixes, IMPORTED)) if link.name == "scale-up" else link for link in config.links
    )
    xtr = Xtr(replace(config, links=links, extranets=able), 0.0, nonces=nonce_source(3))
    (question,) = sends(xtr.miss(SEEN, 0.0, b"packet"))
    (answer,) = sends(one.server.receive(question, 0.0))
    outputs = xtr.receive(answer, 0.0)
    (entry,) = [entry for entry in xtr.map_cache() if entry.eid == SEEN]
    if able:
        assert [(str(locator.rloc), locator.iid) for locator in entry.locators] == [("192.0.40.1", IID)]
        assert not events(outputs, "extranet-locators-refused")
    else:
        assert (entry.kind.value, entry.action, entry.locators) == ("negative", Action.DROP, ())
        (event,) = events(outputs, "extranet-locators-refused")
        assert (event.fields["eid"], event.fields["iids"]) == (str(SEEN), str(IID))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Extranet(IID, IID, POLICY.prefixes), r"extranets\[0\].subscriber = 4097: is the provider"),
        (Extranet(IID, OTHER, ()), r"extranets\[0\].prefixes = \(\): an extranet needs a prefix"),
        (Extranet(OTHER, IID, POLICY.prefixes), r"\[4098\] 40.0.0.0/16: is registered by no site"),
        (Extranet(IID, 1 << 24, POLICY.prefixes), "an instance-ID has 24 bits"),
    ],
)
def test_a_policy_that_cannot_be_is_named(policy: Extranet, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bench(policy)


def test_a_policy_does_not_reach_into_what_the_subscriber_has() -> None:
    one = bench()
    (site,) = one.config.sites
    both = replace(site, prefixes=(*site.prefixes, SitePrefix(eid("40.0.0.0/24", OTHER))))
    with pytest.raises(ConfigError, match=r"\[4098\] 40.0.0.0/16: overlaps \[4098\] 40.0.0.0/24"):
        replace(one.config, sites=(both,), extranets=(POLICY,))
