"""The shipped networks at work: who is in which domain, and what goes on when a node of the mapping system is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address

import pytest
import pytest_asyncio

from accelerator.ip import echo_in
from controller.app.describe import unwrap
from controller.lisp import DistinguishedName, MapNotify, MapRegister
from tests.topologies.test_files import FOLDER
from topologies.generate import Shape, generate
from topologies.inprocess import Fabric
from topologies.schema import Topology
from topologies.topology_file import load


@pytest_asyncio.fixture
async def scale_out() -> AsyncIterator[Fabric]:
    async with Fabric(load(FOLDER / "scale-out.yaml")) as fabric:
        yield fabric


async def pings(fabric: Fabric, source: str, destination: str, sequence: int = 1) -> bool:
    """Whether an echo request is answered."""
    host = fabric.hosts[source]
    host.ping(fabric.hosts[destination].address, sequence=sequence)
    for _ in range(300):
        await asyncio.sleep(0.01)
        echoes = [echo for packet in host.received if (echo := echo_in(packet)) is not None]
        if any(echo.reply and echo.sequence == sequence for echo in echoes):
            return True
    return False


@pytest.mark.requirement("GEN-3")
async def test_scale_out_alone_carries_both_ip_versions(scale_out: Fabric) -> None:
    assert scale_out.endpoints == {}
    assert await pings(scale_out, "red-a", "red-b")
    assert await pings(scale_out, "green-a", "green-b")


@pytest.mark.requirement("SO-MS-4")
@pytest.mark.parametrize("dead", ["SO-MS-1", "SO-MS-2"])
async def test_either_node_of_the_scale_out_mapping_system_may_fail(scale_out: Fabric, dead: str) -> None:
    """What changes after it has gone is registered, published and used all the same."""
    topology = scale_out.topology
    nodes = {node.name: node.address for node in topology.mapping_systems()}
    for name in ("SO-MS-1", "SO-MS-2"):
        held = {str(one.eid) for one in scale_out.mapping_systems[name].machine.registrations()}
        assert held == {"[4097] 10.0.0.0/16", "[4097] 20.0.0.0/16", "[4098] fd00:10::/32", "[4098] fd00:20::/32"}
    scale_out.mapping_systems[dead].stop()
    scale_out.network.forget(nodes[dead])
    mark = len(scale_out.network.record)
    b3 = scale_out.routers["B3"]
    subnets = [entry.eid for entry in b3.machine.database() if not isinstance(entry.eid.target, DistinguishedName)]
    b3.perform(b3.machine.withdraw([eid for eid in subnets if str(eid) == "[4097] 20.0.0.0/16"], b3.now()))
    for _ in range(300):
        await asyncio.sleep(0.01)
        cache = {str(entry.eid): entry for entry in scale_out.routers["A3"].machine.map_cache()}
        rlocs = [str(one.rloc) for one in cache["[4097] 20.0.0.0/16"].locators]
        if rlocs == ["192.0.2.14"]:
            break
    assert rlocs == ["192.0.2.14"], "B4 alone"
    new = list(scale_out.network.record)[mark:]
    published = {
        scale_out.name_of(one.datagram.source.address) for one in new if isinstance(unwrap(one.datagram)[0], MapNotify)
    }
    assert dead not in published
    asked = {
        scale_out.name_of(one.datagram.destination.address)
        for one in new
        if isinstance(unwrap(one.datagram)[0], MapRegister)
    }
    assert {"SO-MS-1", "SO-MS-2"} <= asked, "an xTR registers with all nodes"
    assert await pings(scale_out, "red-a", "red-b")


@pytest.mark.requirement("GEN-3", "GEN-5")
async def test_hybrid_has_every_kind_of_network() -> None:
    async with Fabric(load(FOLDER / "hybrid.yaml")) as fabric:
        assert sorted(fabric.hosts) == ["acc1", "acc2", "nic-4", "nic-5"]
        assert sorted(fabric.endpoints) == ["acc1", "acc2", "gpu-3", "gpu-6", "gpu-7"]
        assert await pings(fabric, "nic-4", "nic-5")
        assert await pings(fabric, "acc1", "nic-5")
        fabric.endpoints["acc1"].send_message(3, b"to gpu-3")
        fabric.endpoints["acc1"].send_message(4, b"nic-4 has no AccID in Scale-Up")
        fabric.endpoints["gpu-6"].send_message(7, b"within PoD C")
        fabric.endpoints["gpu-6"].send_message(1, b"PoD A is out of its reach")
        fabric.hosts["acc1"].send_udp(IPv4Address("10.0.0.3"), 4000, 4791, b"nobody has that address")
        await fabric.converge()
        assert {name: len(one.received) for name, one in fabric.endpoints.items()} == {
            "acc1": 0,
            "acc2": 0,
            "gpu-3": 1,
            "gpu-6": 0,
            "gpu-7": 1,
        }


@pytest.mark.requirement("GEN-3", "SO-SEG-7", partial=True)
async def test_a_generated_fabric_works() -> None:
    shape = Shape(pods=2, accelerators=8, tenants=2, multihomed=2, eid_version=6, rloc_version=6, nodes=2)
    async with Fabric(Topology.model_validate(generate(shape))) as fabric:
        first = fabric.topology.accelerator("acc1")
        peers = [one for one in fabric.topology.accelerators if one.iid == first.iid and one != first]
        others = [one for one in fabric.topology.accelerators if one.iid != first.iid]
        for number, peer in enumerate(peers, start=1):
            assert await pings(fabric, "acc1", peer.name, number), peer.name
        for other in others:
            assert isinstance(other.ip, IPv6Address)
            fabric.hosts["acc1"].send_udp(other.ip, 4000, 4791, b"for another tenant")
        await fabric.converge()
        assert not any(fabric.hosts[other.name].received for other in others)
