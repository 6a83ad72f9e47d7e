"""Groups with EIDs of either IP version, over an underlay of either."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from controller.app.control import ControlServer
from controller.lisp import Eid
from tests.accelerator.incc.test_switches import all_operations
from tests.fabric.observe import IID
from tests.incc.programs import Programs, generated, go_on, kill, sums
from tests.incc.running import ask, rlocs
from topologies.generate import Shape
from topologies.inprocess import Fabric

POOLS = {4: "10.1.255.0/24, 10.2.255.0/24", 6: '"fd00:1:0:ffff::/64", "fd00:2:0:ffff::/64"'}
NAMES = ("acc1", "acc2", "acc3", "acc4")


@pytest.mark.requirement("GEN-9", "SO-SEG-5")
@pytest.mark.parametrize(("eids", "underlay"), [(6, 6), (6, 4), (4, 6)])
async def test_groups_of_both_versions(tmp_path: Path, eids: int, underlay: int) -> None:
    shape = Shape(
        name="versions", pods=2, accelerators=4, access_per_pod=2, borders=1, fabric_switches=1,
        domains="scale-out", eid_version=eids, rloc_version=underlay,  # type: ignore[arg-type]
    )  # fmt: skip
    collectives = f"  domains:\n    - {{name: out, iid: 4097, eids: [{POOLS[eids]}]}}\n"
    async with (
        Fabric(generated(tmp_path, shape, collectives)) as fabric,
        ControlServer(tmp_path / "control.sock") as server,
    ):
        programs = Programs(fabric, server)
        await programs.create("g", domain="out", members=NAMES)
        members = await programs.join("g", *NAMES)
        view = fabric.collectives.manager.group("g")
        assert len(view.branches) == 6
        assert ip_address(str(view.eid)).version == eids
        root = fabric.topology.switch(view.root or "")
        assert root.rloc is not None
        assert root.rloc.version == underlay
        await all_operations(members)
        await fabric.converge()
        reply = await ask(fabric, f"SU-MS-{root.pod}", Eid.of(IID, str(view.eid)))
        assert rlocs(fabric, reply) == [view.root]
        assert rlocs(fabric, await ask(fabric, f"SU-MS-{root.pod}", Eid.of(IID + 1, str(view.eid)))) == []

        await kill(members[3])
        await go_on(members[:3], 3)
        await sums(members[:3])
        again = await programs.join("g", NAMES[3])
        await go_on(members[:3], 4)
        await sums([*members[:3], *again])
        await programs.destroy("g", [*members[:3], *again])
