"""Draft section 5: accelerators of one PoD talk by AccID, and Scale-Up stays in its PoD (Figure 1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from accelerator.ethernet import decode_ethernet
from accelerator.ip import decode_ip
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket, decode_scale_up
from controller.dataplane.codepoints import DropReason
from controller.lisp import Action, AfiList, MapNotify, MapRegister, MapReply, MapRequest, TunnelHeader
from controller.xtr import DatabaseState
from tests.fabric.observe import IID, SCALE_UP_IID, Observer, acc, figure1, observed, way
from topologies.walk import Hop

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A third access switch in PoD A, so that accelerator 9 reaches accelerator 2 over A1 and A2.
THIRD_SWITCH = (
    ("  - {name: F1, role", "  - {name: A5, role: access, pod: A, rloc: 192.0.2.5}\n  - {name: F1, role"),
    ("  - [A1, S-A]", "  - [A5, S-A]\n  - [A1, S-A]"),
    ('"02:00:00:00:00:02", attached_to: [A2]', '"02:00:00:00:00:02", attached_to: [A1, A2]'),
    (
        "accelerators:\n",
        'accelerators:\n  - {name: acc9, acc_id: 9, scale_up_iid: 8193, mac: "02:00:00:00:00:09", attached_to: [A5]}\n',
    ),
)


def tunnelled(hops: list[Hop], switch: str) -> list[tuple[str, str, bytes, bytes]]:
    """Outer source and destination, tunnel header and payload of every packet that a switch sent into a tunnel."""
    found = []
    for hop in hops:
        for port, frame in hop.sent:
            if hop.switch == switch and port < 500 and frame[12:14] == b"\x08\x00":
                outer = decode_ip(frame[14:])
                found.append((str(outer.source), str(outer.destination), outer.payload[8:16], outer.payload[16:]))
    return found


@pytest.mark.requirement("GEN-1", "GEN-2", "ARCH-1", "ARCH-2", "SU-FLOW-1", "SU-FLOW-2", "SU-FLOW-6", "SU-FLOW-7")
@pytest.mark.requirement("SU-REG-2", "SU-REG-10", "SU-SUB-6", "DP-2", "DP-3", "DP-4", "DP-7", "SU-SEG-4")
async def test_the_destination_alone_chooses_the_domain(fabric: Observer) -> None:
    target = fabric.fabric.endpoints["acc2"]
    hops = await fabric.scale_up("acc1", 2)
    assert way(hops) == ["A1", "S-A", "A2"]
    (source, destination, header, inner), *_ = tunnelled(hops, "A1")
    assert (source, destination) == ("192.0.2.1", "192.0.2.2")
    tunnel = TunnelHeader.decode(header, 4790)
    assert header[0] == 0x0C
    assert (tunnel.iid, tunnel.next_protocol) == (SCALE_UP_IID, 3)
    _, _, ether_type, payload = decode_ethernet(inner)
    assert ether_type == ETHERTYPE_SCALE_UP
    carried = decode_scale_up(payload)
    assert (carried.source, carried.destination, carried.payload) == (1, 2, b"payload")
    assert target.received[-1].payload == b"payload"
    # A1, the underlay (through the outer header, RFC 9300 section 5.3) and A2 count one hop each.
    assert target.received[-1].hop_limit == 61

    hops = await fabric.walk("acc1", "40.0.0.7", port=47000)
    assert {"A1", "D3", "D4"} & set(way(hops)) >= {"A1"}
    headers = [TunnelHeader.decode(header, 4790) for _, _, header, _ in tunnelled(hops, "A1")]
    assert {(tunnel.iid, tunnel.next_protocol) for tunnel in headers} == {(IID, 1)}


@pytest.mark.requirement("SU-FLOW-8", "SU-FLOW-5", "SU-FLOW-4")
async def test_all_further_packets_are_encapsulated_without_a_question(fabric: Observer) -> None:
    mark = fabric.mark()
    hops = await fabric.scale_up("acc1", 2, entropy=100, count=25)
    assert {(source, to) for source, to, _, _ in tunnelled(hops, "A1")} == {("192.0.2.1", "192.0.2.2")}
    assert len(tunnelled(hops, "A1")) == 25
    assert fabric.mark() == mark
    # The whole table of the PoD is with each of its xTRs, from publication.
    for switch in ("A1", "A2", "A3", "A4"):
        known = {entry.eid for entry in fabric.fabric.routers[switch].machine.map_cache()}
        assert {acc("A", 1), acc("A", 2)} <= known


@pytest.mark.requirement("SU-FLOW-9")
async def test_two_accelerators_of_one_router(fabric: Observer) -> None:
    hops = await fabric.scale_up("acc7", 8)
    assert way(hops) in (["D1"], ["D2"])
    assert fabric.fabric.endpoints["acc8"].received[-1].source == 7


@pytest.mark.requirement("SU-REG-5", "SU-REG-9", "SU-SUB-5", "ARCH-7", "SU-MAP-2", "SU-MAP-5")
async def test_the_acc_id_travels_as_metadata(fabric: Observer) -> None:
    for kind, ends in ((MapRegister, ("D1", "SU-MS-D")), (MapNotify, ("SU-MS-D", "D3"))):
        records = [record for seen in fabric.sent(kind, *ends) if (record := seen.record(acc("D", 7)))]
        for locator in records[-1].locators:
            assert isinstance(locator.address, AfiList)
            assert locator.metadata is not None
            assert locator.metadata.acc_id == 7
            assert str(locator.rloc) in ("192.0.2.31", "192.0.2.32")


@pytest.mark.requirement("SU-REG-11", "ARCH-9")
async def test_names_are_in_their_pod_only(fabric: Observer) -> None:
    for seen in fabric.seen():
        for record in seen.records:
            if record.key.iid == SCALE_UP_IID:
                assert "SO-MS" not in (seen.source, seen.destination)
                assert (
                    seen.source[-1 if seen.source.startswith("SU") else 0]
                    == (seen.destination[-1 if seen.destination.startswith("SU") else 0])
                )


@pytest.mark.requirement("SU-SUB-1", "SU-SUB-2", "SU-SUB-8", "SU-UNK-2", "SU-UNK-3", "SU-PATH-3", "SU-MS-1")
async def test_an_accelerator_that_was_never_there(own_fabric_of_module: Observer) -> None:
    fabric = own_fabric_of_module
    mark = fabric.mark()
    hops = await fabric.scale_up("acc1", 99)
    assert way(hops)[0] == "A1"
    assert {hop.switch for hop in hops} == {"A1"}
    (request,) = fabric.sent(MapRequest, since=mark)
    assert (request.source, request.destination, request.encapsulated) == ("A1", "SU-MS-A", True)
    assert isinstance(request.message, MapRequest)
    assert [(r.key, r.subscribe) for r in request.message.records] == [(acc("A", 99), True)]
    (reply,) = fabric.sent(MapReply, since=mark)
    record = reply.record(acc("A", 99))
    assert record is not None
    assert (record.action, record.locators) == (Action.DROP, ())
    mark = fabric.mark()
    await fabric.scale_up("acc1", 99, entropy=5)
    assert fabric.mark() == mark
    assert (await fabric.drops("A1"))[DropReason.NEGATIVE_NO_REASON] >= 1


async def test_nobody_speaks_in_anothers_name(own_fabric_of_module: Observer) -> None:
    fabric = own_fabric_of_module
    endpoint = fabric.fabric.endpoints["acc1"]
    before = len(fabric.fabric.endpoints["acc2"].received)
    endpoint.send(ScaleUpPacket(7, 2, b"not from 7"))
    await fabric.settle()
    assert len(fabric.fabric.endpoints["acc2"].received) == before
    assert (await fabric.drops("A1")) == {DropReason.SPOOFED_SOURCE: 1}


@pytest.mark.requirement("SU-PATH-1", "SU-PATH-2", "SU-PATH-4", "SU-PATH-5", "SU-PATH-6", "SU-PATH-7", "SU-PATH-8")
@pytest.mark.requirement("SU-PATH-9", "SU-PATH-10", "SU-PATH-11", "SU-PATH-12", "SU-PATH-13", "SU-MAP-1")
async def test_a_failed_link_moves_the_traffic_to_the_other_router(tmp_path: Path) -> None:
    async with observed(figure1(tmp_path, *THIRD_SWITCH)) as fabric:
        target = fabric.fabric.endpoints["acc2"]
        hops = await fabric.scale_up("acc9", 2, count=40)
        assert {to for _, to, _, _ in tunnelled(hops, "A5")} == {"192.0.2.1", "192.0.2.2"}
        assert len(target.received) == 40
        subscribers = fabric.fabric.mapping_systems["SU-MS-A"].machine.subscriptions()
        a5 = fabric.fabric.routers["A5"].machine.config.xtr_id
        assert any(item.xtr.identity == a5 and item.eid.covers(acc("A", 2)) for item in subscribers)

        mark = fabric.mark()
        fabric.fabric.access_ports["A2", "acc2"].enabled = False
        fabric.fabric.switches["A2"].poll_ports()
        (entry,) = [e for e in fabric.fabric.routers["A2"].machine.database() if e.eid == acc("A", 2)]
        assert entry.state is DatabaseState.WITHDRAWN
        await fabric.settle()
        (gone,) = [seen for seen in fabric.sent(MapRegister, "A2", since=mark) if seen.record(acc("A", 2))]
        record = gone.record(acc("A", 2))
        assert record is not None
        assert record.ttl == 0
        assert gone.nonce in [seen.nonce for seen in fabric.sent(MapNotify, "SU-MS-A", "A2", since=mark)]
        assert acc("A", 2) not in [e.eid for e in fabric.fabric.routers["A2"].machine.database()]
        told = [r for s in fabric.sent(MapNotify, "SU-MS-A", "A5", since=mark) if (r := s.record(acc("A", 2)))]
        assert [str(locator.rloc) for locator in told[-1].locators] == ["192.0.2.1"]
        assert fabric.locators("A5", acc("A", 2)) == ["A1"]
        assert fabric.sent(MapRequest, since=mark) == []

        hops = await fabric.scale_up("acc9", 2, count=40)
        assert {to for _, to, _, _ in tunnelled(hops, "A5")} == {"192.0.2.1"}
        assert len(target.received) == 80


@pytest.mark.requirement("SU-PATH-14", "SU-PATH-1", "ARCH-5")
async def test_a_stream_loses_little_and_has_moved_after_two_messages(tmp_path: Path) -> None:
    """What is on its way to the router that lost its link goes on from there to the other one."""
    async with observed(figure1(tmp_path, *THIRD_SWITCH)) as fabric:
        stream, target = fabric.fabric.endpoints["acc9"], fabric.fabric.endpoints["acc2"]
        mark, sent = fabric.mark(), 0
        fabric.recorder.take()
        fabric.recorder.on = True

        async def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                stream.send_message(2, b"x", entropy=sent, sequence=sent)
                sent += 1
                await asyncio.sleep(0.002)

        await send(30)
        fabric.fabric.access_ports["A2", "acc2"].enabled = False
        fabric.fabric.switches["A2"].poll_ports()
        await send(60)
        await fabric.settle()
        before = fabric.recorder.take()
        await send(30)
        await fabric.settle()
        # Lost is at most what met the dead port before A2's own entry had changed.
        lost = set(range(sent)) - {packet.sequence for packet in target.received}
        assert lost <= set(range(30, 60))
        assert len(lost) <= 15
        assert "192.0.2.2" in {to for _, to, _, _ in tunnelled(before, "A5")}
        assert {to for _, to, _, _ in tunnelled(fabric.recorder.take(), "A5")} == {"192.0.2.1"}
        # From the failure to the ITR: one Map-Register, one Map-Notify.
        told = [seen for seen in fabric.seen(mark) if seen.record(acc("A", 2))]
        kinds = [type(seen.message) for seen in told if "A2" in seen.source or seen.destination == "A5"]
        assert kinds[:2] == [MapRegister, MapNotify]


@pytest.mark.requirement("DP-5", "DP-1")
@pytest.mark.parametrize(("encapsulation", "port"), [("lisp-gpe", 4341), ("vxlan", 4789)])
async def test_other_encapsulations_carry_both_domains(tmp_path: Path, encapsulation: str, port: int) -> None:
    topology = figure1(tmp_path, ("encapsulation: vxlan-gpe", f"encapsulation: {encapsulation}"))
    async with observed(topology) as fabric:
        hops = await fabric.scale_up("acc1", 2)
        frame = next(frame for hop in hops if hop.switch == "A1" for _, frame in hop.sent)
        outer = decode_ip(frame[14:])
        assert int.from_bytes(outer.payload[2:4], "big") == port
        assert fabric.fabric.endpoints["acc2"].received[-1].payload == b"payload"
        await fabric.walk("acc1", "40.0.0.7")
        assert len(fabric.fabric.hosts["acc7"].received) == 1
