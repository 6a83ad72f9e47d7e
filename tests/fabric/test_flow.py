"""Draft section 4.3: a packet's way from PoD A to PoD D and back (Figure 1)."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from accelerator.ip import decode_ip
from controller.lisp import MapRequest, RlocRecord, TunnelHeader
from controller.p4rt.actions import ActionSet
from tests.fabric.observe import IID, Observer, eid, figure1, observed, outer_destinations, way
from topologies.inprocess import Fabric
from topologies.walk import Hop

pytestmark = pytest.mark.asyncio(loop_scope="module")


def names(fabric: Fabric, addresses: list[IPv4Address]) -> list[str]:
    return [fabric.name_of(address) for address in addresses]


def hop_at(hops: list[Hop], *switches: str) -> Hop:
    """The pass that sent the packet on, at one of these switches."""
    return next(hop for hop in hops if hop.switch in switches and hop.sent and hop.sent[0][0] < 500)


@pytest.mark.requirement(
    "SO-FLOW-2", "SO-FLOW-7", "SO-FLOW-8", "SO-FLOW-11", "SO-FLOW-12", "ARCH-2", "SO-MS-1", "SO-SUB-11", "MH-FWD-1"
)
async def test_the_way_to_another_pod(fabric: Observer) -> None:
    target = fabric.fabric.hosts["acc7"]
    before = len(target.received)
    hops = await fabric.walk("acc1", "40.0.0.7", port=41000)
    # The first frame already names the destination: nothing was asked of anybody before.
    assert hops[0].received[30:34] == bytes([40, 0, 0, 7])
    xtrs = [name for name in dict.fromkeys(way(hops)) if name in fabric.fabric.routers]
    assert xtrs[0] == "A1"
    assert xtrs[1] in ("A3", "A4")
    assert xtrs[2] in ("D3", "D4")
    assert xtrs[3] in ("D1", "D2")
    assert len(xtrs) == 4
    assert names(fabric.fabric, outer_destinations(hops, "A1")) == [xtrs[1]]
    assert names(fabric.fabric, outer_destinations(hops, xtrs[1])) == [xtrs[2]]
    assert names(fabric.fabric, outer_destinations(hops, xtrs[2])) == [xtrs[3]]
    # The source of every tunnel is the router that made it.
    for here in xtrs[:3]:
        assert fabric.fabric.name_of(IPv4Address(hop_at(hops, here).sent[0][1][26:30])) == here
    packet = target.received[-1]
    assert len(target.received) == before + 1
    assert (str(packet.source), str(packet.destination)) == ("10.0.0.1", "40.0.0.7")
    assert packet.payload[8:] == b"payload"


@pytest.mark.requirement("DP-3", "SO-FLOW-1")
@pytest.mark.requirement("GEN-1", "DP-2", "DP-4", partial=True)  # Scale-Out
async def test_what_crosses_the_fabric_carries_the_scale_out_instance_id(fabric: Observer) -> None:
    hops = await fabric.walk("acc1", "40.0.0.7", port=41100)
    frame = hop_at(hops, "A3", "A4").sent[0][1]
    outer = decode_ip(frame[14:])
    assert (outer.protocol, int.from_bytes(outer.payload[2:4], "big")) == (17, 4790)
    tunnel = TunnelHeader.decode(outer.payload[8:16], 4790)
    assert outer.payload[8] == 0x0C
    assert (tunnel.iid, tunnel.next_protocol) == (IID, 1)
    assert outer.payload[12:15] == IID.to_bytes(3, "big")
    inner = decode_ip(outer.payload[16:])
    assert (str(inner.source), str(inner.destination), inner.payload[8:]) == ("10.0.0.1", "40.0.0.7", b"payload")
    # The UDP checksum of the tunnel is zero, its length that of what it carries.
    assert outer.payload[6:8] == b"\0\0"
    assert int.from_bytes(outer.payload[4:6], "big") == len(outer.payload)


@pytest.mark.requirement("DP-6", "DP-1", "SO-FLOW-1")
@pytest.mark.requirement("DP-5", partial=True)  # Scale-Out
async def test_the_same_with_lisp_encapsulation(tmp_path: Path) -> None:
    topology = figure1(
        tmp_path, ("domain: scale-out, encapsulation: vxlan-gpe", "domain: scale-out, encapsulation: lisp")
    )
    async with observed(topology) as fabric:
        hops = await fabric.walk("acc1", "40.0.0.7")
        frames = [hop_at(hops, *switches).sent[0][1] for switches in (("A1",), ("A3", "A4"), ("D3", "D4"))]
        for frame in frames:
            outer = decode_ip(frame[14:])
            assert int.from_bytes(outer.payload[2:4], "big") == 4341
            assert outer.payload[8:16] == bytes.fromhex("0800000000100100")
        assert len(fabric.fabric.hosts["acc7"].received) == 1
        assert fabric.locators("D3", "40.0.0.7/32") == ["D1", "D2"]


@pytest.mark.requirement("SO-FLOW-3")
async def test_a_border_asks_nothing_for_a_published_subnet(fabric: Observer) -> None:
    mark = fabric.mark()
    await fabric.walk("acc2", "40.0.0.8", port=41200)
    requests = fabric.sent(MapRequest, since=mark)
    assert [seen.source for seen in requests] == ["A2"]


@pytest.mark.requirement("SO-FLOW-9")
async def test_a_border_processes_the_inner_header(fabric: Observer) -> None:
    """Each router takes one off the TTL; the smaller of both TTLs survives; the entry's counter counts."""
    before = await fabric.hits("D3", "40.0.0.7/32") + await fabric.hits("D4", "40.0.0.7/32")
    hops = await fabric.walk("acc1", "40.0.0.7", port=41300)
    assert await fabric.hits("D3", "40.0.0.7/32") + await fabric.hits("D4", "40.0.0.7/32") == before + 1
    entering = hop_at(hops, "D3", "D4")
    outer_in, outer_out = decode_ip(entering.received[14:]), decode_ip(entering.sent[0][1][14:])
    inner_in, inner_out = (decode_ip(outer.payload[16:]) for outer in (outer_in, outer_out))
    assert outer_in.ttl < inner_in.ttl
    assert inner_out.ttl == outer_in.ttl - 1
    assert outer_out.ttl == outer_in.ttl - 1
    # A1, S-A, A3, F, D3, S-D and D1: seven routers.
    assert fabric.fabric.hosts["acc7"].received[-1].ttl == 64 - 7


