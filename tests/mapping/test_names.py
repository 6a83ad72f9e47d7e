"""Accelerators by name: the draft's example of section 6.2, and the Scale-Up sequences of section 5."""

from __future__ import annotations

import pytest

from controller.lisp import Action, DistinguishedName, Eid, InstanceId, MapNotify, MapRegister, MapReply, MapRequest
from controller.xtr import Kind
from tests.mapping.harness import SCALE_UP_IID, Fabric, assert_synchronised, eid, rlocs

ACC_7 = Eid(SCALE_UP_IID, DistinguishedName("POD-D-AccID-7"))
ACC_70 = Eid(SCALE_UP_IID, DistinguishedName("POD-D-AccID-70"))
D1, D2 = "192.0.40.1", "192.0.40.2"


def started() -> Fabric:
    fabric = Fabric("AD")
    fabric.start()
    fabric.net.run(5)
    return fabric


def attach(fabric: Fabric, name: str, one: Eid) -> None:
    fabric.net.do(fabric.node(name), lambda now: fabric.xtr(name).attach(one, now))
    fabric.net.run(1)


def miss(fabric: Fabric, name: str, one: Eid) -> None:
    fabric.net.do(fabric.node(name), lambda now: fabric.xtr(name).miss(one, now, b"frame"))
    fabric.net.run(1)


@pytest.mark.requirement("MH-MRG-1", "MH-MRG-2", "MH-MRG-3", "MH-MRG-4", "MH-MRG-5", "SU-REG-1", "SU-REG-3")
@pytest.mark.requirement("SU-REG-2", partial=True)  # registered and resolved, no frame
def test_d1_and_d2_find_each_other_by_registering_accelerator_7() -> None:
    fabric = started()
    at = fabric.net.now
    attach(fabric, "D1", ACC_7)
    ((seen, register),) = fabric.net.seen(MapRegister, at, source="D1")
    (record,) = register.records
    assert seen.destination == str(fabric.su_address("D"))
    assert record.eid == InstanceId(SCALE_UP_IID, DistinguishedName("POD-D-AccID-7"))
    assert record.mask_len == 112
    assert register.xtr is not None
    assert register.xtr.site_id == 40
    ((_, first),) = fabric.net.seen(MapNotify, at, destination="D1")
    assert rlocs(first.records[0]) == [D1]
    at = fabric.net.now
    attach(fabric, "D2", ACC_7)
    for name in ("D1", "D2"):
        ((_, merged),) = fabric.net.seen(MapNotify, at, destination=name)
        assert (merged.records[0].key, rlocs(merged.records[0])) == (ACC_7, [D1, D2])
        (entry,) = fabric.xtr(name).database()
        assert [str(rloc) for rloc in entry.peers] == [D1, D2]
    assert fabric.net.seen(MapRegister, at, source="D1") == []


@pytest.mark.requirement("SU-REG-11", "ARCH-9")
def test_names_stay_in_their_pod() -> None:
    fabric = started()
    at = fabric.net.now
    attach(fabric, "D1", ACC_7)
    assert "POD-D-AccID-7" in fabric.registered("SU-D")
    assert "POD-D-AccID-7" not in fabric.registered("SO")
    told = {seen.destination for seen, message in fabric.net.seen(MapNotify, at) if message.records[0].key == ACC_7}
    assert told <= {str(fabric.rloc(f"D{number}")) for number in (1, 2, 3, 4)}
    attach(fabric, "A1", ACC_7)
    assert fabric.node("SU-A").events("map-register-record-refused", at)


@pytest.mark.requirement("SU-SUB-1", "SU-SUB-4", "SU-FLOW-3", "SU-PATH-6", "SU-PATH-10", "SU-PATH-11", "SU-MS-5")
@pytest.mark.requirement("SU-SUB-6", partial=True)  # the map-cache, no frame
def test_a_subscriber_follows_an_accelerator() -> None:
    fabric = started()
    attach(fabric, "D1", ACC_7)
    attach(fabric, "D2", ACC_7)
    at = fabric.net.now
    miss(fabric, "D4", ACC_7)
    assert fabric.node("D4").replayed() == [b"frame"], "known already: a pxTR is told of every change"
    fabric.restart_xtr("D4")
    fabric.net.run(1)
    miss(fabric, "D4", ACC_7)
    asked = [message for _, message in fabric.net.seen(MapRequest, at, source="D4") if message.records[0].key == ACC_7]
    assert [(request.records[0].subscribe, request.records[0].mask_len) for request in asked] == [(True, 112)]
    (entry,) = [entry for entry in fabric.xtr("D4").map_cache() if entry.eid == ACC_7]
    assert [str(locator.rloc) for locator in entry.locators] == [D1, D2]
    fabric.net.do(fabric.node("D2"), lambda now: fabric.xtr("D2").detach(ACC_7, now))
    fabric.net.run(1)
    (entry,) = [entry for entry in fabric.xtr("D4").map_cache() if entry.eid == ACC_7]
    assert [str(locator.rloc) for locator in entry.locators] == [D1]
    assert_synchronised(fabric)


@pytest.mark.requirement("SU-SUB-7", "SU-SUB-8", "SU-UNK-1", "SU-UNK-2")
def test_a_name_answers_for_itself_alone() -> None:
    """Choice C16: AccID-7 does not answer for AccID-70."""
    fabric = started()
    attach(fabric, "D1", ACC_7)
    at = fabric.net.now
    miss(fabric, "D2", ACC_70)
    ((_, reply),) = fabric.net.seen(MapReply, at)
    (record,) = reply.records
    assert (record.key, record.action, record.locators) == (ACC_70, Action.DROP, ())
    (entry,) = [entry for entry in fabric.xtr("D2").map_cache() if entry.eid == ACC_70]
    assert entry.kind is Kind.NEGATIVE


def test_equal_addresses_in_two_instances_do_not_meet() -> None:
    fabric = started()
    attach(fabric, "D1", eid("40.0.0.7"))
    outside = eid("40.0.0.7", iid=99)
    miss(fabric, "D3", outside)
    assert [entry.eid for entry in fabric.xtr("D3").map_cache() if entry.eid.iid == 99] == []
    assert fabric.node("D3").events("packet-dropped")
