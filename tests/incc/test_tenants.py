"""Tenants with groups of the same EIDs on the same switches, each group in an Instance-ID of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from controller.dataplane.codepoints import DropReason
from controller.lisp import DistinguishedName, Eid
from tests.fabric.observe import FIGURE1, Observer
from tests.incc.raw import all_reduce, total
from tests.incc.running import Connections, ask, rlocs
from topologies.inprocess import Fabric
from topologies.topology_file import load
from topologies.walk import TraceRecorder
from topologies.yaml_source import TopologyError

FOLDER = FIGURE1.parent
DEDICATED = """
collectives:
  domains:
    - {name: red, iid: 4097, segment: dedicated, eids: [10.0.255.0/24]}
    - {name: green, iid: 4098, segment: dedicated, eids: [10.0.255.0/24]}
  groups:
    - {name: red-pair, domain: red, members: [red-a, red-b]}
    - {name: green-pair, domain: green, members: [green-a, green-b]}
"""


@pytest_asyncio.fixture(params=["scale-up", "scale-out"])
async def tenants(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Observer]:
    file = FOLDER / "scale-up.yaml"
    if request.param == "scale-out":
        file = tmp_path / "tenants.yaml"
        file.write_text((FOLDER / "multi-tenant.yaml").read_text() + DEDICATED)
    async with Fabric(load(file)) as fabric:
        yield Observer(fabric, TraceRecorder())


@pytest.mark.requirement("SO-SEG-6", "SU-SEG-6", "SO-SEG-5", "SU-SEG-5")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_two_groups_of_two_instance_ids_do_not_touch_each_other(tenants: Observer) -> None:
    fabric, connections = tenants.fabric, Connections(tenants.fabric)
    groups = fabric.topology.collectives.groups
    red = await connections.join("red-pair", list(groups[0].members))
    green = await connections.join("green-pair", list(groups[1].members))
    assert red[0].descriptor["eid"] == green[0].descriptor["eid"]
    assert red[0].descriptor["iid"] != green[0].descriptor["iid"]
    leaf = fabric.collectives.manager.group("red-pair").leaves[0]
    before = await tenants.drops(leaf)
    # Red says it is green: the group, and in it the rank and generation, that green has.
    for slot in range(2):
        hostile = green[0].contribution(slot, 1, (666,) * 64)
        red[0].send(hostile)
        red[0].send(replace(hostile, rank=1))
        red[0].send(replace(hostile, kind=1))
    await tenants.settle()
    after = await tenants.drops(leaf)
    assert after.get(DropReason.NOT_A_MEMBER, 0) == before.get(DropReason.NOT_A_MEMBER, 0) + 6
    for members in (green, red):
        assert {found.values for found in await all_reduce(members)} == {total(2)}
    assert all(found.group == one.number("group") for one in (*red, *green) for found in one.results)

    await fabric.converge()
    eid = red[0].descriptor["eid"]
    for iid, group in ((red[0].number("iid"), "red-pair"), (green[0].number("iid"), "green-pair"), (9999, None)):
        found = Eid(iid, DistinguishedName(f"POD-A-AccID-{eid}")) if isinstance(eid, int) else Eid.of(iid, str(eid))
        reply = await ask(fabric, "SU-MS-A", found)
        assert rlocs(fabric, reply) == ([] if group is None else [fabric.collectives.manager.group(group).root])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iid: 4098, segment", "iid: 4097, segment", r"domains\[1\]\.iid: 4097 is that of domain red"),
        ("iid: 4098, segment", "iid: 5000, segment", r"domains\[1\]\.iid: 5000 is no Instance-ID of `instances`"),
        ("eids: [10.0.255.0/24]", "eids: [50.0.0.0/24]", r"eids\[0\]: 50\.0\.0\.0/24 is in no subnet of a pod"),
        ("eids: [10.0.255.0/24]", "acc_ids: {first: 1, last: 9}", r"acc_ids: 4097 is of Scale-Out"),
        (
            "domain: green,",
            "domain: red,",
            r"groups\[1\]\.domain: domain red is dedicated to one group, which is red-pair",
        ),
        ("domain: green,", "domain: blue,", r"groups\[1\]\.domain: blue is no domain of `collectives`"),
        ("[red-a, red-b]", "[red-a, green-b]", r"groups\[0\]\.members\[1\]: green-b is not in Instance-ID 4097"),
        ("[red-a, red-b]", "[red-a, nobody]", r"groups\[0\]\.members\[1\]: nobody is no accelerator"),
        ("name: green-pair", "name: red-pair", r"groups\[1\]\.name: red-pair is the name of two groups"),
    ],
)
def test_a_topology_that_cannot_be_is_refused_with_line_and_field(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    text = (FOLDER / "multi-tenant.yaml").read_text() + DEDICATED
    assert old in text
    file = tmp_path / "tenants.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(TopologyError, match=rf"tenants\.yaml:\d+: collectives\..*{message}"):
        load(file)
