"""Roles with a configuration: what they may write, read and hear."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf import any_pb2
from hypothesis import given
from hypothesis import strategies as st
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import Code, P4RuntimeError
from softswitch.p4runtime.roles import decode_config
from tests.softswitch.p4runtime.p4 import delete, insert, load, modify
from tests.softswitch.p4runtime.patience import patient
from tests.softswitch.p4runtime.rig import Controller, Rig, canonical, uint128

EDGE = load("edge")
BRIDGE = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 2))
ROUTE = EDGE.table_entry("routes", {"tenant": 7, "dst": (0x0A010000, 16)}, EDGE.action("route", 3, 0x0B))
GROUP = p4rt.Entity(
    packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(
        multicast_group_entry=p4rt.MulticastGroupEntry(multicast_group_id=1)
    )
)
FRAME = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"
DENIED = grpc.StatusCode.PERMISSION_DENIED


def varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])


def role_config(
    exclusive: tuple[int, ...] = (),
    shared: tuple[int, ...] = (),
    *,
    packets: bool = False,
    only: tuple[int, bytes] | None = None,
    push: bool = False,
) -> any_pb2.Any:
    """The message as it is on the wire, after the numbers of its fields."""
    octets = b"".join(b"\x08" + varint(number) for number in exclusive)
    octets += b"".join(b"\x10" + varint(number) for number in shared)
    if only is not None:
        inner = b"\x08" + varint(only[0]) + b"\x12" + varint(len(only[1])) + only[1]
        octets += b"\x1a" + varint(len(inner)) + inner
    octets += b"\x20\x01" * packets + b"\x28\x01" * push
    return any_pb2.Any(type_url="type.googleapis.com/stratum.P4RoleConfig", value=octets)


async def announced(rig: Rig, name: str, config: any_pb2.Any, election_id: int = 1) -> Controller:
    controller = Controller(rig.stub, name)
    await controller.announce(election_id, role=p4rt.Role(config=config))
    update = (await controller.receive("arbitration")).arbitration
    assert update.role == p4rt.Role(name=name, config=config)
    return controller


async def status_of(controller: Controller) -> int:
    code: int = (await controller.receive("arbitration")).arbitration.status.code
    return code


async def test_a_role_writes_what_belongs_to_it_and_nothing_else(rig: Rig) -> None:
    full = await rig.primary(EDGE)
    bridging = await announced(rig, "bridging", role_config((EDGE.id("bridge"),), (EDGE.id("routes"),)))
    await bridging.write(insert(BRIDGE), insert(ROUTE))
    hits = p4rt.DirectCounterEntry(table_entry=BRIDGE, data=p4rt.CounterData(packet_count=7))
    await bridging.write(modify(p4rt.Entity(direct_counter_entry=hits)))
    acl = EDGE.table_entry("acl", {"ingress_port": 0}, EDGE.action("drop"), priority=1)
    for update in (insert(acl), insert(GROUP), insert(p4rt.Entity())):
        assert (await bridging.refused(update))[0] == DENIED, update
    outcomes = await bridging.try_write(delete(ROUTE), insert(acl), atomicity="ROLLBACK_ON_ERROR")
    assert [canonical(o.canonical_code) for o in outcomes] == [grpc.StatusCode.ABORTED, DENIED]
    await full.write(insert(acl), insert(GROUP), delete(BRIDGE), delete(ROUTE))


async def test_reads_show_what_belongs_to_the_role(rig: Rig) -> None:
    full = await rig.primary(EDGE)
    await announced(rig, "bridging", role_config((EDGE.id("bridge"),)))
    await full.write(insert(BRIDGE), insert(ROUTE), insert(GROUP))
    wanted = [p4rt.Entity(table_entry=p4rt.TableEntry()), GROUP]
    request = p4rt.ReadRequest(device_id=7, role="bridging", entities=wanted)
    found = [entity async for response in rig.stub.Read(request) for entity in response.entities]
    assert [entity.table_entry.match for entity in found] == [BRIDGE.match]
    request.role = "nobody"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [response async for response in rig.stub.Read(request)]
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_packets_reach_the_roles_that_ask_for_them(rig: Rig) -> None:
    full = await rig.primary(EDGE)
    port, reason = (m.id for m in EDGE.p4info.controller_packet_metadata[0].metadata[:2])
    everything = await announced(rig, "all", role_config(packets=True))
    nothing = await announced(rig, "none", role_config())
    first = await announced(rig, "first", role_config(packets=True, only=(port, b"\x00\x01")))
    second = await announced(rig, "second", role_config(packets=True, only=(port, b"\x02")))
    odd = await announced(rig, "odd", role_config(packets=True, only=(99, b"\x02")))
    acl = EDGE.table_entry("acl", {"ingress_port": 1}, EDGE.action("to_controller", 5), priority=1)
    await full.write(insert(acl))
    rig.switch.inject(1, FRAME)
    for controller in (full, everything, first):
        packet = (await controller.receive("packet")).packet
        assert {m.metadata_id: m.value for m in packet.metadata}[port] == b"\x01"
        assert reason in {m.metadata_id for m in packet.metadata}
    for controller in (nothing, second, odd):
        await controller.announce(2, role=p4rt.Role(config=role_config()))
        assert await status_of(controller) == 0
        assert not any(message.HasField("packet") for message in controller.kept)


async def test_digests_and_idle_entries_reach_the_roles_that_they_belong_to(rig: Rig) -> None:
    full = await rig.primary(EDGE)
    digest_id = EDGE.p4info.digests[0].preamble.id
    table_id = next(t.preamble.id for t in EDGE.p4info.tables if t.idle_timeout_behavior)
    owner = await announced(rig, "owner", role_config((digest_id, table_id)))
    other = await announced(rig, "other", role_config((EDGE.id("bridge"),)))
    config = p4rt.DigestEntry.Config(max_list_size=1)
    await owner.write(insert(p4rt.Entity(digest_entry=p4rt.DigestEntry(digest_id=digest_id, config=config))))
    rig.switch.inject(1, FRAME)
    for controller in (full, owner):
        assert (await controller.receive("digest")).digest.digest_id == digest_id
    ack = p4rt.DigestListAck(digest_id=digest_id, list_id=1)
    await other.send(p4rt.StreamMessageRequest(digest_ack=ack))
    assert (await other.receive("error")).error.canonical_code == Code.PERMISSION_DENIED
    entry = EDGE.table_entry("sources", {"src": 0x0C, "ingress_port": 1}, EDGE.action("NoAction"))
    assert entry.table_id == table_id
    entry.idle_timeout_ns = 1_000
    await owner.write(insert(entry))
    rig.clock.advance(1)
    rig.switch.sweep_idle()
    for controller in (full, owner):
        await controller.receive("idle_timeout_notification")
    await asyncio.sleep(0)
    await other.announce(2)
    await other.receive("arbitration")
    assert not other.kept


async def test_only_some_roles_push_a_pipeline(rig: Rig) -> None:
    pusher = await announced(rig, "pusher", role_config(push=True))
    other = await announced(rig, "other", role_config((1,)))
    await pusher.set_pipeline("VERIFY_AND_COMMIT", EDGE.config)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await other.set_pipeline("VERIFY_AND_COMMIT", EDGE.config)
    assert caught.value.code() == DENIED


async def test_the_configuration_is_that_of_the_latest_primary(rig: Rig) -> None:
    full = await rig.primary(EDGE)
    narrow, wide = role_config(), role_config((EDGE.id("bridge"),))
    primary = await announced(rig, "r", narrow, 5)
    assert (await primary.refused(insert(BRIDGE)))[0] == DENIED
    backup = Controller(rig.stub, "r")
    await backup.announce(4, role=p4rt.Role(config=wide))
    assert (await backup.receive("arbitration")).arbitration.role.config == narrow
    await backup.announce(6, role=p4rt.Role(config=wide))
    assert (await primary.receive("arbitration")).arbitration.role.config == wide
    await backup.receive("arbitration")
    await backup.write(insert(BRIDGE))
    await backup.announce(6)  # without configuration: full pipeline access
    assert not (await primary.receive("arbitration")).arbitration.role.HasField("config")
    await backup.receive("arbitration")
    await backup.write(insert(GROUP))
    await full.write(delete(GROUP))


@pytest.mark.parametrize(("mine", "theirs"), [((9,), (9,)), ((9,), (8, 9))])
async def test_what_one_role_has_exclusively_no_other_can_have(
    rig: Rig, mine: tuple[int, ...], theirs: tuple[int, ...]
) -> None:
    owner = await announced(rig, "owner", role_config(mine, (8,)))
    for config in (role_config((), theirs), role_config(theirs)):
        other = Controller(rig.stub, "other")
        await other.announce(1, role=p4rt.Role(config=config))
        assert await other.closed() == grpc.StatusCode.INVALID_ARGUMENT
    await owner.hang_up()
    await announced(rig, "other", role_config(theirs))


@pytest.mark.parametrize(
    ("role", "complaint"),
    [
        (p4rt.Role(name="r", config=role_config((1,), (1,))), "P4 id 1 is both exclusive and shared"),
        (p4rt.Role(config=role_config()), "the default role has full pipeline access"),
        (p4rt.Role(name="r", config=any_pb2.Any(type_url="x/example.Config")), "example.Config is not known here"),
        (
            p4rt.Role(name="r", config=any_pb2.Any(type_url="x/stratum.P4RoleConfig", value=b"\xff")),
            "it is not a stratum.P4RoleConfig",
        ),
    ],
)
async def test_bad_configurations_close_the_stream(rig: Rig, role: p4rt.Role, complaint: str) -> None:
    stream = rig.stub.StreamChannel()
    update = p4rt.MasterArbitrationUpdate(device_id=7, role=role, election_id=uint128(1))
    await stream.write(p4rt.StreamMessageRequest(arbitration=update))
    assert await stream.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert complaint in await stream.details()


@patient
@given(st.binary(max_size=40))
def test_any_octets_are_a_configuration_or_refused(octets: bytes) -> None:
    try:
        config = decode_config(any_pb2.Any(type_url="/stratum.P4RoleConfig", value=octets))
    except P4RuntimeError as error:
        code = error.code
    else:
        code = Code.OK
        assert not config.exclusive & config.shared
    assert code in (Code.OK, Code.INVALID_ARGUMENT)


def test_every_kind_of_entity_has_the_id_of_its_object() -> None:
    config = decode_config(role_config((1,), (2,)))
    for entity in (
        p4rt.Entity(action_profile_member=p4rt.ActionProfileMember(action_profile_id=1)),
        p4rt.Entity(action_profile_group=p4rt.ActionProfileGroup(action_profile_id=1)),
        p4rt.Entity(counter_entry=p4rt.CounterEntry(counter_id=2)),
        p4rt.Entity(meter_entry=p4rt.MeterEntry(meter_id=2)),
        p4rt.Entity(direct_meter_entry=p4rt.DirectMeterEntry(table_entry=p4rt.TableEntry(table_id=2))),
        p4rt.Entity(register_entry=p4rt.RegisterEntry(register_id=2, data=p4data_pb2.P4Data())),
        p4rt.Entity(value_set_entry=p4rt.ValueSetEntry(value_set_id=2)),
        p4rt.Entity(digest_entry=p4rt.DigestEntry(digest_id=2)),
    ):
        config.check_entity(entity)
        with pytest.raises(P4RuntimeError, match="P4 id"):
            decode_config(role_config((3,))).check_entity(entity)
