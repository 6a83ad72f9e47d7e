"""Who may write, seen by clients on their stream channels."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.arbitration import MAX_CLIENTS_PER_ROLE, Arbitration
from softswitch.p4runtime.errors import Code, P4RuntimeError
from tests.softswitch.p4runtime.patience import patient
from tests.softswitch.p4runtime.rig import Controller, Rig, uint128

OK, ALREADY_EXISTS, NOT_FOUND = Code.OK, Code.ALREADY_EXISTS, Code.NOT_FOUND


async def test_the_highest_election_id_is_primary_and_everyone_hears_of_it(rig: Rig) -> None:
    first, second, third = Controller(rig.stub), Controller(rig.stub), Controller(rig.stub)
    assert (await first.become(10)).status.code == OK
    backup = await second.become(5)
    assert backup.status.code == ALREADY_EXISTS
    assert backup.election_id == uint128(10)
    assert (await third.become((1 << 127) + 3)).status.code == OK
    for client in (first, second):
        update = (await client.receive("arbitration")).arbitration
        assert update.status.code == ALREADY_EXISTS
        assert update.election_id == uint128((1 << 127) + 3)
        assert update.device_id == 7


async def test_without_primary_backups_stay_backups_until_one_announces_enough(rig: Rig) -> None:
    primary, backup = Controller(rig.stub), Controller(rig.stub)
    await primary.become(10)
    await backup.become(5)
    await primary.hang_up()
    update = (await backup.receive("arbitration")).arbitration
    assert (update.status.code, update.election_id) == (NOT_FOUND, uint128(10))
    assert (await backup.become(9)).status.code == NOT_FOUND
    assert (await backup.become(10)).status.code == OK


async def test_a_primary_that_steps_down_leaves_none(rig: Rig) -> None:
    primary, backup = Controller(rig.stub), Controller(rig.stub)
    await primary.become(10)
    await backup.become(5)
    assert (await primary.become(3)).status.code == NOT_FOUND
    assert (await backup.receive("arbitration")).arbitration.status.code == NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await primary.write()
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_without_election_id_a_client_never_becomes_primary(rig: Rig) -> None:
    client = Controller(rig.stub)
    update = await client.become(None)
    assert update.status.code == NOT_FOUND
    assert not update.HasField("election_id")
    other = Controller(rig.stub)
    assert (await other.become(0)).status.code == OK
    assert (await client.receive("arbitration")).arbitration.HasField("election_id")


async def test_an_election_id_in_use_closes_the_stream(rig: Rig) -> None:
    await rig.controller(10)
    other = Controller(rig.stub)
    await other.announce(10)
    assert await other.closed() == grpc.StatusCode.INVALID_ARGUMENT
    third = Controller(rig.stub)
    await third.become(4)
    await third.announce(10)
    assert await third.closed() == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_device_closes_the_stream(rig: Rig) -> None:
    client = Controller(rig.stub)
    await client.announce(1, device_id=99)
    assert await client.closed() == grpc.StatusCode.NOT_FOUND


async def test_device_and_role_of_a_stream_cannot_change(rig: Rig) -> None:
    client = await rig.controller(10)
    await client.announce(11, device_id=99)
    assert await client.closed() == grpc.StatusCode.FAILED_PRECONDITION
    client = await rig.controller(12)
    await client.announce(13, role=p4rt.Role(name="other"))
    assert await client.closed() == grpc.StatusCode.FAILED_PRECONDITION


async def test_each_role_has_its_own_primary(rig: Rig) -> None:
    default, routes, acl = Controller(rig.stub), Controller(rig.stub, "routes"), Controller(rig.stub, "acl")
    assert (await default.become(1)).status.code == OK
    update = await routes.become(1)
    assert (update.status.code, update.role.name) == (OK, "routes")
    assert (await acl.become(1)).status.code == OK
    acl.role = "routes"
    acl.election_id = 2
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await acl.write()
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    acl.role = "nobody"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await acl.write()
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_role_configuration_of_an_unknown_kind_is_refused(rig: Rig) -> None:
    client = Controller(rig.stub, "routes")
    await client.announce(1, role=p4rt.Role(config=any_pb2.Any(type_url="example.org/config")))
    assert await client.closed() == grpc.StatusCode.INVALID_ARGUMENT


async def test_too_many_clients_are_refused(rig: Rig) -> None:
    clients = [await rig.controller(number) for number in range(MAX_CLIENTS_PER_ROLE)]
    late = Controller(rig.stub)
    await late.announce(1000)
    assert await late.closed() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(clients) == MAX_CLIENTS_PER_ROLE


class _Model:
    """What the specification says, in the plainest words."""

    def __init__(self) -> None:
        self.ids: dict[int, int | None] = {}
        self.highest: int | None = None
        self.primary: int | None = None


commands = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.just("leave"), st.none(), st.integers(0, 6))), max_size=40
)


@settings(patient, max_examples=60)
@given(commands)
def test_any_history_keeps_one_primary_at_most(history: list[tuple[int, str | int | None]]) -> None:
    arbitration: Arbitration[int] = Arbitration()
    model = _Model()
    for client, command in history:
        if command == "leave":
            arbitration.leave(client)
            model.ids.pop(client, None)
            if model.primary == client:
                model.primary = None
        else:
            assert not isinstance(command, str)
            taken = command is not None and any(i == command for c, i in model.ids.items() if c != client)
            if taken:
                with pytest.raises(P4RuntimeError):
                    arbitration.announce(client, "", command)
                continue
            notices = arbitration.announce(client, "", command)
            model.ids[client] = command
            if command is not None and (model.highest is None or command >= model.highest):
                model.primary, model.highest = client, command
            elif model.primary == client:
                model.primary = None
            assert client in [notice.client for notice in notices]
            for notice in notices:
                expected = OK if notice.client == model.primary else ALREADY_EXISTS
                assert notice.code == (NOT_FOUND if model.primary is None else expected)
                assert notice.election_id == model.highest
        assert [c for c in range(5) if arbitration.is_primary(c)] == ([] if model.primary is None else [model.primary])
