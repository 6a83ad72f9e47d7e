"""The gRPC service: RPCs in, devices asked, errors out. Everything runs in the event loop of the switches."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc
from p4.v1 import p4runtime_pb2 as p4rt
from p4.v1 import p4runtime_pb2_grpc

from softswitch.p4runtime.device import Device
from softswitch.p4runtime.errors import DETAILS_KEY, BatchError, P4RuntimeError, grpc_code, not_found
from softswitch.p4runtime.reader import chunks
from softswitch.p4runtime.stream import Stream

API_VERSION: Final = "1.5.0"

_LAST_WORDS_SECONDS: Final = 2.0  # that a client has, when its stream ends, to take what waits for it
_MAX_TCP_PORT: Final = 65535
_RPC_TASK: Final = "_schedule_rpc_coro"

MAX_REQUEST_OCTETS: Final = 256 << 20
"""As simple_switch_grpc: a `p4_device_config` can be large."""

Context = grpc.aio.ServicerContext[Any, Any]


class P4RuntimeService(p4runtime_pb2_grpc.P4RuntimeServicer):
    """P4Runtime for any number of devices."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._devices = {device.switch.device_id: device for device in devices}
        self._readers: dict[asyncio.Task[None], Stream] = {}
        self._dismissed: set[asyncio.Task[None]] = set()  # readers of streams that end for want of what they are for

    async def Write(self, request: p4rt.WriteRequest, context: Context) -> p4rt.WriteResponse:  # noqa: N802
        """Applies a batch of updates."""
        try:
            self._device(request.device_id).write(request)
        except P4RuntimeError as error:
            await _abort(context, error)
        except BatchError as error:
            await _abort_batch(context, error)
        return p4rt.WriteResponse()

    async def Read(self, request: p4rt.ReadRequest, context: Context) -> None:  # noqa: N802
        """Streams the entities asked for, those of the good requests before the error of the others."""
        try:
            entities, outcomes = self._device(request.device_id).read(request)
        except P4RuntimeError as error:
            await _abort(context, error)
        with contextlib.suppress(asyncio.CancelledError):  # gRPC cancels the call of a client that is gone
            for response in chunks(entities):
                await context.write(response)
            if any(outcome is not None for outcome in outcomes):
                await _abort_batch(context, BatchError("read requests", outcomes))

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4rt.SetForwardingPipelineConfigRequest, context: Context
    ) -> p4rt.SetForwardingPipelineConfigResponse:
        """Verifies, saves or commits a pipeline."""
        try:
            device = self._device(request.device_id)
            device.check_primary(request)
            device.set_pipeline(request.action, request.config if request.HasField("config") else None)
        except P4RuntimeError as error:
            await _abort(context, error)
        return p4rt.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4rt.GetForwardingPipelineConfigRequest, context: Context
    ) -> p4rt.GetForwardingPipelineConfigResponse:
        """The current pipeline."""
        try:
            return self._device(request.device_id).get_pipeline(request.response_type)
        except P4RuntimeError as error:
            await _abort(context, error)

    async def StreamChannel(self, _requests: object, context: Context) -> None:  # noqa: N802
        """One client, until it hangs up or is refused."""
        with contextlib.suppress(asyncio.CancelledError):  # gRPC cancels the call of a client that is gone
            await self._converse(Stream(self._devices), context)

    def add(self, device: Device) -> None:
        """One more device. ValueError if its id is taken."""
        number = device.switch.device_id
        if number in self._devices:
            raise ValueError(f"there is a device with id {number}")
        self._devices[number] = device

    def remove(self, device_id: int) -> None:
        """A device is there no more; its stream channels end. KeyError if it was not there."""
        gone = self._devices.pop(device_id)
        self._dismiss(reader for reader, stream in self._readers.items() if stream.device is gone)

    def close_streams(self) -> None:
        """Ends every stream channel."""
        self._dismiss(self._readers)

    async def Capabilities(  # noqa: N802
        self, request: p4rt.CapabilitiesRequest, context: Context
    ) -> p4rt.CapabilitiesResponse:
        """The version of P4Runtime, which is the same for all devices."""
        if request.device_id:
            try:
                self._device(request.device_id)
            except P4RuntimeError as error:
                await _abort(context, error)
        return p4rt.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    def _dismiss(self, readers: Iterable[asyncio.Task[None]]) -> None:
        for reader in readers:
            self._dismissed.add(reader)
            reader.cancel()

    async def _converse(self, stream: Stream, context: Context) -> None:
        sender = asyncio.create_task(_send(stream, context))
        reader = asyncio.create_task(_receive(stream, context))
        self._readers[reader] = stream
        refusal: P4RuntimeError | None = None
        try:
            await reader
        except P4RuntimeError as error:
            refusal = error
        except asyncio.CancelledError:
            if reader not in self._dismissed:
                raise
        finally:
            del self._readers[reader]
            stream.close()
            for task in (reader, sender):
                task.add_done_callback(_retrieve)
        # A call's status must not be sent while one of its messages is.
        await asyncio.wait([sender], timeout=_LAST_WORDS_SECONDS)
        sender.cancel()
        if refusal is not None:
            await _abort(context, refusal)
        if reader in self._dismissed:
            self._dismissed.discard(reader)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is closing, or the device is there no more")

    def _device(self, device_id: int) -> Device:
        device = self._devices.get(device_id)
        if device is None:
            raise not_found(f"there is no device with id {device_id}")
        return device


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whatever a reader or sender of a closed stream died of is of no interest."""
    if not task.cancelled():
        task.exception()


async def _receive(stream: Stream, context: Context) -> None:
    """Hands on what the client says, until it hangs up."""
    while isinstance(request := await context.read(), p4rt.StreamMessageRequest):
        stream.handle(request)


async def _send(stream: Stream, context: Context) -> None:
    """Tells the client what waits for it, until the stream is closed and nothing waits any more."""
    while (message := await stream.next()) is not None:
        await context.write(message)


async def _abort(context: Context, error: P4RuntimeError) -> NoReturn:
    await context.abort(grpc_code(error.code), error.message)


async def _abort_batch(context: Context, error: BatchError) -> NoReturn:
    status = error.status()
    details = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, status.message, details)


class Server:
    """A listening P4Runtime server.

    Attributes:
        address: what it listens on; if the port was 0, with the port that was found.
    """

    def __init__(self, server: grpc.aio.Server, service: P4RuntimeService, address: str) -> None:
        self._server = server
        self._service = service
        self.address = address

    def add(self, device: Device) -> None:
        """One more device. ValueError if its id is taken."""
        self._service.add(device)

    def remove(self, device_id: int) -> None:
        """A device is there no more: its stream channels end, and calls find none. KeyError if it was not there."""
        self._service.remove(device_id)

    async def stop(self, grace: float = 1.0) -> None:
        """Ends every stream channel, then the server; other calls have `grace` seconds to finish."""
        self._service.close_streams()
        await self._server.stop(grace)
        # gRPC does not wait for its own tasks, and complains of each that the end of the event loop cancels.
        tasks = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == _RPC_TASK]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        await self._server.wait_for_termination()


async def serve(devices: Iterable[Device], address: str) -> Server:
    """Starts a server.

    Args:
        devices: the devices, each with its own id.
        address: `host:port` (port 0 for any free one) or `unix:path`.

    Raises:
        OSError: the address cannot be listened on.
    """
    _check_address(address)
    options = [("grpc.max_receive_message_length", MAX_REQUEST_OCTETS), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    add_to_server: Callable[[P4RuntimeService, grpc.aio.Server], None] = (
        p4runtime_pb2_grpc.add_P4RuntimeServicer_to_server
    )
    service = P4RuntimeService(devices)
    add_to_server(service, server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(str(error)) from error
    await server.start()
    host, separator, wanted = address.rpartition(":")
    return Server(server, service, f"{host}:{port}" if separator and wanted == "0" else address)


def _check_address(address: str) -> None:
    """Tries the address first, since gRPC tells only its log why it cannot have it."""
    if address.startswith("unix:"):
        folder = Path(address.removeprefix("unix:").removeprefix("//")).parent
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        return
    host, separator, port = address.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > _MAX_TCP_PORT:
        raise OSError("it is not of the form HOST:PORT or unix:PATH")
    wanted = host.strip("[]") or None
    family, kind, protocol, _, found = socket.getaddrinfo(wanted, int(port), type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(found)
