"""Many EIDs that move at once: a leaf switch with 64 accelerators behind it fails, and few messages tell it."""

from __future__ import annotations

import pytest

from controller.lisp import DistinguishedName, Eid, MapNotify, MapNotifyAck, MapRegister
from controller.mapping import Receipt
from controller.xtr import Cause, LocalEid
from tests.mapping.harness import SCALE_UP_IID, Bench, Fabric, StubbornStore, assert_synchronised, eid, messages, sends

ACCELERATORS = 64
UNFRAGMENTED = 576 - 28
NAMES = [Eid(SCALE_UP_IID, DistinguishedName(f"POD-D-AccID-{number}")) for number in range(ACCELERATORS)]
HOSTS = [eid(f"40.0.1.{number}") for number in range(ACCELERATORS)]
EVERY = NAMES + HOSTS


def attached(*names: str) -> Fabric:
    fabric = Fabric("D", follow_names=True)
    fabric.start()
    fabric.net.run(5)
    for name in names:
        xtr = fabric.xtr(name)
        fabric.net.do(fabric.node(name), lambda now, xtr=xtr: xtr.attach_all([LocalEid(one) for one in EVERY], now))
    fabric.net.run(2)
    return fabric


def known(fabric: Fabric, name: str) -> set[tuple[str, ...]]:
    """The RLOC-sets that an xTR forwards the accelerators by."""
    entries = {entry.eid: entry for entry in fabric.xtr(name).map_cache()}
    return {tuple(str(locator.rloc) for locator in entries[one].locators) if one in entries else () for one in EVERY}


@pytest.mark.requirement("SO-PATH-12", "SO-PATH-5", "SO-PATH-6", "SO-PATH-7", "SO-PATH-9", "SU-PATH-5", "SU-PATH-10")
def test_all_accelerators_of_a_leaf_move_in_a_few_messages() -> None:
    fabric = attached("D1", "D2")
    assert known(fabric, "D3") == {("192.0.40.1", "192.0.40.2")}
    at = fabric.net.now
    fabric.net.do(fabric.node("D2"), lambda now: fabric.xtr("D2").withdraw(EVERY, now, Cause.FAILED))
    fabric.net.run(0.01)
    registers = fabric.net.seen(MapRegister, at, source="D2")
    assert [record.key for _, message in registers for record in message.records] == EVERY
    assert {record.ttl for _, message in registers for record in message.records} == {0}
    assert len(registers) <= 20
    for name in ("D3", "D4"):
        told = [message for _, message in fabric.net.seen(MapNotify, at, destination=name)]
        assert sorted(record.key for message in told for record in message.records) == sorted(EVERY), "each once"
        assert len(told) <= 2 * len(registers)
        assert known(fabric, name) == {("192.0.40.1",)}
    assert fabric.xtr("D2").database() == []
    sizes = [len(seen.datagram.payload) for seen in fabric.net.sent]
    assert max(sizes) <= UNFRAGMENTED, "no message needs fragments, acknowledgements included"
    assert_synchronised(fabric)


@pytest.mark.requirement("MH-MRG-8", "SU-MS-4", "SO-MS-5")
def test_a_leaf_that_falls_silent_leaves_all_its_sets_at_once() -> None:
    fabric = attached("D1", "D2")
    fabric.net.run(60)
    fabric.node("D2").up = False
    fabric.net.run(200)
    expiries = fabric.node("SU-D").events("registration-expired")
    assert len(expiries) == len(EVERY)
    for name in ("D1", "D3", "D4"):
        (before, *_) = [at for at, output in fabric.node("SU-D").outputs if output in expiries]
        told = [m for seen, m in fabric.net.seen(MapNotify, before, destination=name) if m.nonce >= 2 << 62]
        assert sorted(record.key for message in told for record in message.records) == sorted(EVERY)
        assert len(told) <= 20
    assert known(fabric, "D3") == {("192.0.40.1",)}


def test_refreshes_share_messages_and_are_acknowledged_together() -> None:
    fabric = attached("D1")
    at = fabric.net.now
    fabric.net.run(60)
    registers = [message for _, message in fabric.net.seen(MapRegister, at, source="D1")]
    assert sorted(record.key for message in registers for record in message.records) == sorted(EVERY)
    assert len(registers) <= 20
    assert {one.state.value for one in fabric.xtr("D1").database()} == {"registered"}
    assert fabric.net.seen(MapNotifyAck, at) == []


