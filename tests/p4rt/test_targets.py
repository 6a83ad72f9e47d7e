"""The client and the writer against switches that execute the program."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from grpc import StatusCode

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef, WeightedAction
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    CounterCell,
    CounterData,
    DigestConfig,
    DirectCounter,
    Entity,
    GroupMember,
    MeterCell,
    MeterConfig,
    MulticastGroup,
    RegisterCell,
    Replica,
    State,
    TableEntry,
    ValueSet,
)
from controller.p4rt.errors import RpcError, WriteError
from controller.p4rt.failures import Failure
from controller.p4rt.matches import Exact, Lpm, Match, Optional, Range, Ternary
from controller.p4rt.p4info import P4Info
from controller.p4rt.packetio import PacketIn, PacketOut
from controller.p4rt.pipeline import Pipeline, PipelineMode
from controller.p4rt.readback import (
    StateReader,
    read_counter,
    read_default,
    read_direct_counters,
    read_register,
    read_table,
)
from controller.p4rt.reconcile import Writer
from controller.p4rt.stream import StreamState
from controller.p4rt.target import Target
from controller.p4rt.values import as_int
from tests.p4rt.support import QUICK, catalogue, connected, until
from tests.p4rt.targets import BMV2, CPU_PORT, DEVICE_ID, SOFTSWITCH, Kind, frame, free_address, require

SELECTOR = "CatalogueIngress.nexthop_selector"


@pytest.fixture(params=[SOFTSWITCH, BMV2], ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    require(kind)
    return kind


@pytest.fixture
async def address(kind: Kind) -> AsyncIterator[str]:
    with free_address(kind) as address:
        async with kind.start(address):
            yield address


@asynccontextmanager
async def control(address: str, pipeline: Pipeline | None = None) -> AsyncIterator[P4RuntimeClient]:
    async with connected(address, pipeline or catalogue(), device_id=DEVICE_ID) as client:
        yield client


@pytest.fixture
async def client(address: str) -> AsyncIterator[P4RuntimeClient]:
    async with control(address) as client:
        await client.ensure_pipeline()
        yield client


async def settled(writer: Writer) -> tuple[Failure, ...]:
    async with asyncio.timeout(20):
        return await writer.settled()


def deliver(mark: int, port: int = CPU_PORT) -> Action:
    return Action("CatalogueIngress.deliver", {"port": port, "mark": mark})


def route(prefix: str, action: Action) -> TableEntry:
    match: dict[str, Match] = {"vrf": Exact(1), "dst": Lpm.network(IPv4Network(prefix))}
    return TableEntry("CatalogueIngress.routes4", match, action)


def nexthop(number: int, target: GroupRef | MemberRef | ActionSet) -> TableEntry:
    return TableEntry("CatalogueIngress.nexthops", {"nexthop": Exact(number)}, target)


def port(number: int, vrf: int) -> TableEntry:
    call = Action("CatalogueIngress.set_vrf", {"vrf": vrf})
    return TableEntry("CatalogueIngress.ports", {"port": Exact(number), "vrf": Exact(1)}, call)


def to_nexthop(number: int) -> Action:
    return Action("CatalogueIngress.set_nexthop", {"nexthop": number})


def copies(*instances: int) -> list[Replica]:
    return [Replica(CPU_PORT, instance) for instance in instances]


def everything(kind: Kind) -> list[State]:
    """An entity of every kind that the switch knows, so that they refer to each other."""
    found: list[State] = [
        *(ActionProfileMember(SELECTOR, number, deliver(number)) for number in (1, 2, 3)),
        ActionProfileGroup(SELECTOR, 1, [GroupMember(1), GroupMember(2, 3)]),
        ActionProfileGroup(SELECTOR, 2, [GroupMember(3, 2, watch_port=9)]),
        nexthop(1, GroupRef(1)),
        nexthop(2, GroupRef(2)),
        nexthop(3, MemberRef(2)),
        ActionProfileMember("CatalogueIngress.tag_profile", 1, Action("CatalogueIngress.tag", {"value": 7})),
        TableEntry("CatalogueIngress.tags", {"tos": Exact(4)}, MemberRef(1)),
        MulticastGroup(1, [*copies(1, 2), Replica(0, 3)]),
        CloneSession(7, copies(5), packet_length=60 if kind.truncates_clones else 0),
        DigestConfig("learn_t", max_list_size=1),
        MeterCell("CatalogueIngress.vrf_rate", 2, MeterConfig(1000, 100, 2000, 200)),
        port(9, vrf=1),
        TableEntry(
            "CatalogueIngress.acl",
            {"src": Ternary(0x10, 0xF0), "type": Range(0x800, 0x86DD), "vrf": Optional(1)},
            Action("CatalogueIngress.copy_to_cpu", {"mark": 3}),
            priority=10,
        ),
        TableEntry(
            "CatalogueIngress.acl", {}, Action("CatalogueIngress.limit"), priority=1, meter=MeterConfig(10, 1, 20, 2)
        ),
        route("10.0.0.0/8", to_nexthop(1)),
        TableEntry("CatalogueIngress.routes4", {"vrf": Exact(2)}, deliver(9), idle_timeout_ns=10**12, metadata=b"m"),
        TableEntry("CatalogueIngress.routes6", {"vrf": Exact(1), "dst": Lpm(1 << 127, 1)}, deliver(6)),
        TableEntry.default("CatalogueIngress.routes4", deliver(404)),
    ]
    if kind.value_sets:
        found.append(ValueSet("CatalogueParser.tunnel_types", [{"field1": Exact(5)}, {"field1": Exact(6)}]))
    return found


async def state_of(client: P4RuntimeClient, mentioned: list[State]) -> set[Entity]:
    """All reconcilable state that is not the program's own."""
    codec = client.codec
    found = await StateReader(client, {entity.key: entity for entity in map(codec.encode, mentioned)}).read()
    tables = [codec.table(table.name) for table in codec.info.tables if table.default_is_settable]
    defaults = {table.initial_default() for table in tables}
    return {codec.decode_bytes(entity.wire) for entity in found if entity not in defaults}


