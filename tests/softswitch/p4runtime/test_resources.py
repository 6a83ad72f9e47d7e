"""Counters, meters, registers, value sets, multicast groups and clone sessions."""

from __future__ import annotations

import grpc
import pytest
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from tests.softswitch.p4runtime.p4 import delete, field_matches, insert, load, modify
from tests.softswitch.p4runtime.rig import Controller, Rig, canonical, errors

EDGE = load("edge")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED

FRAME = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"


def counter(index: int | None, packets: int | None = None, octets: int = 0) -> p4rt.Entity:
    message = p4rt.CounterEntry(counter_id=EDGE.id("port_rx"))
    if index is not None:
        message.index.index = index
    if packets is not None:
        message.data.MergeFrom(p4rt.CounterData(packet_count=packets, byte_count=octets))
        message.data.SetInParent()
    return p4rt.Entity(counter_entry=message)


def meter(index: int | None, config: p4rt.MeterConfig | None = None) -> p4rt.Entity:
    message = p4rt.MeterEntry(meter_id=EDGE.id("port_meter"), config=config)
    if index is not None:
        message.index.index = index
    return p4rt.Entity(meter_entry=message)


def register(index: int | None, value: bytes | None = None, alias: str = "last_source") -> p4rt.Entity:
    message = p4rt.RegisterEntry(register_id=EDGE.id(alias))
    if index is not None:
        message.index.index = index
    if value is not None:
        message.data.bitstring = value
    return p4rt.Entity(register_entry=message)


async def refused(controller: Controller, update: p4rt.Update) -> grpc.StatusCode:
    return (await controller.refused(update))[0]


async def unread(controller: Controller, wanted: p4rt.Entity) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.read(wanted)
    return canonical(errors(caught.value)[0].canonical_code)


async def test_counters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    rig.switch.inject(1, FRAME)
    rig.switch.inject(1, FRAME)
    assert await controller.read(counter(1)) == [counter(1, 2, 2 * len(FRAME))]
    largest = (1 << 63) - 1
    await controller.write(modify(counter(2, largest, largest)))
    rig.switch.inject(2, FRAME)
    assert await controller.read(counter(2)) == [counter(2, 0, len(FRAME) - 1)]  # what the message can hold
    await controller.write(modify(counter(2, 0)))
    await controller.write(modify(counter(3, 7, 1)), modify(counter(1)))
    cells = await controller.read(counter(None))
    assert [cell.counter_entry.data.packet_count for cell in cells] == [0, 2, 0, 7, *[0] * 12]
    everything = await controller.read(p4rt.Entity(counter_entry=p4rt.CounterEntry()))
    assert everything == cells
    await controller.write(modify(counter(None, 4, 5)))
    assert await controller.read(counter(None)) == [counter(index, 4, 5) for index in range(16)]


async def test_bad_counters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    unknown, unset = counter(0, 1), counter(0, 1)
    unknown.counter_entry.counter_id = 0x12FFFFFF
    unset.counter_entry.counter_id = 0
    for update, code in (
        (insert(counter(0, 1)), INVALID),
        (delete(counter(0)), INVALID),
        (modify(counter(-1, 1)), INVALID),
        (modify(counter(16, 1)), OUT_OF_RANGE),
        (modify(counter(0, -1)), INVALID),
        (modify(unknown), NOT_FOUND),
        (modify(unset), INVALID),
    ):
        assert await refused(controller, update) == code
    assert await unread(controller, counter(-1)) == INVALID
    assert await unread(controller, counter(16)) == OUT_OF_RANGE
    assert await unread(controller, unknown) == NOT_FOUND


async def test_meters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    config = p4rt.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
    await controller.write(modify(meter(5, config)))
    assert await controller.read(meter(5), meter(6)) == [meter(5, config), meter(6)]
    await controller.write(modify(meter(None, config)))
    assert await controller.read(meter(None)) == [meter(index, config) for index in range(8)]
    await controller.write(modify(meter(3)))
    assert await controller.read(p4rt.Entity(meter_entry=p4rt.MeterEntry())) == [
        meter(index, None if index == 3 else config) for index in range(8)
    ]


