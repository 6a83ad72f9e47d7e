"""The writer when the connection, a read or the whole session fails, and what it leaves alone on the switch."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import ActionSet, WeightedAction
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.reconcile import Writer
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import connected, until
from tests.p4rt.writer_support import EVERYTHING, deliver, held, nexthop, route, settled, writing


@pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.PERMISSION_DENIED])
async def test_a_session_that_fails_is_begun_anew(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer, code: StatusCode
) -> None:
    await settled(writer)
    switch.fail_writes.extend([(code, "not now")] * 3)
    writer.set_desired(EVERYTHING)
    assert await settled(writer) == ()
    assert held(switch, client) == set(EVERYTHING)
    assert writer.stats.synchronizations == 4


async def test_a_connection_that_breaks_in_the_middle_loses_nothing(
    switch: FakeSwitch, client: P4RuntimeClient
) -> None:
    entries = [route(number) for number in range(400)]
    async with writing(client, batch=20) as writer:
        await settled(writer)
        count = 0

        async def break_sometimes() -> None:
            nonlocal count
            count += 1
            if count in (3, 9):
                switch.hang_up()
                await asyncio.sleep(0.01)

        switch.before_write = break_sometimes
        writer.set_desired(entries)
        async with asyncio.timeout(10):
            await writer.settled()
        assert held(switch, client) == set(entries)
        assert client.stream.term == 3


async def test_a_read_that_fails_is_repeated(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    switch.fail_reads.extend([(StatusCode.INTERNAL, "out of sync")] * 2)
    async with writing(client) as writer:
        writer.set_desired([route(1)])
        assert await settled(writer) == ()
        assert held(switch, client) == {route(1)}


async def test_what_cannot_be_read_is_written_all_the_same(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    switch.unreadable = {"packet_replication_engine_entry", "value_set_entry", "digest_entry", "meter_entry"}
    for _ in range(2):
        async with connected(address, pipeline) as client, writing(client) as writer:
            writer.set_desired(EVERYTHING)
            assert await settled(writer) == ()
            assert held(switch, client) == set(EVERYTHING)


async def test_members_are_not_read_where_the_selector_is_used_one_shot(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    """PI fails the whole read if asked for the members of such a selector."""
    one_shot = nexthop(1, ActionSet([WeightedAction(deliver(1), 2), WeightedAction(deliver(2))]))
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired([one_shot])
        assert await settled(writer) == ()
    switch.unreadable = {"action_profile_group"}
    switch.writes()
    async with connected(address, pipeline) as client, writing(client) as writer:
        writer.set_desired([one_shot])
        assert await settled(writer) == ()
    assert switch.writes() == []


async def test_what_the_program_fixes_is_left_alone(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    await settled(writer)
    fixed = p4runtime_pb2.Entity()
    fixed.table_entry.table_id = client.codec.info.tables["routes4"].id
    fixed.table_entry.match.add(field_id=1).exact.value = b"\5"
    fixed.table_entry.action.action.action_id = client.codec.info.actions["drop"].id
    fixed.table_entry.is_const = True
    switch.held[b"fixed"] = fixed
    switch.hang_up()
    await until(lambda: writer.stats.synchronizations == 2)
    writer.set_desired([])
    assert await settled(writer) == ()
    assert list(switch.held) == [b"fixed"]


async def test_what_the_switch_holds_beyond_the_p4info_is_ignored(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    await settled(writer)
    strange = p4runtime_pb2.Entity()
    strange.packet_replication_engine_entry.multicast_group_entry.multicast_group_id = 0
    switch.held[b"strange"] = strange
    switch.hang_up()
    await until(lambda: writer.stats.synchronizations == 2)
    writer.set_desired(EVERYTHING)
    assert await settled(writer) == ()