def test_a_lost_message_of_a_batch_is_repeated_alone() -> None:
    fabric = attached()
    xtr = fabric.xtr("D1")
    lost: list[MapRegister] = []

    def lose_one(seen: object) -> bool:
        message = getattr(seen, "message", None)
        if isinstance(message, MapRegister) and not lost:
            lost.append(message)
            return False
        return True

    fabric.net.filter = lose_one
    fabric.net.do(fabric.node("D1"), lambda now: xtr.attach_all([LocalEid(one) for one in EVERY], now))
    at = fabric.net.now
    fabric.net.run(0.5)
    waiting = {one.eid for one in xtr.database() if one.state.value == "registering"}
    assert waiting == {record.key for record in lost[0].records}
    fabric.net.run(1)
    again = [message for _, message in fabric.net.seen(MapRegister, at + 0.5, source="D1")]
    assert [message.records for message in again] == [lost[0].records]
    assert again[0].nonce > lost[0].nonce
    assert {one.state.value for one in xtr.database()} == {"registered"}


def test_an_eid_that_is_refused_does_not_hold_up_the_others() -> None:
    fabric = Fabric("D")
    fabric.start()
    fabric.net.run(5)
    xtr, foreign = fabric.xtr("D1"), eid("10.0.0.9")
    locals_ = [LocalEid(eid("40.0.0.7")), LocalEid(foreign, links=("scale-up",)), LocalEid(eid("40.0.0.8"))]
    fabric.net.do(fabric.node("D1"), lambda now: xtr.attach_all(locals_, now))
    fabric.net.run(0.5)
    states = {str(one.eid.target): one.state.value for one in xtr.database()}
    assert states == {"10.0.0.9/32": "registering", "40.0.0.7/32": "registered", "40.0.0.8/32": "registered"}
    (event,) = fabric.node("D1").events("registration-refused")
    assert event.fields["eid"] == str(foreign)
    fabric.net.run(0.6)
    last = fabric.net.seen(MapRegister, source="D1")[-1][1]
    assert [record.key for record in last.records] == [foreign], "asked again, alone"


def test_datagrams_that_come_together_are_one_transaction_and_share_publications() -> None:
    store = StubbornStore()
    bench = Bench(store)
    bench.subscribe(bench.d4, eid("40.0.0.0/16"))
    store.transactions.clear()
    arrived = [bench.d1.register(bench.endpoint, *HOSTS[first : first + 8]) for first in range(0, 64, 8)]
    outputs = bench.server.receive_all(arrived, 1.0)
    assert len(store.transactions) == 1
    assert sum(isinstance(change, Receipt) for change in store.transactions[0]) == 8
    acknowledged = [message.nonce for message in messages(outputs, MapNotify, to=bench.d1)][:8]
    assert acknowledged == list(range(bench.d1.nonce - 7, bench.d1.nonce + 1))
    published = messages(outputs, MapNotify, to=bench.d4)
    assert sorted(record.key for message in published for record in message.records) == sorted(HOSTS)
    assert len(published) <= 6
    assert max(len(datagram.payload) for datagram in sends(outputs)) <= UNFRAGMENTED
    store.broken = True
    assert sends(bench.server.receive_all([bench.d1.withdraw(bench.endpoint, *HOSTS[:8])], 2.0)) == []


@pytest.mark.requirement("GEN-7")
def test_a_full_pod_of_1024_accelerators_is_registered_and_published() -> None:
    """Draft section 2: about 1024 accelerators in a PoD's Scale-Up domain; here each at two xTRs."""
    fabric = Fabric("D", follow_names=True)
    fabric.start()
    fabric.net.run(5)
    names = [Eid(SCALE_UP_IID, DistinguishedName(f"POD-D-AccID-{number}")) for number in range(1024)]
    for name in ("D1", "D2"):
        xtr = fabric.xtr(name)
        fabric.net.do(fabric.node(name), lambda now, xtr=xtr: xtr.attach_all([LocalEid(one) for one in names], now))
    fabric.net.run(10)
    assert len([one for one in fabric.registered("SU-D") if one.startswith("POD-D-")]) == 1024
    for name in ("D3", "D4"):
        entries = {entry.eid: [str(at.rloc) for at in entry.locators] for entry in fabric.xtr(name).map_cache()}
        assert all(entries[one] == ["192.0.40.1", "192.0.40.2"] for one in names)
    assert fabric.server("SU-D").pending() == []