@pytest.mark.requirement("SO-FLOW-11")
@pytest.mark.requirement("MH-FWD-2", partial=True)  # no spraying yet
async def test_flows_spread_over_the_locators_and_stay_there(fabric: Observer) -> None:
    await fabric.resolve("acc1", "40.0.0.7")
    hops = await fabric.walk("acc1", "40.0.0.7", port=42000, count=200)
    chosen = {
        switch: Counter(names(fabric.fabric, outer_destinations(hops, switch)))
        for switch in ("A1", "A3", "A4", "D3", "D4")
    }
    # 200 flows, two locators of the same weight: 100 each, give or take four standard deviations.
    assert set(chosen["A1"]) == {"A3", "A4"}
    assert all(72 <= count <= 128 for count in chosen["A1"].values())
    # No hop's choice is tied to the choice of the hop before it.
    for border in ("A3", "A4"):
        assert set(chosen[border]) == {"D3", "D4"}
        assert min(chosen[border].values()) >= sum(chosen[border].values()) * 0.25
    for border in ("D3", "D4"):
        assert set(chosen[border]) == {"D1", "D2"}
        assert min(chosen[border].values()) >= sum(chosen[border].values()) * 0.25
    # A flow keeps its way.
    ways = {tuple(way(await fabric.walk("acc1", "40.0.0.7", port=42007))) for _ in range(4)}
    assert len(ways) == 1


@pytest.mark.requirement("SO-FLOW-11")
async def test_priority_and_weight_are_obeyed(own_fabric_of_module: Observer) -> None:
    """D1 with priority 1, D2 with 2: only D1. Then both with 1 and weights 75 and 25: three to one."""
    fabric = own_fabric_of_module
    routers = fabric.fabric.routers

    def announce(switch: str, priority: int, weight: int) -> None:
        router = routers[switch]
        record = RlocRecord(router.address, priority, weight, local=True)
        router.perform(router.machine.attach(eid("40.0.0.7/32"), router.now(), locators=(record,)))

    announce("D1", 1, 100)
    announce("D2", 2, 100)
    await fabric.settle()
    await fabric.resolve("acc1", "40.0.0.7")
    hops = await fabric.walk("acc1", "40.0.0.7", count=40)
    assert {name for switch in ("D3", "D4") for name in names(fabric.fabric, outer_destinations(hops, switch))} == {
        "D1"
    }

    announce("D1", 1, 75)
    announce("D2", 1, 25)
    await fabric.settle()
    for border in ("D3", "D4"):
        (entry,) = [
            entry.action
            for entry in await fabric.entries(border, "rloc_set")
            if isinstance(entry.action, ActionSet) and sorted(item.weight for item in entry.action.actions) == [1, 3]
        ]
        assert {item.action.params["rloc"]: item.weight for item in entry.actions} == {
            int(IPv4Address("192.0.2.31")): 3,
            int(IPv4Address("192.0.2.32")): 1,
        }
    hops = await fabric.walk("acc1", "40.0.0.7", port=43000, count=300)
    chosen = Counter(name for switch in ("D3", "D4") for name in names(fabric.fabric, outer_destinations(hops, switch)))
    assert 195 <= chosen["D1"] <= 255


@pytest.mark.requirement("SO-FLOW-13")
async def test_the_way_back(fabric: Observer) -> None:
    host = fabric.fabric.hosts["acc1"]
    before = len(host.received)
    fabric.recorder.take()
    fabric.recorder.on = True
    host.ping(fabric.fabric.hosts["acc7"].address, sequence=77)
    await fabric.settle()
    fabric.recorder.on = False
    hops = fabric.recorder.take()
    answer = host.received[-1]
    assert len(host.received) == before + 1
    assert (str(answer.source), answer.payload[0]) == ("40.0.0.7", 0)
    # What goes back has 40.0.0.7 as source and 10.0.0.1 as destination, next to each other in the header.
    addresses = bytes.fromhex("280000070a000001")
    xtrs = [hop.switch for hop in hops if addresses in hop.received and hop.switch in fabric.fabric.routers]
    back = list(dict.fromkeys(xtrs))
    assert back[0] in ("D1", "D2")
    assert back[1] in ("D3", "D4")
    assert back[2] in ("A3", "A4")
    assert back[3:] == ["A1"]


@pytest.mark.requirement("GEN-1", partial=True)  # Scale-Out
async def test_traffic_inside_a_pod_never_leaves_it(fabric: Observer) -> None:
    hops = await fabric.walk("acc1", "10.0.0.2", port=44000)
    assert way(hops) == ["A1", "S-A", "A2"]
    assert fabric.fabric.hosts["acc2"].received[-1].payload[8:] == b"payload"
