"""Table entries: written, read back in canonical form, refused with the code that the specification lays down."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from p4.v1 import p4runtime_pb2 as p4rt

from tests.softswitch.p4runtime.p4 import delete, insert, load, modify
from tests.softswitch.p4runtime.rig import Controller, Rig, canonical, errors

EDGE = load("edge")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
NOT_FOUND = grpc.StatusCode.NOT_FOUND
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE

BRIDGE = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 2))
ROUTE = EDGE.table_entry("routes", {"tenant": 7, "dst": (0x0A010000, 16)}, EDGE.action("route", 3, 0x0B))
ACL = EDGE.table_entry(
    "acl",
    {"hdr.ethernet.src": (0x0A00, 0xFF00), "protocol": (6, 17), "ingress_port": 1},
    EDGE.action("to_controller", 5),
    priority=10,
)
SOURCE = EDGE.table_entry("sources", {"src": 0x0C, "ingress_port": 1}, EDGE.action("NoAction"))


def changed(entry: p4rt.TableEntry, **fields: object) -> p4rt.TableEntry:
    copy = p4rt.TableEntry()
    copy.CopyFrom(entry)
    for name, value in fields.items():
        copy.ClearField(name)
        if value is not None:
            copy.MergeFrom(p4rt.TableEntry(**{name: value}))  # type: ignore[arg-type]
    return copy


def all_of(alias: str, **fields: object) -> p4rt.TableEntry:
    return changed(p4rt.TableEntry(table_id=EDGE.id(alias)), **fields)


async def test_every_match_kind_comes_back_as_it_was_written(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    optional = EDGE.table_entry("acl", {"hdr.ipv4.src": 0x0A000001, "ingress_port": 2}, EDGE.action("drop"), priority=1)
    everything = EDGE.table_entry("acl", {"ingress_port": 0}, EDGE.action("drop"), priority=(1 << 31) - 1)
    default_route = EDGE.table_entry("routes", {"tenant": 0}, EDGE.action("route_drop"))
    written = [BRIDGE, ROUTE, default_route, optional, everything, ACL]
    await controller.write(*[insert(entry) for entry in written])
    read = [e for alias in ("bridge", "routes", "acl") for e in await controller.read_tables(all_of(alias))]
    assert read == written


async def test_any_length_is_taken_and_the_shortest_is_read(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    long = EDGE.table_entry("bridge", {"dst": bytes(9) + b"\x0a"}, EDGE.action("forward", b"\x00\x00\x02"))
    await controller.write(insert(long))
    assert await controller.read_tables(all_of("bridge")) == [BRIDGE]
    assert await controller.read_tables(changed(long, action=None)) == [BRIDGE]


async def test_packets_follow_the_entries(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(BRIDGE))
    frame = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"
    rig.switch.inject(1, frame)
    assert rig.sent(2) == [frame]
    await controller.write(modify(changed(BRIDGE, action=p4rt.TableAction(action=EDGE.action("forward", 3)))))
    rig.switch.inject(1, frame)
    assert (rig.sent(2), rig.sent(3)) == ([], [frame])
    await controller.write(delete(BRIDGE))
    rig.switch.inject(1, frame)
    assert (rig.sent(2), rig.sent(3)) == ([], [])


Spoiler = Callable[[], p4rt.TableEntry]


@pytest.mark.parametrize(
    ("entry", "code", "complaint"),
    [
        (lambda: changed(BRIDGE, table_id=0x02FFFFFF), NOT_FOUND, "no table with id 50331647"),
        (lambda: changed(BRIDGE, table_id=0), INVALID, "table id is not set"),
        (lambda: changed(BRIDGE, table_id=EDGE.id("forward")), NOT_FOUND, "no table with id"),
        (lambda: changed(BRIDGE, match=None), INVALID, "exact match field hdr.ethernet.dst is missing"),
        (lambda: changed(BRIDGE, match=[*BRIDGE.match, *BRIDGE.match]), INVALID, "given twice"),
        (lambda: changed(BRIDGE, match=[p4rt.FieldMatch(field_id=9)]), INVALID, "no match field with id 9"),
        (lambda: changed(BRIDGE, match=[p4rt.FieldMatch(field_id=1)]), INVALID, "kind unset, the field is exact"),
        (
            lambda: EDGE.table_entry("bridge", {"dst": 1 << 48}, EDGE.action("drop")),
            OUT_OF_RANGE,
            "table EdgeIngress.bridge: match field hdr.ethernet.dst: the value 0x1000000000000 does not fit",
        ),
        (lambda: EDGE.table_entry("bridge", {"dst": b""}, EDGE.action("drop")), OUT_OF_RANGE, "empty bytestring"),
        (lambda: EDGE.table_entry("routes", {"tenant": 1, "dst": (1, 33)}), INVALID, "prefix length 33 is not in"),
        (lambda: EDGE.table_entry("routes", {"tenant": 1, "dst": (0, 0)}), INVALID, "leave the field out"),
        (lambda: EDGE.table_entry("routes", {"tenant": 1, "dst": (1, 31)}), INVALID, "beyond its prefix length 31"),
        (lambda: changed(ACL, priority=0), INVALID, "priority 0; entries of this table need a positive one"),
        (lambda: changed(ACL, priority=-3), INVALID, "priority -3"),
        (lambda: changed(BRIDGE, priority=1), INVALID, "priority 1; entries of this table have none"),
        (lambda: changed(BRIDGE, action=None), INVALID, "the action is not set"),
        (lambda: changed(BRIDGE, action=p4rt.TableAction()), INVALID, "the action is not set"),
        (
            lambda: changed(BRIDGE, action=p4rt.TableAction(action_profile_member_id=1)),
            INVALID,
            "of kind action_profile_member_id",
        ),
        (
            lambda: changed(BRIDGE, action=p4rt.TableAction(action=EDGE.action("police"))),
            INVALID,
            "no action with id",
        ),
        (
            lambda: changed(BRIDGE, action=p4rt.TableAction(action=EDGE.action("NoAction"))),
            DENIED,
            "default entry only",
        ),
        (
            lambda: changed(BRIDGE, action=p4rt.TableAction(action=EDGE.action("forward", 512))),
            OUT_OF_RANGE,
            "action EdgeIngress.forward: parameter port: the value 0x200 does not fit in bit<9>",
        ),
        (
            lambda: changed(BRIDGE, action=p4rt.TableAction(action=p4rt.Action(action_id=EDGE.id("forward")))),
            INVALID,
            "parameter port is missing",
        ),
        (
            lambda: changed(
                BRIDGE,
                action=p4rt.TableAction(
                    action=p4rt.Action(
                        action_id=EDGE.id("forward"),
                        params=[p4rt.Action.Param(param_id=n, value=b"\x01") for n in (1, 4)],
                    )
                ),
            ),
            INVALID,
            "no parameter with id 4",
        ),
        (
            lambda: changed(
                BRIDGE,
                action=p4rt.TableAction(
                    action=p4rt.Action(
                        action_id=EDGE.id("forward"), params=[p4rt.Action.Param(param_id=1, value=b"\x01")] * 2
                    )
                ),
            ),
            INVALID,
            "parameter 1 is given twice",
        ),
        (lambda: changed(BRIDGE, is_const=True), INVALID, "is_const must not be set"),
        (lambda: changed(BRIDGE, idle_timeout_ns=1), INVALID, "does not support idle timeouts"),
        (lambda: changed(SOURCE, idle_timeout_ns=-1), INVALID, "idle_timeout_ns -1 is negative"),
        (
            lambda: changed(SOURCE, time_since_last_hit=p4rt.TableEntry.IdleTimeout(elapsed_ns=1)),
            INVALID,
            "time_since_last_hit must not be set",
        ),
        (lambda: changed(SOURCE, counter_data=p4rt.CounterData()), INVALID, "no direct counter"),
        (lambda: changed(BRIDGE, meter_config=p4rt.MeterConfig()), INVALID, "no direct meter"),
        (lambda: changed(BRIDGE, counter_data=p4rt.CounterData(packet_count=-1)), INVALID, "must not be negative"),
        (
            lambda: changed(ACL, meter_config=p4rt.MeterConfig(cir=2, pir=1)),
            INVALID,
            "pir 1 is less than cir 2",
        ),
        (
            lambda: changed(ACL, meter_counter_data=p4rt.MeterCounterData()),
            grpc.StatusCode.UNIMPLEMENTED,
            "no per-color meter counters",
        ),
        (lambda: changed(BRIDGE, is_default_action=True), INVALID, "can only be modified"),
        (lambda: all_of("keyless", action=p4rt.TableAction(action=EDGE.action("remember"))), INVALID, "has no key"),
        (
            lambda: EDGE.table_entry("tenants", {"ingress_port": (3, 4)}, EDGE.action("set_tenant", 1), priority=1),
            DENIED,
            "its entries are constant",
        ),
    ],
)
async def test_a_bad_insertion_changes_nothing_and_says_why(
    rig: Rig, entry: Spoiler, code: grpc.StatusCode, complaint: str
) -> None:
    controller = await rig.primary(EDGE)
    refusal, message = await controller.refused(insert(entry()))
    assert (refusal, complaint in message) == (code, True), message
    assert await rig_entries(controller) == []


async def rig_entries(controller: Controller) -> list[p4rt.TableEntry]:
    """The entries of all tables but the constant ones."""
    return [entry for entry in await controller.read_tables(p4rt.TableEntry()) if not entry.is_const]


async def test_ternary_and_range_must_be_canonical(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    for field, complaint in (
        (p4rt.FieldMatch(field_id=1, ternary=p4rt.FieldMatch.Ternary(value=b"\x00", mask=b"\x00")), "mask is 0"),
        (p4rt.FieldMatch(field_id=1, ternary=p4rt.FieldMatch.Ternary(value=b"\x03", mask=b"\x01")), "outside its mask"),
        (p4rt.FieldMatch(field_id=2, range=p4rt.FieldMatch.Range(low=b"\x02", high=b"\x01")), "0x2..0x1 is empty"),
        (p4rt.FieldMatch(field_id=2, range=p4rt.FieldMatch.Range(low=b"\x00", high=b"\xff")), "every value"),
        (p4rt.FieldMatch(field_id=3, optional=p4rt.FieldMatch.Optional()), "empty bytestring"),
    ):
        match = [field, *EDGE.match("acl", {"ingress_port": 1})]
        code, message = await controller.refused(insert(changed(ACL, match=match)))
        assert code in (INVALID, OUT_OF_RANGE)
        assert complaint in message


async def test_existing_missing_and_too_many_entries(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(ACL))
    assert (await controller.refused(insert(ACL)))[0] == grpc.StatusCode.ALREADY_EXISTS
    other = changed(ACL, priority=11)
    assert (await controller.refused(modify(other)))[0] == NOT_FOUND
    assert (await controller.refused(delete(other)))[0] == NOT_FOUND
    await controller.write(*[insert(changed(ACL, priority=priority)) for priority in range(11, 18)])
    assert (await controller.refused(insert(changed(ACL, priority=18))))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await controller.refused(p4rt.Update(entity=p4rt.Entity(table_entry=ACL))))[0] == INVALID
    assert (await controller.refused(p4rt.Update(type=p4rt.Update.INSERT)))[0] == INVALID


async def test_deleting_looks_at_the_key_only(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(BRIDGE))
    nonsense = changed(BRIDGE, action=p4rt.TableAction(action_profile_group_id=9), idle_timeout_ns=-4)
    nonsense.meter_config.cir = -1
    await controller.write(delete(nonsense))
    assert await rig_entries(controller) == []


async def test_modifying_without_action_keeps_the_action(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(changed(ACL, metadata=b"old", meter_config=p4rt.MeterConfig(cir=1, pir=1))))
    await controller.write(modify(changed(ACL, action=None, metadata=b"new")))
    wanted = all_of("acl", meter_config=p4rt.MeterConfig())
    # An unset meter_config resets the meter.
    assert await controller.read_tables(wanted) == [changed(ACL, metadata=b"new")]


async def test_metadata_comes_back_and_filters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    first = changed(BRIDGE, metadata=b"\x00first", controller_metadata=(1 << 64) - 1)
    second = EDGE.table_entry("bridge", {"dst": 0x0B}, EDGE.action("flood", 9))
    await controller.write(insert(first), insert(second))
    assert await controller.read_tables(all_of("bridge")) == [first, second]
    assert await controller.read_tables(all_of("bridge", metadata=b"\x00first")) == [first]
    assert await controller.read_tables(all_of("bridge", controller_metadata=3)) == []
    by_action = p4rt.TableAction(action=p4rt.Action(action_id=EDGE.id("flood")))
    assert await controller.read_tables(all_of("bridge", action=by_action)) == [second]
    await controller.write(modify(BRIDGE))
    assert await controller.read_tables(all_of("bridge")) == [BRIDGE, second]


async def test_priority_and_match_filter(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    low, high = ACL, changed(ACL, priority=20)
    other = EDGE.table_entry("acl", {"ingress_port": 3}, EDGE.action("drop"), priority=20)
    await controller.write(insert(low), insert(high), insert(other))
    assert await controller.read_tables(all_of("acl", priority=20)) == [high, other]
    assert await controller.read_tables(all_of("acl", match=ACL.match)) == [low, high]
    assert await controller.read_tables(all_of("acl", match=ACL.match, priority=20)) == [high]
    assert await controller.read_tables(all_of("acl", match=other.match, priority=10)) == []


async def read_error(controller: Controller, wanted: p4rt.Entity | p4rt.TableEntry) -> grpc.StatusCode:
    if isinstance(wanted, p4rt.TableEntry):
        wanted = p4rt.Entity(table_entry=wanted)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.read(wanted)
    (error,) = errors(caught.value)
    return canonical(error.canonical_code)


async def test_reads_that_mean_nothing_are_refused(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    for wanted, code in (
        (all_of("bridge", table_id=0x02FFFFFF), NOT_FOUND),
        (all_of("bridge", table_id=0, match=BRIDGE.match), INVALID),
        (all_of("bridge", table_id=0, priority=1), INVALID),
        (all_of("bridge", match=[p4rt.FieldMatch(field_id=5)]), INVALID),
        (all_of("bridge", action=p4rt.TableAction(action=EDGE.action("police"))), INVALID),
        (all_of("bridge", action=p4rt.TableAction(action_profile_member_id=1)), INVALID),
        (all_of("bridge", time_since_last_hit=p4rt.TableEntry.IdleTimeout()), INVALID),
        (all_of("bridge", is_default_action=True, match=BRIDGE.match), INVALID),
        (all_of("sources", is_default_action=True, idle_timeout_ns=1), INVALID),
        (all_of("acl", meter_counter_data=p4rt.MeterCounterData()), grpc.StatusCode.UNIMPLEMENTED),
        (p4rt.Entity(), INVALID),
        (p4rt.Entity(extern_entry=p4rt.ExternEntry(extern_type_id=0x81)), grpc.StatusCode.UNIMPLEMENTED),
    ):
        assert await read_error(controller, wanted) == code, wanted


async def test_a_large_answer_comes_in_pieces_that_clients_take(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    large = [
        changed(EDGE.table_entry("bridge", {"dst": n}, EDGE.action("drop")), metadata=bytes([n]) * 200_000)
        for n in range(60)
    ]
    for entry in large:
        await controller.write(insert(entry))
    request = p4rt.ReadRequest(device_id=controller.device_id, entities=[p4rt.Entity(table_entry=all_of("bridge"))])
    responses = [response async for response in controller.stub.Read(request)]
    assert len(responses) > 5
    assert [entity.table_entry for response in responses for entity in response.entities] == large


async def test_a_bad_request_does_not_spoil_the_others_of_its_batch(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(BRIDGE), insert(SOURCE))
    good, bad, fine = (p4rt.Entity(table_entry=all_of(alias)) for alias in ("bridge", "bridge", "sources"))
    bad.table_entry.table_id = 0x02FFFFFF
    request = p4rt.ReadRequest(device_id=controller.device_id, entities=[good, bad, fine])
    call, read = controller.stub.Read(request), []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for response in call:
            read += [entity.table_entry for entity in response.entities]
    assert read == [BRIDGE, SOURCE]
    assert caught.value.code() == grpc.StatusCode.UNKNOWN
    assert [error.canonical_code for error in errors(caught.value)] == [0, NOT_FOUND.value[0], 0]


async def test_constant_entries_are_read_and_only_read(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    first, second = await controller.read_tables(all_of("tenants"))
    assert first.is_const
    assert first.priority > second.priority > 0
    assert first.action.action == EDGE.action("set_tenant", 7)
    assert list(first.match) == EDGE.match("tenants", {"ingress_port": (1, 2), "ether_type": (0x0800, 0xFFFF)})
    assert list(second.match) == EDGE.match("tenants", {"ingress_port": (1, 8)})
    plain = changed(first, is_const=None)
    assert (await controller.refused(delete(plain)))[0] == DENIED
    assert (await controller.refused(modify(plain)))[0] == DENIED
    await controller.write(modify(changed(plain, action=None)))
    assert (await controller.read_tables(all_of("tenants")))[0] == first


async def test_the_default_entry_is_modified_and_reset(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    wanted = all_of("bridge", is_default_action=True)
    initial = changed(wanted, action=p4rt.TableAction(action=EDGE.action("drop")))
    flood = changed(wanted, action=p4rt.TableAction(action=EDGE.action("flood", 5)), metadata=b"m")
    assert await controller.read_tables(wanted) == [initial]
    await controller.write(modify(flood))
    assert await controller.read_tables(wanted) == [flood]
    assert await controller.read_tables(all_of("bridge")) == []
    await controller.write(modify(changed(wanted, metadata=b"gone with the reset")))
    assert await controller.read_tables(wanted) == [initial]
    everywhere = await controller.read_tables(p4rt.TableEntry(is_default_action=True))
    assert len(everywhere) == len(EDGE.p4info.tables)
    (constant,) = await controller.read_tables(all_of("routes", is_default_action=True))
    assert constant.is_const


@pytest.mark.parametrize(
    ("alias", "fields", "code"),
    [
        ("routes", {"action": p4rt.TableAction(action=EDGE.action("route_drop"))}, DENIED),
        ("routes", {}, DENIED),
        ("acl", {"action": p4rt.TableAction(action=EDGE.action("police"))}, DENIED),
        ("acl", {"action": p4rt.TableAction(action=EDGE.action("flood", 1))}, INVALID),
        ("acl", {"priority": 1}, INVALID),
        ("acl", {"match": ACL.match}, INVALID),
        ("sources", {"idle_timeout_ns": 5}, INVALID),
        ("bridge", {"counter_data": p4rt.CounterData()}, grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_bad_modifications_of_the_default_entry(
    rig: Rig, alias: str, fields: dict[str, object], code: grpc.StatusCode
) -> None:
    controller = await rig.primary(EDGE)
    wanted = all_of(alias, is_default_action=True)
    before = await controller.read_tables(wanted)
    assert (await controller.refused(modify(changed(wanted, **fields))))[0] == code
    assert (await controller.refused(delete(wanted)))[0] == INVALID
    assert await controller.read_tables(wanted) == before


async def test_direct_counters_and_meters(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    counted = changed(ROUTE, counter_data=p4rt.CounterData(packet_count=3, byte_count=200))
    metered = changed(ACL, meter_config=p4rt.MeterConfig(cir=1, cburst=2, pir=3, pburst=4))
    await controller.write(insert(counted), insert(metered))
    assert await controller.read_tables(all_of("routes")) == [ROUTE]
    assert await controller.read_tables(all_of("routes", counter_data=p4rt.CounterData())) == [counted]
    assert await controller.read_tables(all_of("acl", meter_config=p4rt.MeterConfig())) == [metered]

    def cell(entry: p4rt.TableEntry) -> p4rt.TableEntry:
        return changed(entry, action=None, counter_data=None, meter_config=None)

    counter = p4rt.DirectCounterEntry(table_entry=cell(ROUTE), data=counted.counter_data)
    meter = p4rt.DirectMeterEntry(table_entry=cell(ACL), config=metered.meter_config)
    for wanted in (p4rt.DirectCounterEntry(table_entry=t) for t in (cell(ROUTE), all_of("routes"), p4rt.TableEntry())):
        assert await controller.read(p4rt.Entity(direct_counter_entry=wanted)) == [
            p4rt.Entity(direct_counter_entry=counter)
        ]
    for scope in (p4rt.DirectMeterEntry(table_entry=t) for t in (cell(ACL), all_of("acl"), p4rt.TableEntry())):
        assert await controller.read(p4rt.Entity(direct_meter_entry=scope)) == [p4rt.Entity(direct_meter_entry=meter)]
    counter.data.packet_count = 1
    meter.ClearField("config")
    await controller.write(
        modify(p4rt.Entity(direct_counter_entry=counter)), modify(p4rt.Entity(direct_meter_entry=meter))
    )
    entities = [p4rt.Entity(direct_counter_entry=counter), p4rt.Entity(direct_meter_entry=meter)]
    assert await controller.read(*entities) == entities
    missing = p4rt.DirectCounterEntry(table_entry=changed(cell(ROUTE), match=EDGE.match("routes", {"tenant": 9})))
    assert await read_error(controller, p4rt.Entity(direct_counter_entry=missing)) == NOT_FOUND
    assert (await controller.refused(modify(p4rt.Entity(direct_counter_entry=missing))))[0] == NOT_FOUND
    assert (await controller.refused(insert(entities[0])))[0] == INVALID
    unset = p4rt.Entity(direct_meter_entry=p4rt.DirectMeterEntry())
    assert (await controller.refused(modify(unset)))[0] == INVALID
    none_there = p4rt.Entity(direct_meter_entry=p4rt.DirectMeterEntry(table_entry=cell(ROUTE)))
    assert (await controller.refused(modify(none_there)))[0] == INVALID
    assert await read_error(controller, none_there) == INVALID


async def test_packets_count_in_the_units_of_the_p4info(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(BRIDGE))
    rig.switch.inject(1, bytes.fromhex("00000000000a 000000000001 88b5") + b"payload")
    (entry,) = await controller.read_tables(all_of("bridge", counter_data=p4rt.CounterData()))
    assert entry.counter_data == p4rt.CounterData(packet_count=1)


async def test_idle_entries_are_reported_once_in_their_timeout(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    timed = changed(SOURCE, idle_timeout_ns=10_000_000_000, metadata=b"who")
    await controller.write(insert(timed))
    frame = bytes.fromhex("00000000000a 00000000000c 88b5")
    rig.clock.advance(9)
    rig.switch.inject(1, frame)
    rig.clock.advance(9)
    rig.switch.sweep_idle()
    wanted = changed(all_of("sources"), time_since_last_hit=p4rt.TableEntry.IdleTimeout())
    (entry,) = await controller.read_tables(wanted)
    assert entry.time_since_last_hit.elapsed_ns == 9_000_000_000
    assert changed(entry, time_since_last_hit=None) == timed
    for _ in range(6):  # seconds 19 to 24
        rig.clock.advance(1)
        rig.switch.sweep_idle()
    notification = (await controller.receive("idle_timeout_notification")).idle_timeout_notification
    assert list(notification.table_entry) == [timed]
    assert notification.timestamp > 0
    rig.switch.inject(1, frame)
    rig.clock.advance(11)
    rig.switch.sweep_idle()
    assert (await controller.receive("idle_timeout_notification")).idle_timeout_notification.table_entry
    await controller.become(1)
    assert not controller.kept  # and no third one came before the answer to the announcement
