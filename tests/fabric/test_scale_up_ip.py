"""Draft section 5.5.5: where accelerators cannot do without IP, Scale-Up carries it inside the PoD."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelerator.ip import decode_ip
from controller.lisp import Eid, TunnelHeader
from tests.fabric.observe import FIGURE1, IID, SCALE_UP_IID, observed, way
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

POD_A = "      - {iid: 4097, prefix: 10.0.0.0/16}\n"
SUBNET = "    scale_up_subnets:\n      - {iid: 8193, prefix: 10.0.0.0/16}\n"


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Topology:
    """Figure 1 in which PoD A serves its subnet in both domains, with further texts replaced."""
    text = FIGURE1.read_text().replace(POD_A, POD_A + SUBNET)
    for number in (1, 2):
        old = f"ip: 10.0.0.{number}, scale_up_iid: 8193,"
        assert old in text
        text = text.replace(old, f"{old} scale_up_ip: 10.0.0.{number},")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "t.yaml"
    file.write_text(text)
    return load(file)


@pytest.mark.requirement("SU-IP-1", "GEN-1", "SU-REG-11", "DP-7")
async def test_ip_inside_the_pod_is_scale_up_and_outside_it_is_scale_out(tmp_path: Path) -> None:
    async with observed(changed(tmp_path)) as fabric:
        registered = {view.eid for view in fabric.fabric.mapping_systems["SU-MS-A"].machine.registrations()}
        assert {Eid.of(iid, "10.0.0.2/32") for iid in (IID, SCALE_UP_IID)} <= registered
        everywhere = fabric.fabric.mapping_systems["SO-MS"].machine.registrations()
        assert {view.eid.iid for view in everywhere} == {IID}

        hops = await fabric.walk("acc1", "10.0.0.2")
        assert way(hops) == ["A1", "S-A", "A2"]
        assert len(fabric.fabric.hosts["acc2"].received) == 1
        outer = decode_ip(hops[0].sent[0][1][14:])
        assert TunnelHeader.decode(outer.payload[8:16], 4790).iid == SCALE_UP_IID

        await fabric.resolve("acc1", "40.0.0.7")
        hops = await fabric.walk("acc1", "40.0.0.7")
        outer = decode_ip(hops[0].sent[0][1][14:])
        assert TunnelHeader.decode(outer.payload[8:16], 4790).iid == IID
        assert fabric.fabric.hosts["acc7"].received


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "scale_up_ip: 10.0.0.1,",
            "scale_up_ip: 10.0.0.9,",
            r"ip 10\.0\.0\.1 and scale_up_ip 10\.0\.0\.9: an accelerator has one address",
        ),
        (SUBNET, SUBNET.replace("8193", "4097"), r"scale_up_subnets\[0\]\.iid: 4097 is no Scale-Up Instance-ID"),
        (SUBNET, SUBNET.replace("10.0", "10.1"), r"scale_up_ip: 10\.0\.0\.1 is in no scale_up_subnet"),
        (
            "scale_up_iid: 8193, scale_up_ip: 10.0.0.1,",
            "scale_up_ip: 10.0.0.1,",
            "scale_up_ip needs a scale_up_iid",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        changed(tmp_path, (old, new))
