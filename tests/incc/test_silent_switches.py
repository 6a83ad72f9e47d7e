"""Switches that fall silent, are started anew and empty, or are said to have failed, while groups use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from accelerator.incc.errors import MemberLostError
from accelerator.incc.group import AsyncGroup, Handle
from accelerator.rendezvous import Rendezvous, RendezvousError
from controller.app import switch_watch
from controller.app.control import ControlServer
from controller.incc import GroupView
from tests.incc.power import mute, power_off, power_on
from tests.incc.programs import Programs, arrays, generated, go_on, sums
from tests.incc.running import until
from topologies.generate import Shape
from topologies.inprocess import Fabric
from topologies.operate import failures

COLLECTIVES = "  domains:\n    - {name: out, iid: 4097, eids: [10.1.255.0/24, 10.2.255.0/24]}\n"
# Of each PoD's two access routers, two accelerators are on both and one is on the first.
SHAPE = Shape(name="silent", pods=2, accelerators=6, access_per_pod=2, borders=2, fabric_switches=2, multihomed=4)


@pytest_asyncio.fixture
async def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Programs]:
    for name, seconds in (("SILENCE", 1.0), ("QUESTION_EVERY", 0.1)):
        monkeypatch.setattr(switch_watch, name, seconds)
    monkeypatch.setattr(failures, "SETTLE_SECONDS", 0.1)
    async with (
        Fabric(generated(tmp_path, SHAPE, COLLECTIVES)) as fabric,
        ControlServer(tmp_path / "control.sock") as server,
    ):
        server.methods.update(failures.Failures(fabric).methods())
        yield Programs(fabric, server)


def group_of(programs: Programs) -> GroupView:
    return programs.fabric.collectives.manager.group("g")


def homes(programs: Programs, accelerator: str) -> list[str]:
    return [switch for switch, plugged in programs.fabric.access_ports if plugged == accelerator]


async def everybody(programs: Programs) -> list[AsyncGroup]:
    names = [one.name for one in programs.fabric.topology.accelerators]
    await programs.create("g", domain="out", members=names)
    members = await programs.join("g", *names)
    await sums(members)
    return members


async def under_way(members: list[AsyncGroup]) -> list[Handle]:
    """An AllReduce in the middle."""
    handles = [member.all_reduce(array) for member, array in zip(members, arrays(members, 30_000), strict=True)]
    while not handles[0].progress[0]:  # noqa: ASYNC110 - packets are under way
        await asyncio.sleep(0.001)
    assert not handles[0].done
    return handles


async def finished(members: list[AsyncGroup], handles: list[Handle]) -> None:
    total = np.sum(arrays(members, 30_000), axis=0, dtype=np.int32)
    async with asyncio.timeout(60):
        for handle in handles:
            np.testing.assert_array_equal(await handle, total)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_root_without_power_is_replaced_and_serves_again_when_it_is_back(programs: Programs) -> None:
    members = await everybody(programs)
    before = group_of(programs)
    assert before.root is not None
    handles = await under_way(members)
    cables = power_off(programs.fabric, before.root)
    await finished(members, handles)
    await until(lambda: not programs.fabric.collectives.manager.network.is_up(before.root or ""))
    after = group_of(programs)
    assert after.members == before.members
    assert before.root not in after.branches

    # It comes back without anything: it gets what it had, but nothing of the group any more.
    power_on(programs.fabric, before.root, cables)
    await until(lambda: programs.fabric.collectives.manager.network.is_up(before.root or ""))
    await programs.fabric.converge()
    handles = await under_way(members)
    for gone in {name for name in after.branches if name.startswith(before.root[:4]) and name != before.root}:
        power_off(programs.fabric, gone)
    await finished(members, handles)
    assert before.root in group_of(programs).branches
    await sums(members)


@pytest.mark.requirement("GEN-9", partial=True)
@pytest.mark.parametrize("place", ["root", "leaf"])
async def test_a_switch_that_is_back_at_once_but_empty_begins_a_new_generation(programs: Programs, place: str) -> None:
    """Nobody would repeat what it has forgotten: without a new generation the group would hang."""
    members = await everybody(programs)
    before = group_of(programs)
    switch = before.root if place == "root" else before.leaves[0]
    assert switch is not None
    handles = await under_way(members)
    # No port is seen to go down, so that nothing but its entries tells of it.
    programs.fabric.collectives.port_status = lambda *_: None  # type: ignore[method-assign]
    power_on(programs.fabric, switch, power_off(programs.fabric, switch))
    await finished(members, handles)
    after = group_of(programs)
    assert after.generation != before.generation
    assert after.members == before.members
    await sums(members)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_switch_that_answers_no_more_is_gone_round(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    members = await everybody(programs)
    before = group_of(programs)
    assert before.root is not None
    monkeypatch.setattr(switch_watch, "QUESTION_TIMEOUT", 3.0)
    with mute(programs.fabric, before.root):
        await until(lambda: before.root not in group_of(programs).branches)
        await sums(members)
    # As soon as it answers, it can be used again.
    await until(lambda: programs.fabric.collectives.manager.network.is_up(before.root or ""))


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_silent_leaf_takes_those_with_it_that_have_no_other(programs: Programs) -> None:
    members = await everybody(programs)
    single = next(member for member in members if len(homes(programs, _name(member))) == 1)
    leaf = group_of(programs).leaves[single.rank]
    handles = await under_way(members)
    cables = power_off(programs.fabric, leaf)
    lost = {_name(one) for one in members if homes(programs, _name(one)) == [leaf]}
    survivors = [member for member in members if _name(member) not in lost]
    assert single not in survivors
    for member, handle in zip(members, handles, strict=True):
        async with asyncio.timeout(60):
            with pytest.raises(MemberLostError, match=rf"{_name(single)} is (lost with {leaf}|not attached any more)"):
                await handle
        assert _name(single) in (member.error.lost if isinstance(member.error, MemberLostError) else ())
    await go_on(survivors, len(survivors))
    await sums(survivors)
    for member in members:
        if member not in survivors:
            await member.close()
    power_on(programs.fabric, leaf, cables)
    await until(lambda: programs.fabric.collectives.manager.network.is_up(leaf))
    await programs.fabric.converge()
    again = await programs.join("g", *lost)
    await go_on(survivors, len(members))
    await sums(sorted([*survivors, *again], key=lambda member: member.rank))


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_drill_reaches_the_groups(programs: Programs) -> None:
    members = await everybody(programs)
    root = group_of(programs).root
    assert root is not None
    handles = await under_way(members)
    async with Rendezvous(programs.control) as client:
        await client.call("fail", xtr=root)
        assert not programs.fabric.collectives.manager.network.is_up(root)
        await finished(members, handles)
        await until(lambda: root not in group_of(programs).branches)
        await client.call("heal", xtr=root)
    assert programs.fabric.collectives.manager.network.is_up(root)
    await sums(members)


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_group_that_needs_a_silent_switch_says_which(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_watch, "QUESTION_TIMEOUT", 3.0)
    names = [one.name for one in programs.fabric.topology.accelerators if len(one.attached_to) == 1]
    (leaf,) = homes(programs, names[0])
    await programs.create("g", domain="out", members=names)
    reason = rf"{names[0]}.*is (lost with {leaf}|not attached to a switch)"
    with mute(programs.fabric, leaf), pytest.raises(RendezvousError, match=reason):
        await programs.join("g", *names)
    await until(lambda: programs.fabric.collectives.manager.network.is_up(leaf))
    await sums(await programs.join("g", *names))


def _name(member: AsyncGroup) -> str:
    return member._accelerator
