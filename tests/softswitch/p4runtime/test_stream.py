"""Packet I/O, digests and stream errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import Code
from softswitch.p4runtime.stream import QUEUE_LIMIT, Stream
from tests.softswitch.p4runtime.p4 import delete, insert, load, modify
from tests.softswitch.p4runtime.rig import DEVICE_ID, Controller, Rig, canonical, running

EDGE, TRANSLATED, BALANCE = load("edge"), load("translated"), load("balance")
FRAME = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"


def packet_out(*metadata: tuple[int, bytes], payload: bytes = FRAME) -> p4rt.StreamMessageRequest:
    return p4rt.StreamMessageRequest(
        packet=p4rt.PacketOut(
            payload=payload, metadata=[p4rt.PacketMetadata(metadata_id=i, value=v) for i, v in metadata]
        )
    )


async def test_a_packet_out_leaves_by_the_port_in_its_header(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    # Metadata in any order, values of any length.
    await controller.send(packet_out((2, b"\x00"), (1, b"\x00\x00\x02")))
    await controller.become(1)  # the answer comes after the packet was handled
    assert rig.sent(2) == [FRAME]


async def test_a_packet_in_brings_its_metadata(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    entry = EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("to_controller", 5))
    await controller.write(insert(entry))
    rig.switch.inject(3, FRAME)
    packet = (await controller.receive("packet")).packet
    assert packet.payload == FRAME
    assert [(m.metadata_id, m.value) for m in packet.metadata] == [(1, b"\x03"), (2, b"\x05"), (3, b"\x00")]


async def test_packets_go_to_the_primary_of_every_role_and_to_no_backup(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    backup = await rig.controller(0)
    other = await rig.controller(1, "other")
    await controller.write(insert(EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("to_controller", 5))))
    rig.switch.inject(3, FRAME)
    assert (await other.receive("packet")).packet.payload == FRAME
    assert (await controller.receive("packet")).packet.payload == FRAME
    await backup.become(0)
    assert not backup.kept


@pytest.mark.parametrize(
    ("metadata", "code", "complaint"),
    [
        ([], Code.INVALID_ARGUMENT, "metadata egress_port (id 1) is missing"),
        ([(1, b"\x02")], Code.INVALID_ARGUMENT, "metadata pad (id 2) is missing"),
        ([(1, b"\x02"), (2, b"\x00"), (7, b"\x00")], Code.INVALID_ARGUMENT, "no packet_out metadata with id 7"),
        ([(1, b"\x02"), (1, b"\x02"), (2, b"\x00")], Code.INVALID_ARGUMENT, "given twice"),
        ([(1, b"\x02\x00"), (2, b"\x00")], Code.OUT_OF_RANGE, "does not fit in bit<9>"),
        ([(1, b""), (2, b"\x00")], Code.OUT_OF_RANGE, "empty bytestring"),
    ],
)
async def test_a_bad_packet_out_is_dropped_and_reported(
    rig: Rig, metadata: list[tuple[int, bytes]], code: Code, complaint: str
) -> None:
    controller = await rig.primary(EDGE)
    request = packet_out(*metadata)
    await controller.send(request)
    error = (await controller.receive("error")).error
    assert error.canonical_code == code
    assert complaint in error.message
    assert error.packet_out.packet_out == request.packet
    assert all(rig.sent(port) == [] for port in rig.wires)


async def test_only_the_primary_sends_packets(rig: Rig) -> None:
    await rig.primary(EDGE)
    backup = await rig.controller(0)
    await backup.send(packet_out((1, b"\x02"), (2, b"\x00")))
    error = (await backup.receive("error")).error
    assert error.canonical_code == Code.PERMISSION_DENIED
    assert rig.sent(2) == []


async def test_nothing_goes_before_arbitration_or_before_a_pipeline(rig: Rig) -> None:
    stranger = Controller(rig.stub)
    await stranger.announce(None)
    await stranger.receive("arbitration")
    await stranger.send(packet_out((1, b"\x02")))
    assert (await stranger.receive("error")).error.canonical_code == Code.PERMISSION_DENIED
    primary = await rig.controller(5)
    await primary.send(packet_out((1, b"\x02")))
    assert (await primary.receive("error")).error.canonical_code == Code.FAILED_PRECONDITION
    await primary.send(p4rt.StreamMessageRequest(digest_ack=p4rt.DigestListAck(digest_id=1)))
    error = (await primary.receive("error")).error
    assert (error.canonical_code, error.WhichOneof("details")) == (Code.FAILED_PRECONDITION, "digest_list_ack")


async def test_the_first_message_must_be_arbitration(rig: Rig) -> None:
    call = rig.stub.StreamChannel()
    await call.write(packet_out())
    response = await call.read()
    assert response.error.canonical_code == Code.PERMISSION_DENIED
    call.cancel()


async def test_messages_that_mean_nothing_are_reported(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.send(p4rt.StreamMessageRequest(other=any_pb2.Any(type_url="example.org/x")))
    error = (await controller.receive("error")).error
    assert (error.canonical_code, error.other.other.type_url) == (Code.UNIMPLEMENTED, "example.org/x")
    await controller.send(p4rt.StreamMessageRequest())
    error = (await controller.receive("error")).error
    assert (error.canonical_code, error.WhichOneof("details")) == (Code.INVALID_ARGUMENT, "other")


async def test_a_program_without_controller_headers_exchanges_bare_packets(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    entry = BALANCE.table_entry("service", {"service": 9})
    entry.action.action_profile_action_set.action_profile_actions.add(action=BALANCE.action("forward", 510), weight=1)
    await controller.write(insert(entry))
    await controller.send(packet_out(payload=b"\x01\x09\x00\x00rest"))
    packet = (await controller.receive("packet")).packet
    assert (packet.payload, list(packet.metadata)) == (b"\x01\x09\x00\x00rest", [])
    await controller.send(packet_out((1, b"\x00")))
    assert (await controller.receive("error")).error.canonical_code == Code.INVALID_ARGUMENT


def digest(max_timeout: float = 0, max_list: int = 0, ack_timeout: float = 0) -> p4rt.Entity:
    config = p4rt.DigestEntry.Config(
        max_timeout_ns=int(max_timeout * 1e9), max_list_size=max_list, ack_timeout_ns=int(ack_timeout * 1e9)
    )
    return p4rt.Entity(digest_entry=p4rt.DigestEntry(digest_id=EDGE.id("learned_t"), config=config))


def from_source(address: int) -> bytes:
    return bytes.fromhex("00000000000a") + address.to_bytes(6, "big") + bytes.fromhex("88b5")


async def learned(controller: Controller) -> tuple[p4rt.DigestList, list[tuple[bytes, bytes]]]:
    message = (await controller.receive("digest")).digest
    members = [data.struct.members for data in message.data]
    return message, [(address.bitstring, port.bitstring) for address, port in members]


async def test_digests_come_in_lists_of_the_configured_size(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(digest(max_timeout=10, max_list=2, ack_timeout=5)))
    for address in (0x0100, 0x0100, 0x02):
        rig.switch.inject(3, from_source(address))
    message, content = await learned(controller)
    assert message.digest_id == EDGE.id("learned_t")
    assert message.timestamp > 0
    assert content == [(b"\x01\x00", b"\x03"), (b"\x02", b"\x03")]


async def test_a_digest_waits_no_longer_than_configured(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(digest(max_timeout=10, max_list=100)))
    rig.switch.inject(1, from_source(5))
    rig.clock.advance(10)
    rig.switch.poll_digests()
    assert (await learned(controller))[1] == [(b"\x05", b"\x01")]


async def test_an_acknowledged_digest_may_come_again(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    await controller.write(insert(digest(ack_timeout=100)))
    rig.switch.inject(1, from_source(5))
    first, _ = await learned(controller)
    rig.switch.inject(1, from_source(5))
    rig.switch.inject(1, from_source(6))
    second, content = await learned(controller)
    assert content == [(b"\x06", b"\x01")]
    ack = p4rt.DigestListAck(digest_id=first.digest_id, list_id=first.list_id)
    await controller.send(p4rt.StreamMessageRequest(digest_ack=ack))
    await controller.become(1)
    rig.switch.inject(1, from_source(5))
    third, content = await learned(controller)
    assert content == [(b"\x05", b"\x01")]
    assert len({first.list_id, second.list_id, third.list_id}) == 3


async def test_digests_are_configured_and_switched_off(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    everything = p4rt.Entity(digest_entry=p4rt.DigestEntry())
    assert await controller.read(everything) == []
    for update, code in (
        (modify(digest()), grpc.StatusCode.NOT_FOUND),
        (delete(digest()), grpc.StatusCode.NOT_FOUND),
        (insert(digest(max_list=-1)), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        assert (await controller.refused(update))[0] == code
    await controller.write(insert(digest(max_list=3)))
    assert (await controller.refused(insert(digest())))[0] == grpc.StatusCode.ALREADY_EXISTS
    await controller.write(modify(digest(max_list=4)))
    assert await controller.read(everything) == [digest(max_list=4)]
    await controller.write(delete(digest()))
    assert await controller.read(everything) == []
    rig.switch.inject(1, from_source(5))
    await controller.become(1)
    assert not controller.kept


async def test_acknowledging_an_unknown_digest_is_reported(rig: Rig) -> None:
    controller = await rig.primary(EDGE)
    ack = p4rt.DigestListAck(digest_id=99, list_id=1)
    await controller.send(p4rt.StreamMessageRequest(digest_ack=ack))
    error = (await controller.receive("error")).error
    assert canonical(error.canonical_code) == grpc.StatusCode.INVALID_ARGUMENT
    assert error.digest_list_ack.digest_list_ack == ack


def test_a_slow_client_loses_packets_but_never_an_arbitration_update() -> None:
    stream = Stream({})
    packet = p4rt.StreamMessageResponse(packet=p4rt.PacketIn(payload=b"x"))
    for _ in range(QUEUE_LIMIT + 5):
        stream.send(packet)
    stream.send(p4rt.StreamMessageResponse(arbitration=p4rt.MasterArbitrationUpdate()))
    assert stream.dropped == 5

    stream.close()

    async def everything() -> list[p4rt.StreamMessageResponse]:
        return [message async for message in _until_none(stream)]

    *packets, last = asyncio.run(everything())
    assert last.HasField("arbitration")
    assert packets == [packet] * QUEUE_LIMIT


async def _until_none(stream: Stream) -> AsyncIterator[p4rt.StreamMessageResponse]:
    while (message := await stream.next()) is not None:
        yield message


async def test_a_client_that_hangs_up_gets_what_waits_for_it(rig: Rig) -> None:
    call = rig.stub.StreamChannel()
    update = p4rt.MasterArbitrationUpdate(device_id=DEVICE_ID, election_id=p4rt.Uint128(low=1))
    await call.write(p4rt.StreamMessageRequest(arbitration=update))
    for _ in range(100):
        await call.write(packet_out())
    await call.done_writing()
    kinds = [response.WhichOneof("update") async for response in call]
    assert kinds == ["arbitration"] + ["error"] * 100
    assert await call.code() == grpc.StatusCode.OK


async def test_a_refused_client_hears_why_whatever_else_is_under_way(rig: Rig) -> None:
    for _ in range(30):
        call = rig.stub.StreamChannel()
        update = p4rt.MasterArbitrationUpdate(device_id=DEVICE_ID, election_id=p4rt.Uint128(low=1))
        await call.write(p4rt.StreamMessageRequest(arbitration=update))
        for _ in range(5):
            await call.write(packet_out())
        update.device_id = 99
        await call.write(p4rt.StreamMessageRequest(arbitration=update))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with asyncio.timeout(5):
                async for _ in call:
                    pass
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_a_closing_server_ends_the_streams(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        controller = await rig.controller()
        await rig.server.stop()
        assert await controller.closed() == grpc.StatusCode.UNAVAILABLE


async def test_translated_types_in_keys_parameters_and_packets(rig: Rig) -> None:
    controller = await rig.primary(TRANSLATED)
    classify = TRANSLATED.table_entry("classify", {"ingress_port": 1}, TRANSLATED.action("set_vrf", b"blue"))
    number = TRANSLATED.table_entry("classify", {"ingress_port": 2}, TRANSLATED.action("set_vrf", b"3"))
    blue = TRANSLATED.table_entry("route", {"vrf": b"blue"}, TRANSLATED.action("forward", 3), priority=1)
    three = TRANSLATED.table_entry("route", {"vrf": b"3"}, TRANSLATED.action("report"), priority=1)
    await controller.write(*[insert(entry) for entry in (classify, number, blue, three)])
    assert await controller.read_tables(p4rt.TableEntry()) == [classify, number, blue, three]
    rig.switch.inject(1, b"\x00\x12\x34")
    assert rig.sent(3) == [b"\x00\x12\x34"]
    rig.switch.inject(2, b"\x00\x56\x78")
    packet = (await controller.receive("packet")).packet
    assert packet.payload == b"\x00\x56\x78"
    assert [m.value for m in packet.metadata] == [b"\x02", b"\x00"]
    label = p4rt.RegisterEntry(register_id=TRANSLATED.id("labels"), index=p4rt.Index(index=0))
    (cell,) = await controller.read(p4rt.Entity(register_entry=label))
    assert cell.register_entry.data.bitstring == b"\x56\x78"
    wide = TRANSLATED.table_entry("classify", {"ingress_port": 512}, TRANSLATED.action("NoAction"))
    assert (await controller.refused(insert(wide)))[0] == grpc.StatusCode.OUT_OF_RANGE
    # Two of the 16 values of a vrf are taken, one by a number and one by a name.
    names = [
        TRANSLATED.table_entry("classify", {"ingress_port": 10 + n}, TRANSLATED.action("set_vrf", f"vrf{n}".encode()))
        for n in range(15)
    ]
    await controller.write(*[insert(entry) for entry in names[:14]])
    assert (await controller.refused(insert(names[14])))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    bad = TRANSLATED.table_entry("classify", {"ingress_port": 9}, TRANSLATED.action("set_vrf", b"\xff"))
    assert (await controller.refused(insert(bad)))[0] == grpc.StatusCode.OUT_OF_RANGE
