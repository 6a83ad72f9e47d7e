"""One P4Runtime session with softswitch and with simple_switch_grpc: the same requests, the same replies.

Where the replies differ, DIFFERENCES says how and why, and both are as it says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import text_format
from p4.v1 import p4data_pb2, p4runtime_pb2_grpc
from p4.v1 import p4runtime_pb2 as p4rt

from tests.p4rt.targets import BMV2, DEVICE_ID, SOFTSWITCH, Kind, free_address, require
from tests.softswitch.p4runtime.p4 import delete, field_matches, insert, load, modify
from tests.softswitch.p4runtime.rig import Controller, canonical, errors

EDGE, BALANCE = load("edge"), load("balance")

Reply = str
"""What came back, in words that can be compared: OK, a code, codes of a batch, or the entities read."""

Step = Callable[[Controller], Awaitable[Reply]]


def written(*updates: p4rt.Update, atomicity: str = "CONTINUE_ON_ERROR") -> Step:
    async def step(controller: Controller) -> Reply:
        try:
            await controller.write(*updates, atomicity=atomicity)
        except grpc.aio.AioRpcError as error:
            return _codes(error)
        return "OK"

    return step


def found(*entities: p4rt.Entity) -> Step:
    async def step(controller: Controller) -> Reply:
        try:
            read = await controller.read(*entities)
        except grpc.aio.AioRpcError as error:
            return _codes(error)
        return "\n".join(sorted(text_format.MessageToString(entity, as_one_line=True) for entity in read))

    return step


def _codes(error: grpc.aio.AioRpcError) -> Reply:
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]
    single = errors(error) if "grpc-status-details-bin" in trailers else []
    return " ".join([error.code().name, *(canonical(e.canonical_code).name for e in single)])


def called(call: Callable[[Controller], Awaitable[object]]) -> Step:
    async def step(controller: Controller) -> Reply:
        try:
            result = await call(controller)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK" if result is None else str(result)

    return step


def entry(alias: str, key: dict[str, Any], action: p4rt.Action | None, **fields: Any) -> p4rt.TableEntry:
    made = EDGE.table_entry(alias, key, action)
    made.MergeFrom(p4rt.TableEntry(**fields))
    return made


def everything(alias: str, **fields: Any) -> p4rt.Entity:
    return p4rt.Entity(table_entry=p4rt.TableEntry(table_id=EDGE.id(alias), **fields))


def default(alias: str, action: p4rt.Action | None) -> p4rt.TableEntry:
    made = p4rt.TableEntry(table_id=EDGE.id(alias), is_default_action=True)
    if action is not None:
        made.action.action.CopyFrom(action)
    return made


def group(group_id: int, *replicas: tuple[int, int]) -> p4rt.Entity:
    made = p4rt.MulticastGroupEntry(multicast_group_id=group_id)
    for port, instance in replicas:
        made.replicas.add(egress_port=port, instance=instance)
    return p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(multicast_group_entry=made))


def session(session_id: int, *replicas: tuple[int, int], length: int = 0) -> p4rt.Entity:
    made = p4rt.CloneSessionEntry(session_id=session_id, packet_length_bytes=length)
    for port, instance in replicas:
        made.replicas.add(egress_port=port, instance=instance)
    return p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(clone_session_entry=made))


def counter(index: int | None, packets: int | None = None) -> p4rt.Entity:
    made = p4rt.CounterEntry(counter_id=EDGE.id("port_rx"))
    if index is not None:
        made.index.index = index
    if packets is not None:
        made.data.packet_count = packets
    return p4rt.Entity(counter_entry=made)


def meter(index: int | None, config: p4rt.MeterConfig | None = None) -> p4rt.Entity:
    made = p4rt.MeterEntry(meter_id=EDGE.id("port_meter"), config=config)
    if index is not None:
        made.index.index = index
    return p4rt.Entity(meter_entry=made)


def digest(size: int) -> p4rt.Entity:
    config = p4rt.DigestEntry.Config(max_list_size=size, max_timeout_ns=1000, ack_timeout_ns=2000)
    return p4rt.Entity(digest_entry=p4rt.DigestEntry(digest_id=EDGE.id("learned_t"), config=config))


BRIDGE = entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 2))
ROUTE = entry("routes", {"tenant": 7, "dst": (0x0A010000, 16)}, EDGE.action("route", 3, 0x0B))
ACL = entry(
    "acl",
    {"hdr.ethernet.src": (0x0A00, 0xFF00), "protocol": (6, 17), "hdr.ipv4.src": 0x0A000001, "ingress_port": 1},
    EDGE.action("drop"),
    priority=10,
)
SOURCE = entry("sources", {"src": 0x0C, "ingress_port": 1}, EDGE.action("NoAction"), idle_timeout_ns=10**10)
RATES = p4rt.MeterConfig(cir=10, cburst=20, pir=30, pburst=40)
REGISTER = p4rt.RegisterEntry(
    register_id=EDGE.id("last_port"), index=p4rt.Index(index=1), data=p4data_pb2.P4Data(bitstring=b"\x05")
)
TYPES = p4rt.ValueSetEntry(
    value_set_id=EDGE.id("routed_types"),
    members=[p4rt.ValueSetMember(match=field_matches(EDGE.p4info.value_sets[0].match, {"1": 0x88B5}))],
)


def balance_member(member_id: int, port: int) -> p4rt.Entity:
    message = p4rt.ActionProfileMember(
        action_profile_id=BALANCE.id("paths"), member_id=member_id, action=BALANCE.action("forward", port)
    )
    return p4rt.Entity(action_profile_member=message)


def balance_group(group_id: int, *members: tuple[int, int], max_size: int = 0) -> p4rt.Entity:
    message = p4rt.ActionProfileGroup(action_profile_id=BALANCE.id("paths"), group_id=group_id, max_size=max_size)
    for member_id, weight in members:
        message.members.add(member_id=member_id, weight=weight)
    return p4rt.Entity(action_profile_group=message)


STEPS: dict[str, Step] = {
    "write before a pipeline": written(insert(BRIDGE)),
    "read before a pipeline": found(everything("bridge")),
    "pipeline of a backup": called(lambda c: c.set_pipeline("VERIFY_AND_COMMIT", EDGE.config, election_id=1)),
    "pipeline without config": called(lambda c: c.set_pipeline("VERIFY_AND_COMMIT", None)),
    "pipeline without device config": called(
        lambda c: c.set_pipeline("VERIFY", p4rt.ForwardingPipelineConfig(p4info=EDGE.p4info))
    ),
    "commit of nothing": called(lambda c: c.set_pipeline("COMMIT", None)),
    "verify": called(lambda c: c.set_pipeline("VERIFY", EDGE.config)),
    "pipeline": called(lambda c: c.set_pipeline("VERIFY_AND_COMMIT", EDGE.config)),
    "insert": written(insert(BRIDGE), insert(ROUTE), insert(ACL), insert(SOURCE)),
    "read": found(*(everything(alias) for alias in ("bridge", "routes", "acl", "sources"))),
    "read const entries": found(everything("tenants")),
    "insert again": written(insert(BRIDGE)),
    "some of a batch fail": written(insert(BRIDGE), delete(BRIDGE), insert(BRIDGE), delete(ACL), insert(ACL)),
    "rollback": written(delete(BRIDGE), insert(ROUTE), atomicity="ROLLBACK_ON_ERROR"),
    "all or nothing": written(delete(BRIDGE), insert(ROUTE), atomicity="DATAPLANE_ATOMIC"),
    "modify": written(modify(entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 3)))),
    "modify nothing": written(modify(entry("bridge", {"dst": 0x0B}, EDGE.action("forward", 3)))),
    "delete nothing": written(delete(entry("bridge", {"dst": 0x0B}, None))),
    "modified": found(everything("bridge")),
    "read with counter": found(everything("bridge", counter_data=p4rt.CounterData())),
    "metadata": written(modify(entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 3), metadata=b"m"))),
    "metadata is read": found(everything("bridge", metadata=b"m")),
    "no update type": written(p4rt.Update(entity=p4rt.Entity(table_entry=BRIDGE))),
    "no entity": written(p4rt.Update(type=p4rt.Update.INSERT)),
    "no table id": written(insert(p4rt.TableEntry())),
    "unknown table": written(insert(p4rt.TableEntry(table_id=0x02FFFFFF))),
    "no action": written(insert(entry("bridge", {"dst": 0x0C}, None))),
    "unknown action": written(insert(entry("bridge", {"dst": 0x0C}, p4rt.Action(action_id=0x01FFFFFF)))),
    "action of another table": written(insert(entry("bridge", {"dst": 0x0C}, EDGE.action("route_drop")))),
    "default-only action": written(insert(entry("bridge", {"dst": 0x0C}, EDGE.action("NoAction")))),
    "no parameter": written(insert(entry("bridge", {"dst": 0x0C}, p4rt.Action(action_id=EDGE.id("forward"))))),
    "parameter too wide": written(insert(entry("bridge", {"dst": 0x0C}, EDGE.action("forward", 512)))),
    "key too wide": written(insert(entry("bridge", {"dst": 1 << 48}, EDGE.action("forward", 1)))),
    "exact field missing": written(insert(entry("bridge", {}, EDGE.action("forward", 1)))),
    "priority where there is none": written(insert(entry("bridge", {"dst": 1}, EDGE.action("drop"), priority=1))),
    "no priority": written(insert(entry("acl", {"ingress_port": 1}, EDGE.action("drop")))),
    "prefix with bits beyond": written(
        insert(entry("routes", {"tenant": 1, "dst": (0x0A010001, 16)}, EDGE.action("route_drop")))
    ),
    "prefix of length 0": written(insert(entry("routes", {"tenant": 1, "dst": (0, 0)}, EDGE.action("route_drop")))),
    "mask 0": written(
        insert(entry("acl", {"hdr.ethernet.src": (0, 0), "ingress_port": 1}, EDGE.action("drop"), priority=1))
    ),
    "range backwards": written(
        insert(entry("acl", {"protocol": (17, 6), "ingress_port": 1}, EDGE.action("drop"), priority=1))
    ),
    "const entries": written(insert(entry("tenants", {}, EDGE.action("set_tenant", 1), priority=1))),
    "default": written(modify(default("bridge", EDGE.action("forward", 1)))),
    "default is read": found(everything("bridge", is_default_action=True)),
    "default back": written(modify(default("bridge", None))),
    "default is back": found(everything("bridge", is_default_action=True)),
    "insert default": written(insert(default("bridge", EDGE.action("drop")))),
    "delete default": written(delete(default("bridge", None))),
    "const default": written(modify(default("routes", EDGE.action("route_drop")))),
    "table-only default": written(modify(default("acl", EDGE.action("police")))),
    "table is full": written(
        *(insert(entry("acl", {"ingress_port": port}, EDGE.action("drop"), priority=1)) for port in range(9))
    ),
    "counter": written(modify(counter(3, 7))),
    "counter is read": found(counter(3)),
    "counters are read": found(counter(None)),
    "counter out of range": written(modify(counter(16, 1))),
    "counter below range": written(modify(counter(-1, 1))),
    "counter is inserted": written(insert(counter(1, 1))),
    "meter": written(modify(meter(2, RATES))),
    "meter is read": found(meter(2)),
    "meter is reset": written(modify(meter(2))),
    "meter reset is read": found(meter(2)),
    "meter out of range": written(modify(meter(8, RATES))),
    "meter with pir below cir": written(modify(meter(1, p4rt.MeterConfig(cir=2, pir=1)))),
    "direct counter": written(
        modify(
            p4rt.Entity(
                direct_counter_entry=p4rt.DirectCounterEntry(table_entry=BRIDGE, data=p4rt.CounterData(packet_count=4))
            )
        )
    ),
    "direct counter is read": found(p4rt.Entity(direct_counter_entry=p4rt.DirectCounterEntry(table_entry=BRIDGE))),
    "direct counter of no entry": found(
        p4rt.Entity(direct_counter_entry=p4rt.DirectCounterEntry(table_entry=entry("bridge", {"dst": 0x77}, None)))
    ),
    "register": written(modify(p4rt.Entity(register_entry=REGISTER))),
    "register is read": found(p4rt.Entity(register_entry=REGISTER)),
    "value set": written(modify(p4rt.Entity(value_set_entry=TYPES))),
    "value set is read": found(p4rt.Entity(value_set_entry=p4rt.ValueSetEntry(value_set_id=TYPES.value_set_id))),
    "multicast": written(insert(group(5, (1, 1), (2, 1)))),
    "multicast is read": found(group(5)),
    "multicast again": written(insert(group(5))),
    "multicast modify": written(modify(group(5, (3, 1)))),
    "multicast modify nothing": written(modify(group(6))),
    "multicast 0": written(insert(group(0))),
    "multicast is deleted": written(delete(group(5))),
    "multicast pair twice": written(insert(group(7, (1, 1), (1, 1)))),
    "clone session": written(insert(session(9, (1, 1)))),
    "clone session is read": found(session(9)),
    "clone session again": written(insert(session(9))),
    "clone session 0": written(insert(session(0))),
    "clone session is deleted": written(delete(session(9)), delete(session(9))),
    "digest": written(insert(digest(3))),
    "digest is read": found(digest(0)),
    "digest again": written(insert(digest(3))),
    "digest is deleted": written(delete(digest(3)), delete(digest(3))),
    "extern": written(insert(p4rt.Entity(extern_entry=p4rt.ExternEntry(extern_type_id=1)))),
    "cookie": called(
        lambda c: c.stub.GetForwardingPipelineConfig(
            p4rt.GetForwardingPipelineConfigRequest(
                device_id=DEVICE_ID, response_type=p4rt.GetForwardingPipelineConfigRequest.COOKIE_ONLY
            )
        )
    ),
    "unknown device": called(
        lambda c: c.stub.GetForwardingPipelineConfig(p4rt.GetForwardingPipelineConfigRequest(device_id=99))
    ),
    "balance": called(lambda c: c.set_pipeline("VERIFY_AND_COMMIT", BALANCE.config)),
    "members": written(insert(balance_member(1, 1)), insert(balance_member(2, 2)), insert(balance_member(1, 3))),
    "member 0": written(insert(balance_member(0, 1))),
    "group": written(insert(balance_group(1, (1, 1), (2, 2), max_size=4))),
    "group again": written(insert(balance_group(1))),
    "group of no member": written(insert(balance_group(2, (7, 1)))),
    "group of weight 0": written(insert(balance_group(3, (1, 0)))),
    "groups and members are read": found(
        p4rt.Entity(action_profile_group=p4rt.ActionProfileGroup()),
        p4rt.Entity(action_profile_member=p4rt.ActionProfileMember()),
    ),
    "group modify": written(modify(balance_group(1, (2, 1), max_size=4))),
    "member in use": written(delete(balance_member(2, 2))),
    "member out of use": written(delete(balance_member(1, 1))),
}


@dataclass(frozen=True)
class Difference:
    """How the replies differ, and why that is right."""

    softswitch: Reply
    bmv2: Reply
    reason: str


DIFFERENCES: dict[str, Difference] = {
    "pipeline without config": Difference(
        "INVALID_ARGUMENT", "OK", "PI takes a request without config for one that asks for nothing."
    ),
    "pipeline without device config": Difference("INVALID_ARGUMENT", "OK", "bmv2 verifies the P4Info alone."),
    "commit of nothing": Difference("NOT_FOUND", "UNKNOWN", "NOT_FOUND is what the specification asks for."),
    "read const entries": Difference(
        "entities", "entities", "bmv2 does not say is_const, and counts priorities down from 2^31."
    ),
    "rollback": Difference("UNKNOWN ABORTED ALREADY_EXISTS", "UNIMPLEMENTED", "PI has only CONTINUE_ON_ERROR."),
    "all or nothing": Difference("UNKNOWN ABORTED ALREADY_EXISTS", "UNIMPLEMENTED", "PI has only CONTINUE_ON_ERROR."),
    "no entity": Difference("UNKNOWN INVALID_ARGUMENT", "UNKNOWN UNKNOWN", "The request can never be right."),
    "unknown table": Difference(
        "UNKNOWN NOT_FOUND",
        "UNKNOWN INVALID_ARGUMENT",
        "What is named is not there; the specification has no word on unknown ids.",
    ),
    "parameter too wide": Difference(
        "UNKNOWN OUT_OF_RANGE",
        "UNKNOWN INVALID_ARGUMENT",
        "The specification: OUT_OF_RANGE for a value that does not fit.",
    ),
    "key too wide": Difference(
        "UNKNOWN OUT_OF_RANGE",
        "UNKNOWN INVALID_ARGUMENT",
        "The specification: OUT_OF_RANGE for a value that does not fit.",
    ),
    "const entries": Difference(
        "UNKNOWN PERMISSION_DENIED", "UNKNOWN UNKNOWN", "The specification: PERMISSION_DENIED."
    ),
    "table is full": Difference(
        "UNKNOWN OK OK OK OK OK OK OK RESOURCE_EXHAUSTED RESOURCE_EXHAUSTED",
        "UNKNOWN OK OK OK OK OK OK OK UNKNOWN UNKNOWN",
        "The specification: RESOURCE_EXHAUSTED.",
    ),
    "counter out of range": Difference("UNKNOWN OUT_OF_RANGE", "UNKNOWN UNKNOWN", "The specification: OUT_OF_RANGE."),
    "meter out of range": Difference("UNKNOWN OUT_OF_RANGE", "UNKNOWN UNKNOWN", "The specification: OUT_OF_RANGE."),
    "meter with pir below cir": Difference(
        "UNKNOWN INVALID_ARGUMENT", "UNKNOWN UNKNOWN", "The request can never be right."
    ),
    "direct counter is read": Difference(
        "entities", "entities", "PI repeats the request's action; what is read is the counter of match and priority."
    ),
    "direct counter of no entry": Difference("UNKNOWN NOT_FOUND", "INVALID_ARGUMENT", "The specification: NOT_FOUND."),
    "register": Difference("OK", "UNKNOWN UNIMPLEMENTED", "Registers work over P4Runtime here."),
    "register is read": Difference(
        'register_entry { register_id: 385330296 index { index: 1 } data { bitstring: "\\005" } }',
        "UNIMPLEMENTED",
        "Registers work over P4Runtime here.",
    ),
    "value set": Difference("OK", "UNKNOWN UNIMPLEMENTED", "Value sets work over P4Runtime here."),
    "value set is read": Difference(
        'value_set_entry { value_set_id: 50698362 members { match { field_id: 1 exact { value: "\\210\\265" } } } }',
        "UNIMPLEMENTED",
        "Value sets work over P4Runtime here.",
    ),
    "unknown device": Difference("NOT_FOUND", "FAILED_PRECONDITION", "The specification: NOT_FOUND."),
    "member 0": Difference("UNKNOWN INVALID_ARGUMENT", "OK", "The specification: ids are not 0."),
    "groups and members are read": Difference("entities", "entities", "PI keeps a group that it has refused."),
    "member in use": Difference(
        "UNKNOWN FAILED_PRECONDITION", "UNKNOWN UNKNOWN", "The specification: FAILED_PRECONDITION."
    ),
}


@asynccontextmanager
async def connected(kind: Kind) -> AsyncIterator[Controller]:
    with free_address(kind) as address:
        async with kind.start(address), grpc.aio.insecure_channel(address) as channel:
            stub = p4runtime_pb2_grpc.P4RuntimeStub(channel)  # type: ignore[no-untyped-call]
            controller = Controller(stub, device_id=DEVICE_ID)
            await controller.become(10)
            yield controller


async def replies(kind: Kind) -> dict[str, Reply]:
    async with connected(kind) as controller:
        return {name: await step(controller) for name, step in STEPS.items()}


def brief(reply: Reply) -> Reply:
    """Several entities, or one that is a group, in one word."""
    return "entities" if reply.count("_entry {") > 1 or "action_profile_group {" in reply else reply


async def test_the_same_session_with_both() -> None:
    require(BMV2)
    softswitch, bmv2 = await replies(SOFTSWITCH), await replies(BMV2)
    differing = {n: (brief(softswitch[n]), brief(bmv2[n])) for n in STEPS if softswitch[n] != bmv2[n]}
    assert differing == {name: (known.softswitch, known.bmv2) for name, known in DIFFERENCES.items()}


async def arbitrated(kind: Kind) -> list[object]:
    """Two clients of one role: what each of them hears.

    bmv2 does not answer a client that announces itself once more without becoming primary, takes any device id, and
    promotes a backup when the primary leaves; the rest is alike.
    """
    heard: list[object] = []
    async with connected(kind) as first:
        second, third = (Controller(first.stub, device_id=DEVICE_ID) for _ in range(2))

        async def hear(controller: Controller) -> None:
            update = (await controller.receive("arbitration")).arbitration
            heard.append((update.status.code, update.election_id.low, update.role.name))

        await second.announce(5)
        await hear(second)
        await second.announce(11)
        await hear(second)
        await hear(first)
        heard.append(await called(lambda c: c.write())(first))
        await third.announce(11)
        heard.append((await third.closed()).name)
    return heard


async def test_arbitration_with_both() -> None:
    require(BMV2)
    heard = await arbitrated(SOFTSWITCH)
    assert heard == await arbitrated(BMV2)
    assert heard[-2:] == ["PERMISSION_DENIED", "INVALID_ARGUMENT"]
