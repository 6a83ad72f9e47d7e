"""Members that die in the middle, are started anew, or come late: what the others hear, and exact sums."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest
import pytest_asyncio

from accelerator.incc.errors import MemberLostError
from controller.app.control import ControlServer
from controller.dataplane.codepoints import DropReason
from tests.fabric.observe import Observer
from tests.incc.programs import Programs, Recorder, arrays, generated, go_on, kill, sums
from topologies.generate import Shape
from topologies.inprocess import Fabric
from topologies.walk import TraceRecorder

COLLECTIVES = """
  domains:
    - {name: out, iid: 4097, eids: [10.1.255.0/24]}
    - {name: up, iid: 8193, acc_ids: {first: 1000, last: 1255}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A domain, and members on one access router or on two."""

    domain: str
    members: tuple[str, ...]


CASES = [
    pytest.param(Case(domain, members), id=f"{domain}, {levels}")
    for domain in ("out", "up")
    for levels, members in (
        ("one level", ("acc1", "acc3", "acc5", "acc7")),
        ("two levels", ("acc1", "acc2", "acc3", "acc4")),
    )
]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("case", CASES)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def programs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Programs]:
    """A PoD of two access routers with four accelerators each."""
    folder = tmp_path_factory.mktemp("members")
    shape = Shape(name="members", pods=1, accelerators=8, access_per_pod=2, borders=1, fabric_switches=1)
    async with (
        Fabric(generated(folder, shape, COLLECTIVES)) as fabric,
        ControlServer(folder / "control.sock") as server,
    ):
        yield Programs(fabric, server)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_member_dies_in_the_middle_and_nothing_old_counts(programs: Programs, case: Case) -> None:
    fabric = programs.fabric
    observer = Observer(fabric, TraceRecorder())
    await programs.create("g", domain=case.domain, members=case.members)
    members = await programs.join("g", *case.members)
    view = fabric.collectives.manager.group("g")
    assert len(view.branches) == (1 if case.members[1] == "acc3" else 2)
    recorder = Recorder(fabric, *view.branches)
    asked = {name: router.punted for name, router in fabric.routers.items()}
    await sums(members)
    handles = [member.all_reduce(array) for member, array in zip(members, arrays(members, 200_000), strict=True)]
    while not handles[0].progress[0]:  # noqa: ASYNC110 - packets are under way
        await asyncio.sleep(0.001)
    victim, survivors = members[2], [*members[:2], *members[3:]]
    await kill(victim)
    name = case.members[2]
    assert not handles[0].done
    for handle, member in zip(handles, members, strict=True):
        if member is not victim:
            async with asyncio.timeout(60):
                with pytest.raises(MemberLostError, match=f"{name} died") as told:
                    await handle
            assert told.value.lost == (name,)
            with pytest.raises(MemberLostError, match=f"{name} died"):
                member.barrier()
    recorder.stop()
    await go_on(survivors, 3)
    assert [member.rank for member in survivors] == [0, 1, 2]

    # What was under way in the old generation arrives only now, and again and again.
    before = {switch: await observer.drops(switch) for switch in view.branches}
    data = arrays(survivors, 64 * 128)
    handles = [member.all_reduce(array) for member, array in zip(survivors, data, strict=True)]
    for _ in range(3):
        recorder.replay()
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        for handle in handles:
            np.testing.assert_array_equal(await handle, np.sum(data, axis=0, dtype=np.int32))
    assert asked == {name: router.punted for name, router in fabric.routers.items()}, "no controller is asked"
    for switch in view.branches:
        after, old = await observer.drops(switch), [frame for here, _, frame in recorder.frames if here == switch]
        stale = after[DropReason.STALE_GENERATION] - before[switch].get(DropReason.STALE_GENERATION, 0)
        assert stale >= 3 * len(old) > 0, switch
    await programs.destroy("g", survivors)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_an_accelerator_that_is_started_anew_comes_back_with_its_rank(programs: Programs, case: Case) -> None:
    await programs.create("g", domain=case.domain, members=case.members)
    members = await programs.join("g", *case.members)
    await sums(members)
    first = members[1].descriptor
    await kill(members[1])
    survivors = [members[0], *members[2:]]
    await go_on(survivors, 3)
    await sums(survivors)
    waiting = [member.all_reduce(array) for member, array in zip(survivors, arrays(survivors, 64), strict=True)]
    for handle in waiting:
        await handle
    (again,) = await programs.join("g", case.members[1])
    # The others cannot go on as if nothing had happened: their number and their ranks are others.
    for member in survivors:
        with pytest.raises(MemberLostError, match=f"{case.members[1]} joined") as told:
            await member.barrier()
        assert told.value.lost == ()
    await go_on(survivors, 4)
    assert (again.rank, again.size) == (1, 4)
    assert again.descriptor.generation == (first.generation + 2) % 256
    everybody = [survivors[0], again, *survivors[1:]]
    assert [member.rank for member in everybody] == [0, 1, 2, 3]
    await sums(everybody)
    await programs.destroy("g", everybody)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_begins_with_some_and_others_come_late(programs: Programs, case: Case) -> None:
    await programs.create("g", domain=case.domain, size=4, at_least=2)
    members = await programs.join("g", *case.members[:2])
    assert [member.size for member in members] == [2, 2]
    await sums(members)
    for size in (3, 4):
        (late,) = await programs.join("g", case.members[size - 1])
        await go_on(members, size)
        assert (late.rank, late.size) == (size - 1, size)
        members = [*members, late]
        await sums(members)
    await programs.destroy("g", members)
