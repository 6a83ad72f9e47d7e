"""What the writer makes of refusals: reported, tried again, or waiting for what they depend on."""

from __future__ import annotations

from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import ActionProfileGroup, ActionProfileMember, TableEntry
from controller.p4rt.failures import Failure, Remedy
from controller.p4rt.matches import Exact, Ternary
from controller.p4rt.reconcile import Writer
from tests.p4rt.fake_store import OK, Update
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import QUICK, until
from tests.p4rt.writer_support import GROUP, INSERT, MEMBER, NEXTHOP, SELECTOR, held, route, settled


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
