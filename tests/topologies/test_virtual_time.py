"""What collectives take by the clock of the links, over the switches of Figure 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelerator.incc.core import Settings
from accelerator.rendezvous import Descriptor
from bench import ring
from controller.app.collective_methods import CollectiveMethods
from softswitch.ports import Effects
from topologies.inprocess import Fabric
from topologies.topology_file import load
from topologies.virtual_time import VirtualLinks, VirtualMember, run_together

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"
ORDER = ("acc1", "acc7", "acc3", "acc5", "acc2", "acc4", "acc6", "acc8")
ACCESS = Effects(rate=10**10, delay=1000, queue=64)
CORE = Effects(rate=4 * 10**10, delay=1000, queue=64)
COUNT = 4096


async def members_of(fabric: Fabric, size: int, links: VirtualLinks, settings: Settings) -> list[VirtualMember]:
    methods = CollectiveMethods(fabric.collectives, lambda switch, peer: fabric.plans[switch].port_to(peer).mac)
    group, names = f"virtual-{len(fabric.collectives.manager.groups())}", ORDER[:size]
    fabric.collectives.create(group, "training", names)
    for name in names:
        fabric.collectives.join(group, name)
    await fabric.converge()
    view = fabric.collectives.manager.group(group)
    described = [Descriptor.from_json(methods.descriptor(view, name)) for name in names]
    return [VirtualMember(links, *pair, settings) for pair in zip(names, described, strict=True)]


def all_reduce(links: VirtualLinks, members: list[VirtualMember]) -> float:
    works = [member.all_reduce(np.full(COUNT, member.rank + 1, np.int32)) for member in members]
    seconds = run_together(links, members, works)
    total = len(members) * (len(members) + 1) // 2
    assert all((np.asarray(work.result) == total).all() for work in works)
    return seconds


@pytest.mark.requirement("GEN-9")
async def test_time_and_octets_of_a_host_are_flat_in_the_number_of_ranks() -> None:
    """Where links between switches are as wide as the accelerators' links together; a ring's time grows."""
    taken, sent, rings = [], [], []
    async with Fabric(load(FIGURE1)) as fabric:
        for size in (2, 4, 8):
            links = VirtualLinks(fabric, ACCESS, CORE)
            members = await members_of(fabric, size, links, Settings())
            all_reduce(links, members)
            before = members[0].core.snapshot()
            taken.append(all_reduce(links, members))
            after = members[0].core.snapshot()
            sent.append(after.octets_sent - before.octets_sent)
            assert after.repeated == 0
            assert not links.lost
            await ring.warm_up(fabric, ORDER[:size])
            rings.append(ring.all_reduce(fabric, ORDER[:size], 4 * COUNT, ACCESS, CORE)[0])
        assert max(taken) < 1.02 * min(taken)
        assert len(set(sent)) == 1
        assert rings[2] > 2 * rings[0]

        # A window of one packet waits a round trip for each; queues that are shorter than a window lose packets.
        links = VirtualLinks(fabric, ACCESS, CORE)
        members = await members_of(fabric, 2, links, Settings(window=1))
        assert all_reduce(links, members) > 5 * taken[0]
        short = Effects(rate=10**10, delay=1000, queue=8)
        links = VirtualLinks(fabric, short, short)
        members = await members_of(fabric, 4, links, Settings())
        all_reduce(links, members)
        assert links.lost
        assert members[0].core.snapshot().window < 64
