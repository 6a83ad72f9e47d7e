"""Draft sections 4.2 and 4.4: first traffic subscribes, and every change reaches the subscribers."""

from __future__ import annotations

import pytest

from controller.lisp import Action, Eid, MapNotify, MapNotifyAck, MapRegister, MapReply, MapRequest
from controller.xtr import DatabaseState
from tests.fabric.observe import IID, SCALE_UP_IID, Observer, acc, eid, outer_destinations, way

HOST = "40.0.0.7/32"
HOLE = "32.0.0.0/3"


def rlocs(fabric: Observer, message: object, prefix: str) -> list[str] | None:
    """The RLOC-set of an EID in a message, by name; None when the message does not have the EID."""
    for record in getattr(message, "records", ()):
        if record.key == eid(prefix):
            return [fabric.fabric.name_of(locator.rloc) for locator in record.locators]
    return None


@pytest.mark.requirement("SO-SUB-1", "SO-SUB-2", "SO-SUB-3", "SO-PATH-4", "PR-REQ-2", "PR-PUB-3", "PR-PUB-4")
async def test_the_first_packet_makes_the_itr_subscribe(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    await fabric.walk("acc1", "40.0.0.7")
    (request,) = fabric.sent(MapRequest, since=mark)
    assert (request.source, request.destination, request.encapsulated) == ("A1", "SU-MS-A", True)
    assert isinstance(request.message, MapRequest)
    assert [(record.key, record.subscribe) for record in request.message.records] == [(eid(HOST), True)]
    # On the wire: inside ECM (4), IPv4 (20) and UDP (8); I-bit, one ITR-RLOC, N-bit, and 24 octets of identity.
    octets = request.item.datagram.payload[32:]
    assert int.from_bytes(octets[:4], "big") == 0x10100001
    record_at = len(octets) - 24 - (4 + 8 + 4 + 2 + 4 - 2)
    assert octets[record_at : record_at + 2] == b"\x80\x20"
    assert octets[-24:] == fabric.fabric.routers["A1"].machine.config.xtr_id + (10).to_bytes(8, "big")
    # The confirmation: a Map-Notify with the nonce of the request, acknowledged, and no Map-Reply.
    (confirmation,) = fabric.sent(MapNotify, "SU-MS-A", "A1", since=mark)
    assert confirmation.nonce == request.nonce
    assert [seen.nonce for seen in fabric.sent(MapNotifyAck, "A1", since=mark)] == [request.nonce]
    assert fabric.sent(MapReply, since=mark) == []


@pytest.mark.requirement("SO-SUB-5", "SO-SUB-11", "SO-FLOW-6")
async def test_the_answer_is_the_way_out_of_the_pod_and_is_used(own_fabric: Observer) -> None:
    fabric = own_fabric
    await fabric.walk("acc1", "40.0.0.7")
    assert fabric.locators("A1", HOLE) == ["A3", "A4"]
    subscriptions = fabric.fabric.mapping_systems["SU-MS-A"].machine.subscriptions()
    subscribers = [
        item for item in subscriptions if item.xtr.identity == fabric.fabric.routers["A1"].machine.config.xtr_id
    ]
    assert {item.eid for item in subscribers} == {eid("10.0.0.0/16"), Eid.whole(SCALE_UP_IID), eid(HOLE)}
    mark = fabric.mark()
    hops = await fabric.walk("acc1", "40.0.0.7", port=45000, count=5)
    assert fabric.mark() == mark
    assert {fabric.fabric.name_of(address) for address in outer_destinations(hops, "A1")} <= {"A3", "A4"}


@pytest.mark.requirement("SO-REG-9", "SO-SUB-6", "SO-SUB-9", "SO-MS-3", "ARCH-3", "SO-REG-19")
async def test_a_subnet_that_is_withdrawn_is_published_and_forgotten(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    for border in ("D3", "D4"):
        fabric.fabric.routers[border].detach(eid("40.0.0.0/16"))
        await fabric.settle()
        told = {
            seen.destination: rlocs(fabric, seen.message, "40.0.0.0/16")
            for seen in fabric.sent(MapNotify, "SO-MS", since=mark)
        }
        expected = ["D4"] if border == "D3" else []
        for remote in ("A3", "A4", "B3", "B4", "C3", "C4"):
            assert told[remote] == expected
    last = fabric.sent(MapNotify, "SO-MS", "A3", since=mark)[-1]
    record = last.record(eid("40.0.0.0/16"))
    assert record is not None
    assert record.ttl == 0
    local = {
        seen.destination for seen in fabric.sent(MapNotify, "SU-MS-D", since=mark) if seen.record(eid("40.0.0.0/16"))
    }
    assert {"D1", "D2"} <= local
    assert fabric.locators("A3", "40.0.0.0/16") is None
    # And it comes back without a restart.
    fabric.fabric.routers["D3"].perform(
        fabric.fabric.routers["D3"].machine.attach(
            eid("40.0.0.0/16"), fabric.fabric.routers["D3"].now(), links=("scale-up", "scale-out"), deliver=False
        )
    )
    await fabric.settle()
    assert fabric.locators("A3", "40.0.0.0/16") == ["D3"]


@pytest.mark.requirement(
    "SO-SUB-7",
    "SO-SUB-8",
    "SO-SUB-9",
    "SO-PATH-5",
    "SO-PATH-6",
    "SO-PATH-7",
    "SO-PATH-9",
    "SO-PATH-10",
    "SO-PATH-11",
    "SO-MS-5",
    "SO-MS-6",
    "SO-MS-7",
    "ARCH-3",
)
async def test_an_accelerator_leaves_one_of_its_routers_and_comes_back(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    router = fabric.fabric.routers["D1"]
    fabric.fabric.detach("acc7", "D1")
    assert [entry.state for entry in router.machine.database() if entry.eid == eid(HOST)] == [DatabaseState.WITHDRAWN]
    await fabric.settle()
    (deregistration,) = [seen for seen in fabric.sent(MapRegister, "D1", since=mark) if seen.record(eid(HOST))]
    record = deregistration.record(eid(HOST))
    assert record is not None
    assert record.ttl == 0
    acks = [seen for seen in fabric.sent(MapNotify, "SU-MS-D", "D1", since=mark) if seen.nonce == deregistration.nonce]
    assert len(acks) == 1
    assert [entry for entry in router.machine.database() if entry.eid == eid(HOST)] == []
    for switch in ("D2", "D3", "D4"):
        told = [
            found
            for seen in fabric.sent(MapNotify, "SU-MS-D", switch, since=mark)
            if (found := rlocs(fabric, seen.message, HOST)) is not None
        ]
        assert told[-1] == ["D2"]
    for border in ("D3", "D4"):
        assert fabric.locators(border, HOST) == ["D2"]
    await fabric.resolve("acc1", "40.0.0.7")
    hops = await fabric.walk("acc1", "40.0.0.7", count=30)
    sent = {fabric.fabric.name_of(address) for switch in ("D3", "D4") for address in outer_destinations(hops, switch)}
    assert sent == {"D2"}
    assert len(fabric.fabric.hosts["acc7"].received) == 31

    mark = fabric.mark()
    fabric.fabric.attach("acc7")
    await fabric.settle()
    for border in ("D3", "D4"):
        assert fabric.locators(border, HOST) == ["D1", "D2"]
        told = [
            found
            for seen in fabric.sent(MapNotify, "SU-MS-D", border, since=mark)
            if (found := rlocs(fabric, seen.message, HOST)) is not None
        ]
        assert told[-1] == ["D1", "D2"]


@pytest.mark.requirement("SO-PATH-1", "SO-PATH-2", "SO-MAP-1")
async def test_an_attached_accelerator_is_in_the_database_before_it_is_registered(own_fabric: Observer) -> None:
    fabric = own_fabric
    router = fabric.fabric.routers["D1"]
    for switch in ("D1", "D2"):
        fabric.fabric.detach("acc8", switch)
    await fabric.settle()
    mark = fabric.mark()
    fabric.fabric.attach("acc8")
    # The datagrams of this turn have been sent, none has been answered yet.
    assert [entry.state for entry in router.machine.database() if entry.eid == eid("40.0.0.8/32")] == [
        DatabaseState.REGISTERING
    ]
    sent = [(seen.source, type(seen.message), record.key) for seen in fabric.seen(mark) for record in seen.records]
    both = (eid("40.0.0.8/32"), acc("D", 8))
    assert sent == [(switch, MapRegister, key) for switch in ("D1", "D2") for key in both]
    await fabric.settle()
    assert [entry.state for entry in router.machine.database() if entry.eid == eid("40.0.0.8/32")] == [
        DatabaseState.REGISTERED
    ]


@pytest.mark.requirement("SO-SUB-12", "SO-SUB-14", "SO-UNK-1", "SO-UNK-2", "SO-UNK-3")
async def test_an_accelerator_that_was_never_there(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    hops = await fabric.walk("acc1", "10.0.0.99")
    border = way(hops)[-1]
    assert border in ("A3", "A4")
    (request,) = fabric.sent(MapRequest, border, "SU-MS-A", since=mark)
    (reply,) = fabric.sent(MapReply, "SU-MS-A", border, since=mark)
    assert reply.nonce == request.nonce
    record = reply.record(eid("10.0.0.99/32"))
    assert record is not None
    assert (record.locators, record.action, record.ttl) == ((), Action.DROP, 1)
    octets = reply.item.datagram.payload
    assert octets[16] == 0  # Locator Count
    assert octets[18] >> 5 == 3  # ACT
    assert fabric.sent(MapNotify, "SU-MS-A", border, since=mark) == []
    # From then on the data plane drops by itself, and counts it.
    mark, before = fabric.mark(), await fabric.drops(border)
    flow = await fabric.walk("acc1", "10.0.0.99")
    assert way(flow)[-1] == border
    assert await fabric.drops(border) == before | {10: before.get(10, 0) + 1}
    assert fabric.mark() == mark


@pytest.mark.requirement("SO-SUB-13", "SO-UNK-3")
async def test_an_accelerator_that_is_gone(own_fabric: Observer) -> None:
    fabric = own_fabric
    fabric.fabric.detach("acc2", "A2")
    await fabric.settle()
    assert fabric.locators("A3", "10.0.0.2/32") is None
    mark = fabric.mark()
    await fabric.walk("acc1", "10.0.0.2")
    replies = fabric.sent(MapReply, "SU-MS-A", since=mark)
    records = [reply.record(eid("10.0.0.2/32")) for reply in replies]
    assert [record.action for record in records if record is not None] == [Action.DROP]
    assert fabric.fabric.hosts["acc2"].received == type(fabric.fabric.hosts["acc2"].received)()


@pytest.mark.requirement("SO-SUB-12")
async def test_a_destination_outside_every_pod_is_dropped_at_the_border(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    hops = await fabric.walk("acc1", "50.0.0.1")
    border = way(hops)[-1]
    (reply,) = fabric.sent(MapReply, "SO-MS", border, since=mark)
    (record,) = reply.records
    assert record.action == Action.DROP
    assert record.ttl == 15
    # The hole that is dropped holds no subnet of a PoD (C8).
    for subnet in ("10.0.0.0/16", "20.0.0.0/16", "30.0.0.0/16", "40.0.0.0/16"):
        assert not record.key.covers(eid(subnet))
    assert record.key.covers(eid("50.0.0.1/32"))
    assert record.key.iid == IID


@pytest.mark.requirement("SO-PATH-12", "SO-PATH-5", "SO-PATH-9", "SO-PATH-11")
async def test_a_port_that_fails_gives_the_same_sequence(own_fabric: Observer) -> None:
    fabric, mark = own_fabric, own_fabric.mark()
    await fabric.resolve("acc1", "40.0.0.7")
    switch, port = fabric.fabric.switches["D1"], fabric.fabric.access_ports["D1", "acc7"]
    port.enabled = False
    switch.poll_ports()
    await fabric.settle()
    (deregistration,) = [seen for seen in fabric.sent(MapRegister, "D1", since=mark) if seen.record(eid(HOST))]
    record = deregistration.record(eid(HOST))
    assert record is not None
    assert record.ttl == 0
    for border in ("D3", "D4"):
        assert fabric.locators(border, HOST) == ["D2"]
    received = len(fabric.fabric.hosts["acc7"].received)
    hops = await fabric.walk("acc1", "40.0.0.7", port=46000, count=20)
    sent = {fabric.fabric.name_of(address) for name in ("D3", "D4") for address in outer_destinations(hops, name)}
    assert sent == {"D2"}
    assert len(fabric.fabric.hosts["acc7"].received) == received + 20

    port.enabled = True
    switch.poll_ports()
    await fabric.settle()
    for border in ("D3", "D4"):
        assert fabric.locators(border, HOST) == ["D1", "D2"]
