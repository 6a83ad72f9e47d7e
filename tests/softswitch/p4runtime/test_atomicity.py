"""Batches: every update is all or nothing, and so is the whole batch where the request says so."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import BatchError, Code
from softswitch.p4runtime.pipeline import Pipeline, VerifiedConfig, verify
from softswitch.p4runtime.reader import read_batch
from softswitch.p4runtime.writer import write_batch
from softswitch.state import SwitchState
from tests.softswitch.clock import Clock
from tests.softswitch.p4runtime.p4 import delete, insert, load, modify
from tests.softswitch.p4runtime.patience import patient
from tests.softswitch.p4runtime.rig import Rig

EDGE, BALANCE = load("edge"), load("balance")
ALL_OR_NOTHING = ("ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC")
Atomicity = p4rt.WriteRequest.Atomicity


def bridge(address: int, port: int = 2) -> p4rt.TableEntry:
    return EDGE.table_entry("bridge", {"dst": address}, EDGE.action("forward", port))


def everything() -> list[p4rt.Entity]:
    entry = p4rt.TableEntry(counter_data=p4rt.CounterData(), meter_config=p4rt.MeterConfig())
    replication = p4rt.PacketReplicationEngineEntry
    return [
        p4rt.Entity(table_entry=entry),
        p4rt.Entity(table_entry=p4rt.TableEntry(is_default_action=True)),
        p4rt.Entity(action_profile_member=p4rt.ActionProfileMember()),
        p4rt.Entity(action_profile_group=p4rt.ActionProfileGroup()),
        p4rt.Entity(counter_entry=p4rt.CounterEntry()),
        p4rt.Entity(meter_entry=p4rt.MeterEntry()),
        p4rt.Entity(register_entry=p4rt.RegisterEntry()),
        p4rt.Entity(value_set_entry=p4rt.ValueSetEntry()),
        p4rt.Entity(digest_entry=p4rt.DigestEntry()),
        p4rt.Entity(packet_replication_engine_entry=replication(multicast_group_entry=p4rt.MulticastGroupEntry())),
        p4rt.Entity(packet_replication_engine_entry=replication(clone_session_entry=p4rt.CloneSessionEntry())),
    ]


async def test_without_atomicity_the_good_updates_of_a_batch_stay(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    outcomes = await controller.try_write(insert(bridge(1)), insert(bridge(1, 3)), insert(bridge(2)))
    assert [error.canonical_code for error in outcomes] == [Code.OK, Code.ALREADY_EXISTS, Code.OK]
    assert outcomes[0] == p4rt.Error()
    assert outcomes[1].space
    assert outcomes[1].code == Code.ALREADY_EXISTS
    wanted = p4rt.TableEntry(table_id=EDGE.id("bridge"))
    assert await controller.read_tables(wanted) == [bridge(1), bridge(2)]


@pytest.mark.parametrize("atomicity", ALL_OR_NOTHING)
async def test_with_atomicity_one_bad_update_spoils_the_batch(rig: Rig, atomicity: str) -> None:
    controller = await rig.primary(EDGE)
    counted = bridge(9)
    counted.counter_data.packet_count = 5
    counted.metadata = b"before"
    await controller.write(insert(counted))
    before = await controller.read(*everything())
    outcomes = await controller.try_write(
        insert(bridge(1)),
        modify(bridge(9, 1)),
        delete(bridge(9)),
        insert(bridge(1)),
        insert(bridge(2)),
        atomicity=atomicity,
    )
    codes = [error.canonical_code for error in outcomes]
    assert codes == [Code.ABORTED, Code.ABORTED, Code.ABORTED, Code.ALREADY_EXISTS, Code.ABORTED]
    assert await controller.read(*everything()) == before
    await controller.write(insert(bridge(1)), delete(bridge(9)), atomicity=atomicity)
    assert await controller.read_tables(p4rt.TableEntry(table_id=EDGE.id("bridge"))) == [bridge(1)]


async def test_a_batch_as_large_as_the_table_and_its_hundred_refusals(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    outcomes = await controller.try_write(*[insert(bridge(address)) for address in range(164)])
    assert [error.canonical_code for error in outcomes] == [Code.OK] * 64 + [Code.RESOURCE_EXHAUSTED] * 100


async def test_an_unknown_atomicity_and_an_empty_batch(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    request = controller.request(insert(bridge(1)))
    request.MergeFromString(b"\x28\x09")  # atomicity: 9
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.stub.Write(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    await controller.write()


# What follows drives the same code without gRPC, to try many batches.


def edge_updates() -> list[p4rt.Update]:
    acl = EDGE.table_entry("acl", {"protocol": (1, 6), "ingress_port": 1}, EDGE.action("police"), priority=10)
    acl.meter_config.MergeFrom(p4rt.MeterConfig(cir=1, cburst=2, pir=3, pburst=4))
    bad_meter = p4rt.TableEntry()
    bad_meter.CopyFrom(acl)
    bad_meter.meter_config.pir = 0
    route = EDGE.table_entry("routes", {"tenant": 7, "dst": (0x0A000000, 8)}, EDGE.action("route", 3, 0x0B))
    route.counter_data.packet_count = 5
    route.metadata = b"kept"
    source = EDGE.table_entry("sources", {"src": 1, "ingress_port": 1}, EDGE.action("NoAction"))
    source.idle_timeout_ns = 1000
    default = EDGE.table_entry("bridge", None, EDGE.action("flood", 1))
    default.is_default_action = True
    key = p4rt.TableEntry(table_id=route.table_id, match=route.match)
    group = p4rt.MulticastGroupEntry(multicast_group_id=1, replicas=[p4rt.Replica(port=b"\x02", instance=1)])
    other_group = p4rt.MulticastGroupEntry(multicast_group_id=1, metadata=b"other")
    session = p4rt.CloneSessionEntry(session_id=1, replicas=[p4rt.Replica(egress_port=2)])
    other_session = p4rt.CloneSessionEntry(session_id=1, packet_length_bytes=64)
    data = p4data_pb2.P4Data(bitstring=b"\x63")
    register = p4rt.RegisterEntry(register_id=EDGE.id("last_source"), index=p4rt.Index(index=3), data=data)
    whole = p4rt.RegisterEntry(register_id=EDGE.id("last_source"), data=data)
    count = p4rt.CounterData(packet_count=9, byte_count=1)
    counter = p4rt.CounterEntry(counter_id=EDGE.id("port_rx"), index=p4rt.Index(index=2), data=count)
    meter = p4rt.MeterEntry(
        meter_id=EDGE.id("port_meter"), index=p4rt.Index(index=2), config=p4rt.MeterConfig(cir=1, pir=1)
    )
    exact = p4rt.FieldMatch.Exact(value=b"\x08")
    types = p4rt.ValueSetEntry(
        value_set_id=EDGE.id("routed_types"),
        members=[p4rt.ValueSetMember(match=[p4rt.FieldMatch(field_id=1, exact=exact)])],
    )
    digest = p4rt.DigestEntry(
        digest_id=EDGE.id("learned_t"), config=p4rt.DigestEntry.Config(max_list_size=2, ack_timeout_ns=5)
    )
    entities = [
        *(
            p4rt.Entity(table_entry=entry)
            for entry in (acl, bad_meter, route, source, default, bridge(1), bridge(2, 3))
        ),
        *(
            p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(multicast_group_entry=entry))
            for entry in (group, other_group)
        ),
        *(
            p4rt.Entity(packet_replication_engine_entry=p4rt.PacketReplicationEngineEntry(clone_session_entry=entry))
            for entry in (session, other_session)
        ),
        p4rt.Entity(register_entry=register),
        p4rt.Entity(register_entry=whole),
        p4rt.Entity(counter_entry=counter),
        p4rt.Entity(meter_entry=meter),
        p4rt.Entity(direct_counter_entry=p4rt.DirectCounterEntry(table_entry=key, data=count)),
        p4rt.Entity(
            direct_meter_entry=p4rt.DirectMeterEntry(
                table_entry=p4rt.TableEntry(table_id=acl.table_id, match=acl.match, priority=10)
            )
        ),
        p4rt.Entity(value_set_entry=types),
        p4rt.Entity(digest_entry=digest),
        p4rt.Entity(extern_entry=p4rt.ExternEntry()),
        p4rt.Entity(),
    ]
    return [change(entity) for entity in entities for change in (insert, modify, delete)]


def balance_updates() -> list[p4rt.Update]:
    paths = BALANCE.id("paths")
    members = [
        p4rt.ActionProfileMember(
            action_profile_id=paths, member_id=number, action=BALANCE.action("forward", number + shift)
        )
        for number in (1, 2)
        for shift in (0, 1)
    ]
    groups = [
        p4rt.ActionProfileGroup(
            action_profile_id=paths,
            group_id=1,
            max_size=4,
            members=[
                p4rt.ActionProfileGroup.Member(member_id=number, weight=weight, watch_port=b"\x01")
                for number, weight in shares
            ],
        )
        for shares in ((), ((1, 1),), ((1, 2), (2, 2)), ((1, 1), (1, 1)), ((2, 5),))
    ]
    entries = []
    for service in (1, 2):
        for action in (
            p4rt.TableAction(action_profile_member_id=service),
            p4rt.TableAction(action_profile_group_id=1),
            p4rt.TableAction(
                action_profile_action_set=p4rt.ActionProfileActionSet(
                    action_profile_actions=[
                        p4rt.ActionProfileAction(action=BALANCE.action("forward", port), weight=service)
                        for port in (1, 2)
                    ]
                )
            ),
        ):
            entry = BALANCE.table_entry("service", {"service": service})
            entry.action.CopyFrom(action)
            entries.append(entry)
    entities = [
        *(p4rt.Entity(action_profile_member=message) for message in members),
        *(p4rt.Entity(action_profile_group=message) for message in groups),
        *(p4rt.Entity(table_entry=message) for message in entries),
    ]
    return [change(entity) for entity in entities for change in (insert, modify, delete)]


def mutate(update: p4rt.Update, position: float, octet: int) -> p4rt.Update:
    """The update with one octet of its encoding replaced, or as it was if that is no message any more."""
    encoded = bytearray(update.SerializeToString())
    if encoded:
        encoded[int(position * len(encoded))] = octet
    try:
        return p4rt.Update.FromString(bytes(encoded))
    except DecodeError:
        return update


def updates_of(base: list[p4rt.Update]) -> st.SearchStrategy[list[p4rt.Update]]:
    plain = st.sampled_from(base)
    mutated = st.builds(mutate, plain, st.floats(0, 1, exclude_max=True), st.integers(0, 255))
    return st.lists(st.one_of(plain, plain, plain, mutated), max_size=14)


NOW = Clock()
VERIFIED: dict[str, VerifiedConfig] = {name: verify(load(name).config) for name in ("edge", "balance")}


def pipeline_of(name: str) -> Pipeline:
    return Pipeline(VERIFIED[name], SwitchState(VERIFIED[name].program, NOW))


def snapshot(pipeline: Pipeline) -> object:
    """All that reads show, in no particular order, and what they do not: times, references, members of one-shots."""
    entities, outcomes = read_batch(pipeline, everything())
    assert outcomes == [None] * len(outcomes)
    hidden: list[object] = [
        *sorted(map(str, pipeline.state.multicast)),
        *sorted(map(str, pipeline.state.clone_sessions)),
    ]
    hidden += [
        sorted((str(entry.match), entry.priority, entry.last_hit_ns) for entry in table.entries())
        for table in pipeline.state.tables.values()
    ]
    for name, profile in pipeline.state.action_profiles.items():
        groups = [([share.weight for share in group.members.values()], group.references) for group in profile.groups()]
        members = [(member.call.params, member.references) for member in profile.members()]
        hidden.append((sorted(groups), sorted(members)))
        if name == "BalanceIngress.paths":
            assert pipeline.notes.group_sizes.get(name, 0) == sum(sum(weights) for weights, _ in groups)
    return sorted(entity.SerializeToString(deterministic=True) for entity in entities), hidden


def outcomes_of(pipeline: Pipeline, updates: list[p4rt.Update], atomicity: str) -> list[Code]:
    codes = [Code.OK] * len(updates)
    try:
        write_batch(pipeline, updates, Atomicity.Value(atomicity))  # type: ignore[arg-type]
    except BatchError as error:
        codes = [Code.OK if outcome is None else outcome.code for outcome in error.outcomes]
    assert len(codes) == len(updates)
    assert Code.INTERNAL not in codes
    return codes


programs: list[tuple[str, Callable[[], list[p4rt.Update]]]] = [("edge", edge_updates), ("balance", balance_updates)]


HISTORIES: dict[str, list[Callable[[], list[p4rt.Update]]]] = {
    "edge": [edge_updates],
    # A selector takes either style, so there is one history for each.
    "balance": [balance_updates, lambda: [u for u in balance_updates() if u.entity.HasField("table_entry")]],
}


@pytest.mark.parametrize(("name", "base"), programs)
def test_every_pair_of_updates_is_taken_back(name: str, base: Callable[[], list[p4rt.Update]]) -> None:
    """The third update of each batch fails, so that whatever the first two did has to be undone."""
    failing = p4rt.Update(type=p4rt.Update.INSERT)
    undone = 0
    for history in HISTORIES[name]:
        pipeline = pipeline_of(name)
        outcomes_of(pipeline, [u for u in history() if u.type == p4rt.Update.INSERT], "CONTINUE_ON_ERROR")
        NOW.advance(1)
        before = snapshot(pipeline)
        for first in base():
            for second in base():
                if related(first.entity) == related(second.entity):
                    codes = outcomes_of(pipeline, [first, second, failing], "DATAPLANE_ATOMIC")
                    undone += codes[2] == Code.INVALID_ARGUMENT
                    assert snapshot(pipeline) == before, (first, second)
    assert undone > 100


def related(entity: p4rt.Entity) -> str:
    """The part of the switch that an entity is about."""
    kind = str(entity.WhichOneof("entity"))
    return "table_entry" if kind.startswith(("direct", "action")) else kind


@pytest.mark.parametrize(("name", "base"), programs)
def test_a_refused_update_changes_nothing(name: str, base: Callable[[], list[p4rt.Update]]) -> None:
    @settings(patient, max_examples=60)
    @given(updates_of(base()))
    def holds(updates: list[p4rt.Update]) -> None:
        pipeline, together = pipeline_of(name), pipeline_of(name)
        codes = []
        for update in updates:
            before = snapshot(pipeline)
            codes += outcomes_of(pipeline, [update], "CONTINUE_ON_ERROR")
            if codes[-1] != Code.OK:
                assert snapshot(pipeline) == before
        assert outcomes_of(together, updates, "CONTINUE_ON_ERROR") == codes
        assert snapshot(together) == snapshot(pipeline)

    holds()


@pytest.mark.parametrize("atomicity", ALL_OR_NOTHING)
@pytest.mark.parametrize(("name", "base"), programs)
def test_an_atomic_batch_is_all_or_nothing(name: str, base: Callable[[], list[p4rt.Update]], atomicity: str) -> None:
    @settings(patient, max_examples=50)
    @given(updates_of(base()), updates_of(base()))
    def holds(history: list[p4rt.Update], updates: list[p4rt.Update]) -> None:
        pipeline, other = pipeline_of(name), pipeline_of(name)
        for one in (pipeline, other):
            outcomes_of(one, history, "CONTINUE_ON_ERROR")
        before = snapshot(pipeline)
        codes = outcomes_of(pipeline, updates, atomicity)
        expected = outcomes_of(other, updates, "CONTINUE_ON_ERROR")
        if set(codes) <= {Code.OK}:
            assert set(expected) <= {Code.OK}
            assert snapshot(pipeline) == snapshot(other)
        else:
            assert Code.OK not in codes
            assert snapshot(pipeline) == before
            first = next(index for index, code in enumerate(expected) if code != Code.OK)
            assert [code != Code.ABORTED for code in codes] == [index == first for index in range(len(codes))]
            assert codes[first] == expected[first]

    holds()
