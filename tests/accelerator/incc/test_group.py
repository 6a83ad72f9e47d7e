"""Groups as programs use them: blocking, over Unix sockets of a running fabric, through its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from accelerator.incc.errors import GroupError, MemberLostError
from accelerator.incc.group import AsyncGroup, CancelledError, Group
from accelerator.rendezvous import RendezvousError
from controller.app.control import ControlServer
from topologies.inprocess import Fabric
from topologies.operate import AcceleratorLinks, methods_of
from topologies.topology_file import load

SCALE_UP = Path(__file__).resolve().parents[3] / "topologies" / "scale-up.yaml"


@pytest_asyncio.fixture
async def control(tmp_path: Path) -> AsyncIterator[Path]:
    async with ControlServer(tmp_path / "control.sock") as server, Fabric(load(SCALE_UP)) as fabric:
        links = AcceleratorLinks(fabric, server.path)
        links.start()
        server.methods.update(methods_of(fabric, lambda: None))
        yield server.path
        links.close()


async def pair(control: Path) -> tuple[AsyncGroup, AsyncGroup]:
    async with asyncio.timeout(20):
        return tuple(  # type: ignore[return-value]
            await asyncio.gather(*(AsyncGroup.join("red-pair", f"red-{n}", control=control) for n in (1, 2)))
        )


async def test_blocking_members_in_threads(control: Path) -> None:
    def member(name: str) -> Any:
        with Group.join("red-pair", name, control=control) as group:
            whole = group.all_reduce(np.arange(3000, dtype=np.int32))
            handle = group.start.all_reduce(np.full(1000, 0.5, np.float32), "avg")
            mean = handle.wait(20)
            group.barrier()
            assert handle.progress[0] == handle.progress[1]
            assert handle.seconds is not None
            return group.rank, whole, mean, group.statistics.collectives

    async with asyncio.timeout(40):
        results = await asyncio.gather(*(asyncio.to_thread(member, f"red-{number}") for number in (1, 2)))
    assert sorted(result[0] for result in results) == [0, 1]
    for _, whole, mean, collectives in results:
        np.testing.assert_array_equal(whole, 2 * np.arange(3000))
        assert (mean == 0.5).all()
        assert collectives == 3


async def test_a_member_that_dies_is_named_and_can_come_back(control: Path) -> None:
    first, second = await pair(control)
    waiting = first.all_reduce(np.ones(100, np.int32))
    second._attachment.close()
    assert second._rendezvous is not None
    await second._rendezvous.close()
    async with asyncio.timeout(20):
        with pytest.raises(MemberLostError, match="red-2") as caught:
            await waiting
    assert "red-2" in caught.value.lost
    with pytest.raises(MemberLostError):
        first.barrier()
    await second.close()
    await first.close()


async def test_a_cancelled_task_leaves_the_others_their_result(control: Path) -> None:
    first, second = await pair(control)
    handle = first.all_reduce(np.ones(50_000, np.int32))
    handle.cancel()
    with pytest.raises(CancelledError, match="cancelled"):
        await handle
    async with asyncio.timeout(20):
        assert (await second.all_reduce(np.ones(50_000, np.int32)) == 2).all()
        await asyncio.gather(first.barrier(), second.barrier())
    await first.close()
    await second.close()
    with pytest.raises(GroupError, match="closed here"):
        first.barrier()


async def test_a_group_that_is_none_is_named(control: Path) -> None:
    with pytest.raises(RendezvousError, match="nobody"):
        await AsyncGroup.join("nobody", "red-1", control=control)