async def test_bad_meters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    colors = meter(0)
    colors.meter_entry.counter_data.SetInParent()
    for update, code in (
        (insert(meter(0)), INVALID),
        (delete(meter(0)), INVALID),
        (modify(meter(-1)), INVALID),
        (modify(meter(8)), OUT_OF_RANGE),
        (modify(meter(0, p4rt.MeterConfig(cir=-1))), INVALID),
        (modify(meter(0, p4rt.MeterConfig(cir=2, pir=1))), INVALID),
        (modify(meter(0, p4rt.MeterConfig(eburst=1))), INVALID),
        (modify(colors), UNIMPLEMENTED),
    ):
        assert await refused(controller, update) == code
    assert await unread(controller, colors) == UNIMPLEMENTED


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        (1, p4rt.MeterConfig(cir=1, pir=2), INVALID),
        (1, p4rt.MeterConfig(cir=1, pir=1, eburst=1), UNIMPLEMENTED),
        (1, p4rt.MeterConfig(cir=1, pir=1), None),
        (2, p4rt.MeterConfig(cir=1, pir=1, pburst=3), INVALID),
        (2, p4rt.MeterConfig(cir=1, pir=1, eburst=1), INVALID),
        (2, p4rt.MeterConfig(cir=1, pir=1, cburst=3, pburst=3), None),
    ],
)
async def test_meter_types(rig: Rig, kind: int, config: p4rt.MeterConfig, code: grpc.StatusCode | None) -> None:
    controller = await rig.controller()
    pipeline = EDGE.config
    pipeline.p4info.meters[0].spec.MergeFrom(type(pipeline.p4info.meters[0].spec)(type=kind))  # type: ignore[arg-type]
    await controller.set_pipeline("VERIFY_AND_COMMIT", pipeline)
    if code is None:
        await controller.write(modify(meter(0, config)))
        assert await controller.read(meter(0)) == [meter(0, config)]
    else:
        assert await refused(controller, modify(meter(0, config))) == code


