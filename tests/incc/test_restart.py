"""The controller is killed and started anew: groups go on where they were, or in a new generation, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from accelerator.incc.errors import MemberLostError
from accelerator.incc.group import AsyncGroup, Handle
from controller.app.control import ControlServer
from controller.incc import GroupStore, MemoryGroupStore
from controller.incc.sqlite_store import SqliteGroupStore
from controller.lisp import Eid
from tests.fabric.observe import IID
from tests.incc.power import power_off, power_on
from tests.incc.programs import Programs, arrays, generated, go_on, kill, sums
from tests.incc.running import ask, rlocs, until
from topologies import inprocess
from topologies.generate import Shape
from topologies.inprocess import Fabric

COLLECTIVES = """
  domains:
    - {name: out, iid: 4097, eids: [10.1.255.0/24, 10.2.255.0/24]}
    - {name: up, iid: 8193, acc_ids: {first: 1000, last: 1255}}
"""
SHAPE = Shape(name="restart", pods=2, accelerators=8, access_per_pod=2, borders=1, fabric_switches=1)
ALL = tuple(f"acc{number}" for number in range(1, 9))
PAIR = ("acc1", "acc3")
LENGTH = 60_000


class Lives:
    """A fabric whose controllers are killed and started anew, each time with another control server."""

    def __init__(self, fabric: Fabric, socket: Path) -> None:
        self.fabric = fabric
        self._socket = socket
        self._stack = AsyncExitStack()

    async def begin(self) -> Programs:
        return Programs(self.fabric, await self._stack.enter_async_context(ControlServer(self._socket)))

    async def kill(self) -> None:
        """Connections end, nothing more is ordered, and nobody is told."""
        self.fabric.collectives.perform = lambda outputs: None  # type: ignore[method-assign]
        await self._stack.aclose()
        await self.fabric.stop_controllers()

    async def start(self) -> Programs:
        await self.fabric.start_controllers()
        return await self.begin()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GroupStore]:
    if request.param == "memory":
        yield MemoryGroupStore()
    else:
        with SqliteGroupStore(tmp_path / "groups.db") as found:
            yield found


@pytest_asyncio.fixture
async def lives(tmp_path: Path, store: GroupStore) -> AsyncIterator[Lives]:
    async with Fabric(generated(tmp_path, SHAPE, COLLECTIVES), groups=store) as fabric:
        found = Lives(fabric, tmp_path / "control.sock")
        yield found
        await found._stack.aclose()


async def two_groups(programs: Programs) -> tuple[list[AsyncGroup], list[AsyncGroup]]:
    await programs.create("all", domain="out", members=ALL)
    await programs.create("pair", domain="up", members=PAIR)
    return await programs.join("all", *ALL), await programs.join("pair", *PAIR)


async def under_way(members: list[AsyncGroup]) -> list[Handle]:
    handles = [member.all_reduce(array) for member, array in zip(members, arrays(members, LENGTH), strict=True)]
    while not handles[0].progress[0]:  # noqa: ASYNC110 - packets are under way
        await asyncio.sleep(0.001)
    assert not handles[0].done
    return handles


async def finished(members: list[AsyncGroup], handles: list[Handle]) -> None:
    total = np.sum(arrays(members, LENGTH), axis=0, dtype=np.int32)
    async with asyncio.timeout(60):
        for handle in handles:
            np.testing.assert_array_equal(await handle, total)


def generations(fabric: Fabric) -> dict[str, int]:
    return {view.name: view.generation for view in fabric.collectives.manager.groups()}


def check_slots(fabric: Fabric) -> None:
    """No slot is given twice: neither by the manager's books nor by the entries of the switches."""
    for name in fabric.routers:
        held = fabric.collectives.manager.slot_ranges(name)
        assert all(not set(one) & set(other) for one, other in combinations(held.values(), 2))
        branches = {v.number: v.branches[name].slots for v in fabric.collectives.manager.groups() if name in v.branches}
        assert branches.items() <= held.items()


