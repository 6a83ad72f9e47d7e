"""One program, one controller: Scale-Up alone, Scale-Out alone, or both (draft sections 1 and 3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.dataplane.codepoints import DropReason
from tests.fabric.observe import FIGURE1, observed, way
from topologies.topology_file import load
from topologies.yaml_source import TopologyError

TOPOLOGIES = FIGURE1.parent


@pytest.mark.requirement("GEN-3", "SU-SEG-7", "ARCH-4", "SU-MS-2")
async def test_scale_up_alone_keeps_its_tenants_apart() -> None:
    async with observed(load(TOPOLOGIES / "scale-up.yaml")) as fabric:
        endpoints = fabric.fabric.endpoints
        for tenant in ("red", "green"):
            hops = await fabric.scale_up(f"{tenant}-1", 2)
            assert (way(hops)[0], way(hops)[-1]) == ("A1", "A2")
        assert {name: len(endpoint.received) for name, endpoint in endpoints.items()} == {
            "red-1": 0,
            "red-2": 1,
            "green-1": 0,
            "green-2": 1,
        }
        registered = fabric.fabric.mapping_systems["SU-MS-A"].machine.registrations()
        assert len(registered) == len(fabric.fabric.topology.accelerators)


@pytest.mark.requirement("SU-UNK-3")
async def test_a_tenant_whose_unknown_destinations_are_dropped_at_once() -> None:
    async with observed(load(TOPOLOGIES / "scale-up.yaml")) as fabric:
        mark = fabric.mark()
        hops = await fabric.scale_up("green-1", 99)
        assert [(hop.switch, hop.sent) for hop in hops] == [("A1", [])]
        assert fabric.mark() == mark
        assert await fabric.drops("A1") == {DropReason.UNKNOWN_DESTINATION: 1}


@pytest.mark.requirement("GEN-3")
async def test_scale_out_alone() -> None:
    async with observed(load(TOPOLOGIES / "multi-tenant.yaml")) as fabric:
        assert fabric.fabric.endpoints == {}
        await fabric.walk("red-a", "20.0.0.1")
        assert len(fabric.fabric.hosts["red-b"].received) == 1


@pytest.mark.requirement("GEN-5")
async def test_what_is_in_one_domain_only_is_out_of_the_others_reach(tmp_path: Path) -> None:
    """Accelerator 2 is in Scale-Up alone: its name is nothing that Scale-Out could ask for, and it has no address."""
    text = FIGURE1.read_text().replace("acc_id: 2, iid: 4097, ip: 10.0.0.2,", "acc_id: 2,")
    text = text.replace("members: [acc1, acc2,", "members: [acc1,")
    file = tmp_path / "confined.yaml"
    file.write_text(text)
    async with observed(load(file)) as fabric:
        await fabric.scale_up("acc1", 2)
        assert len(fabric.fabric.endpoints["acc2"].received) == 1
        refused = fabric.fabric.interfaces["acc2"].refused
        await fabric.walk("acc3", "10.0.0.2")
        await fabric.resolve("acc1", "10.0.0.2")
        await fabric.walk("acc1", "10.0.0.2")
        assert fabric.fabric.interfaces["acc2"].refused == refused
        # The way into the PoD's subnet is known to everybody: its borders are who finds nobody there.
        drops = [(await fabric.drops(border)).get(DropReason.NEGATIVE_NO_REASON, 0) for border in ("A3", "A4")]
        assert sum(drops) >= 1


ACC_2 = "acc_id: 2, scale_up_iid: 8193"
NO_FABRIC = "Scale-Out needs a scale_out_mapping_system"


@pytest.mark.requirement("SU-SEG-3", "SO-SEG-3")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iid: 8194, name", "iid: 8193, name", r"t\.yaml:7: instances\[1\]\.iid: 8193 is also instances\[0\]'s"),
        ("domain: scale-up, encapsulation: vxlan,", "domain: scale-out,", NO_FABRIC),
        ("encapsulation: vxlan-gpe", "encapsulation: lisp", "encapsulation lisp carries IP only"),
        (
            "acc_id: 2, scale_up_iid: 8193",
            "acc_id: 1, scale_up_iid: 8193",
            r"\[1\]\.acc_id: 1 is also accelerators\[0\]'s",
        ),
        (ACC_2, "acc_id: 2", "needs iid and ip, or scale_up_iid"),
        (ACC_2, "acc_id: 2, scale_up_iid: 9", "9 is no Scale-Up Instance-ID"),
        (
            "role: pod-switch, pod: A",
            "role: border, pod: A, rloc: 192.0.2.9",
            "Scale-Out needs a scale_out_mapping_system",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (TOPOLOGIES / "scale-up.yaml").read_text()
    assert old in text
    file = tmp_path / "t.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(TopologyError, match=message):
        load(file)
