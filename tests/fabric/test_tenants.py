"""Tenants with the same addresses on the same switches: nothing of one is ever seen by another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import pytest_asyncio

from accelerator.ip import decode_ip
from controller.lisp import Eid
from tests.fabric.observe import Observer, observed
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

FILE = Path(__file__).resolve().parents[2] / "topologies" / "multi-tenant.yaml"
TENANTS = {"red": (4097, 4790), "green": (4098, 4790), "blue": (4099, 4341)}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants() -> AsyncIterator[Observer]:
    async with observed(load(FILE)) as observer:
        yield observer


@pytest.mark.requirement("ARCH-4", "SO-SEG-7", "DP-3", "DP-6")
@pytest.mark.parametrize("tenant", TENANTS)
async def test_each_tenant_reaches_its_own_and_nobody_else(tenants: Observer, tenant: str) -> None:
    hosts = tenants.fabric.hosts
    await tenants.resolve(f"{tenant}-a", "20.0.0.1")
    before = {name: len(host.received) for name, host in hosts.items()}
    hops = await tenants.walk(f"{tenant}-a", "20.0.0.1", port=41000, count=8)
    arrived = {name: len(host.received) - before[name] for name, host in hosts.items()}
    assert arrived == {name: 8 if name == f"{tenant}-b" else 0 for name in hosts}
    iid, port = TENANTS[tenant]
    crossing = [frame for hop in hops if hop.switch == "F1" for _, frame in hop.sent]
    assert len(crossing) == 8
    for frame in crossing:
        outer = decode_ip(frame[14:])
        assert int.from_bytes(outer.payload[2:4], "big") == port
        assert outer.payload[12:15] == iid.to_bytes(3, "big")


@pytest.mark.requirement("SO-SEG-7", "SO-SEG-1")
async def test_equal_eids_are_registered_and_resolved_apart(tenants: Observer) -> None:
    registered = tenants.fabric.mapping_systems["SU-MS-A"].machine.registrations()
    hosts = [view.eid for view in registered if view.eid.target == Eid.of(1, IPv4Address("10.0.0.1")).target]
    assert hosts == [Eid.of(iid, IPv4Address("10.0.0.1")) for iid, _ in TENANTS.values()]


@pytest.mark.requirement("SO-PATH-11", "SO-SEG-7")
async def test_a_tenant_that_leaves_takes_nobody_with_it(tenants: Observer) -> None:
    tenants.fabric.detach("green-b", "B1")
    await tenants.settle()
    hosts = tenants.fabric.hosts
    before = {name: len(host.received) for name, host in hosts.items()}
    for tenant in TENANTS:
        await tenants.walk(f"{tenant}-a", "20.0.0.1", port=42000)
    arrived = {name: len(host.received) - before[name] for name, host in hosts.items()}
    assert arrived == {name: int(name in ("red-b", "blue-b")) for name in hosts}
    tenants.fabric.attach("green-b")
    await tenants.settle()


@pytest.mark.requirement("SO-SEG-3")
async def test_one_instance_id_cannot_be_two_tenants(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(FILE.read_text().replace("iid: 4098, name: green", "iid: 4097, name: green"))
    with pytest.raises(TopologyError, match=r"t\.yaml:7: instances\[1\]\.iid: 4097 is also instances\[0\]'s"):
        load(file)


@pytest.mark.requirement("SU-SEG-3")
async def test_nor_a_tenant_and_a_scale_up_segment(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    figure1 = FILE.with_name("figure1.yaml").read_text()
    file.write_text(figure1.replace("iid: 8193, name: tenant-1-up", "iid: 4097, name: tenant-1-up"))
    with pytest.raises(TopologyError, match=r"t\.yaml:7: instances\[1\]\.iid: 4097 is also instances\[0\]'s"):
        load(file)
