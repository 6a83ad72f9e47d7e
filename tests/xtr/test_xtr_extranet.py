"""Locators that want another instance-ID than that of their EID: which are used, and what is delivered to here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import DistinguishedName, Eid, EidRecord, InstanceId, RlocRecord
from controller.lisp.lcaf import AfiList
from tests.mapping.harness import IID, Fabric, events, ip
from tests.xtr.support import HOST, XtrBench, changes, replayed, requests

OTHER = IID + 1
SEEN = Eid(OTHER, HOST.target)
NAME = Eid(OTHER, DistinguishedName("POD-D-AccID-7"))
OWN, FAR, FARTHER = "192.0.40.1", "192.0.41.1", "192.0.42.1"


def bench_of(*, able: bool = True) -> XtrBench:
    """D1, whose mapping system is responsible for another tenant too."""
    config = Fabric("D").config("D1")
    (link,) = config.links
    link = replace(link, prefixes=(*link.prefixes, Eid.of(OTHER, "0.0.0.0/0")), name_iids=frozenset({OTHER}))
    return XtrBench(config=replace(config, links=(link,), extranets=able))


def told(*locators: tuple[str, int], eid: Eid = SEEN, able: bool = True) -> XtrBench:
    """D1, told of locators in instance-IDs for an EID; the first is the best."""
    bench = bench_of(able=able)
    found = [RlocRecord(InstanceId(iid, ip(rloc)), 1 + order) for order, (rloc, iid) in enumerate(locators)]
    (request,) = requests(bench.miss(eid, b"packet"))
    bench.reply(request.nonce, EidRecord.for_eid(eid, 60, found))
    return bench


def cached(bench: XtrBench, eid: Eid = SEEN) -> tuple[str, list[tuple[str, int | None]]]:
    (entry,) = [entry for entry in bench.xtr.map_cache() if entry.eid == eid]
    return entry.kind.value, [(str(locator.rloc), locator.iid) for locator in entry.locators]


def test_a_locator_of_another_instance_is_used_where_that_is_allowed() -> None:
    assert cached(told((FAR, IID))) == ("forward", [(FAR, IID)])
    assert cached(told((FAR, IID), able=False)) == ("negative", [])


def test_an_entry_has_the_instance_of_its_best_locator_and_only_that() -> None:
    bench = told((FAR, IID), (FARTHER, IID + 7), ("192.0.43.1", IID))
    assert cached(bench) == ("forward", [(FAR, IID), ("192.0.43.1", IID)])


def test_one_that_names_the_eids_own_instance_is_no_extranet() -> None:
    assert cached(told((FAR, OTHER), able=False)) == ("forward", [(FAR, None)])


def test_what_stands_beside_the_rloc_hides_no_instance() -> None:
    bench = bench_of(able=False)
    (request,) = requests(bench.miss(SEEN))
    wrapped = AfiList((DistinguishedName("GPU0"), InstanceId(IID, ip(FAR))))
    outputs = bench.reply(request.nonce, EidRecord.for_eid(SEEN, 60, [RlocRecord(wrapped)]))
    assert cached(bench) == ("negative", [])
    (event,) = events(outputs, "extranet-locators-refused")
    assert event.fields["iids"] == str(IID)


def test_what_is_attached_here_in_the_providers_instance_is_delivered_to() -> None:
    bench = told((OWN, IID), (FAR, IID))
    assert cached(bench) == ("forward", [(FAR, IID)]), "not attached yet: the other"
    assert changes(bench.attach(HOST)) == [("40.0.0.7/32", "local")] * 2
    assert cached(bench, HOST) == ("local", [(OWN, None)])
    assert cached(bench) == ("local", [(OWN, IID)])
    assert ("40.0.0.7/32", "forward") in changes(bench.detach(HOST))
    assert cached(bench) == ("forward", [(FAR, IID)])


def test_nothing_is_delivered_to_by_the_own_rloc_alone() -> None:
    bench = told((OWN, IID))
    assert cached(bench) == ("negative", [])
    bench.attach(HOST, deliver=False)
    assert cached(bench) == ("negative", []), "advertised, but not attached"
    bench = told((OWN, IID), able=False)
    bench.attach(HOST)
    assert cached(bench) == ("negative", []), "attached, but no extranet is allowed"


def test_a_waiting_packet_goes_to_the_neighbour() -> None:
    bench = bench_of()
    bench.attach(HOST)
    (request,) = requests(bench.miss(SEEN, b"packet"))
    found = [RlocRecord(InstanceId(IID, ip(OWN)))]
    assert replayed(bench.reply(request.nonce, EidRecord.for_eid(SEEN, 60, found))) == [b"packet"]
    bench.run(3601.0)
    assert SEEN not in [entry.eid for entry in bench.xtr.map_cache()], "it has the lifetime of what was told"


@pytest.mark.parametrize("able", [True, False])
def test_names_are_in_no_extranet(able: bool) -> None:
    """Scale-Up frames cannot change over, and with the EID's own instance-ID they would reach another tenant."""
    assert cached(told((FAR, IID), eid=NAME, able=able), NAME) == ("negative", [])