class Packets:
    """What comes back from a switch for the packets it is sent."""

    def __init__(self, client: P4RuntimeClient) -> None:
        self._client = client
        self._received = client.stream.packets.subscribe()

    async def send(self, payload: bytes, *, egress_port: int = 0, group: int = 0, vrf: int = 1) -> None:
        metadata = {"egress_port": egress_port, "multicast_group": group, "vrf": vrf}
        await self._client.stream.send_packet(PacketOut(payload, metadata))

    async def receive(self, count: int) -> list[PacketIn]:
        """That many packets, and no more that would come at once after them."""
        packets = await self._next(count)
        await self.none()
        return packets

    async def _next(self, count: int) -> list[PacketIn]:
        async with asyncio.timeout(10):
            return [await anext(self._received) for _ in range(count)]

    async def none(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(self._received)

    async def exchange(self, payloads: list[bytes]) -> list[PacketIn]:
        """One packet back for each that is sent; never more under way than bmv2's queues hold."""
        back: list[PacketIn] = []
        for start in range(0, len(payloads), 32):
            some = payloads[start : start + 32]
            for payload in some:
                await self.send(payload)
            back += await self._next(len(some))
        return back

    async def marks(self, payload: bytes, count: int = 1) -> list[int]:
        """The marks of the packets that one packet leads to."""
        await self.send(payload)
        return sorted(as_int(packet.metadata["mark"]) for packet in await self.receive(count))


async def test_everything_is_written_and_read_back_and_a_restart_writes_nothing(kind: Kind, address: str) -> None:
    wanted = everything(kind)
    async with control(address) as client, Writer(client) as writer:
        writer.set_desired(wanted)
        assert await settled(writer) == ()
        assert writer.stats.updates == len(wanted)
        assert await state_of(client, wanted) == set(wanted)
    async with control(address) as client, Writer(client) as writer:
        writer.set_desired(wanted)
        assert await settled(writer) == ()
        assert writer.stats.updates == 0
        assert writer.stats.synchronizations == 1
        writer.set_desired([])
        assert await settled(writer) == ()
        assert await state_of(client, wanted) == set()


async def test_another_state_takes_the_place_of_the_first(kind: Kind, client: P4RuntimeClient) -> None:
    second: list[State] = [
        ActionProfileMember(SELECTOR, 2, deliver(22)),
        ActionProfileMember(SELECTOR, 4, deliver(4)),
        ActionProfileGroup(SELECTOR, 1, [GroupMember(2), GroupMember(4, 2)]),
        ActionProfileGroup(SELECTOR, 3, [GroupMember(4)]),
        nexthop(1, GroupRef(3)),
        nexthop(2, MemberRef(4)),
        nexthop(4, GroupRef(1)),
        MulticastGroup(1, copies(2, 4)),
        MulticastGroup(2, copies(1)),
        CloneSession(7, copies(6)),
        DigestConfig("learn_t", max_list_size=2),
        route("10.0.0.0/8", deliver(1)),
        route("10.0.0.0/9", deliver(2)),
        TableEntry.default("CatalogueIngress.routes6", deliver(66)),
    ]
    async with Writer(client) as writer:
        for wanted in (everything(kind), second, everything(kind)):
            writer.set_desired(wanted)
            assert await settled(writer) == ()
            found = await state_of(client, wanted)
            assert (found if kind.clears_meters else without_inherited_meters(found, wanted)) == set(wanted)


def without_inherited_meters(found: set[Entity], wanted: list[State]) -> set[Entity]:
    """bmv2 gives a new entry the meter of an earlier one in its place; P4Runtime has no update that takes it away."""
    unlimited = {entity.key() for entity in wanted if isinstance(entity, TableEntry) and entity.meter is None}
    return {
        replace(entity, meter=None) if isinstance(entity, TableEntry) and entity.key() in unlimited else entity
        for entity in found
    }


async def test_a_switch_that_restarts_gets_everything_back(kind: Kind) -> None:
    wanted = everything(kind)
    with free_address(kind) as address:
        client = P4RuntimeClient(Target(address, DEVICE_ID), catalogue(), backoff=QUICK)
        async with client, Writer(client) as writer:
            writer.set_desired(wanted)
            for term in (1, 2):
                async with kind.start(address):
                    await until(lambda term=term: writer.stats.synchronizations == term)  # type: ignore[misc]
                    assert await settled(writer) == ()
                    assert await state_of(client, wanted) == set(wanted)
                await until(lambda: client.stream.state is StreamState.DISCONNECTED)


async def test_packets_go_out_and_come_in(client: P4RuntimeClient) -> None:
    packets = Packets(client)
    await packets.send(b"straight back", egress_port=CPU_PORT)
    (packet,) = await packets.receive(1)
    assert packet.payload[:13] == b"straight back"
    assert packet.metadata == {"ingress_port": CPU_PORT, "_pad": 0, "mark": 0, "replica": 0}


async def test_tables_decide(client: P4RuntimeClient) -> None:
    packets = Packets(client)
    await client.insert(route("10.0.0.0/8", deliver(8)), route("10.1.0.0/16", deliver(16)))
    await client.modify(TableEntry.default("routes4", deliver(404)))
    assert await packets.marks(frame("10.9.0.1")) == [8]
    assert await packets.marks(frame("10.1.0.1")) == [16]
    assert await packets.marks(frame("11.0.0.1")) == [404]
    await client.delete(route("10.1.0.0/16", deliver(0)))
    assert await packets.marks(frame("10.1.0.1")) == [8]
    own = await read_default(client, "routes6")
    assert own == TableEntry.default("CatalogueIngress.routes6", Action("CatalogueIngress.drop"))


async def test_weights_are_the_shares_of_flows(client: P4RuntimeClient) -> None:
    """A group's members and a one-shot set's actions get packets in the proportion of their weights."""
    chance = random.Random(1)  # a CRC spreads flows that differ regularly just as regularly
    sources = [str(IPv4Address(chance.getrandbits(32))) for _ in range(1600)]
    flows = [frame("10.0.0.1", chance.getrandbits(16), source) for source in sources]
    groups: list[State] = [
        *(ActionProfileMember(SELECTOR, number, deliver(number)) for number in (1, 2, 3)),
        ActionProfileGroup(SELECTOR, 1, [GroupMember(1, 1), GroupMember(2, 2), GroupMember(3, 5)]),
        nexthop(1, GroupRef(1)),
        route("10.0.0.0/8", to_nexthop(1)),
    ]
    shares = [WeightedAction(deliver(number), weight) for number, weight in ((1, 1), (2, 2), (3, 5))]
    one_shot: list[State] = [nexthop(1, ActionSet(shares)), route("10.0.0.0/8", to_nexthop(1))]
    packets = Packets(client)
    async with Writer(client) as writer:
        for wanted in (groups, [], one_shot):
            writer.set_desired(wanted)
            assert await settled(writer) == ()
            if not wanted:
                continue
            counts = Counter(packet.metadata["mark"] for packet in await packets.exchange(flows))
            for mark, weight in ((1, 1), (2, 2), (3, 5)):
                assert counts[mark] == pytest.approx(len(flows) * weight / 8, rel=0.25), counts


async def test_a_weighted_member_changes_everywhere(client: P4RuntimeClient) -> None:
    """PI keeps a member of weight n as n members; they have to change together."""
    await client.insert(ActionProfileMember(SELECTOR, 1, deliver(1)))
    await client.insert(ActionProfileGroup(SELECTOR, 1, [GroupMember(1, 4)]))
    await client.insert(nexthop(1, GroupRef(1)), route("10.0.0.0/8", to_nexthop(1)))
    packets = Packets(client)
    await client.modify(ActionProfileMember(SELECTOR, 1, deliver(2)))
    flows = [frame("10.0.0.1", number) for number in range(50)]
    assert {packet.metadata["mark"] for packet in await packets.exchange(flows)} == {2}


async def test_watch_ports_come_back(kind: Kind, client: P4RuntimeClient) -> None:
    """PI tells one watch port for all members of a group; that costs a write that changes nothing, no more."""
    wanted: list[State] = [
        *(ActionProfileMember(SELECTOR, number, deliver(number)) for number in (1, 2)),
        ActionProfileGroup(SELECTOR, 1, [GroupMember(1, 1, watch_port=9), GroupMember(2)]),
    ]
    for term in range(2):
        async with Writer(client) as writer:
            writer.set_desired(wanted)
            assert await settled(writer) == ()
            if term == 1:
                assert writer.stats.updates == (0 if kind.tells_watch_ports else 1)


async def test_multicast_copies_once_for_each_replica(client: P4RuntimeClient) -> None:
    packets = Packets(client)
    await client.insert(MulticastGroup(1, copies(1, 2, 3)))
    await packets.send(b"x" * 60, group=1)
    assert sorted(packet.metadata["replica"] for packet in await packets.receive(3)) == [1, 2, 3]
    await client.modify(MulticastGroup(1, copies(2, 7)))
    await packets.send(b"x" * 60, group=1)
    assert sorted(packet.metadata["replica"] for packet in await packets.receive(2)) == [2, 7]
    await client.delete(MulticastGroup(1))
    await packets.send(b"x" * 60, group=1)
    await packets.none()


async def test_clones_are_made(client: P4RuntimeClient) -> None:
    packets = Packets(client)
    copy = Action("CatalogueIngress.copy_to_cpu", {"mark": 5})
    await client.insert(CloneSession(7, copies(3)), TableEntry("acl", {}, copy, priority=1))
    await client.insert(route("10.0.0.0/8", to_nexthop(9)))
    await packets.send(frame("10.0.0.1"))
    (clone,) = await packets.receive(1)  # the original goes to port 0
    assert (clone.metadata["mark"], clone.metadata["replica"]) == (5, 3)


@pytest.mark.parametrize("mode", list(PipelineMode))
async def test_a_pipeline_set_again_leaves_no_replicas_behind(client: P4RuntimeClient, mode: PipelineMode) -> None:
    packets = Packets(client)
    other = Pipeline(client.pipeline.info, client.pipeline.device_config, client.pipeline.cookie + 1)
    wanted: list[State] = [MulticastGroup(1, copies(1)), CloneSession(7, copies(1)), route("10.0.0.0/8", deliver(8))]
    async with Writer(client) as writer:
        writer.set_desired(wanted)
        assert await settled(writer) == ()
    client.pipeline = other
    async with Writer(client, mode=mode) as writer:
        writer.set_desired(wanted)
        assert await settled(writer) == ()
        assert writer.stats.updates == (3 if mode is PipelineMode.CLEAR else 2)
        await packets.send(b"x" * 60, group=1)
        await packets.receive(1)
        assert await packets.marks(frame("10.0.0.1")) == [8]
        assert await client.pipeline_cookie() == other.cookie


async def test_a_switch_without_a_pipeline_survives_being_asked_to_preserve(address: str) -> None:
    async with control(address) as client, Writer(client, mode=PipelineMode.PRESERVE) as writer:
        writer.set_desired([MulticastGroup(1, copies(1))])
        assert await settled(writer) == ()
        assert writer.stats.inserted == 1


async def test_digests_are_learned_and_acknowledged(client: P4RuntimeClient) -> None:
    packets = Packets(client)
    await client.insert(DigestConfig("learn_t", max_list_size=1))
    await client.insert(TableEntry("acl", {}, Action("learn"), priority=1))
    with client.stream.digests.subscribe() as digests:
        for _ in range(2):
            await packets.send(frame("10.0.0.1"))
            async with asyncio.timeout(10):
                learned = await anext(digests)
            assert learned.digest == "learn_t"
            assert learned.data == ({"mac": 0x020000000001, "port": CPU_PORT},)
            await client.stream.acknowledge(learned)


async def test_entries_age(client: P4RuntimeClient) -> None:
    aged = TableEntry("CatalogueIngress.routes4", {"vrf": Exact(1)}, deliver(1), idle_timeout_ns=600_000_000)
    with client.stream.idle_timeouts.subscribe() as notices:
        await client.insert(aged)
        async with asyncio.timeout(10):
            notice = await anext(notices)
    assert [entry.key() for entry in notice.entries] == [aged.key()]
    assert notice.entries[0].idle_timeout_ns == aged.idle_timeout_ns


async def test_counters_count(kind: Kind, client: P4RuntimeClient) -> None:
    packets = Packets(client)
    used, unused = port(CPU_PORT, vrf=2), port(1, vrf=2)
    route2 = TableEntry("CatalogueIngress.routes4", {"vrf": Exact(2)}, deliver(2))
    await client.insert(used, unused, route2)
    for _ in range(3):
        assert await packets.marks(frame("10.0.0.1")) == [2]
    counters = await read_direct_counters(client, "ports")
    counted = {c.entry.key(): c.data.packets for c in counters if isinstance(c, DirectCounter)}
    assert counted == {used.key(): 3, unused.key(): 0}
    (cell,) = await read_counter(client, "vrf_packets", 2)
    assert isinstance(cell, CounterCell)
    assert cell.data.packets == 3
    assert len(await read_counter(client, "vrf_packets")) == client.codec.info.counters["vrf_packets"].size
    await client.modify(CounterCell("vrf_packets", 2, CounterData()))
    assert await read_counter(client, "vrf_packets", 2) == [CounterCell("CatalogueIngress.vrf_packets", 2)]
    if kind.reads_registers:
        assert await read_register(client, "seen", 0) == [RegisterCell("CatalogueIngress.seen", 0, 2)]
    else:
        with pytest.raises(RpcError, match="UNIMPLEMENTED"):
            await read_register(client, "seen", 0)


async def test_every_failure_of_a_large_batch_is_told(client: P4RuntimeClient) -> None:
    routes = [route(f"10.{n >> 8}.{n & 255}.0/24", deliver(n)) for n in range(600)]
    await client.insert(*routes[::2])
    with pytest.raises(WriteError) as caught:
        await client.insert(*routes)
    failed = {failure.index: failure.code for failure in caught.value.failures}
    assert failed == dict.fromkeys(range(0, 600, 2), StatusCode.ALREADY_EXISTS)
    assert len(await read_table(client, "routes4")) == 600


async def test_a_table_that_is_full_takes_the_rest_when_there_is_room(client: P4RuntimeClient) -> None:
    size = client.codec.info.tables["nexthops"].size
    member = ActionProfileMember(SELECTOR, 1, deliver(1))
    entries = [nexthop(number, MemberRef(1)) for number in range(size + 2)]
    async with Writer(client) as writer:
        writer.set_desired([member, *entries])
        assert len(await settled(writer)) == 2
        kept = [entry for entry in entries if entry not in {failure.entity for failure in writer.failures()}]
        writer.apply(remove=kept[:2])
        assert await settled(writer) == ()
        writer.set_desired([member, *(nexthop(1000 + number, MemberRef(1)) for number in range(size))])
        assert await settled(writer) == ()
        assert len(await read_table(client, "nexthops")) == size


async def test_a_group_that_was_refused_is_repaired(client: P4RuntimeClient) -> None:
    """PI leaves a group behind that it refused for a missing member."""
    group = ActionProfileGroup(SELECTOR, 1, [GroupMember(1)])
    with pytest.raises(WriteError, match="NOT_FOUND"):
        await client.insert(group)
    async with Writer(client) as writer:
        writer.set_desired([ActionProfileMember(SELECTOR, 1, deliver(1)), group, nexthop(1, GroupRef(1))])
        assert await settled(writer) == ()


async def test_a_refused_packet_is_told(kind: Kind, client: P4RuntimeClient) -> None:
    """Sent with a field that the switch's program does not have."""
    if not kind.reports_stream_errors:
        pytest.skip(f"{kind} reports no errors of the stream unless its server configuration says so")
    text = client.pipeline.info.proto.SerializeToString()
    wider = P4Info(type(client.pipeline.info.proto).FromString(text))
    for header in wider.proto.controller_packet_metadata:
        if header.preamble.name == "packet_out":
            header.metadata.add(id=99, name="unheard_of", bitwidth=8)
    pipeline = Pipeline(P4Info(wider.proto), client.pipeline.device_config, client.pipeline.cookie)
    await client.stream.close()
    async with control(client.target.address, pipeline) as other:
        metadata = {"egress_port": CPU_PORT, "multicast_group": 0, "vrf": 0, "unheard_of": 1}
        with other.stream.errors.subscribe() as errors:
            await other.stream.send_packet(PacketOut(b"", metadata))
            async with asyncio.timeout(10):
                error = await anext(errors)
    assert (error.subject, error.code) == ("packet_out", StatusCode.INVALID_ARGUMENT)
