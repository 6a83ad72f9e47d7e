"""Accelerators that join by report: IGMP and MLD from an accelerator's port to the replication lists of the fabric."""

from __future__ import annotations

import logging
import re
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from accelerator.ip import IPAddress, IpPacket
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
