"""The P4Runtime client of one switch: pipeline, writes, reads, and the stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import grpc.aio
from grpc import StatusCode
from p4.v1 import p4runtime_pb2

from controller.p4rt.codec import Codec
from controller.p4rt.entities import Entity
from controller.p4rt.errors import RpcError, UpdateFailure, WriteError
from controller.p4rt.pipeline import Pipeline, PipelineMode
from controller.p4rt.status import status_code, update_errors
from controller.p4rt.stream import Stream
from controller.p4rt.target import Backoff, Target, uint128

log = logging.getLogger(__name__)

_PIPELINE_TIMEOUT = 120.0
_READ_TIMEOUT = 120.0


class P4RuntimeClient:
    """Controls one switch with one program; an async context manager that connects and disconnects.

    Args:
        pipeline: the program, which `ensure_pipeline` puts on the switch.
        timeout: seconds a write may take.

    Attributes:
        codec: of the program.
        timeout: seconds a write may take.
        stream: arbitration, packets, digests; also says whether there is a connection.
    """

    def __init__(
        self, target: Target, pipeline: Pipeline, *, backoff: Backoff | None = None, timeout: float = 30.0
    ) -> None:
        self.target, self.pipeline = target, pipeline
        self.codec = Codec(pipeline.info)
        self.stream = Stream(target, self.codec, backoff or Backoff())
        self.timeout = timeout

    async def __aenter__(self) -> P4RuntimeClient:
        self.stream.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stream.close()

    # -- pipeline -----------------------------------------------------------------------------------------

    async def ensure_pipeline(self, mode: PipelineMode = PipelineMode.CLEAR) -> bool:
        """Put the pipeline on the switch, unless it is there; returns whether it had to.

        A switch that cannot preserve its state, though asked to, is cleared.

        Raises:
            RpcError: if the switch refuses; NotConnectedError.
        """
        if await self.pipeline_cookie() == self.pipeline.cookie:
            return False
        if mode is PipelineMode.CLEAR or not await self._preserve():
            await self.set_pipeline()
        return True

    async def _preserve(self) -> bool:
        """Put the pipeline on the switch in place of another, preserving state; returns whether that worked."""
        held = await self._get_config(p4runtime_pb2.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE)
        if held is None or not held.HasField("p4info"):
            return False  # nothing to preserve, an attempt at which crashes bmv2
        try:
            await self.set_pipeline(PipelineMode.PRESERVE)
        except RpcError as error:
            log.info("%s: does not preserve its state: %s", self.target, error.reason)
            if error.code in (StatusCode.UNIMPLEMENTED, StatusCode.INVALID_ARGUMENT):
                return False
            if error.code is not StatusCode.UNKNOWN:
                raise
        else:
            return True
        # PI fails once a program has counters, for it tries to insert their cells. By then it has loaded the
        # pipeline and replayed all entries, and will take no other pipeline before it has committed to this.
        try:
            await self._set_config(p4runtime_pb2.SetForwardingPipelineConfigRequest.COMMIT, None)
        except RpcError:
            return False
        return True

    async def set_pipeline(self, mode: PipelineMode = PipelineMode.CLEAR) -> None:
        """Put the pipeline on the switch, even if it is there; raises as `ensure_pipeline`."""
        await self._release_replication()
        await self._set_config(mode.value, self.pipeline.to_proto())
        log.info("%s: pipeline %#018x is set", self.target, self.pipeline.cookie)

    async def _release_replication(self) -> None:
        """Delete multicast groups and clone sessions, as setting a pipeline ought to.

        PI forgets them, but bmv2 goes on replicating: when they are inserted again, every packet is copied
        twice.
        """
        groups, sessions = p4runtime_pb2.Entity(), p4runtime_pb2.Entity()
        groups.packet_replication_engine_entry.multicast_group_entry.SetInParent()
        sessions.packet_replication_engine_entry.clone_session_entry.SetInParent()
        try:
            found = [entity async for entity in self.read(groups, sessions)]
            request = self.write_request()
            for entity in found:
                request.updates.add(type=p4runtime_pb2.Update.DELETE, entity=entity)
            if found:
                await self.submit(request)
        except RpcError as error:
            log.debug("%s: keeps its replication: %s", self.target, error)

    async def _set_config(self, action: int, config: p4runtime_pb2.ForwardingPipelineConfig | None) -> None:
        request = p4runtime_pb2.SetForwardingPipelineConfigRequest(
            device_id=self.target.device_id,
            role=self.target.role,
            election_id=uint128(self.stream.election_id),
            action=action,  # type: ignore[arg-type]  # an int of the protobuf enumeration
            config=config,
        )
        await self._call("SetForwardingPipelineConfig", request, _PIPELINE_TIMEOUT)

    async def pipeline_cookie(self) -> int | None:
        """The cookie of the switch's pipeline; None if it has no pipeline or no cookie with it."""
        kind = p4runtime_pb2.GetForwardingPipelineConfigRequest.COOKIE_ONLY
        config = await self._get_config(kind)
        return config.cookie.cookie if config is not None and config.HasField("cookie") else None

    async def fetch_pipeline(self) -> Pipeline | None:
        """The switch's pipeline; None if it has none. Raises P4InfoError if its P4Info is malformed."""
        config = await self._get_config(p4runtime_pb2.GetForwardingPipelineConfigRequest.ALL)
        if config is None or not config.HasField("p4info"):
            return None
        return Pipeline.from_proto(config, f"P4Info of {self.target}")

    async def _get_config(
        self, kind: p4runtime_pb2.GetForwardingPipelineConfigRequest.ResponseType
    ) -> p4runtime_pb2.ForwardingPipelineConfig | None:
        request = p4runtime_pb2.GetForwardingPipelineConfigRequest(device_id=self.target.device_id, response_type=kind)
        try:
            response = await self._call("GetForwardingPipelineConfig", request, _PIPELINE_TIMEOUT)
        except RpcError as error:
            if error.code is StatusCode.FAILED_PRECONDITION:  # PI's way of saying that there is none
                return None
            raise
        return response.config if response.HasField("config") else None

    async def api_version(self) -> str:
        """The version of P4Runtime the switch implements; raises RpcError where it cannot tell (before 1.1)."""
        response = await self._call("Capabilities", p4runtime_pb2.CapabilitiesRequest(), self.timeout)
        return str(response.p4runtime_api_version)

    # -- writing ------------------------------------------------------------------------------------------

    async def insert(self, *entities: Entity) -> None:
        """Insert entities in one batch, which the switch may reorder; raises WriteError, RpcError."""
        await self._write(p4runtime_pb2.Update.INSERT, entities)

    async def modify(self, *entities: Entity) -> None:
        """Modify entities in one batch, which the switch may reorder; raises WriteError, RpcError."""
        await self._write(p4runtime_pb2.Update.MODIFY, entities)

    async def delete(self, *entities: Entity) -> None:
        """Delete entities, of which only the keys matter, in one batch; raises WriteError, RpcError."""
        request = self.write_request()
        for entity in entities:
            update = request.updates.add(type=p4runtime_pb2.Update.DELETE)
            update.entity.ParseFromString(self.codec.key(entity))
        await self.submit(request)

    async def _write(self, kind: p4runtime_pb2.Update.Type, entities: Sequence[Entity]) -> None:
        request = self.write_request()
        for entity in entities:
            update = request.updates.add(type=kind)
            update.entity.ParseFromString(self.codec.encode(entity).wire)
        await self.submit(request)

    def write_request(self) -> p4runtime_pb2.WriteRequest:
        """A batch to be filled with updates and submitted."""
        return p4runtime_pb2.WriteRequest(
            device_id=self.target.device_id,
            role=self.target.role,
            election_id=uint128(self.stream.election_id),
        )

    async def submit(self, request: p4runtime_pb2.WriteRequest) -> None:
        """Write a batch.

        Raises:
            WriteError: if some updates failed; the others took effect.
            RpcError: if the batch failed as a whole.
            NotConnectedError: if there is no stream at the moment.
        """
        try:
            with _own_errors("Write"):
                await self.stream.stub.Write(request, timeout=self.timeout)
        except RpcError as error:
            trailer = error.__cause__
            if not isinstance(trailer, grpc.aio.AioRpcError):
                raise
            errors = update_errors(trailer, len(request.updates))
            if errors is None:
                raise
            raise WriteError(self._failures(request, errors), len(request.updates)) from trailer

    def _failures(
        self, request: p4runtime_pb2.WriteRequest, errors: Sequence[p4runtime_pb2.Error]
    ) -> tuple[UpdateFailure, ...]:
        failures = []
        for index, (update, error) in enumerate(zip(request.updates, errors, strict=True)):
            if error.canonical_code:
                kind = p4runtime_pb2.Update.Type.Name(update.type)
                subject = f"{kind} {self.codec.describe(update.entity)}"
                code = status_code(error.canonical_code)
                failures.append(UpdateFailure(index, subject, code, error.message, error.space, error.code))
        return tuple(failures)

    # -- reading ------------------------------------------------------------------------------------------

    async def read(self, *queries: p4runtime_pb2.Entity) -> AsyncIterator[p4runtime_pb2.Entity]:
        """What the switch has that fits the queries, whose unset fields are wildcards.

        Raises:
            RpcError: if the switch refuses, be it in the middle; NotConnectedError.
        """
        request = p4runtime_pb2.ReadRequest(device_id=self.target.device_id, role=self.target.role, entities=queries)
        call = self.stream.stub.Read(request, timeout=_READ_TIMEOUT)
        try:
            with _own_errors("Read"):
                async for response in call:
                    for entity in response.entities:
                        yield entity
        finally:
            call.cancel()

    async def read_entities(self, *queries: p4runtime_pb2.Entity) -> list[Entity]:
        """As `read`, decoded; raises DecodingError besides."""
        return [self.codec.decode(entity) async for entity in self.read(*queries)]

    async def _call(self, method: str, request: Any, timeout: float) -> Any:  # noqa: ANN401, ASYNC109
        with _own_errors(method):
            return await getattr(self.stream.stub, method)(request, timeout=timeout)


@contextmanager
def _own_errors(method: str) -> Iterator[None]:
    """Turn gRPC's errors into RpcError, and so the cancellation of a call by the end of its connection.

    gRPC reports the latter as if the awaiting task had been cancelled, which it was not.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise RpcError(method, error.code(), error.details() or "") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RpcError(method, StatusCode.CANCELLED, "the connection ended") from None
