"""Multicast and broadcast through the whole fabric: each receiver gets exactly one copy (draft section 6.3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import pytest_asyncio

from controller.lisp import DistinguishedName, Eid, group_eid
from controller.xtr import Cause
from tests.fabric.observe import IID, Observer, figure1, observed
from topologies.schema import GroupConfig
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

GROUP = IPv4Address("239.1.1.1")
FEW = IPv4Address("239.2.2.2")
BROADCAST = IPv4Address("255.255.255.255")
EVERYBODY = [f"acc{number}" for number in range(1, 9)]
MEMBERS = {GROUP: EVERYBODY, FEW: ["acc2", "acc7", "acc8"], BROADCAST: EVERYBODY}
GROUPS = f"""
groups:
  - {{iid: {IID}, address: 239.1.1.1, members: [{", ".join(EVERYBODY)}]}}
  - {{iid: {IID}, address: 239.2.2.2, members: [acc2, acc7, acc8]}}
  - {{iid: {IID}, address: 239.2.2.2, source: 10.0.0.1, members: [acc5]}}
  - {{iid: {IID}, address: 255.255.255.255}}
"""


def with_groups(tmp_path: Path, groups: str = GROUPS) -> Path:
    file = tmp_path / "groups.yaml"
    file.write_text(Path("topologies/figure1.yaml").read_text() + groups)
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observer]:
    async with observed(load(with_groups(tmp_path_factory.mktemp("multicast")))) as observer:
        yield observer


@pytest_asyncio.fixture
async def own_fabric_with_groups(tmp_path: Path) -> AsyncIterator[Observer]:
    async with observed(load(with_groups(tmp_path))) as observer:
        yield observer


async def copies(fabric: Observer, source: str, group: IPv4Address, by: str | None = None) -> Counter[str]:
    """How many copies each accelerator gets of a packet that one sends, by one of its routers or by any."""
    for host in fabric.fabric.hosts.values():
        host.received.clear()
    uplinks = fabric.fabric.hosts[source].interface.uplinks
    kept = list(uplinks)
    if by is not None:
        uplinks[:] = [uplinks[fabric.fabric.topology.accelerator(source).attached_to.index(by)]]
    fabric.fabric.hosts[source].send_udp(group, 40000, 4791, b"to all of you")
    uplinks[:] = kept
    await fabric.settle()
    return Counter({name: len(host.received) for name, host in fabric.fabric.hosts.items() if host.received})


SENDERS = [(accelerator.name, switch) for accelerator in figure1().accelerators for switch in accelerator.attached_to]


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-4", "MH-FWD-5")
@pytest.mark.parametrize("group", [GROUP, FEW, BROADCAST], ids=str)
@pytest.mark.parametrize(("source", "by"), SENDERS)
@pytest.mark.asyncio(loop_scope="module")
async def test_each_receiver_gets_one_copy(fabric: Observer, source: str, by: str, group: IPv4Address) -> None:
    """From every accelerator, by each of its routers, designated or not, within PoDs and across the fabric."""
    expected = set(MEMBERS[group]) - {source}
    if (group, source) == (FEW, "acc1"):
        expected.add("acc5")  # listens to this source only
    assert await copies(fabric, source, group, by) == Counter(dict.fromkeys(expected, 1))


@pytest.mark.requirement("MH-FWD-9")
@pytest.mark.asyncio(loop_scope="module")
async def test_broadcast_passes_one_border_each_way(fabric: Observer) -> None:
    """Of PoD D's borders one lets broadcast out, and one lets it in."""
    for source in ("acc7", "acc1"):
        fabric.recorder.take()
        fabric.recorder.on = True
        await copies(fabric, source, BROADCAST)
        fabric.recorder.on = False
        hops = fabric.recorder.take()
        passed = {
            hop.switch for hop in hops if hop.switch in ("D3", "D4") and [port for port, _ in hop.sent if port < 500]
        }
        assert len(passed) == 1


@pytest.mark.requirement("MH-FWD-8")
@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_designated_router_has_receivers(fabric: Observer) -> None:
    routers = fabric.fabric.routers
    for address in (GROUP, FEW, BROADCAST):
        group = group_eid(IID, address)
        serving = [
            name
            for name in ("D1", "D2")
            for entry in routers[name].machine.replication()
            if entry.group == group and entry.receivers
        ]
        assert len(serving) == 1


def designated(fabric: Observer, group: IPv4Address, *names: str) -> str:
    (found,) = {
        name
        for name in names
        for one in fabric.fabric.routers[name].machine.designations()
        if one.group == group_eid(IID, group) and one.granted
    }
    return found


