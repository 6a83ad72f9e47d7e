"""A switch with a P4Runtime server, and clients that talk to it over gRPC like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from p4.v1 import p4runtime_pb2 as p4rt
from p4.v1 import p4runtime_pb2_grpc

from softswitch.p4runtime import Device, Server, serve
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.p4runtime.p4 import P4

DEVICE_ID = 7
CPU_PORT = 510
_PATIENCE = 5.0  # seconds until a message that should come is given up


class Wire:
    """A port that remembers what was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_up = True
        self.sent: list[bytes] = []

    def open(self, receive: object) -> None:
        """Nothing ever arrives: tests inject into the switch."""

    def close(self) -> None:
        self.is_up = False

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)


class Controller:
    """A P4Runtime client with one stream channel."""

    def __init__(self, stub: Any, role: str | None = None, device_id: int = DEVICE_ID) -> None:
        self.stub = stub
        self.role = role
        self.device_id = device_id
        self.election_id: int | None = None
        self._stream: Any = None
        self.kept: list[p4rt.StreamMessageResponse] = []

    async def announce(self, election_id: int | None, **changes: Any) -> None:
        """Sends an arbitration update, on a new stream if there is none."""
        if self._stream is None:
            self._stream = self.stub.StreamChannel()
        update = p4rt.MasterArbitrationUpdate(device_id=self.device_id)
        if self.role is not None:
            update.role.name = self.role
        if election_id is not None:
            update.election_id.CopyFrom(uint128(election_id))
        update.MergeFrom(p4rt.MasterArbitrationUpdate(**changes))
        self.election_id = election_id
        await self.send(p4rt.StreamMessageRequest(arbitration=update))

    async def become(self, election_id: int | None) -> p4rt.MasterArbitrationUpdate:
        await self.announce(election_id)
        return (await self.receive("arbitration")).arbitration

    async def send(self, request: p4rt.StreamMessageRequest) -> None:
        await self._stream.write(request)

    async def receive(self, kind: str) -> p4rt.StreamMessageResponse:
        """The next message of a kind; others are kept for later."""
        for index, message in enumerate(self.kept):
            if message.HasField(kind):
                return self.kept.pop(index)
        while True:
            message = await asyncio.wait_for(self._stream.read(), _PATIENCE)
            if not isinstance(message, p4rt.StreamMessageResponse):
                raise EOFError(f"the stream ended before a message of kind {kind}")
            if message.HasField(kind):
                return message
            self.kept.append(message)

    async def closed(self) -> grpc.StatusCode:
        """The status with which the server closes the stream."""
        code: grpc.StatusCode = await asyncio.wait_for(self._stream.code(), _PATIENCE)
        return code

    async def hang_up(self) -> None:
        await self._stream.done_writing()
        await asyncio.wait_for(self._stream.code(), _PATIENCE)

    def request(self, *updates: p4rt.Update, atomicity: str = "CONTINUE_ON_ERROR") -> p4rt.WriteRequest:
        request = p4rt.WriteRequest(
            device_id=self.device_id, role=self.role or "", updates=updates, atomicity=atomicity
        )
        if self.election_id is not None:
            request.election_id.CopyFrom(uint128(self.election_id))
        return request

    async def write(self, *updates: p4rt.Update, atomicity: str = "CONTINUE_ON_ERROR") -> None:
        await self.stub.Write(self.request(*updates, atomicity=atomicity))

    async def try_write(self, *updates: p4rt.Update, atomicity: str = "CONTINUE_ON_ERROR") -> list[p4rt.Error]:
        """The outcome of every update of a batch in which something fails."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.write(*updates, atomicity=atomicity)
        assert caught.value.code() == grpc.StatusCode.UNKNOWN, caught.value.details()
        return errors(caught.value)

    async def refused(self, update: p4rt.Update) -> tuple[grpc.StatusCode, str]:
        """Code and message of the refusal of one update."""
        (error,) = await self.try_write(update)
        return canonical(error.canonical_code), error.message

    async def read(self, *entities: p4rt.Entity) -> list[p4rt.Entity]:
        request = p4rt.ReadRequest(device_id=self.device_id, entities=entities)
        return [entity async for response in self.stub.Read(request) for entity in response.entities]

    async def read_tables(self, wanted: p4rt.TableEntry) -> list[p4rt.TableEntry]:
        return [entity.table_entry for entity in await self.read(p4rt.Entity(table_entry=wanted))]

    async def set_pipeline(
        self, action: str, config: p4rt.ForwardingPipelineConfig | None, election_id: int | None = None
    ) -> None:
        request = p4rt.SetForwardingPipelineConfigRequest(
            device_id=self.device_id,
            role=self.role or "",
            election_id=uint128(self.election_id if election_id is None else election_id),
            action=action,
            config=config,
        )
        await self.stub.SetForwardingPipelineConfig(request)


@dataclass
class Rig:
    """A running switch."""

    switch: Switch
    device: Device
    clock: Clock
    stub: Any
    server: Server
    wires: dict[int, Wire] = field(default_factory=dict)

    async def controller(self, election_id: int | None = 1, role: str | None = None) -> Controller:
        controller = Controller(self.stub, role)
        await controller.become(election_id)
        return controller

    async def primary(self, program: P4) -> Controller:
        """A primary client that has set the pipeline."""
        controller = await self.controller()
        await controller.set_pipeline("VERIFY_AND_COMMIT", program.config)
        return controller

    def sent(self, port: int) -> list[bytes]:
        """What has left by a port since the last time."""
        packets, self.wires[port].sent = self.wires[port].sent, []
        return packets


@asynccontextmanager
async def running(tmp_path: Path, ports: Sequence[int] = (0, 1, 2, 3)) -> AsyncIterator[Rig]:
    clock = Clock()
    switch = Switch(DEVICE_ID, cpu_port=CPU_PORT, clock=clock)
    wires = {number: Wire(f"wire{number}") for number in ports}
    for number, wire in wires.items():
        switch.add_port(number, wire)
    device = Device(switch)
    server = await serve([device], f"unix:{tmp_path}/p4runtime.sock")
    options = [("grpc.max_metadata_size", 1 << 20)]
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        stub = p4runtime_pb2_grpc.P4RuntimeStub(channel)  # type: ignore[no-untyped-call]
        yield Rig(switch, device, clock, stub, server, wires)
    await server.stop()
    switch.close()


def uint128(value: int | None) -> p4rt.Uint128:
    return p4rt.Uint128(high=(value or 0) >> 64, low=(value or 0) & (1 << 64) - 1)


def canonical(code: int) -> grpc.StatusCode:
    return next(status for status in grpc.StatusCode if status.value[0] == code)


def errors(error: grpc.aio.AioRpcError) -> list[p4rt.Error]:
    """The `p4.v1.Error` messages in the trailing metadata of a failed RPC."""
    trailers: dict[str, Any] = dict(error.trailing_metadata())  # type: ignore[arg-type]
    details = trailers["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    unpacked = []
    for any_message in status.details:
        unpacked.append(p4rt.Error())
        assert any_message.Unpack(unpacked[-1])
    return unpacked