@pytest.mark.requirement("GEN-9", partial=True)
async def test_groups_are_taken_up_in_the_middle_of_a_collective(lives: Lives) -> None:
    everybody, pair = await two_groups(await lives.begin())
    before = generations(lives.fabric)
    handles = await under_way(everybody)
    await lives.kill()
    # The switches know nothing of it.
    await finished(everybody, handles)
    handles, others = await under_way(everybody), await under_way(pair)
    programs = await lives.start()
    await finished(everybody, handles)
    await finished(pair, others)
    assert generations(lives.fabric) == before
    assert {view.state for view in lives.fabric.collectives.manager.groups()} == {"active"}
    check_slots(lives.fabric)

    # The root's xTR registers the EID again, and the members' connections count as they did.
    await lives.fabric.converge()
    view = lives.fabric.collectives.manager.group("all")
    pod = lives.fabric.topology.switch(view.root or "").pod
    reply = await ask(lives.fabric, f"SU-MS-{pod}", Eid.of(IID, str(view.eid)))
    assert rlocs(lives.fabric, reply) == [view.root]
    await programs.create("third", domain="up", members=PAIR)
    third = await programs.join("third", *PAIR)
    check_slots(lives.fabric)
    await asyncio.gather(sums(everybody), sums(pair), sums(third))
    await until(lambda: len(lives.fabric._methods._holders) == len(everybody) + len(pair) + len(third))
    await kill(everybody[4])
    await until(lambda: all(isinstance(one.error, MemberLostError) for one in everybody if one is not everybody[4]))
    survivors = [member for member in everybody if member is not everybody[4]]
    await go_on(survivors, 7)
    await sums(survivors)
    for members in (pair, third):
        await sums(members)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_switch_that_was_emptied_meanwhile_makes_a_new_generation(lives: Lives) -> None:
    everybody, pair = await two_groups(await lives.begin())
    before = generations(lives.fabric)
    leaf = lives.fabric.collectives.manager.group("all").leaves[6]
    assert leaf not in lives.fabric.collectives.manager.group("pair").branches
    handles = await under_way(everybody)
    await lives.kill()
    power_on(lives.fabric, leaf, power_off(lives.fabric, leaf))
    await lives.start()
    await finished(everybody, handles)
    after = generations(lives.fabric)
    assert after["pair"] == before["pair"]
    assert after["all"] == (before["all"] + 1) % 256
    check_slots(lives.fabric)
    await asyncio.gather(sums(everybody), sums(pair))


@pytest.mark.requirement("GEN-9", partial=True)
async def test_who_does_not_come_back_is_lost(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody, _ = await two_groups(await lives.begin())
    await lives.kill()
    await kill(everybody[2])
    monkeypatch.setattr(inprocess, "PATIENCE", 1.0)
    await lives.start()
    survivors = [member for member in everybody if member is not everybody[2]]
    await until(lambda: all(member.error is not None for member in survivors))
    for member in survivors:
        assert isinstance(member.error, MemberLostError)
        assert member.error.lost == ("acc3",)
        assert "acc3 did not come back" in str(member.error)
    await go_on(survivors, 7)
    await sums(survivors)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_that_was_being_formed_is_formed(lives: Lives) -> None:
    """What was ordered may have been carried out or not: its cells are cleared again, in a generation not used yet."""
    programs = await lives.begin()
    everybody, pair = await two_groups(programs)
    await sums(everybody)
    await kill(everybody[7])
    await until(lambda: lives.fabric.collectives.manager.group("all").working)
    begun = generations(lives.fabric)["all"]
    await lives.kill()
    await lives.start()
    survivors = everybody[:7]
    await go_on(survivors, 7)
    assert generations(lives.fabric)["all"] == (begun + 1) % 256
    await asyncio.gather(sums(survivors), sums(pair))
    check_slots(lives.fabric)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_that_was_destroyed_is_gone_from_the_switches(lives: Lives) -> None:
    programs = await lives.begin()
    everybody, pair = await two_groups(programs)
    destroying = asyncio.create_task(programs.destroy("all"))
    await until(lambda: generations(lives.fabric).keys() != {"all"} and _state(lives.fabric, "all") != "active")
    await lives.kill()
    destroying.cancel()
    await asyncio.gather(destroying, return_exceptions=True)
    await lives.start()
    assert list(generations(lives.fabric)) == ["pair"]
    for name, control in lives.fabric.controls.items():
        lacks = await control.lacks(control.tables.desired())
        assert not lacks, name
    await sums(pair)
    for member in everybody:
        assert member.error is not None


def _state(fabric: Fabric, group: str) -> str:
    return next((view.state for view in fabric.collectives.manager.groups() if view.name == group), "gone")
