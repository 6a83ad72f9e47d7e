"""A border that has lost one of its sides withdraws, and no packet is lost for it once the others know."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from controller.app.control import Session
from tests.topologies.test_files import FOLDER
from topologies.inprocess import Fabric
from topologies.operate.failures import Failures
from topologies.topology_file import load

PORTS = range(40000, 40016)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric() -> AsyncIterator[Fabric]:
    async with Fabric(load(FOLDER / "figure1.yaml")) as fabric:
        yield fabric


def registered(fabric: Fabric, map_server: str) -> dict[str, list[str]]:
    """Who is in the RLOC-set of each EID that borders of PoD A register."""
    views = fabric.mapping_systems[map_server].machine.registrations()
    found = {str(one.eid): [fabric.name_of(rloc.rloc) for rloc in one.locators if rloc.rloc] for one in views}
    return {eid: names for eid, names in found.items() if not {"A3", "A4"}.isdisjoint(names)}


async def change(fabric: Fabric, failures: Failures, *links: str, up: bool) -> None:
    for link in links:
        await (failures.heal if up else failures.fail)({"link": link}, Session())
    await fabric.converge()


async def arrived(fabric: Fabric, source: str, destination: str) -> int:
    """How many of sixteen flows reach their destination."""
    received = fabric.hosts[destination].received
    received.clear()
    for port in PORTS:
        fabric.hosts[source].send_udp(fabric.hosts[destination].address, port, 9, b"flow")
    await fabric.converge()
    return len(received)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("SO-PATH-9", "SO-PATH-11", "MH-FWD-1")
@pytest.mark.parametrize("links", [("A4-F1", "A4-F2"), ("A4-S-A",)], ids=["the fabric", "its PoD"])
async def test_a_border_without_one_side_withdraws(fabric: Fabric, links: tuple[str, ...]) -> None:
    failures = Failures(fabric)
    assert await arrived(fabric, "acc1", "acc7") + await arrived(fabric, "acc7", "acc1") > 0  # it is known by now
    whole = {name: registered(fabric, name) for name in ("SO-MS", "SU-MS-A")}
    assert set(whole["SU-MS-A"]) == {"[4097] 0.0.0.0/0", "[4097] 10.0.0.0/16", "[4097] pETR"}
    await change(fabric, failures, *links[1:], up=False)
    assert {name: registered(fabric, name) for name in whole} == whole
    await change(fabric, failures, links[0], up=False)
    for name, before in whole.items():
        assert registered(fabric, name) == {eid: ["A3"] for eid in before}
    assert await arrived(fabric, "acc1", "acc7") == len(PORTS)
    assert await arrived(fabric, "acc7", "acc1") == len(PORTS)
    await change(fabric, failures, *links, up=True)
    assert {name: registered(fabric, name) for name in whole} == whole
    assert await arrived(fabric, "acc1", "acc7") == len(PORTS)
    assert await arrived(fabric, "acc7", "acc1") == len(PORTS)
