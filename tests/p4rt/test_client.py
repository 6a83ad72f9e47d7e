"""Calls to a switch: pipeline, writes with the reasons of failures, reads."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import MulticastGroup, Replica, TableEntry
from controller.p4rt.errors import NotConnectedError, RpcError, WriteError
from controller.p4rt.matches import Exact
from controller.p4rt.pipeline import Pipeline, PipelineMode
from controller.p4rt.readback import read_default, read_table
from controller.p4rt.target import Target
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import connected

SET = "SetForwardingPipelineConfig"


def route(vrf: int, mark: int = 1) -> TableEntry:
    call = Action("CatalogueIngress.deliver", {"port": 1, "mark": mark})
    return TableEntry("CatalogueIngress.routes4", {"vrf": Exact(vrf)}, call)


async def test_the_pipeline_is_set_once(switch: FakeSwitch, address: str, pipeline: Pipeline) -> None:
    async with connected(address, pipeline) as client:
        assert await client.pipeline_cookie() is None
        assert await client.fetch_pipeline() is None
        assert await client.ensure_pipeline()
        assert await client.pipeline_cookie() == pipeline.cookie
        assert not await client.ensure_pipeline()
        assert switch.calls[SET] == 1
        assert await client.fetch_pipeline() == pipeline
        assert await client.api_version() == "1.4.0"


async def test_another_pipeline_is_replaced(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(route(1))
    assert switch.config is not None
    switch.config.cookie.cookie += 1
    assert await client.ensure_pipeline()
    assert await read_table(client, "routes4") == []


@pytest.mark.parametrize(
    ("answer", "kept", "calls"),
    [
        (StatusCode.OK, True, 1),
        (StatusCode.UNIMPLEMENTED, False, 2),
        (StatusCode.INVALID_ARGUMENT, False, 2),
        (StatusCode.UNKNOWN, True, 2),  # PI: loaded and replayed, and waiting for COMMIT
    ],
)
async def test_state_is_preserved_where_the_switch_can(
    switch: FakeSwitch, client: P4RuntimeClient, answer: StatusCode, kept: bool, calls: int
) -> None:
    await client.insert(route(1))
    assert switch.config is not None
    switch.config.cookie.cookie += 1
    switch.preserve = answer
    switch.calls.clear()
    assert await client.ensure_pipeline(PipelineMode.PRESERVE)
    assert switch.calls[SET] == calls
    assert await read_table(client, "routes4") == ([route(1)] if kept else [])
    assert await client.pipeline_cookie() == client.pipeline.cookie


async def test_a_switch_without_a_pipeline_is_not_asked_to_preserve_anything(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    async with connected(address, pipeline) as client:
        assert await client.ensure_pipeline(PipelineMode.PRESERVE)
        assert switch.calls[SET] == 1


async def test_replication_is_released_before_a_pipeline_is_set(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(MulticastGroup(1, [Replica(1)]), MulticastGroup(2))
    switch.writes()
    await client.set_pipeline()
    assert [write.kind for write in switch.writes()] == [p4runtime_pb2.Update.DELETE] * 2


async def test_updates_take_effect(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(route(1), route(2))
    await client.modify(route(1, mark=5))
    await client.delete(TableEntry("routes4", {"vrf": Exact(2)}))
    assert await read_table(client, "routes4") == [route(1, mark=5)]
    await client.modify(TableEntry.default("routes4", Action("set_nexthop", {"nexthop": 4})))
    default = TableEntry.default("CatalogueIngress.routes4", Action("CatalogueIngress.set_nexthop", {"nexthop": 4}))
    assert await read_default(client, "routes4") == default


async def test_every_update_that_failed_is_named_with_its_reason(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(route(1))
    with pytest.raises(WriteError) as caught:
        await client.insert(route(0), route(1), route(2), TableEntry("routes6", {"vrf": Exact(1)}, Action("drop")))
    (failure,) = caught.value.failures
    assert (failure.index, failure.code) == (1, StatusCode.ALREADY_EXISTS)
    assert str(failure) == f"INSERT {route(1)}: ALREADY_EXISTS: already_exists"
    assert "1 of 4 updates failed" in str(caught.value)
    assert len(await read_table(client, "routes4")) == 3


async def test_many_failures_fit_the_trailer(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    routes = [route(number) for number in range(1000)]
    await client.insert(*routes)
    with pytest.raises(WriteError) as caught:
        await client.insert(*routes)
    assert [failure.index for failure in caught.value.failures] == list(range(1000))
    assert "and 995 more" in str(caught.value)


async def test_a_batch_that_fails_as_a_whole_is_an_rpc_error(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    switch.fail_writes.append((StatusCode.UNAVAILABLE, "busy"))
    with pytest.raises(RpcError, match="Write: UNAVAILABLE: busy") as caught:
        await client.insert(route(1))
    assert not isinstance(caught.value, WriteError)
    switch.details = False
    await client.insert(route(1))
    with pytest.raises(RpcError, match=r"Write: UNKNOWN: Write failure\."):
        await client.insert(route(1))


async def test_a_read_streams(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(*(route(number) for number in range(20)))
    assert set(await read_table(client, "routes4")) == {route(number) for number in range(20)}
    query = p4runtime_pb2.Entity()
    query.table_entry.SetInParent()
    first = [entity async for entity in client.read(query)][:1]
    assert first[0].HasField("table_entry")


async def test_a_read_that_is_given_up_does_not_disturb(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    await client.insert(*(route(number) for number in range(20)))
    query = p4runtime_pb2.Entity()
    query.table_entry.SetInParent()
    reading = client.read(query)
    await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined]
    assert len(await read_table(client, "routes4")) == 20


async def test_a_refused_read_is_an_rpc_error(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    switch.fail_reads.append((StatusCode.INTERNAL, "out of sync"))
    with pytest.raises(RpcError, match="Read: INTERNAL: out of sync"):
        await read_table(client, "routes4")


async def test_who_is_not_primary_cannot_write(switch: FakeSwitch, client: P4RuntimeClient, address: str) -> None:
    async with connected(address, client.pipeline, election_id=7):
        with pytest.raises(RpcError, match="PERMISSION_DENIED"):
            await client.insert(route(1))


async def test_the_end_of_the_connection_is_an_error_and_not_a_cancellation(
    switch: FakeSwitch, client: P4RuntimeClient
) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def block() -> None:
        started.set()
        await release.wait()

    switch.before_write = block
    writing = asyncio.create_task(client.insert(route(1)))
    await started.wait()
    switch.hang_up()
    with pytest.raises(RpcError, match=r"CANCELLED|UNAVAILABLE"):
        await writing
    release.set()


async def test_a_cancelled_write_is_cancelled(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    started = asyncio.Event()

    async def block() -> None:
        started.set()
        await asyncio.Event().wait()

    switch.before_write = block
    writing = asyncio.create_task(client.insert(route(1)))
    await started.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


async def test_a_write_that_takes_too_long_fails(switch: FakeSwitch, address: str, pipeline: Pipeline) -> None:
    async with connected(address, pipeline) as client:
        await client.set_pipeline()
        client.timeout = 0.05
        switch.before_write = asyncio.Event().wait
        with pytest.raises(RpcError, match="DEADLINE_EXCEEDED"):
            await client.insert(route(1))


async def test_without_a_connection_every_call_says_so(address: str, pipeline: Pipeline) -> None:
    client = P4RuntimeClient(Target(address, 1), pipeline)
    for call in (client.insert(route(1)), client.pipeline_cookie(), client.ensure_pipeline(), client.api_version()):
        with pytest.raises(NotConnectedError, match="device 1: not connected"):
            await call
