"""`lispfabric up` is killed, switches and all, and brought up again: members that go on running go on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from accelerator.incc.core import Settings
from accelerator.incc.errors import MemberLostError
from accelerator.incc.group import AsyncGroup
from controller.app.control_client import ControlClient
from tests.incc.running import until
from topologies import background
from topologies.topology_file import find

NAMES = ("red-1", "red-2")


class Process:
    """A fabric in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control.sock"
        self._p4runtime = f"unix:{folder}/p4runtime.sock"

    def start(self) -> None:
        background.detach(find(Path("scale-up")), self.control, "--p4runtime", self._p4runtime)

    @property
    def pid(self) -> int:
        with ControlClient(self.control) as client:
            return int(client.call("status")["pid"])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def down(self) -> None:
        with ControlClient(self.control) as client:
            client.call("stop")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    found = Process(tmp_path)
    found.start()
    yield found
    found.down()


async def sums(members: list[AsyncGroup]) -> None:
    arrays = [np.arange(5000, dtype=np.int32) * (member.rank + 1) for member in members]
    async with asyncio.timeout(60):
        for handle in [member.all_reduce(array) for member, array in zip(members, arrays, strict=True)]:
            np.testing.assert_array_equal(await handle, np.arange(5000) * 3)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_members_outlive_the_fabric(process: Process) -> None:
    settings = Settings(longest_timeout=0.1)
    join = (AsyncGroup.join("red-pair", name, control=process.control, settings=settings) for name in NAMES)
    members = list(await asyncio.gather(*join))
    await sums(members)
    before = members[0].descriptor
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)
    # The switches are new and empty, so the group has another generation; what it counts goes on.
    await sums(members)
    after = members[0].descriptor
    assert (after.group, after.members) == (before.group, before.members)
    assert after.generation == (before.generation + 1) % 256
    # A fabric that is taken down says so, and leaves nothing.
    waiting = members[0].barrier()
    await asyncio.to_thread(process.down)
    with pytest.raises(MemberLostError, match="group red-pair was destroyed"):
        await waiting
    for member in members:
        await member.close()
    await until(lambda: not list(process.control.parent.glob("*.groups*")))
    await asyncio.to_thread(process.start)
    fresh = await asyncio.gather(
        *(AsyncGroup.join("red-pair", name, control=process.control, settings=settings) for name in NAMES)
    )
    await sums(list(fresh))
    for member in fresh:
        await member.close()
