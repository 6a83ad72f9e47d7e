"""The writer: what reaches the switch, when, in which order, and what it makes of refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef, WeightedAction
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    CounterCell,
    DigestConfig,
    GroupMember,
    MeterCell,
    MeterConfig,
    MulticastGroup,
    Replica,
    State,
    TableEntry,
    ValueSet,
)
from controller.p4rt.errors import EncodingError, UnknownNameError
from controller.p4rt.failures import Failure, Remedy
from controller.p4rt.matches import Exact, Ternary
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.reconcile import Writer
from controller.p4rt.stream import StreamState
from tests.p4rt.fake_store import OK, Update
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import QUICK, connected, until

INSERT, MODIFY, DELETE = Update.INSERT, Update.MODIFY, Update.DELETE
SELECTOR = "CatalogueIngress.nexthop_selector"


def deliver(mark: int = 1) -> Action:
    return Action("CatalogueIngress.deliver", {"port": 1, "mark": mark})


def route(vrf: int, mark: int = 1) -> TableEntry:
    return TableEntry("CatalogueIngress.routes4", {"vrf": Exact(vrf)}, deliver(mark))


def nexthop(number: int, target: GroupRef | MemberRef | ActionSet) -> TableEntry:
    return TableEntry("CatalogueIngress.nexthops", {"nexthop": Exact(number)}, target)


MEMBER = ActionProfileMember(SELECTOR, 1, deliver())
GROUP = ActionProfileGroup(SELECTOR, 1, [GroupMember(1)])
NEXTHOP = nexthop(1, GroupRef(1))
EVERYTHING: list[State] = [
    NEXTHOP,
    GROUP,
    MEMBER,
    route(1),
    TableEntry.default("CatalogueIngress.routes6", deliver()),
    MulticastGroup(1, [Replica(1)]),
    CloneSession(7, [Replica(1)]),
    DigestConfig("learn_t", max_list_size=1),
    MeterCell("CatalogueIngress.vrf_rate", 3, MeterConfig(1, 1, 1, 1)),
    ValueSet("CatalogueParser.tunnel_types", [{"field1": Exact(5)}]),
]


@asynccontextmanager
async def writing(client: P4RuntimeClient, batch: int = 500) -> AsyncIterator[Writer]:
    async with Writer(client, batch=batch, backoff=QUICK) as writer:
        yield writer


async def settled(writer: Writer) -> tuple[Failure, ...]:
    async with asyncio.timeout(10):
        return await writer.settled()


@pytest.fixture
async def writer(client: P4RuntimeClient) -> AsyncIterator[Writer]:
    async with writing(client) as writer:
        yield writer


def held(switch: FakeSwitch, client: P4RuntimeClient) -> set[object]:
    return {client.codec.decode(entity) for entity in switch.held.values()}


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


async def test_a_refused_update_is_reported_and_not_repeated(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    bad = client.codec.key(route(2))
    switch.refuse = lambda update: (
        StatusCode.INVALID_ARGUMENT if client.codec.key(route_of(client, update)) == bad else None
    )
    writer.set_desired([route(1), route(2)])
    (failure,) = await settled(writer)
    assert (failure.entity, failure.removal, failure.code) == (route(2), False, StatusCode.INVALID_ARGUMENT)
    assert failure.remedy is Remedy.CHANGE
    assert "cannot put CatalogueIngress.routes4[vrf=2]" in str(failure)
    switch.writes()
    writer.apply(put=[route(3)])
    await settled(writer)
    assert len(switch.writes()) == 1
    writer.apply(put=[route(2, mark=2)])
    assert len(await settled(writer)) == 1
    assert len(switch.writes()) == 1
    switch.refuse = lambda update: None
    writer.retry()
    assert await settled(writer) == ()
    writer.apply(remove=[route(2)])
    assert await settled(writer) == ()
    assert held(switch, client) == {route(1), route(3)}


def route_of(client: P4RuntimeClient, update: Update) -> TableEntry:
    entity = client.codec.decode(update.entity)
    assert isinstance(entity, TableEntry)
    return entity


async def test_failures_are_told_as_they_happen(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    told: list[Failure] = []

    def tell(failure: Failure) -> None:
        told.append(failure)
        raise ValueError("must not matter")

    switch.refuse = lambda update: StatusCode.INVALID_ARGUMENT
    async with Writer(client, on_failure=tell, backoff=QUICK) as writer:
        writer.set_desired([route(1)])
        await settled(writer)
        assert tuple(told) == writer.failures()


async def test_a_passing_refusal_is_tried_again_after_a_while(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    answers = [StatusCode.UNAVAILABLE, StatusCode.ABORTED]
    switch.refuse = lambda update: answers.pop() if answers else None
    writer.set_desired([route(1)])
    assert await settled(writer) == ()
    assert held(switch, client) == {route(1)}
    assert [write.code for write in switch.log] == [StatusCode.ABORTED, StatusCode.UNAVAILABLE, OK]


async def test_what_had_no_room_is_tried_again_when_something_leaves(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    size = client.codec.info.tables["acl"].size
    entries = [
        TableEntry("CatalogueIngress.acl", {"src": Ternary(n, 0xFFFF)}, Action("NoAction"), priority=1)
        for n in range(size + 2)
    ]
    writer.set_desired(entries)
    failures = await settled(writer)
    assert [failure.remedy for failure in failures] == [Remedy.ROOM] * 2
    switch.writes()
    writer.apply(put=[route(1)])
    await settled(writer)
    assert len(switch.writes()) == 1
    kept = [entry for entry in entries if entry not in {failure.entity for failure in failures}]
    writer.apply(remove=kept[:1])
    assert len(await settled(writer)) == 1
    writer.apply(remove=kept[1:2])
    assert await settled(writer) == ()


async def test_a_full_table_is_emptied_before_it_is_filled(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    size = client.codec.info.tables["acl"].size

    def entries(first: int) -> list[TableEntry]:
        return [
            TableEntry("CatalogueIngress.acl", {"src": Ternary(first + n, 0xFFFF)}, Action("NoAction"), priority=1)
            for n in range(size)
        ]

    writer.set_desired(entries(0))
    await settled(writer)
    writer.set_desired(entries(size))
    assert await settled(writer) == ()
    assert held(switch, client) == set(entries(size))
    assert all(write.code is OK for write in switch.log)


async def test_what_refers_to_something_missing_waits_for_it(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired([NEXTHOP, GROUP])
    failures = {failure.entity: failure for failure in await settled(writer)}
    assert failures[GROUP].remedy is failures[NEXTHOP].remedy is Remedy.REFERENCE
    assert f"refers to {SELECTOR} member 1, which is not on the switch" in failures[GROUP].reason
    assert switch.writes() == []
    writer.apply(put=[MEMBER])
    assert await settled(writer) == ()
    assert held(switch, client) == {MEMBER, GROUP, NEXTHOP}


async def test_what_depends_on_a_refused_entity_waits_too(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    switch.refuse = lambda update: (
        StatusCode.INVALID_ARGUMENT if update.entity.HasField("action_profile_member") else None
    )
    writer.set_desired([MEMBER, GROUP, NEXTHOP])
    assert len(await settled(writer)) == 3
    assert len(switch.writes()) == 1
    switch.refuse = lambda update: None
    writer.retry()
    assert await settled(writer) == ()
    assert held(switch, client) == {MEMBER, GROUP, NEXTHOP}


async def test_what_is_in_use_is_removed_once_it_is_released(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    writer.set_desired([MEMBER, GROUP, NEXTHOP])
    await settled(writer)
    writer.set_desired([NEXTHOP])
    failures = await settled(writer)
    assert {failure.entity for failure in failures if failure.removal} == {
        ActionProfileGroup(SELECTOR, 1),
        ActionProfileMember(SELECTOR, 1),
    }
    writer.set_desired([])
    assert await settled(writer) == ()
    assert switch.held == {}


async def test_a_group_that_a_failed_insert_left_behind_is_found(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    """PI inserts a group before it looks at its members."""
    key = client.codec.key(GROUP)

    def half(update: Update) -> StatusCode | None:
        if update.entity.HasField("action_profile_group") and update.type == INSERT and key not in switch.held:
            switch.held[key] = p4runtime_pb2.Entity.FromString(key)
            return StatusCode.UNKNOWN
        return None

    switch.refuse = half
    writer.set_desired([MEMBER, GROUP])
    assert len(await settled(writer)) == 1
    writer.retry()
    assert await settled(writer) == ()
    assert held(switch, client) == {MEMBER, GROUP}
    switch.reset()
    switch.hang_up()
    await until(lambda: writer.stats.synchronizations == 2)
    assert len(await settled(writer)) == 1
    writer.set_desired([])
    await settled(writer)
    assert switch.held == {}


async def test_a_batch_that_is_too_large_is_divided(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    switch.largest_write = 30
    entries = [route(number) for number in range(100)]
    writer.set_desired(entries)
    assert await settled(writer) == ()
    assert held(switch, client) == set(entries)


async def test_a_switch_that_does_not_say_which_update_failed_is_asked_again(
    switch: FakeSwitch, client: P4RuntimeClient, writer: Writer
) -> None:
    switch.details = False
    switch.refuse = lambda update: (
        StatusCode.INVALID_ARGUMENT if route_of(client, update).match["vrf"] == Exact(5) else None
    )
    entries = [route(number) for number in range(16)]
    writer.set_desired(entries)
    failures = await settled(writer)
    assert {failure.entity for failure in failures} >= {route(5)}
    assert held(switch, client) == set(entries) - {route(5)}


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
