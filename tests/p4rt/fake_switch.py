"""A P4Runtime server in the test's own process: obeys the specification, and misbehaves on demand.

The updates of a batch are carried out in random order, as the specification permits, so that whoever puts
dependent updates into one batch is found out.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc import StatusCode
from p4.v1 import p4runtime_pb2, p4runtime_pb2_grpc

from tests.p4rt.fake_store import OK, Entity, Store, key_of


@dataclass
class Connection:
    outgoing: asyncio.Queue[p4runtime_pb2.StreamMessageResponse]
    election_id: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class FakeSwitch(Store):
    """A server for one device.

    Attributes:
        calls: how often each RPC was called.
        batches: sizes of the Writes carried out.
        packets_out, acks: what arrived on streams.
        fail_writes, fail_reads: statuses with which the next calls fail as a whole.
        details: whether a failed Write says which updates failed.
        largest_write: updates in a Write; more are refused. 0: any number.
        unreadable: kinds of entities whose reads are not implemented.
        mangle: is applied to every entity that is read back.
        before_write: awaited before a Write is carried out.
        deaf: it reads nothing more from streams.
        preserve: the answer to RECONCILE_AND_COMMIT; UNKNOWN behaves as PI does.
    """

    device_id: int = 1
    seed: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    batches: list[int] = field(default_factory=list)
    packets_out: list[p4runtime_pb2.PacketOut] = field(default_factory=list)
    acks: list[p4runtime_pb2.DigestListAck] = field(default_factory=list)
    fail_writes: deque[tuple[StatusCode, str]] = field(default_factory=deque)
    fail_reads: deque[tuple[StatusCode, str]] = field(default_factory=deque)
    details: bool = True
    largest_write: int = 0
    unreadable: set[str] = field(default_factory=set)
    mangle: Callable[[Entity], Entity] = lambda entity: entity
    before_write: Callable[[], Any] | None = None
    deaf: bool = False
    preserve: StatusCode = StatusCode.UNIMPLEMENTED

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._server: grpc.aio.Server | None = None
        self._connections: list[Connection] = []
        self._uncommitted = False

    # -- RPCs ---------------------------------------------------------------------------------------------

    def _primary(self) -> Connection | None:
        return max(self._connections, key=lambda connection: connection.election_id, default=None)

    async def _check_primary(self, request: Any, context: Any) -> None:
        primary = self._primary()
        given = request.election_id.high << 64 | request.election_id.low
        if request.device_id != self.device_id:
            await context.abort(StatusCode.NOT_FOUND, "no such device")
        if primary is None or primary.election_id != given:
            await context.abort(StatusCode.PERMISSION_DENIED, "Not primary")

    async def Write(self, request: p4runtime_pb2.WriteRequest, context: Any) -> p4runtime_pb2.WriteResponse:  # noqa: N802
        self.calls["Write"] += 1
        await self._check_primary(request, context)
        if self.before_write is not None:
            await self.before_write()
        if self.fail_writes:
            await context.abort(*self.fail_writes.popleft())
        if self.config is None:
            await context.abort(StatusCode.FAILED_PRECONDITION, "No forwarding pipeline config set")
        if self.largest_write and len(request.updates) > self.largest_write:
            await context.abort(StatusCode.RESOURCE_EXHAUSTED, "message too large")
        self.batches.append(len(request.updates))
        order = list(range(len(request.updates)))
        self._random.shuffle(order)
        codes = dict.fromkeys(order, OK)
        for index in order:
            codes[index] = self.apply(request.updates[index])
        if any(code is not OK for code in codes.values()):
            await self._abort_with_details(context, [codes[index] for index in sorted(codes)])
        return p4runtime_pb2.WriteResponse()

    async def _abort_with_details(self, context: Any, codes: list[StatusCode]) -> None:
        if self.details:
            status = status_pb2.Status(code=StatusCode.UNKNOWN.value[0], message="Write failure.")
            for code in codes:
                detail = any_pb2.Any()
                detail.Pack(p4runtime_pb2.Error(canonical_code=code.value[0], message=code.name.lower()))
                status.details.append(detail)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(StatusCode.UNKNOWN, "Write failure.")

    async def Read(  # noqa: N802
        self, request: p4runtime_pb2.ReadRequest, context: Any
    ) -> AsyncIterator[p4runtime_pb2.ReadResponse]:
        self.calls["Read"] += 1
        if self.fail_reads:
            await context.abort(*self.fail_reads.popleft())
        if self.config is None:
            await context.abort(StatusCode.FAILED_PRECONDITION, "No forwarding pipeline config set")
        for query in request.entities:
            if query.WhichOneof("entity") in self.unreadable:
                await context.abort(StatusCode.UNIMPLEMENTED, "cannot read that")
            found = [self.mangle(Entity.FromString(e.SerializeToString())) for e in self._select(query)]
            for start in range(0, len(found), 3):
                yield p4runtime_pb2.ReadResponse(entities=found[start : start + 3])

    def _select(self, query: Entity) -> list[Entity]:
        kind = query.WhichOneof("entity")
        if kind == "table_entry":
            table_id = query.table_entry.table_id
            if query.table_entry.is_default_action:
                initial = self._initial_default(table_id)
                return [self.held.get(key_of(initial), initial)]
            return [
                e
                for e in self._of("table_entry")
                if table_id in (0, e.table_entry.table_id) and not e.table_entry.is_default_action
            ]
        found = self._of(kind or "")
        if kind == "packet_replication_engine_entry":
            wanted = query.packet_replication_engine_entry.WhichOneof("type")
            return [e for e in found if e.packet_replication_engine_entry.WhichOneof("type") == wanted]
        wanted_id = getattr(query, kind or "").ListFields()
        return [e for e in found if all(getattr(getattr(e, kind or ""), f.name) == v for f, v in wanted_id)]

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4runtime_pb2.SetForwardingPipelineConfigRequest, context: Any
    ) -> p4runtime_pb2.SetForwardingPipelineConfigResponse:
        self.calls["SetForwardingPipelineConfig"] += 1
        await self._check_primary(request, context)
        preserve = request.action == request.RECONCILE_AND_COMMIT
        if request.action == request.COMMIT:
            if not self._uncommitted:
                await context.abort(StatusCode.NOT_FOUND, "nothing saved")
            self._uncommitted = False
            return p4runtime_pb2.SetForwardingPipelineConfigResponse()
        if self._uncommitted:
            await context.abort(StatusCode.UNKNOWN, "Error in first phase of device update")
        if preserve and self.preserve is not OK:
            if self.preserve is StatusCode.UNKNOWN:  # as PI: the pipeline is loaded, but not committed
                self._uncommitted = True
                self.config = request.config
            await context.abort(self.preserve, "cannot preserve")
        if not preserve:
            self.held.clear()
        self.config = request.config
        return p4runtime_pb2.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4runtime_pb2.GetForwardingPipelineConfigRequest, context: Any
    ) -> p4runtime_pb2.GetForwardingPipelineConfigResponse:
        self.calls["GetForwardingPipelineConfig"] += 1
        response = p4runtime_pb2.GetForwardingPipelineConfigResponse()
        if self.config is None:
            return response
        response.config.cookie.CopyFrom(self.config.cookie)
        if request.response_type in (request.ALL, request.P4INFO_AND_COOKIE):
            response.config.p4info.CopyFrom(self.config.p4info)
        if request.response_type in (request.ALL, request.DEVICE_CONFIG_AND_COOKIE):
            response.config.p4_device_config = self.config.p4_device_config
        return response

    async def Capabilities(  # noqa: N802
        self, request: p4runtime_pb2.CapabilitiesRequest, context: Any
    ) -> p4runtime_pb2.CapabilitiesResponse:
        return p4runtime_pb2.CapabilitiesResponse(p4runtime_api_version="1.4.0")

    # -- the stream ---------------------------------------------------------------------------------------

    async def StreamChannel(self, requests: Any, context: Any) -> None:  # noqa: N802
        self.calls["StreamChannel"] += 1
        connection = Connection(asyncio.Queue())
        await context.send_initial_metadata(())  # or the first write and an abort would both send it
        writer = asyncio.create_task(self._write_all(connection, context))
        hung_up = asyncio.create_task(connection.hung_up.wait())
        try:
            while True:
                reading = asyncio.create_task(asyncio.Event().wait() if self.deaf else context.read())
                done, _ = await asyncio.wait({reading, hung_up}, return_when=asyncio.FIRST_COMPLETED)
                if reading not in done:
                    reading.cancel()
                    writer.cancel()
                    await asyncio.wait({reading, writer})
                    await context.abort(StatusCode.UNAVAILABLE, "the switch hangs up")
                if reading.result() is grpc.aio.EOF:  # type: ignore[attr-defined]  # the hints lack it
                    return
                await self._take(reading.result(), connection, context)
        finally:
            writer.cancel()
            hung_up.cancel()
            if connection in self._connections:
                self._connections.remove(connection)
                self._notify()

    async def _write_all(self, connection: Connection, context: Any) -> None:
        while True:
            await context.write(await connection.outgoing.get())

    async def _take(self, request: p4runtime_pb2.StreamMessageRequest, connection: Connection, context: Any) -> None:
        match request.WhichOneof("update"):
            case "arbitration":
                update = request.arbitration
                connection.election_id = update.election_id.high << 64 | update.election_id.low
                others = {other.election_id for other in self._connections if other is not connection}
                if connection.election_id in others:
                    await context.abort(StatusCode.INVALID_ARGUMENT, "Election id already exists")
                if connection not in self._connections:
                    self._connections.append(connection)
                self._notify()
            case "packet":
                self.packets_out.append(request.packet)
            case "digest_ack":
                self.acks.append(request.digest_ack)

    def _notify(self) -> None:
        primary = self._primary()
        for connection in self._connections:
            message = p4runtime_pb2.StreamMessageResponse()
            update = message.arbitration
            update.device_id = self.device_id
            if primary is not None:
                update.election_id.high = primary.election_id >> 64
                update.election_id.low = primary.election_id & (1 << 64) - 1
            update.status.code = 0 if connection is primary else StatusCode.ALREADY_EXISTS.value[0]
            connection.outgoing.put_nowait(message)

    def send(self, message: p4runtime_pb2.StreamMessageResponse) -> None:
        """Send something to the primary."""
        primary = self._primary()
        assert primary is not None
        primary.outgoing.put_nowait(message)

    def hang_up(self) -> None:
        """End every stream with an error."""
        for connection in self._connections:
            connection.hung_up.set()

    # -- the server ---------------------------------------------------------------------------------------

    async def start(self, address: str) -> None:
        self._server = grpc.aio.server()
        p4runtime_pb2_grpc.add_P4RuntimeServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self._server.add_insecure_port(address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    @asynccontextmanager
    async def serving(self, address: str) -> AsyncIterator[FakeSwitch]:
        await self.start(address)
        try:
            yield self
        finally:
            await self.stop()