async def test_registers(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    default = EDGE.table_entry("keyless", None, EDGE.action("remember"))
    default.is_default_action = True
    await controller.write(modify(default), modify(register(2, b"\x00\x63")))
    rig.switch.inject(3, FRAME)
    assert await controller.read(register(None)) == [
        register(0, b"\x01"),
        register(1, b"\x00"),
        register(2, b"\x63"),
        register(3, b"\x00"),
    ]
    assert await controller.read(register(0, alias="last_port")) == [register(0, b"\x03", "last_port")]
    await controller.write(modify(register(None, b"\x05")))
    everything = await controller.read(p4rt.Entity(register_entry=p4rt.RegisterEntry()))
    assert everything[:4] == [register(index, b"\x05") for index in range(4)]
    assert len(everything) == 8


async def test_bad_registers(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    boolean = register(0)
    boolean.register_entry.data.CopyFrom(p4data_pb2.P4Data(bool=True))
    for update, code in (
        (insert(register(0, b"\x01")), INVALID),
        (delete(register(0)), INVALID),
        (modify(register(-1, b"\x01")), INVALID),
        (modify(register(4, b"\x01")), OUT_OF_RANGE),
        (modify(register(0)), INVALID),
        (modify(register(0, b"\x01" + bytes(6))), OUT_OF_RANGE),
        (modify(boolean), INVALID),
    ):
        assert await refused(controller, update) == code
    assert all(cell == register(i, b"\x00") for i, cell in enumerate(await controller.read(register(None))))


def value_set(alias: str, *keys: dict[str, int]) -> p4rt.Entity:
    info = next(v for v in EDGE.p4info.value_sets if v.preamble.alias == alias)
    members = [p4rt.ValueSetMember(match=field_matches(info.match, dict(key))) for key in keys]
    return p4rt.Entity(value_set_entry=p4rt.ValueSetEntry(value_set_id=info.preamble.id, members=members))


async def test_value_sets_steer_the_parser(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    bridge = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 1))
    route = EDGE.table_entry("routes", {"tenant": 8, "dst": (0x0A000000, 8)}, EDGE.action("route", 2, 0x0B))
    await controller.write(insert(bridge), insert(route))
    packet = bytes.fromhex("00000000000a 000000000001 88b6 45000014 00000000 40060000 01010101 0a000001")
    rig.switch.inject(3, packet)
    assert (len(rig.sent(1)), len(rig.sent(2))) == (1, 0)
    types = value_set("routed_types", {"1": 0x88B6}, {"1": 0x88B7})
    await controller.write(modify(types))
    rig.switch.inject(3, packet)
    assert (len(rig.sent(1)), len(rig.sent(2))) == (0, 1)
    special = value_set("special", {"ether_type": 0x88B6, "dst": 0x0A})
    await controller.write(modify(special))
    rig.switch.inject(3, packet)
    assert (len(rig.sent(1)), len(rig.sent(2))) == (1, 0)
    assert await controller.read(value_set("special")) == [special]
    assert await controller.read(p4rt.Entity(value_set_entry=p4rt.ValueSetEntry())) == [types, special]
    await controller.write(modify(value_set("special")))
    assert await controller.read(value_set("special")) == [value_set("special")]


async def test_bad_value_sets(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    for update, code in (
        (insert(value_set("routed_types")), INVALID),
        (delete(value_set("routed_types")), INVALID),
        (modify(value_set("routed_types", *[{"1": n} for n in range(5)])), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (modify(value_set("routed_types", {"1": 1}, {"1": 1})), EXISTS),
        (modify(value_set("routed_types", {"1": 0x10000})), OUT_OF_RANGE),
        (modify(value_set("special", {"dst": 1})), INVALID),
        (modify(p4rt.Entity(value_set_entry=p4rt.ValueSetEntry(value_set_id=0x03FFFFFF))), NOT_FOUND),
    ):
        assert await refused(controller, update) == code
    assert await unread(controller, value_set("special", {"dst": 1})) == INVALID


def multicast(group_id: int, *replicas: p4rt.Replica, metadata: bytes = b"") -> p4rt.Entity:
    entry = p4rt.MulticastGroupEntry(multicast_group_id=group_id, replicas=replicas, metadata=metadata)
    return p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(multicast_group_entry=entry))


def clone(session_id: int, *replicas: p4rt.Replica, length: int = 0, class_of_service: int = 0) -> p4rt.Entity:
    entry = p4rt.CloneSessionEntry(
        session_id=session_id,
        replicas=replicas,
        packet_length_bytes=length,
        class_of_service=class_of_service,
    )
    return p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(clone_session_entry=entry))


def replica(port: int, instance: int = 0) -> p4rt.Replica:
    return p4rt.Replica(port=port.to_bytes(1 + port // 256, "big"), instance=instance)


def backed(primary: p4rt.Replica, *backups: p4rt.Replica) -> p4rt.Replica:
    """A replica and those that stand in for it, the preferred one first."""
    return p4rt.Replica(
        port=primary.port,
        instance=primary.instance,
        backup_replicas=[p4rt.BackupReplica(port=backup.port, instance=backup.instance) for backup in backups],
    )


async def test_multicast(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    flood = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("flood", 5))
    group = multicast(5, replica(3, 9), replica(1), p4rt.Replica(egress_port=2, instance=1), metadata=b"\x00m")
    await controller.write(insert(flood), insert(group), insert(multicast(32767)))
    rig.switch.inject(0, FRAME)
    assert [len(rig.sent(port)) for port in range(4)] == [0, 1, 1, 1]
    assert await controller.read(multicast(5)) == [group]
    assert await controller.read(multicast(0)) == [group, multicast(32767)]
    await controller.write(modify(multicast(5, replica(3))), delete(multicast(32767)))
    rig.switch.inject(0, FRAME)
    assert [len(rig.sent(port)) for port in range(4)] == [0, 0, 0, 1]
    assert await controller.read(multicast(0)) == [multicast(5, replica(3))]


async def test_bad_multicast_groups(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(multicast(5, replica(1))))
    for update, code in (
        (insert(multicast(5)), EXISTS),
        (modify(multicast(6)), NOT_FOUND),
        (delete(multicast(6)), NOT_FOUND),
        (insert(multicast(0)), INVALID),
        (insert(multicast(32768)), OUT_OF_RANGE),
        (modify(multicast(5, replica(1, 2), replica(1, 2))), INVALID),
        (modify(multicast(5, replica(1, 65536))), INVALID),
        (modify(multicast(5, replica(512))), INVALID),
        (modify(multicast(5, p4rt.Replica(egress_port=512))), INVALID),
        (modify(multicast(5, p4rt.Replica(instance=1))), INVALID),
        (modify(multicast(5, backed(replica(1), replica(1, 2)))), INVALID),
        (modify(multicast(5, backed(replica(1), replica(2), replica(2)))), INVALID),
        (modify(multicast(5, backed(replica(1), replica(3)), replica(3))), INVALID),
        (modify(multicast(5, backed(replica(1), replica(512)))), INVALID),
        (modify(multicast(5, backed(replica(1), replica(2, 65536)))), INVALID),
        (modify(multicast(5, backed(replica(1), p4rt.Replica(instance=1)))), INVALID),
        (insert(p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry())), INVALID),
    ):
        assert await refused(controller, update) == code, update
    assert await unread(controller, multicast(6)) == NOT_FOUND
    assert await controller.read(multicast(0)) == [multicast(5, replica(1))]


async def test_backup_replicas_stand_in_for_ports_that_are_down(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    flood = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("flood", 5))
    group = multicast(5, replica(0, 1), backed(replica(1, 1), replica(2, 2), replica(3, 3)))
    await controller.write(insert(flood), insert(group))

    def flooded() -> list[int]:
        rig.switch.poll_ports()
        rig.switch.inject(0, FRAME)
        return [len(rig.sent(port)) for port in range(4)]

    assert flooded() == [1, 1, 0, 0]
    rig.wires[1].is_up = False
    assert flooded() == [1, 0, 1, 0]
    rig.switch.remove_port(2)
    assert flooded() == [1, 0, 0, 1]
    rig.wires[3].is_up = False
    assert flooded() == [1, 1, 0, 0]  # nobody is left, so it goes where it would
    rig.wires[3].is_up = True
    assert flooded() == [1, 0, 0, 1]
    rig.wires[1].is_up = True
    assert flooded() == [1, 1, 0, 0]
    assert await controller.read(multicast(5)) == [group]


async def test_a_clone_session_has_backups_too_and_the_controller_s_port_is_up(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    acl = EDGE.table_entry("acl", {"ingress_port": 1}, EDGE.action("copy_to_controller"), priority=1)
    session = clone(100, backed(replica(510, 1), replica(3, 3)), length=16)
    await controller.write(insert(session), insert(acl))
    rig.switch.inject(1, FRAME)
    await controller.receive("packet")
    await controller.write(modify(clone(100, backed(replica(2), replica(3)))))
    rig.wires[2].is_up = False
    rig.switch.poll_ports()
    rig.switch.inject(1, FRAME)
    assert [len(rig.sent(port)) for port in (2, 3)] == [0, 1]


async def test_backups_survive_a_reconciliation(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    group = multicast(5, backed(replica(1, 1), replica(2, 2)))
    await controller.write(insert(group))
    await controller.set_pipeline("RECONCILE_AND_COMMIT", EDGE.config)
    assert await controller.read(multicast(0)) == [group]


async def test_clone_sessions(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    acl = EDGE.table_entry("acl", {"ingress_port": 1}, EDGE.action("copy_to_controller"), priority=1)
    session = clone(100, replica(510, 1), length=16)
    await controller.write(insert(session), insert(acl))
    rig.switch.inject(1, FRAME)
    packet = (await controller.receive("packet")).packet
    assert (packet.metadata[0].value, packet.metadata[1].value) == (b"\x01", b"\x07")
    assert len(packet.payload) < len(FRAME)
    assert await controller.read(clone(0)) == [session] == await controller.read(clone(100))
    await controller.write(modify(clone(100, replica(3))))
    rig.switch.inject(1, FRAME)
    assert len(rig.sent(3)) == 1
    await controller.write(delete(clone(100)))
    rig.switch.inject(1, FRAME)
    assert len(rig.sent(3)) == 0
    assert await controller.read(clone(0)) == []


async def test_bad_clone_sessions(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(clone(1)))
    for update, code in (
        (insert(clone(1)), EXISTS),
        (modify(clone(2)), NOT_FOUND),
        (delete(clone(2)), NOT_FOUND),
        (insert(clone(0)), INVALID),
        (insert(clone(32768)), INVALID),
        (insert(clone(2, replica(1), replica(1))), INVALID),
        (insert(clone(2, length=-1)), INVALID),
        (insert(clone(2, class_of_service=1)), UNIMPLEMENTED),
    ):
        assert await refused(controller, update) == code, update
    assert await unread(controller, clone(2)) == NOT_FOUND
