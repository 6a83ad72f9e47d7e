"""The stream to a switch: arbitration, what it carries, and how it survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Codec
from controller.p4rt.entities import TableEntry
from controller.p4rt.errors import DecodingError, EncodingError, NotConnectedError, UnknownNameError
from controller.p4rt.matches import Exact
from controller.p4rt.packetio import DigestList, PacketIn, PacketOut, StreamCodec, StreamError, decode_stream_error
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.stream import StreamState
from controller.p4rt.target import Backoff, Target, from_uint128, uint128
from controller.p4rt.values import FrozenMap, Value
from softswitch.p4runtime import Device, serve
from softswitch.switch import Switch
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import QUICK, catalogue, connected, until

Response = p4runtime_pb2.StreamMessageResponse


async def test_the_larger_election_id_is_primary(switch: FakeSwitch, address: str, pipeline: Pipeline) -> None:
    async with connected(address, pipeline, election_id=5) as first:
        states: list[StreamState] = []
        first.stream.on_state(states.append)
        async with connected(address, pipeline, election_id=(1 << 64) + 1) as second:
            await until(lambda: first.stream.state is StreamState.BACKUP)
            assert second.stream.state is StreamState.PRIMARY
        await first.stream.wait_primary()
        assert first.stream.term == 2
        assert states == [StreamState.BACKUP, StreamState.PRIMARY]


async def test_a_backup_can_take_over(switch: FakeSwitch, address: str, pipeline: Pipeline) -> None:
    async with (
        connected(address, pipeline, election_id=9) as first,
        P4RuntimeClient(Target(address, 1, election_id=3), pipeline, backoff=QUICK) as second,
    ):
        await until(lambda: second.stream.state is StreamState.BACKUP)
        assert await second.stream.become_primary() == 1
        assert second.stream.election_id == 10
        await until(lambda: first.stream.state is StreamState.BACKUP)


async def test_an_orphaned_switch_is_taken_over_by_whoever_is_to(tmp_path: Path, pipeline: Pipeline) -> None:
    """softswitch makes nobody primary by itself: who takes over asks again, who does not stays a backup."""
    address = f"unix:{tmp_path}/switch.sock"
    server = await serve([Device(Switch(1))], address)
    taking = P4RuntimeClient(Target(address, 1, election_id=2, takes_over=True), pipeline, backoff=QUICK)
    waiting = P4RuntimeClient(Target(address, 1, election_id=1), pipeline, backoff=QUICK)
    async with taking, waiting:
        async with connected(address, pipeline, election_id=7):
            await until(lambda: {taking.stream.state, waiting.stream.state} == {StreamState.BACKUP})
        async with asyncio.timeout(5):
            await taking.stream.wait_primary()
        assert taking.stream.election_id == 8
        assert waiting.stream.state is StreamState.BACKUP
    await server.stop()


async def test_an_election_id_in_use_is_tried_again_until_it_is_free(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    first = P4RuntimeClient(Target(address, 1), pipeline)
    async with first, P4RuntimeClient(Target(address, 1), pipeline, backoff=QUICK) as second:
        await until(lambda: switch.calls["StreamChannel"] >= 4)
        clients = {client.stream.state: client for client in (first, second)}
        assert set(clients) == {StreamState.PRIMARY, StreamState.DISCONNECTED}
        await clients[StreamState.PRIMARY].stream.close()
        async with asyncio.timeout(5):
            await clients[StreamState.DISCONNECTED].stream.wait_primary()


async def test_an_ended_stream_is_opened_again(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    for term in range(2, 5):
        switch.hang_up()
        await until(lambda term=term: client.stream.term == term)  # type: ignore[misc]


async def test_a_switch_that_does_not_answer_is_called_again(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    switch.deaf = True
    client = P4RuntimeClient(Target(address, 1), pipeline, backoff=QUICK)
    client.stream.patience = 0.02
    async with client:
        await until(lambda: switch.calls["StreamChannel"] >= 3)
        assert client.stream.state is StreamState.DISCONNECTED
        switch.deaf = False
        client.stream.patience = 5.0
        async with asyncio.timeout(5):
            await client.stream.wait_primary()


async def test_the_switch_may_come_later_and_go(address: str, pipeline: Pipeline) -> None:
    async with P4RuntimeClient(Target(address, 1), pipeline, backoff=QUICK) as client:
        with pytest.raises(NotConnectedError, match="not connected"):
            await client.stream.send_packet(PacketOut(b"", {"egress_port": 1, "multicast_group": 0, "vrf": 0}))
        with pytest.raises(NotConnectedError):
            await client.pipeline_cookie()
        for _ in range(2):
            async with FakeSwitch().serving(address), asyncio.timeout(5):
                await client.stream.wait_primary()
            await until(lambda: client.stream.state is StreamState.DISCONNECTED)


async def test_packets_come_in_with_named_metadata(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    with client.stream.packets.subscribe() as packets:
        message = Response()
        message.packet.payload = b"payload"
        for number, value in ((1, b"\x01\x2c"), (3, b"\0\7"), (4, b"\2"), (2, b"\0")):
            message.packet.metadata.add(metadata_id=number, value=value)
        switch.send(message)
        expected: FrozenMap[Value] = FrozenMap({"ingress_port": 300, "mark": 7, "replica": 2, "_pad": 0})
        assert await anext(packets) == PacketIn(b"payload", expected)


async def test_packets_go_out_in_order_with_named_metadata(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    for number in range(3):
        metadata = {"egress_port": 300, "multicast_group": 0, "vrf": number}
        await client.stream.send_packet(PacketOut(bytes([number]), metadata))
    await until(lambda: len(switch.packets_out) == 3)
    assert [packet.payload for packet in switch.packets_out] == [b"\0", b"\1", b"\2"]
    assert [(m.metadata_id, m.value) for m in switch.packets_out[2].metadata] == [
        (1, b"\x01\x2c"),
        (2, b"\0"),
        (3, b"\0"),
        (4, b"\2"),
    ]


async def test_who_waits_to_send_learns_that_the_stream_has_ended(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    switch.deaf = True
    packet = PacketOut(bytes(10_000), {"egress_port": 1, "multicast_group": 0, "vrf": 0})
    sending = [asyncio.create_task(client.stream.send_packet(packet)) for _ in range(1500)]
    await until(lambda: sum(task.done() for task in sending) >= 1024)
    await asyncio.sleep(0.01)
    assert not all(task.done() for task in sending)
    switch.deaf = False
    switch.hang_up()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*sending, return_exceptions=True)
    assert {type(result) for result in results} == {type(None), NotConnectedError}
    await client.stream.wait_primary()
    await client.stream.send_packet(packet)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"egress_port": 1, "vrf": 1}, "packet_out: field 'multicast_group' is missing"),
        ({"egress_port": 512, "multicast_group": 0, "vrf": 1}, "egress_port = 0x200: does not fit 9 bits"),
    ],
)
async def test_a_packet_that_does_not_fit_is_refused_here(
    client: P4RuntimeClient, metadata: dict[str, int], message: str
) -> None:
    with pytest.raises(EncodingError, match=message):
        await client.stream.send_packet(PacketOut(b"", metadata))


async def test_an_unknown_metadata_field_is_named(client: P4RuntimeClient) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown metadata field 'egres_port' in packet_out.*egress_port"):
        await client.stream.send_packet(PacketOut(b"", {"egres_port": 1}))


async def test_digests_come_in_typed_and_are_acknowledged(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    with client.stream.digests.subscribe() as digests:
        message = Response()
        message.digest.digest_id = client.codec.info.digests["learn_t"].id
        message.digest.list_id, message.digest.timestamp = 9, 12345
        struct = message.digest.data.add().struct
        struct.members.add(bitstring=b"\2\0\0\0\0\1")
        struct.members.add(bitstring=b"\7")
        switch.send(message)
        received = await anext(digests)
    assert received == DigestList("learn_t", 9, ({"mac": 0x020000000001, "port": 7},), 12345)
    await client.stream.acknowledge(received)
    await until(lambda: switch.acks)
    assert (switch.acks[0].digest_id, switch.acks[0].list_id) == (message.digest.digest_id, 9)


async def test_aged_entries_come_in_as_entries(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    entry = TableEntry("CatalogueIngress.routes4", {"vrf": Exact(3)}, idle_timeout_ns=5, metadata=b"m")
    with client.stream.idle_timeouts.subscribe() as notices:
        message = Response()
        aged = message.idle_timeout_notification.table_entry.add()
        aged.ParseFromString(p4runtime_pb2.Entity.FromString(client.codec.key(entry)).table_entry.SerializeToString())
        aged.idle_timeout_ns, aged.metadata = 5, b"m"
        switch.send(message)
        assert (await anext(notices)).entries == (entry,)


async def test_stream_errors_come_in_typed(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    with client.stream.errors.subscribe() as errors:
        message = Response()
        message.error.canonical_code, message.error.message = 3, "no such port"
        message.error.packet_out.SetInParent()
        switch.send(message)
        assert await anext(errors) == StreamError("packet_out", StatusCode.INVALID_ARGUMENT, "no such port")


async def test_what_does_not_fit_the_program_is_counted_and_harms_nothing(
    switch: FakeSwitch, client: P4RuntimeClient
) -> None:
    with client.stream.packets.subscribe() as packets:
        bad, good = Response(), Response()
        bad.packet.metadata.add(metadata_id=77, value=b"\0")
        digest = Response()
        digest.digest.digest_id = 5
        good.packet.payload = b"good"
        for message in (bad, digest, Response(), good):
            switch.send(message)
        assert (await anext(packets)).payload == b"good"
    assert client.stream.malformed == 2
    assert client.stream.state is StreamState.PRIMARY


async def test_a_listener_that_fails_does_not_stop_the_others(switch: FakeSwitch, client: P4RuntimeClient) -> None:
    seen: list[StreamState] = []

    def fail(state: StreamState) -> None:
        raise ValueError(state)

    client.stream.on_state(fail)
    stop = client.stream.on_state(seen.append)
    switch.hang_up()
    await until(lambda: seen == [StreamState.DISCONNECTED, StreamState.PRIMARY])
    stop()
    switch.hang_up()
    await until(lambda: client.stream.term == 3)
    assert len(seen) == 2


async def test_subscriptions_outlive_a_stream_and_end_with_the_client(
    switch: FakeSwitch, address: str, pipeline: Pipeline
) -> None:
    async with connected(address, pipeline) as client:
        packets = client.stream.packets.subscribe()
        switch.hang_up()
        await until(lambda: client.stream.term == 2)
        message = Response()
        message.packet.payload = b"later"
        switch.send(message)
        assert (await anext(packets)).payload == b"later"
    assert [packet async for packet in packets] == []


@given(st.binary(max_size=60))
def test_whatever_arrives_has_a_meaning_or_is_a_decoding_error(data: bytes) -> None:
    codec = StreamCodec(Codec(catalogue().info))
    decoders: list[tuple[type[Message], Callable[[Any], object]]] = [
        (p4runtime_pb2.PacketIn, codec.packet_in),
        (p4runtime_pb2.DigestList, codec.digest_list),
        (p4runtime_pb2.IdleTimeoutNotification, codec.idle_timeout),
        (p4runtime_pb2.StreamError, decode_stream_error),
    ]
    for kind, decode in decoders:
        message = kind()
        with suppress(DecodeError):
            message.ParseFromString(data)
        with suppress(DecodingError):
            assert decode(message) is not None


def test_pauses_grow_up_to_a_limit_and_are_never_in_step() -> None:
    pauses = Backoff(first=1.0, limit=8.0).pauses()
    drawn = [next(pauses) for _ in range(20)]
    for number, pause in enumerate(drawn):
        whole = min(2.0**number, 8.0)
        assert whole / 2 <= pause <= whole
    assert len(set(drawn)) == len(drawn)
    assert all(a < b * 4 for a, b in pairwise(drawn))


@pytest.mark.parametrize("value", [0, 1, (1 << 64) - 1, 1 << 64, (1 << 128) - 1])
def test_election_ids_have_128_bits(value: int) -> None:
    assert from_uint128(uint128(value)) == value
