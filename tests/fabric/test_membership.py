"""Accelerators that join by report: IGMP and MLD from an accelerator's port to the replication lists of the fabric."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from accelerator.ip import IPAddress, IpPacket
from controller.app.listeners import Listeners
from controller.app.querier import Querier
from controller.lisp import group_eid
from tests.fabric.observe import FIGURE1, IID, Observer, observed
from topologies.schema import Topology
from topologies.topology_file import load

GROUPS = {4: ip_address("239.1.1.1"), 6: ip_address("ff0e::1:1")}
MEMBERS = ["acc2", "acc3", "acc7", "acc8"]


def topology(tmp_path: Path, version: int) -> Topology:
    """Figure 1 with a group that nobody is configured to be in, and EIDs of an IP version."""
    text = FIGURE1.read_text() + f'\ngroups:\n  - {{iid: {IID}, address: "{GROUPS[version]}"}}\n'
    if version == 6:
        text = re.sub(r"ip: (\d+)\.0\.0\.(\d+)", r'ip: "2001:db8:\1::\2"', text)
        text = re.sub(r"prefix: (\d+)\.0\.0\.0/16", r'prefix: "2001:db8:\1::/48"', text)
        text = re.sub(r"(\d+)\.0\.255\.0/24", r'"2001:db8:\1:255::/64"', text)
    file = tmp_path / "reports.yaml"
    file.write_text(text)
    return load(file)


async def copies(fabric: Observer, source: str, group: IPAddress) -> Counter[str]:
    """How many copies of a packet each accelerator gets, whether it listens or not."""
    hosts = fabric.fabric.hosts
    for host in hosts.values():
        host.received.clear()
    kept = {name: set(host.groups) for name, host in hosts.items()}
    for host in hosts.values():
        host.groups.add(group)  # who has not joined would notice too
    hosts[source].send_udp(group, 40000, 4791, b"to those who asked")
    await fabric.settle()
    for name, host in hosts.items():
        host.groups = kept[name]
    return Counter({name: len(host.received) for name, host in hosts.items() if host.received})


@pytest.mark.requirement("MH-FWD-3", "MH-FWD-5")
@pytest.mark.parametrize("version", [4, 6])
async def test_who_reports_gets_one_copy(tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture) -> None:
    """Single-homed and multihomed accelerators, in the sender's PoD and others; one leaves; bad reports harm nobody."""
    group = GROUPS[version]
    async with observed(topology(tmp_path, version)) as fabric:
        hosts, routers = fabric.fabric.hosts, fabric.fabric.routers
        assert await copies(fabric, "acc1", group) == Counter()
        for name in MEMBERS:
            hosts[name].join(group)
        await fabric.settle()
        for source in ("acc1", "acc8"):
            expected = set(MEMBERS) - {source}
            assert await copies(fabric, source, group) == Counter(dict.fromkeys(expected, 1))
        key = group_eid(IID, group)
        serving = [n for n in ("D1", "D2") for e in routers[n].machine.replication() if e.group == key and e.receivers]
        assert len(serving) == 1

        for name in ("acc2", "acc7"):
            hosts[name].leave(group)
        await fabric.settle()
        assert await copies(fabric, "acc1", group) == Counter(["acc3", "acc8"])

        bad = IpPacket(hosts["acc3"].address, group, 2, bytes(8), ttl=1) if version == 4 else None
        if bad is not None:
            with caplog.at_level(logging.WARNING, "controller.app.router"):
                hosts["acc3"].send(bad)
                await fabric.settle()
            assert "igmp.checksum = 0x0000" in caplog.text
        assert await copies(fabric, "acc1", group) == Counter(["acc3", "acc8"])


@pytest.mark.parametrize("version", [4, 6])
async def test_a_router_asks_whoever_comes_up(tmp_path: Path, version: int) -> None:
    """A report is lost; when the port comes up the router asks, and hears of the group."""
    group = GROUPS[version]
    async with observed(topology(tmp_path, version)) as fabric:
        host = fabric.fabric.hosts["acc2"]
        uplinks = list(host.interface.uplinks)
        host.interface.uplinks.clear()
        host.join(group)
        host.interface.uplinks.extend(uplinks)
        assert await copies(fabric, "acc1", group) == Counter()
        for switch in fabric.fabric.topology.accelerator("acc2").attached_to:
            fabric.fabric.routers[switch].port_status(fabric.fabric.plans[switch].port_to("acc2").number, up=True)
        await fabric.settle()
        assert await copies(fabric, "acc1", group) == Counter(["acc2"])


async def test_who_does_not_answer_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time of memberships shortened: who answers queries stays, who does not is out."""
    monkeypatch.setattr("controller.app.router.Listeners", lambda: Listeners(interval=1.0))
    monkeypatch.setattr("controller.app.router.Querier", lambda: Querier(interval=0.3))
    group = GROUPS[4]
    async with observed(topology(tmp_path, 4)) as fabric:
        for name in ("acc2", "acc3"):
            fabric.fabric.hosts[name].join(group)
        await fabric.settle()
        assert await copies(fabric, "acc1", group) == Counter(["acc2", "acc3"])
        fabric.fabric.interfaces["acc3"].handle(0x0800, lambda _: None)  # it has crashed
        await asyncio.sleep(1.5)
        await fabric.settle()
        entries = [one for router in fabric.fabric.routers.values() for one in router.machine.replication()]
        assert {str(receiver) for one in entries for receiver in one.receivers} == {f"[{IID}] 10.0.0.2/32"}
