"""IPv6 EIDs over an IPv4 underlay, IPv4 EIDs over IPv6, and IPv6 throughout (Figure 1 with other addresses)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelerator.ip import decode_ip
from controller.lisp import MapRequest
from tests.fabric.observe import FIGURE1, IID, Observer, observed, way
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.yaml_source import TopologyError


def translated(tmp_path: Path, *, eids: bool, rlocs: bool) -> Topology:
    """Figure 1 with its EIDs, or RLOCs and mapping systems, or both, in IPv6."""
    text = FIGURE1.read_text()
    if eids:
        text = re.sub(r"ip: (\d+)\.0\.0\.(\d+)", r'ip: "2001:db8:\1::\2"', text)
        text = re.sub(r"prefix: (\d+)\.0\.0\.0/16", r'prefix: "2001:db8:\1::/48"', text)
        text = re.sub(r"(\d+)\.0\.255\.0/24", r'"2001:db8:\1:255::/64"', text)
    if rlocs:
        text = re.sub(r"192\.0\.2\.(\d+)", r'"2001:db8:ffff::\1"', text)
    file = tmp_path / "ipv6.yaml"
    file.write_text(text)
    return load(file)


async def echo(fabric: Observer, source: str, destination: str) -> None:
    """The source's ping is answered, and the tunnel's outer header is of the underlay's version."""
    host, target = fabric.fabric.hosts[source], fabric.fabric.hosts[destination].address
    fabric.recorder.take()
    fabric.recorder.on = True
    host.ping(target)
    await fabric.settle()
    assert len(host.received) == 1
    assert host.received[0].source == target
    hops = fabric.recorder.take()
    assert {"A1", "D1", "D2"} & set(way(hops)) >= {"A1"}
    rloc = next(iter(fabric.fabric.routers.values())).machine.config.rlocs[0]
    core = [frame for hop in hops if hop.switch.startswith("F") for _, frame in hop.sent]
    assert core
    assert {decode_ip(frame[14:]).version for frame in core} == {rloc.version}


@pytest.mark.requirement("ARCH-8", "SO-MAP-2", "SO-FLOW-12", "SO-FLOW-13")
@pytest.mark.parametrize(("eids", "rlocs"), [(True, False), (False, True), (True, True)])
async def test_either_version_over_either(tmp_path: Path, eids: bool, rlocs: bool) -> None:
    async with observed(translated(tmp_path, eids=eids, rlocs=rlocs)) as fabric:
        await echo(fabric, "acc1", "acc7")
        (*_, request) = fabric.sent(MapRequest, "A1")
        assert isinstance(request.message, MapRequest)
        (record,) = request.message.records
        assert (record.key.iid, record.mask_len) == (IID, 128 if eids else 32)
        await fabric.scale_up("acc1", 2)
        assert len(fabric.fabric.endpoints["acc2"].received) == 1


def test_an_underlay_is_of_one_version(tmp_path: Path) -> None:
    text = FIGURE1.read_text().replace("rloc: 192.0.2.1}", 'rloc: "2001:db8::1"}')
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(TopologyError, match=r"switches\[0\]\.rloc: 2001:db8::1 is not of the IP version of pods\[0\]"):
        load(file)
