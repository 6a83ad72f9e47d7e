"""The writer: what reaches the switch, when, and in which order."""

from __future__ import annotations

import asyncio

import pytest
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import CounterCell, MeterCell, TableEntry
from controller.p4rt.errors import EncodingError, UnknownNameError
from controller.p4rt.matches import Exact
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.reconcile import Writer
from controller.p4rt.stream import StreamState
from tests.p4rt.fake_store import OK
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import connected, until
from tests.p4rt.writer_support import DELETE, EVERYTHING, MODIFY, deliver, held, route, settled, writing


async def test_what_is_desired_is_written_and_what_is_not_is_removed(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired(EVERYTHING)
    assert len(writer) == len(EVERYTHING)
    assert await settled(writer) == ()
    assert held(switch, client) == set(EVERYTHING)
    writer.set_desired([route(2)])
    assert await settled(writer) == ()
    assert held(switch, client) == {route(2)}
    assert all(write.code is OK for write in switch.log)
    assert len(switch.log) == len(EVERYTHING) + len(EVERYTHING) + 1


async def test_only_changes_are_written(switch: FakeSwitch, writer: Writer) -> None:
    writer.set_desired([route(number) for number in range(10)])
    await settled(writer)
    switch.writes()
    writer.set_desired([route(number, mark=2 if number == 3 else 1) for number in range(10)])
    writer.apply(put=[route(4)])
    await settled(writer)
    assert [write.kind for write in switch.writes()] == [MODIFY]
    writer.apply(remove=[route(5), route(77)])
    await settled(writer)
    assert [write.kind for write in switch.writes()] == [DELETE]


async def test_a_restarted_controller_writes_nothing_if_nothing_differs(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired(EVERYTHING)
        await settled(writer)
        assert writer.stats.updates == len(EVERYTHING)
    switch.writes()
    switch.calls.clear()
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired(EVERYTHING)
        assert await settled(writer) == ()
        assert writer.stats.updates == 0
        assert writer.stats.synchronizations >= 1
    assert switch.writes() == []
    assert switch.calls["Write"] == switch.calls["SetForwardingPipelineConfig"] == 0


async def test_until_the_state_is_complete_nothing_else_is_removed(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired([route(1), route(2), route(3)])
        await settled(writer)
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.apply(put=[route(1), route(4)], remove=[route(3)])
        await settled(writer)
        assert held(switch, client) == {route(1), route(2), route(4)}
        switch.hang_up()
        await until(lambda: writer.stats.synchronizations == 2)
        await settled(writer)
        assert held(switch, client) == {route(1), route(2), route(4)}
        writer.sweep()
        await settled(writer)
        assert held(switch, client) == {route(1), route(4)}


async def test_what_was_removed_before_the_switch_was_there_is_removed_when_it_is(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired([route(1), route(2)])
        await settled(writer)
        await switch.stop()
        await until(lambda: client.stream.state is StreamState.DISCONNECTED)
        writer.apply(put=[route(3)], remove=[route(1)])
        await switch.start(address)
        await settled(writer)
        assert held(switch, client) == {route(2), route(3)}


async def test_a_switch_that_lost_everything_gets_everything(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired(EVERYTHING)
    await settled(writer)
    switch.reset()
    switch.hang_up()
    await until(lambda: writer.stats.synchronizations == 2)
    assert await settled(writer) == ()
    assert held(switch, client) == set(EVERYTHING)
    assert switch.calls["SetForwardingPipelineConfig"] == 2


async def test_what_others_changed_meanwhile_is_put_right(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired([route(1), route(2)])
    await settled(writer)
    async with connected(client.target.address, client.pipeline, election_id=9) as other:
        await until(lambda: client.stream.state is StreamState.BACKUP)
        await other.modify(route(1, mark=3))
        await other.delete(route(2))
        await other.insert(route(3))
        await other.modify(TableEntry.default("routes6", deliver()))
        writer.apply(put=[route(4)])
    await until(lambda: writer.stats.synchronizations == 2)
    await settled(writer)
    assert held(switch, client) == {route(1), route(2), route(4)}


async def test_while_it_is_not_primary_a_writer_is_not_settled(
    client: P4RuntimeClient, writer: Writer, address: str
) -> None:
    await settled(writer)
    async with connected(address, client.pipeline, election_id=9):
        await until(lambda: client.stream.state is StreamState.BACKUP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await writer.settled()
    await settled(writer)


async def test_batches_are_as_large_as_they_may_be(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    async with writing(client, batch=300) as writer:
        await settled(writer)
        writer.set_desired([route(number) for number in range(700)])
        await settled(writer)
        assert switch.batches == [300, 300, 100]


async def test_changes_during_a_write_are_coalesced_and_the_last_wins(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    await settled(writer)
    started, release = asyncio.Event(), asyncio.Event()

    async def block() -> None:
        started.set()
        await release.wait()

    switch.before_write = block
    writer.apply(put=[route(1)])
    await started.wait()
    for mark in range(50):
        writer.apply(put=[route(2, mark), route(3, mark)])
    writer.apply(put=[route(1, mark=9)], remove=[route(3)])
    release.set()
    await settled(writer)
    assert held(switch, client) == {route(1, mark=9), route(2, mark=49)}
    assert len(switch.log) == 3


async def test_a_change_of_mind_within_a_cycle_is_written_as_it_is_by_then(
    switch: FakeSwitch, client: P4RuntimeClient
) -> None:
    async with writing(client, batch=1) as writer:
        await settled(writer)
        writer.set_desired([route(1), route(2)])

        async def change() -> None:
            switch.before_write = None
            writer.set_desired([route(1, mark=5)])

        switch.before_write = change
        await settled(writer)
        assert held(switch, client) == {route(1, mark=5)}
        assert await settled(writer) == ()


async def test_a_bad_entity_changes_nothing_and_is_named(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired([route(1)])
    await settled(writer)
    bad = TableEntry("CatalogueIngress.routes4", {"vrf": Exact(1 << 16)}, deliver())
    with pytest.raises(EncodingError, match=r"routes4.*vrf = 0x10000: does not fit 16 bits"):
        writer.set_desired([route(2), bad])
    with pytest.raises(EncodingError, match="0x10000"):
        writer.apply(put=[route(2), bad], remove=[route(1)])
    with pytest.raises(UnknownNameError, match="routes5"):
        writer.apply(remove=[TableEntry("routes5", {"vrf": Exact(1)})])
    with pytest.raises(EncodingError, match="twice, in different states"):
        writer.set_desired([route(1), route(1, mark=2)])
    with pytest.raises(EncodingError, match="cannot be desired"):
        writer.apply(put=[CounterCell("vrf_packets", 1)])  # type: ignore[list-item]
    with pytest.raises(EncodingError, match="to reset it, remove it"):
        writer.apply(put=[MeterCell("vrf_rate", 1)])
    writer.set_desired([route(1), route(1)])
    await settled(writer)
    assert held(switch, client) == {route(1)}
    assert len(switch.log) == 1


async def test_a_default_action_goes_back_to_the_program_s_own(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    own = TableEntry.default("CatalogueIngress.routes6", Action("CatalogueIngress.drop"))
    writer.set_desired([own])
    await settled(writer)
    assert switch.writes() == []
    writer.set_desired([TableEntry.default("CatalogueIngress.routes6", deliver())])
    await settled(writer)
    writer.set_desired([])
    await settled(writer)
    assert switch.held == {}
    assert [write.kind for write in switch.writes()] == [MODIFY, MODIFY]


async def test_a_mirror_that_is_wrong_is_found_out(switch: FakeSwitch, client: P4RuntimeClient, writer: Writer) -> None:
    """Another primary came and went unseen, or the switch forgot: the other kind of update is tried."""
    writer.set_desired([route(1), route(2), route(3)])
    await settled(writer)
    switch.held.pop(client.codec.key(route(1)))
    switch.held.pop(client.codec.key(route(2)))
    there = p4runtime_pb2.Entity.FromString(client.codec.encode(route(4)).wire)
    switch.held[client.codec.key(route(4))] = there
    writer.set_desired([route(1, mark=2), route(3), route(4, mark=2)])
    assert await settled(writer) == ()
    assert held(switch, client) == {route(1, mark=2), route(3), route(4, mark=2)}