@pytest.mark.requirement("MH-FWD-5")
@pytest.mark.asyncio(loop_scope="module")
async def test_members_come_and_go(fabric: Observer) -> None:
    group = GroupConfig(iid=IID, address=GROUP)
    for name in ("acc2", "acc7"):
        fabric.fabric.leave(name, group)
    await fabric.settle()
    fabric.fabric.hosts["acc2"].groups.add(GROUP)  # it would notice what still came
    fabric.fabric.hosts["acc7"].groups.add(GROUP)
    expected = set(EVERYBODY) - {"acc1", "acc2", "acc7"}
    assert await copies(fabric, "acc1", GROUP) == Counter(dict.fromkeys(expected, 1))
    for name in ("acc7", "acc2"):
        fabric.fabric.join(name, group)
        await fabric.settle()
        assert (await copies(fabric, "acc1", GROUP))[name] == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_a_group_that_nobody_knows_is_dropped_and_does_not_go_round(fabric: Observer) -> None:
    punted = fabric.fabric.routers["A1"].punted
    assert await copies(fabric, "acc1", IPv4Address("239.9.9.9")) == Counter()
    await asyncio.sleep(0.2)
    assert fabric.fabric.routers["A1"].punted == punted + 1
    assert all("239.9.9.9" not in str(entry.eid) for entry in fabric.fabric.routers["A1"].machine.map_cache())


async def handed_over(fabric: Observer, group: IPv4Address, to: str) -> None:
    """Waits until one of D1 and D2 serves both accelerators: a switch looks at its ports every now and then."""
    machine, key = fabric.fabric.routers[to].machine, group_eid(IID, group)
    async with asyncio.timeout(20):
        while [one.granted for one in machine.designations() if one.group == key] != [True, True]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await fabric.settle()
    assert designated(fabric, group, "D1", "D2") == to


@pytest.mark.requirement("MH-FWD-8")
async def test_another_router_takes_over_when_ports_fail(own_fabric_with_groups: Observer) -> None:
    """Accelerators 7 and 8 lose their ports at the designated router; then one of them comes back."""
    fabric = own_fabric_with_groups
    old = designated(fabric, GROUP, "D1", "D2")
    new = "D2" if old == "D1" else "D1"
    for name in ("acc7", "acc8"):
        fabric.fabric.access_ports[old, name].enabled = False
    await handed_over(fabric, GROUP, new)
    assert await copies(fabric, "acc1", GROUP) == Counter(dict.fromkeys(set(EVERYBODY) - {"acc1"}, 1))
    fabric.fabric.access_ports[old, "acc7"].enabled = True
    fabric.fabric.access_ports[old, "acc8"].enabled = True
    await handed_over(fabric, GROUP, old)
    assert await copies(fabric, "acc7", GROUP) == Counter(dict.fromkeys(set(EVERYBODY) - {"acc7"}, 1))


@pytest.mark.requirement("MH-FWD-9")
async def test_another_border_takes_over_when_one_resigns(own_fabric_with_groups: Observer) -> None:
    """The designated border withdraws the name by which borders know each other."""
    fabric = own_fabric_with_groups
    old = designated(fabric, BROADCAST, "D3", "D4")
    router = fabric.fabric.routers[old]
    common = Eid(IID, DistinguishedName("pETR"))
    router.perform(router.machine.withdraw((common,), router.now(), Cause.OPERATOR))
    await fabric.settle()
    assert designated(fabric, BROADCAST, "D3", "D4") != old
    for source in ("acc1", "acc7"):
        assert await copies(fabric, source, BROADCAST) == Counter(dict.fromkeys(set(EVERYBODY) - {source}, 1))


@pytest.mark.parametrize(
    ("groups", "place", "reason"),
    [
        ("{iid: 5, address: 239.1.1.1}", r"groups\[0\].iid", "no Scale-Out Instance-ID"),
        ("{iid: 4097, address: 40.0.0.7}", r"groups\[0\]", "no multicast address"),
        ("{iid: 4097, address: 224.0.0.5}", r"groups\[0\]", "stays on its link"),
        ('{iid: 4097, address: "ff02::5"}', r"groups\[0\]", "stays on its link"),
        ("{iid: 4097, address: 239.1.1.1, source: 'fd00::1'}", r"groups\[0\]", "cannot send to"),
        ('{iid: 4097, address: "ff0e::5", members: [acc1]}', r"groups\[0\].members\[0\]", "no IPv6 address"),
        ("{iid: 4097, address: 239.1.1.1, members: [acc9]}", r"groups\[0\].members\[0\]", "no accelerator"),
        ("{iid: 4097, address: 255.255.255.255, members: [acc1]}", r"groups\[0\]", "has no members"),
        ("{iid: 4097, address: 239.1.1.1}\n  - {iid: 4097, address: 239.1.1.1}", r"groups\[1\].address", "is also"),
    ],
)
def test_groups_of_a_topology_are_checked(tmp_path: Path, groups: str, place: str, reason: str) -> None:
    """The error names file, line and field."""
    file = with_groups(tmp_path, f"\ngroups:\n  - {groups}\n")
    with pytest.raises(TopologyError, match=rf"groups.yaml:\d+: {place}.*{reason}"):
        load(file)
