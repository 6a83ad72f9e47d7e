"""Two tenants and what a policy lets them use of each other: requests, packets both ways, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import pytest_asyncio

from accelerator.ip import decode_ip
from controller.app.control import Session
from controller.lisp import Eid, InstanceId, MapNotify
from controller.xtr import Kind
from tests.fabric.observe import Observer, observed, way
from topologies.operate.trace import Trace
from topologies.topology_file import load
from topologies.walk import Hop

FILE = Path(__file__).resolve().parents[2] / "topologies" / "extranet.yaml"
RED, GREEN = 4097, 4098
LISP, VXLAN_GPE = 4341, 4790

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def extranet() -> AsyncIterator[Observer]:
    async with observed(load(FILE)) as observer:
        yield observer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observer]:
    """The same tenants without a policy."""
    file = tmp_path_factory.mktemp("apart") / "apart.yaml"
    file.write_text(FILE.read_text().replace("extranets:", "").replace("  - {provider: ", "  # {provider: "))
    async with observed(load(file)) as observer:
        yield observer


def tunnels(hops: list[Hop], switch: str) -> set[tuple[int, int]]:
    """(UDP port, Instance-ID) of the tunnels that a switch sends."""
    frames = [decode_ip(frame[14:]) for hop in hops if hop.switch == switch for port, frame in hop.sent if port < 500]
    return {
        (int.from_bytes(outer.payload[2:4], "big"), int.from_bytes(outer.payload[12:15], "big")) for outer in frames
    }


async def pings(observer: Observer, source: str, destination: str) -> int:
    """How many of three pings are answered."""
    host = observer.fabric.hosts[source]
    before = len(host.received)
    for number in range(3):
        host.ping(IPv4Address(destination), number)
    await observer.settle()
    return len(host.received) - before


@pytest.mark.requirement("SO-SEG-7", "SO-SEG-2")
async def test_the_border_turns_packets_over_to_the_providers_instance(extranet: Observer) -> None:
    await extranet.resolve("red-a", "60.0.0.1")
    received = extranet.fabric.hosts["storage-b"].received
    before = len(received)
    hops = await extranet.walk("red-a", "60.0.0.1", count=4)
    assert len(received) - before == 4
    assert Counter(way(hops)) == dict.fromkeys(("A1", "S-A", "A3", "F1", "B3", "S-B", "B1"), 4)
    assert tunnels(hops, "A1") == {(VXLAN_GPE, RED)}, "red's own, as far as it goes"
    assert tunnels(hops, "A3") == {(VXLAN_GPE, GREEN)}
    assert tunnels(hops, "B3") == {(LISP, GREEN)}, "from here on as green's own packets go"


@pytest.mark.requirement("SO-SEG-2")
async def test_the_mapping_system_says_it_with_an_instance_id_around_the_rloc(extranet: Observer) -> None:
    await extranet.resolve("red-a", "60.0.0.1")
    wanted = Eid.of(RED, "60.0.0.0/16")
    records = [seen.record(wanted) for seen in extranet.sent(MapNotify, "SO-MS", "A3")]
    found = [record for record in records if record is not None]
    assert {locator.address for record in found for locator in record.locators} == {
        InstanceId(GREEN, IPv4Address("192.0.2.13"))
    }


@pytest.mark.requirement("SO-SEG-7")
async def test_pings_come_back_where_the_way_back_is_a_policy_too(extranet: Observer) -> None:
    assert await pings(extranet, "red-a", "60.0.0.1") == 3


@pytest.mark.requirement("SO-SEG-7", "ARCH-4")
async def test_and_not_where_it_is_none(extranet: Observer) -> None:
    received = extranet.fabric.hosts["storage-b"].received
    before = len(received)
    assert await pings(extranet, "red-b", "60.0.0.1") == 0
    drops = Counter(await extranet.drops("B3"))
    assert await pings(extranet, "red-b", "60.0.0.1") == 0
    assert len(received) - before == 6, "the requests do arrive"
    assert (Counter(await extranet.drops("B3")) - drops).total() == 3, "the answers leave the PoD for nowhere"


@pytest.mark.requirement("SO-SEG-7", "ARCH-4")
@pytest.mark.parametrize(
    ("source", "destination", "receiver"), [("red-a", "70.0.0.1", "office-b"), ("office-b", "20.0.0.1", "red-b")]
)
async def test_what_is_not_offered_is_not_reached(
    extranet: Observer, source: str, destination: str, receiver: str
) -> None:
    before = len(extranet.fabric.hosts[receiver].received)
    await extranet.resolve(source, destination)
    await extranet.walk(source, destination, count=4)
    assert len(extranet.fabric.hosts[receiver].received) == before


@pytest.mark.requirement("SO-SEG-7")
async def test_a_neighbour_on_the_same_switch_is_delivered_to(extranet: Observer) -> None:
    router = extranet.fabric.routers["A1"].machine
    wanted = Eid.of(RED, "50.0.0.1")
    await extranet.resolve("red-a", "50.0.0.1")
    hops = await extranet.walk("red-a", "50.0.0.1")
    assert way(hops) == ["A1"]
    assert await pings(extranet, "red-a", "50.0.0.1") == 3
    extranet.fabric.detach("storage-a", "A1")
    await extranet.settle()
    (entry,) = [entry for entry in router.map_cache() if entry.eid == wanted]
    assert (entry.kind, entry.provider) == (Kind.FORWARD, GREEN)
    hops = await extranet.walk("red-a", "50.0.0.1")
    assert way(hops) == ["A1", "S-A", "A2"]
    assert tunnels(hops, "A1") == {(VXLAN_GPE, GREEN)}
    extranet.fabric.attach("storage-a", "A1")
    await extranet.settle()
    (entry,) = [entry for entry in router.map_cache() if entry.eid == wanted]
    assert entry.kind is Kind.LOCAL
    assert way(await extranet.walk("red-a", "50.0.0.1")) == ["A1"]


@pytest.mark.requirement("SO-SEG-7")
async def test_trace_and_map_cache_show_where_it_crosses(extranet: Observer) -> None:
    await extranet.resolve("red-a", "60.0.0.1")
    walked = await Trace(extranet.fabric).trace({"source": "red-a", "destination": "storage-b"}, Session())
    assert isinstance(walked, dict)
    assert walked["delivered"] == ["storage-b"]
    border = next(hop for hop in walked["hops"] if hop["switch"] == "A3")
    (lookup,) = [one for one in border["lookups"] if one["table"] == "scale_out_ipv4"]
    assert (lookup["action"], lookup["params"]["iid"]) == ("use_extranet", str(GREEN))


@pytest.mark.requirement("SO-SEG-7", "ARCH-4")
@pytest.mark.parametrize(
    ("source", "destination", "receiver"),
    [("red-a", "60.0.0.1", "storage-b"), ("red-a", "50.0.0.1", "storage-a"), ("storage-b", "10.0.0.1", "red-a")],
)
async def test_without_a_policy_nothing_passes(apart: Observer, source: str, destination: str, receiver: str) -> None:
    for _ in range(2):
        hops = await apart.walk(source, destination, count=3)
        assert all(lookup.action != "use_extranet" for hop in hops for lookup in hop.lookups)
    assert not apart.fabric.hosts[receiver].received
