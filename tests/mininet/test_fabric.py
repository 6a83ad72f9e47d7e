"""Whole fabrics of switch processes and Linux hosts, in namespaces and in Mininet. Needs root."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.lisp import CONTROL_PORT
from tests.app.own_network import needs_own_network
from topologies.mininet_run import MininetNetwork, mininet_modules
from topologies.namespaces import namespace_fabric
from topologies.scripted_check import check
from topologies.switch_processes import StartError
from topologies.topology_file import load

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "topologies"


def _missing_tools() -> list[str]:
    return [tool for tool in ("ping", "iperf3", "ethtool", "ip", "nsenter") if shutil.which(tool) is None]


def _has_mininet() -> bool:
    try:
        mininet_modules()
    except StartError:
        return False
    return shutil.which("mnexec") is not None


def _has_bmv2() -> bool:
    return bool(os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc"))


needs_tools = pytest.mark.skipif(bool(_missing_tools()), reason=f"NOT OBSERVED: needs {' '.join(_missing_tools())}")
bmv2 = pytest.param(
    "bmv2", marks=pytest.mark.skipif(not _has_bmv2(), reason="NOT OBSERVED: needs simple_switch_grpc on the PATH")
)


@pytest.mark.skipif(not _has_mininet(), reason="NOT OBSERVED: needs Mininet")
def test_mininet_leaves_the_loggers_of_others_alone() -> None:
    mininet_modules()
    log = logging.getLogger("tests.mininet.made_after_mininet")
    assert type(log) is logging.Logger
    assert (log.level, log.handlers) == (logging.NOTSET, [])


@needs_own_network
@needs_tools
@pytest.mark.requirement("GEN-3", "GEN-5", "SO-SEG-3", "SU-SEG-3", partial=True)
@pytest.mark.parametrize("target", ["softswitch", bmv2])
async def test_hybrid_in_namespaces(target: str) -> None:
    """Pings, TCP, RoCEv2-like packets and Scale-Up frames; every control message went through switches."""
    topology = load(FOLDER / "hybrid.yaml")
    async with namespace_fabric(topology, target) as (network, fabric):
        found = await asyncio.to_thread(lambda: list(check(topology, network.plans, network)))
        assert [finding for finding in found if not finding.passed] == []
        assert {finding.what.split(",")[0] for finding in found} == {
            "ping within tenants", "TCP", "RoCEv2-like", "Scale-Up",
        }  # fmt: skip
        counted = sum(control.packets_in for control in fabric.controls.values())
        remote = [item for item in fabric.network.record if item.delivered]
        assert counted >= 0.9 * len(remote) > 50
        assert {item.datagram.destination.port for item in remote} == {CONTROL_PORT}


@needs_own_network
@needs_tools
@pytest.mark.requirement("SO-SEG-7", partial=True)
async def test_tenants_with_the_same_addresses_in_namespaces() -> None:
    topology = load(FOLDER / "multi-tenant.yaml")
    async with namespace_fabric(topology) as (network, _):

        async def said_by(host: str, *command: str) -> str:
            said, _ = await asyncio.to_thread(network.start(host, command).communicate)
            return said

        async def echoes(host: str) -> int:
            """Echo requests that the host's kernel has received."""
            lines = (await said_by(host, "grep", "^Icmp:", "/proc/net/snmp")).splitlines()
            return int(dict(zip(lines[0].split(), lines[1].split(), strict=True))["InEchos"])

        for tenant in ("red", "green"):
            before = {other: await echoes(f"{other}-b") for other in ("red", "green", "blue")}
            assert " 2 received" in await said_by(f"{tenant}-a", "ping", "-c2", "-i0.2", "-W2", "20.0.0.1")
            after = {other: await echoes(f"{other}-b") for other in before}
            assert {other: after[other] - before[other] for other in before if after[other] != before[other]} == {
                tenant: 2
            }


@needs_own_network
@needs_tools
@pytest.mark.requirement("SO-PATH-12", "ARCH-9", partial=True)
async def test_a_link_of_a_multihomed_accelerator_fails_in_namespaces() -> None:
    """The kernel tells the control plane of the port, the xTR withdraws, and the other takes over."""
    topology = load(FOLDER / "scale-out.yaml")
    async with namespace_fabric(topology) as (network, fabric):

        def holders() -> set[str]:
            entries = fabric.routers["A3"].machine.map_cache()
            return {
                str(one.rloc) for entry in entries if str(entry.eid) == "[4097] 10.0.0.1/32" for one in entry.locators
            }

        assert holders() == {"192.0.2.1", "192.0.2.2"}
        network.set_link("A1", "red-a", up=False)
        for _ in range(200):
            await asyncio.sleep(0.02)
            if holders() == {"192.0.2.2"}:
                break
        assert holders() == {"192.0.2.2"}
        ping = network.start("red-b", ["ping", "-c", "3", "-i", "0.2", "-W", "2", "10.0.0.1"])
        said, _ = await asyncio.to_thread(ping.communicate)
        assert " 3 received" in said
        network.set_link("A1", "red-a", up=True)
        for _ in range(200):
            await asyncio.sleep(0.02)
            if len(holders()) == 2:
                break
        assert holders() == {"192.0.2.1", "192.0.2.2"}


def test_what_mininet_cannot_have_is_named() -> None:
    topology = load(FOLDER / "figure1.yaml")
    accelerators = list(topology.accelerators)
    accelerators[0] = accelerators[0].model_copy(update={"name": "accelerator-1"})
    with pytest.raises(StartError, match=r"accelerator-1: Mininet needs names of 9 characters at most"):
        MininetNetwork(topology.model_copy(update={"accelerators": tuple(accelerators)}), "softswitch")


@pytest.fixture
def no_leftovers() -> Iterator[None]:
    """Interfaces of Mininet are in the machine's own namespace: none may stay."""
    yield
    said = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    assert [line for line in said.splitlines() if line.split("@")[0] in ("A1-eth1", "F1-eth1")] == []


@needs_own_network
@needs_tools
@pytest.mark.skipif(not _has_mininet(), reason="NOT OBSERVED: needs Mininet (apt-get install mininet)")
@pytest.mark.parametrize("target", ["softswitch", bmv2])
@pytest.mark.requirement("GEN-3", "ARCH-10", partial=True)
def test_figure_1_in_mininet(target: str, no_leftovers: None) -> None:
    command = [
        sys.executable,
        "-m",
        "topologies.mininet_run",
        str(FOLDER / "figure1.yaml"),
        "--target",
        target,
        "--test",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "ok    ping within tenants: 56 of 56 answered" in lines[1]
    kinds = [line[6:].split(",")[0].split(" -")[0] for line in lines[2:]]
    assert kinds == ["TCP", "RoCEv2-like", "Scale-Up", "link D1", "link D1", "link A3", "link A3"]
