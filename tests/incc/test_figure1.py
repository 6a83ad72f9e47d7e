"""Groups across the PoDs of Figure 1: trees in the switches, group EIDs, and failures while values are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from controller.app.control_errors import ControlError
from controller.dataplane.codepoints import DropReason
from controller.incc.announcement import Announcement
from controller.lisp import DistinguishedName, Eid, MapNotify
from tests.fabric.observe import IID, SCALE_UP_IID, Observer, figure1
from tests.incc.raw import all_reduce, total
from tests.incc.running import Connections, ask, cut, packets_of, rlocs, until
from topologies.inprocess import Fabric
from topologies.walk import TraceRecorder

NAMES = [f"acc{number}" for number in range(1, 9)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric() -> AsyncIterator[Observer]:
    async with Fabric(figure1()) as running:
        yield Observer(running, TraceRecorder())


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Observer]:
    async with Fabric(figure1()) as running:
        yield Observer(running, TraceRecorder())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_eight_accelerators_reduce_through_three_levels(fabric: Observer) -> None:
    """Each packet of a member is answered by one; no switch outside the tree has anything to do with them."""
    connections = Connections(fabric.fabric)
    members = await connections.join("everybody", NAMES)
    view = fabric.fabric.collectives.manager.group("everybody")
    levels = {name: branch.parent for name, branch in view.branches.items()}
    assert [levels[levels[view.leaves[0]] or ""], levels[view.root or ""]] in ([view.root, None], [None, None])
    results = await all_reduce(members)
    assert {found.values for found in results} == {total(8)}
    assert [found.rank for found in results] == list(range(8))
    # Every child contributes once, and a branch has the result once from its parent.
    passed = {name: await packets_of(fabric.fabric, name, view.number) for name in fabric.fabric.routers}
    expected = {
        name: len(branch.members) + len(branch.nodes) + (branch.parent is not None)
        for name, branch in view.branches.items()
    }
    assert {name: count for name, count in passed.items() if count} == expected
    for slot in range(1, 4):
        again = await all_reduce(members, slot=slot)
        assert {found.values for found in again} == {total(8)}
    await connections.call("x", "destroy", group="everybody")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("SO-SEG-5")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_the_eid_of_a_group_resolves_inside_its_instance_id_and_nowhere_else(fabric: Observer) -> None:
    connections, inside = Connections(fabric.fabric), fabric.fabric
    await connections.call("acc1", "create", group="pair", domain="training", members=["acc1", "acc2"])
    await connections.join("pair", ["acc1", "acc2"])
    await inside.converge()
    view = inside.collectives.manager.group("pair")
    pod = inside.topology.switch(view.root or "").pod
    reply = await ask(inside, f"SU-MS-{pod}", Eid.of(IID, str(view.eid)))
    assert rlocs(inside, reply) == [view.root]
    found = Announcement.find(reply.records[0].locators[0].metadata)
    assert found == Announcement(view.number, view.generation, 2, 64)
    for iid in (SCALE_UP_IID, IID + 1):
        assert rlocs(inside, await ask(inside, f"SU-MS-{pod}", Eid.of(iid, str(view.eid)))) == []
    await connections.call("acc1", "destroy", group="pair")
    await inside.converge()
    assert rlocs(inside, await ask(inside, f"SU-MS-{pod}", Eid.of(IID, str(view.eid)))) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("SU-SEG-5")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_scale_up_group_is_known_in_its_pod_by_its_name(fabric: Observer) -> None:
    connections, inside = Connections(fabric.fabric), fabric.fabric
    await connections.call("acc7", "create", group="up", domain="pod", members=["acc7", "acc8"])
    members = await connections.join("up", ["acc7", "acc8"])
    await inside.converge()
    assert {found.values for found in await all_reduce(members)} == {total(2)}
    view = inside.collectives.manager.group("up")
    name = DistinguishedName(f"POD-D-AccID-{view.eid}")
    reply = await ask(inside, "SU-MS-D", Eid(SCALE_UP_IID, name))
    assert rlocs(inside, reply) == [view.root]
    metadata = reply.records[0].locators[0].metadata
    assert metadata is not None
    assert (metadata.acc_id, Announcement.find(metadata)) == (
        view.eid,
        Announcement(view.number, view.generation, 2, 64),
    )
    for system, elsewhere in (
        ("SU-MS-D", Eid(IID, name)),
        ("SU-MS-A", Eid(SCALE_UP_IID, name)),
        ("SO-MS", Eid(SCALE_UP_IID, name)),
    ):
        assert rlocs(inside, await ask(inside, system, elsewhere)) == []
    await connections.call("acc7", "destroy", group="up")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_who_is_no_member_or_says_what_is_not_so_is_refused(fabric: Observer) -> None:
    connections, inside = Connections(fabric.fabric), fabric.fabric
    await connections.call("acc1", "create", group="three", domain="training", members=["acc1", "acc3", "acc7"])
    members = await connections.join("three", ["acc1", "acc3", "acc7"])
    first, seventh = members[0], members[2]
    leaf = inside.collectives.manager.group("three").leaves
    good = first.contribution(0, 1, (1,) * 64)
    before = await fabric.drops("A1")
    for bad, reason in (
        (replace(good, rank=1), DropReason.NOT_A_MEMBER),
        (replace(good, rank=0x8000), DropReason.NOT_A_MEMBER),
        (replace(good, group=good.group + 1), DropReason.NOT_A_MEMBER),
        (replace(good, generation=(good.generation + 1) % 256), DropReason.STALE_GENERATION),
        (replace(good, slot=64), DropReason.BAD_SLOT),
        (replace(good, slot=0xFFFF), DropReason.BAD_SLOT),
        (replace(good, kind=1), DropReason.NOT_A_MEMBER),
        (replace(good, kind=2), DropReason.NOT_A_MEMBER),
    ):
        first.send(bad)
        await fabric.settle()
        after = await fabric.drops("A1")
        assert after.get(reason, 0) == before.get(reason, 0) + 1, (bad, reason)
        before = after
    # Not from the leaf that the member has been given, but over its other link: a switch that has no entry for it.
    other = {"D1": "D2", "D2": "D1"}[leaf[2]]
    seventh.send(seventh.contribution(0, 1, (1,) * 64), at=other)
    await fabric.settle()
    assert {found.values for found in await all_reduce(members)} == {total(3)}
    await connections.call("acc1", "destroy", group="three")


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_dual_homed_member_loses_its_leaf_under_way_and_the_others_their_root(own: Observer) -> None:
    fabric, connections = own.fabric, Connections(own.fabric)
    members = await connections.join("everybody", NAMES)
    before = fabric.collectives.manager.group("everybody")
    # Half of the members have contributed when the link of accelerator 7 fails.
    for member in members[:4]:
        member.send(member.contribution(0, 1, (7,) * 64))
    cut(fabric, before.leaves[6], "acc7")
    await connections.renew(members, "everybody")
    after = fabric.collectives.manager.group("everybody")
    assert after.members == before.members
    assert after.leaves[6] == {"D1": "D2", "D2": "D1"}[before.leaves[6]]
    assert {found.values for found in await all_reduce(members)} == {total(8)}

    root = after.root or ""
    spine = fabric.plans[root].ports[0].peer
    await fabric.converge()
    mark = own.mark()
    cut(fabric, root, spine)
    await connections.renew(members, "everybody")
    last = fabric.collectives.manager.group("everybody")
    assert last.root != root
    assert last.eid == after.eid
    assert {found.values for found in await all_reduce(members)} == {total(8)}
    # Whoever follows the PoD's subnets there has been told that the EID has moved.
    await fabric.converge()
    pod = fabric.topology.switch(root).pod
    told = [seen.record(Eid.of(IID, str(last.eid))) for seen in own.sent(MapNotify, f"SU-MS-{pod}", since=mark)]
    moved = [[fabric.name_of(one.rloc) for one in record.locators if one.rloc] for record in told if record]
    assert [last.root] in moved
    assert rlocs(fabric, await ask(fabric, f"SU-MS-{pod}", Eid.of(IID, str(last.eid)))) == [last.root]


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_member_that_dies_is_dropped_and_a_restarted_one_comes_back(own: Observer) -> None:
    fabric, connections = own.fabric, Connections(own.fabric)
    members = await connections.join("everybody", NAMES)
    generation = members[0].number("generation")
    waiting = asyncio.create_task(
        connections.call("acc1", "wait", group="everybody", accelerator="acc1", generation=generation)
    )
    await asyncio.sleep(0)
    connections.close("acc5")
    with pytest.raises(ControlError, match="acc5 died") as told:
        await waiting
    assert told.value.data["lost"] == ["acc5"]
    survivors = await connections.join("everybody", [name for name in NAMES if name != "acc5"])
    assert [one.number("rank") for one in survivors] == list(range(7))
    assert {found.values for found in await all_reduce(survivors)} == {total(7)}
    assert "C1" not in fabric.collectives.manager.group("everybody").branches
    again = await connections.join("everybody", ["acc5"])
    members = await connections.join("everybody", NAMES)
    assert again[0].number("rank") == 4
    assert {found.values for found in await all_reduce(members)} == {total(8)}

    # The only link of accelerator 1 fails: to it that is the end, to the others a loss.
    cut(fabric, "A1", "acc1")
    with pytest.raises(ControlError, match="acc1 is not attached any more"):
        await connections.call("acc1", "wait", group="everybody", accelerator="acc1", generation=generation)
    await until(lambda: fabric.collectives.manager.group("everybody").members == tuple(NAMES[1:]))


@pytest.mark.requirement("GEN-9", partial=True)
async def test_a_router_whose_control_plane_restarts_registers_its_groups_again(own: Observer) -> None:
    fabric, connections = own.fabric, Connections(own.fabric)
    members = await connections.join("everybody", NAMES)
    await fabric.converge()
    root = fabric.collectives.manager.group("everybody").root or ""
    fabric.stop_router(root)
    assert {found.values for found in await all_reduce(members)} == {total(8)}
    mark = own.mark()
    fabric.start_router(root)
    await fabric.converge()
    eid = Eid.of(IID, str(members[0].descriptor["eid"]))
    assert any(seen.record(eid) for seen in own.seen(mark) if seen.source == root)
    assert {found.values for found in await all_reduce(members, slot=1)} == {total(8)}
