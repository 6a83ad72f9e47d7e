"""SetForwardingPipelineConfig and GetForwardingPipelineConfig."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from p4.config.v1 import p4info_pb2
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from tests.softswitch.p4runtime.p4 import P4, insert, load, modify
from tests.softswitch.p4runtime.rig import DEVICE_ID, Controller, Rig

EDGE, NEXT, BALANCE = load("edge"), load("edge_next"), load("balance")
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def code(awaitable: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable  # type: ignore[misc]
    status: grpc.StatusCode = caught.value.code()
    return status


async def get(rig: Rig, response_type: str = "ALL") -> p4rt.GetForwardingPipelineConfigResponse:
    request = p4rt.GetForwardingPipelineConfigRequest(device_id=DEVICE_ID, response_type=response_type)
    response: p4rt.GetForwardingPipelineConfigResponse = await rig.stub.GetForwardingPipelineConfig(request)
    return response


def bridge(program: P4, address: int = 0x0A, port: int = 2) -> p4rt.TableEntry:
    return program.table_entry("bridge", {"dst": address}, program.action("forward", port))


def entries(program: P4, alias: str) -> p4rt.Entity:
    return p4rt.Entity(table_entry=p4rt.TableEntry(table_id=program.id(alias)))


async def test_before_a_pipeline_there_is_nothing_to_read_or_write(rig: Rig) -> None:
    controller = await rig.controller()
    assert not (await get(rig)).HasField("config")
    assert await code(controller.write(insert(bridge(EDGE)))) == grpc.StatusCode.FAILED_PRECONDITION
    assert await code(controller.read(entries(EDGE, "bridge"))) == grpc.StatusCode.FAILED_PRECONDITION


async def test_only_the_primary_sets_a_pipeline(rig: Rig) -> None:
    await rig.controller(10)
    backup = await rig.controller(5)
    assert await code(backup.set_pipeline("VERIFY", EDGE.config)) == grpc.StatusCode.PERMISSION_DENIED
    stranger = Controller(rig.stub, "stranger")
    assert await code(stranger.set_pipeline("VERIFY", EDGE.config)) == grpc.StatusCode.NOT_FOUND
    stranger.device_id = 99
    assert await code(stranger.set_pipeline("VERIFY", EDGE.config)) == grpc.StatusCode.NOT_FOUND


async def test_every_response_type_returns_its_part(rig: Rig) -> None:
    controller = await rig.controller()
    config = EDGE.config
    config.cookie.cookie = 0xFEED
    await controller.set_pipeline("VERIFY_AND_COMMIT", config)
    assert (await get(rig)).config == config
    expected = p4rt.ForwardingPipelineConfig(cookie=config.cookie)
    assert (await get(rig, "COOKIE_ONLY")).config == expected
    expected.p4info.CopyFrom(config.p4info)
    assert (await get(rig, "P4INFO_AND_COOKIE")).config == expected
    config.ClearField("p4info")
    assert (await get(rig, "DEVICE_CONFIG_AND_COOKIE")).config == config
    request = p4rt.GetForwardingPipelineConfigRequest(device_id=99)
    assert await code(rig.stub.GetForwardingPipelineConfig(request)) == grpc.StatusCode.NOT_FOUND


async def test_an_unset_cookie_stays_unset(rig: Rig) -> None:
    await rig.primary(EDGE)
    assert not (await get(rig)).config.HasField("cookie")


async def test_verify_changes_nothing(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(bridge(EDGE)))
    await controller.set_pipeline("VERIFY", BALANCE.config)
    assert (await get(rig)).config.p4info == EDGE.p4info
    assert len(await controller.read(entries(EDGE, "bridge"))) == 1


async def test_commit_clears_the_forwarding_state(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(bridge(EDGE)))
    await controller.set_pipeline("VERIFY_AND_COMMIT", EDGE.config)
    assert await controller.read(entries(EDGE, "bridge")) == []


async def test_a_saved_pipeline_takes_writes_and_runs_with_them_from_commit_on(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(bridge(EDGE, 0x0A, 2)))
    await controller.set_pipeline("VERIFY_AND_SAVE", NEXT.config)
    assert await controller.read(entries(NEXT, "bridge")) == []
    await controller.write(insert(bridge(NEXT, 0x0A, 3)))
    frame = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"
    rig.switch.inject(1, frame)
    assert (rig.sent(2), rig.sent(3)) == ([frame], [])
    await controller.set_pipeline("COMMIT", None)
    rig.switch.inject(1, frame)
    assert (rig.sent(2), rig.sent(3)) == ([], [frame])
    assert len(await controller.read(entries(NEXT, "bridge"))) == 1
    assert await code(controller.set_pipeline("COMMIT", None)) == grpc.StatusCode.NOT_FOUND


async def test_commit_takes_no_config_and_the_others_need_one(rig: Rig) -> None:
    controller = await rig.controller()
    assert await code(controller.set_pipeline("COMMIT", EDGE.config)) == INVALID
    assert await code(controller.set_pipeline("COMMIT", None)) == grpc.StatusCode.NOT_FOUND
    for action in ("VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT", "UNSPECIFIED"):
        assert await code(controller.set_pipeline(action, None)) == INVALID


async def test_reconciling_keeps_the_forwarding_state(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    route = EDGE.table_entry("routes", {"tenant": 7, "dst": (0x0A000000, 8)}, EDGE.action("route", 3, 0x0B))
    route.counter_data.packet_count = 5
    route.metadata = b"kept"
    acl = EDGE.table_entry("acl", {"protocol": (1, 6), "ingress_port": 1}, EDGE.action("police"), priority=10)
    acl.meter_config.MergeFrom(p4rt.MeterConfig(cir=1, cburst=2, pir=3, pburst=4))
    default = EDGE.table_entry("bridge", None, EDGE.action("flood", 1))
    default.is_default_action = True
    group = p4rt.MulticastGroupEntry(multicast_group_id=1, replicas=[p4rt.Replica(port=b"\x02", instance=1)])
    engine = p4rt.PacketReplicationEngineEntry(multicast_group_entry=group)
    register = p4rt.RegisterEntry(
        register_id=EDGE.id("last_source"), index=p4rt.Index(index=3), data=p4data_pb2.P4Data(bitstring=b"\x63")
    )
    counter = p4rt.CounterEntry(
        counter_id=EDGE.id("port_rx"), index=p4rt.Index(index=2), data=p4rt.CounterData(packet_count=9, byte_count=1)
    )
    await controller.write(
        insert(route),
        insert(acl),
        modify(default),
        insert(p4rt.Entity(packet_replication_engine_entry=engine)),
        modify(p4rt.Entity(register_entry=register)),
        modify(p4rt.Entity(counter_entry=counter)),
    )
    await controller.set_pipeline("RECONCILE_AND_COMMIT", NEXT.config)
    assert (await get(rig)).config.p4info == NEXT.p4info
    wanted = p4rt.TableEntry(
        table_id=NEXT.id("routes"), counter_data=p4rt.CounterData(), meter_config=p4rt.MeterConfig()
    )
    assert await controller.read_tables(wanted) == [route]
    wanted.table_id = NEXT.id("acl")
    assert await controller.read_tables(wanted) == [acl]
    wanted = p4rt.TableEntry(table_id=NEXT.id("bridge"), is_default_action=True)
    assert await controller.read_tables(wanted) == [default]
    kept = await controller.read(
        p4rt.Entity(packet_replication_engine_entry=engine),
        p4rt.Entity(register_entry=p4rt.RegisterEntry(register_id=register.register_id, index=register.index)),
        p4rt.Entity(counter_entry=p4rt.CounterEntry(counter_id=counter.counter_id, index=counter.index)),
    )
    assert [getattr(entity, str(entity.WhichOneof("entity"))) for entity in kept] == [engine, register, counter]


async def test_reconciling_keeps_what_has_no_packets_of_its_own(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    session = p4rt.CloneSessionEntry(session_id=9, replicas=[p4rt.Replica(egress_port=2)], packet_length_bytes=64)
    engine = p4rt.PacketReplicationEngineEntry(clone_session_entry=session)
    digest = p4rt.DigestEntry(digest_id=EDGE.id("learned_t"), config=p4rt.DigestEntry.Config(max_list_size=4))
    meter = p4rt.MeterEntry(
        meter_id=EDGE.id("port_meter"), index=p4rt.Index(index=1), config=p4rt.MeterConfig(cir=1, pir=2)
    )
    exact = p4rt.FieldMatch(field_id=1, exact=p4rt.FieldMatch.Exact(value=b"\x08"))
    types = p4rt.ValueSetEntry(value_set_id=EDGE.id("routed_types"), members=[p4rt.ValueSetMember(match=[exact])])
    entities = [
        p4rt.Entity(packet_replication_engine_entry=engine),
        p4rt.Entity(digest_entry=digest),
        p4rt.Entity(meter_entry=meter),
        p4rt.Entity(value_set_entry=types),
    ]
    await controller.write(*map(insert, entities[:2]), *map(modify, entities[2:]))
    await controller.set_pipeline("RECONCILE_AND_COMMIT", NEXT.config)
    wanted = [p4rt.Entity() for _ in entities]
    for request, entity in zip(wanted, entities, strict=True):
        request.CopyFrom(entity)
    wanted[3].value_set_entry.ClearField("members")
    assert await controller.read(*wanted) == entities


async def test_reconciling_keeps_members_groups_and_one_shots(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    forward = BALANCE.action("forward", 2)
    member = p4rt.ActionProfileMember(action_profile_id=BALANCE.id("paths"), member_id=4, action=forward)
    group = p4rt.ActionProfileGroup(action_profile_id=BALANCE.id("paths"), group_id=5, max_size=3)
    group.members.add(member_id=4, weight=2, watch_port=b"\x02")
    entry = BALANCE.table_entry("service", {"service": 1})
    entry.action.action_profile_group_id = 5
    one_shot = BALANCE.table_entry("backup", {"label": 1})
    one_shot.action.action_profile_action_set.action_profile_actions.add(action=forward, weight=3, watch=1)
    entities = [
        p4rt.Entity(action_profile_member=member),
        p4rt.Entity(action_profile_group=group),
        p4rt.Entity(table_entry=entry),
        p4rt.Entity(table_entry=one_shot),
    ]
    await controller.write(*map(insert, entities))
    await controller.set_pipeline("RECONCILE_AND_COMMIT", BALANCE.config)
    everything = await controller.read(
        p4rt.Entity(action_profile_member=p4rt.ActionProfileMember()),
        p4rt.Entity(action_profile_group=p4rt.ActionProfileGroup()),
        p4rt.Entity(table_entry=p4rt.TableEntry()),
    )
    assert everything == entities
    rig.switch.inject(0, b"\x00\x01\x00\x00")
    assert rig.sent(2) == [b"\x00\x01\x00\x00"]


async def test_reconciling_refuses_what_would_lose_state_and_changes_nothing(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(bridge(EDGE)))
    with pytest.raises(grpc.aio.AioRpcError, match="cannot be preserved") as caught:
        await controller.set_pipeline("RECONCILE_AND_COMMIT", BALANCE.config)
    assert caught.value.code() == INVALID
    assert (await get(rig)).config.p4info == EDGE.p4info
    assert len(await controller.read(entries(EDGE, "bridge"))) == 1


async def test_reconciling_refuses_an_id_that_changed_hands(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    config = EDGE.config
    bridge_table, routes = (t for t in config.p4info.tables if t.preamble.alias in ("bridge", "routes"))
    bridge_id, routes_id = bridge_table.preamble.id, routes.preamble.id
    bridge_table.preamble.id, routes.preamble.id = routes_id, bridge_id
    for direct in config.p4info.direct_counters:
        direct.direct_table_id = routes_id if direct.direct_table_id == bridge_id else bridge_id
    await controller.set_pipeline("VERIFY", config)
    with pytest.raises(grpc.aio.AioRpcError, match=r"was EdgeIngress\.(bridge|routes) and is now"):
        await controller.set_pipeline("RECONCILE_AND_COMMIT", config)


async def test_the_old_wrapping_of_the_json_is_taken(rig: Rig) -> None:
    controller = await rig.controller()
    config = EDGE.config
    length = len(EDGE.json)
    # reassign = true; extras { kv { key: "a" value: "b" } }; device_data = the JSON
    varint = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
    config.p4_device_config = b"\x08\x01" + b"\x12\x08\x0a\x06\x0a\x01a\x12\x01b" + b"\x1a" + varint + EDGE.json
    await controller.set_pipeline("VERIFY_AND_COMMIT", config)
    assert (await get(rig)).config == config


Spoiler = Callable[[p4rt.ForwardingPipelineConfig], object]


def table(config: p4rt.ForwardingPipelineConfig, alias: str) -> p4info_pb2.Table:
    return next(t for t in config.p4info.tables if t.preamble.alias == alias)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda c: c.ClearField("p4info"), "p4info is not set"),
        (lambda c: c.ClearField("p4_device_config"), "p4_device_config is empty"),
        (lambda c: setattr(c, "p4_device_config", b"\x1a\x05abc"), "neither bmv2 JSON nor"),
        (lambda c: setattr(c, "p4_device_config", b"{nonsense"), "p4_device_config"),
        (lambda c: setattr(c.p4info.pkg_info, "arch", "psa"), "pkg_info.arch is 'psa'"),
        (lambda c: setattr(table(c, "bridge").preamble, "name", "gone"), "table gone: it is in the P4Info and not"),
        (lambda c: setattr(table(c, "bridge").match_fields[0], "bitwidth", 32), "32 bits in the P4Info and 48 in"),
        (lambda c: setattr(table(c, "bridge").match_fields[0], "match_type", 3), "lpm in the P4Info and exact in"),
        (lambda c: table(c, "bridge").match_fields.add(id=2, name="x", bitwidth=1), "2 match fields in the P4Info"),
        (lambda c: setattr(table(c, "acl").match_fields[0], "id", 2), "match field id 2: the id is used twice"),
        (lambda c: setattr(c.p4info.actions[3].params[0], "bitwidth", 10), "10 bits in the P4Info and 9 in"),
        (lambda c: setattr(c.p4info.actions[3].preamble, "id", 0x02000001), "is not an id of a action"),
        (lambda c: c.p4info.tables.add().CopyFrom(c.p4info.tables[0]), "is also that of EdgeIngress.bridge"),
        (lambda c: setattr(c.p4info.counters[0], "size", 17), "17 cells in the P4Info and 16 in"),
        (lambda c: setattr(c.p4info.meters[0].spec, "unit", 1), "counts bytes in the P4Info and packets in"),
        (lambda c: setattr(c.p4info.registers[0].type_spec.bitstring.bit, "bitwidth", 47), r"\[47\] bits"),
        (lambda c: setattr(c.p4info.digests[0].type_spec.struct, "name", "no_t"), "describes no struct 'no_t'"),
        (lambda c: setattr(c.p4info.value_sets[0].match[0], "bitwidth", 8), "8 bits in the P4Info and 16 in"),
        (lambda c: c.p4info.controller_packet_metadata[0].metadata.pop(), None),
        (lambda c: setattr(c.p4info.controller_packet_metadata[0].metadata[0], "bitwidth", 8), "packet_in"),
        (lambda c: table(c, "bridge").action_refs.add(id=0x01FFFFFF), "is no action's"),
        (lambda c: setattr(table(c, "sources"), "implementation_id", 0x11000001), "is no action profile's"),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_name(rig: Rig, spoil: Spoiler, complaint: str | None) -> None:
    controller = await rig.controller()
    config = EDGE.config
    spoil(config)
    if complaint is None:
        # A P4Info may describe a header that the program never uses.
        await controller.set_pipeline("VERIFY", config)
        return
    with pytest.raises(grpc.aio.AioRpcError, match=complaint) as caught:
        await controller.set_pipeline("VERIFY_AND_COMMIT", config)
    assert caught.value.code() == INVALID
    assert not (await get(rig)).HasField("config")


async def test_capabilities(rig: Rig) -> None:
    response = await rig.stub.Capabilities(p4rt.CapabilitiesRequest())
    assert response.p4runtime_api_version == "1.5.0"
    assert await rig.stub.Capabilities(p4rt.CapabilitiesRequest(device_id=7)) == response
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.stub.Capabilities(p4rt.CapabilitiesRequest(device_id=8))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
