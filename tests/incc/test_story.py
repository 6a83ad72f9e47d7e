"""What `lispfabric run` shows of collectives, and the accelerators' library on a whole fabric."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from rich.console import Console

from accelerator.incc.group import AsyncGroup
from accelerator.rendezvous import Descriptor
from tests.fabric.observe import figure1
from tests.incc.running import Connections, cut
from topologies.collective_story import leave, members_of, show_all_reduce
from topologies.inprocess import Fabric

NAMES = tuple(f"acc{number}" for number in range(1, 9))


@pytest.mark.requirement("GEN-9", partial=True)
async def test_the_library_reduces_and_goes_on_after_a_lost_leaf() -> None:
    async with Fabric(figure1()) as fabric:
        console = Console(record=True, width=200)
        assert await show_all_reduce(console, fabric)
        text = console.export_text()
        assert "All 8 have the sum" in text
        assert "in a ring it would send 7" in text

        members = await members_of(fabric, "everybody", NAMES)
        arrays = [np.random.default_rng(rank).integers(-1000, 1000, 1000, np.int32) for rank in range(8)]
        sums = [member.all_reduce(array) for member, array in zip(members, arrays, strict=True)]
        for handle in sums:
            assert np.array_equal(await handle, np.sum(np.stack(arrays), axis=0, dtype=np.int32))
        # The leaf of accelerators 7 and 8 loses both of them, while 4096 values are under way.
        view = fabric.collectives.manager.group("everybody")
        large = [np.arange(4096, dtype=np.int32) + rank for rank in range(8)]
        handles = [member.all_reduce(array) for member, array in zip(members, large, strict=True)]
        for name in ("acc7", "acc8"):
            cut(fabric, view.leaves[6], name)
        while (now := fabric.collectives.manager.group("everybody")).state != "active" or now.working:
            await fabric.collectives.change("everybody")
        assert now.members == view.members
        assert now.leaves[6] != view.leaves[6]
        await formed(fabric, members)
        async with asyncio.timeout(20):
            for handle in handles:
                assert np.array_equal(await handle, np.sum(np.stack(large), axis=0, dtype=np.int32))
        await leave(fabric, "everybody", members)
        await fabric.converge()
        assert not any(fabric.collectives.manager.slot_ranges(name) for name in fabric.routers)


async def formed(fabric: Fabric, members: list[AsyncGroup]) -> None:
    """Each member hears of the new generation by `incc.wait`."""
    connections = Connections(fabric)
    for name, member in zip(NAMES, members, strict=True):
        known = member.descriptor.generation
        told = await connections.call(name, "wait", group="everybody", accelerator=name, generation=known)
        member.formed(Descriptor.from_json(told))
