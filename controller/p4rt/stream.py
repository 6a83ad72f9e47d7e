"""The stream to a switch: kept alive, arbitrated, and taken apart into packets, digests and notices.

A P4Runtime session is the life of one StreamChannel call. This one is opened again, with growing pauses,
whenever it ends; who needs to know follows `state`, or `term`, which counts the times this controller has
become primary (P4Runtime section "Client Arbitration and Controller Replication").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

import grpc.aio
from grpc import StatusCode
from p4.v1 import p4runtime_pb2, p4runtime_pb2_grpc

from controller.p4rt.codec import Codec
from controller.p4rt.errors import DecodingError, NotConnectedError
from controller.p4rt.feed import Feed
from controller.p4rt.packetio import (
    DigestList,
    IdleTimeout,
    PacketIn,
    PacketOut,
    StreamCodec,
    StreamError,
    decode_stream_error,
)
from controller.p4rt.target import Backoff, Target, from_uint128, uint128

log = logging.getLogger(__name__)

_OUTGOING = 1024  # messages that may wait for the connection before senders wait


class StreamState(Enum):
    """Where a controller stands with its switch."""

    DISCONNECTED = "disconnected"
    BACKUP = "backup"
    PRIMARY = "primary"


class Stream:
    """The stream to one switch.

    Attributes:
        state: where this controller stands.
        term: how many times it has become primary.
        packets, digests, idle_timeouts, errors: what the switch sends, from whenever one subscribes.
        malformed: messages of the switch that did not fit the P4Info and were ignored.
        patience: seconds within which the switch has to answer who is primary.
    """

    def __init__(self, target: Target, codec: Codec, backoff: Backoff) -> None:
        self.target = target
        self.election_id = target.election_id
        self.state = StreamState.DISCONNECTED
        self.term = 0
        self.malformed = 0
        self.patience = 10.0
        self.packets: Feed[PacketIn] = Feed()
        self.digests: Feed[DigestList] = Feed()
        self.idle_timeouts: Feed[IdleTimeout] = Feed()
        self.errors: Feed[StreamError] = Feed()
        self._codec = StreamCodec(codec)
        self._backoff = backoff
        self._pauses = backoff.pauses()
        self._listeners: list[Callable[[StreamState], None]] = []
        self._primary = asyncio.Event()
        self._highest_id = 0
        self._stub: Any = None  # the generated stubs are not typed
        self._outgoing: asyncio.Queue[p4runtime_pb2.StreamMessageRequest] | None = None
        self._task: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and stay connected until `close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"p4runtime stream {self.target}")

    async def close(self) -> None:
        """End the stream, and every subscription to it."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._enter(StreamState.DISCONNECTED)
        for feed in (self.packets, self.digests, self.idle_timeouts, self.errors):
            feed.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._session()
                reason = "the switch ended it"
            except grpc.aio.AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            except TimeoutError:
                reason = f"no answer in {self.patience} s"
            except Exception:
                # a fault in here must not leave the switch without its controller
                log.exception("%s: the stream failed", self.target)
                reason = "an internal error"
            self._enter(StreamState.DISCONNECTED)
            pause = next(self._pauses)
            log.info("%s: no stream: %s; again in %.1f s", self.target, reason, pause)
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        """One StreamChannel call from start to end; raises AioRpcError if it ends in an error."""
        outgoing: asyncio.Queue[p4runtime_pb2.StreamMessageRequest] = asyncio.Queue(_OUTGOING)
        outgoing.put_nowait(self._arbitration())
        async with self.target.open_channel() as channel:
            stub: Any = p4runtime_pb2_grpc.P4RuntimeStub(channel)  # type: ignore[no-untyped-call]
            call = stub.StreamChannel()
            writing = asyncio.create_task(_write_all(call, outgoing), name=f"p4runtime writes {self.target}")
            self._stub, self._outgoing = stub, outgoing
            try:
                async with asyncio.timeout(self.patience) as until:
                    async for message in call:
                        self._receive(message)
                        if self.state is not StreamState.DISCONNECTED:
                            until.reschedule(None)
            finally:
                self._stub = self._outgoing = None
                writing.cancel()
                call.cancel()
                while not outgoing.empty():  # whoever waits for room shall learn that it is over
                    outgoing.get_nowait()

    # -- state --------------------------------------------------------------------------------------------

    @property
    def stub(self) -> Any:  # noqa: ANN401  # the generated stubs are not typed
        """The stub for calls beside the stream; raises NotConnectedError."""
        if self._stub is None:
            raise NotConnectedError(f"{self.target}: not connected")
        return self._stub

    def on_state(self, listener: Callable[[StreamState], None]) -> Callable[[], None]:
        """Call `listener` at every change of state; returns what stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_primary(self) -> int:
        """Wait until this controller is primary; returns the term."""
        await self._primary.wait()
        return self.term

    async def become_primary(self) -> int:
        """Ask for the switch with an election id above any the switch has seen; returns the term.

        Raises:
            NotConnectedError: if there is no stream at the moment.
        """
        if self.state is not StreamState.PRIMARY:
            self.election_id = max(self.election_id, self._highest_id + 1)
            await self._send(self._arbitration())
        return await self.wait_primary()

    def _enter(self, state: StreamState) -> None:
        if state is self.state:
            return
        self.state = state
        if state is StreamState.PRIMARY:
            self.term += 1
            self._primary.set()
        else:
            self._primary.clear()
        log.info("%s: %s", self.target, state.value)
        for listener in list(self._listeners):
            try:
                listener(state)
            except Exception:
                log.exception("%s: a listener failed", self.target)

    # -- what comes in ------------------------------------------------------------------------------------

    def _receive(self, message: p4runtime_pb2.StreamMessageResponse) -> None:
        try:
            match message.WhichOneof("update"):
                case "packet":
                    self.packets.publish(self._codec.packet_in(message.packet))
                case "digest":
                    self.digests.publish(self._codec.digest_list(message.digest))
                case "idle_timeout_notification":
                    notice = message.idle_timeout_notification
                    self.idle_timeouts.publish(self._codec.idle_timeout(notice))
                case "error":
                    error = decode_stream_error(message.error)
                    log.warning("%s: %s", self.target, error)
                    self.errors.publish(error)
                case "arbitration":
                    self._arbitrated(message.arbitration)
        except DecodingError as error:
            self.malformed += 1
            log.warning("%s: ignored a message: %s", self.target, error)

    def _arbitrated(self, update: p4runtime_pb2.MasterArbitrationUpdate) -> None:
        self._pauses = self._backoff.pauses()  # the switch accepts us: the next failure is a new one
        self._highest_id = max(self._highest_id, from_uint128(update.election_id))
        primary = update.status.code == StatusCode.OK.value[0]
        self._enter(StreamState.PRIMARY if primary else StreamState.BACKUP)
        orphaned = update.status.code == StatusCode.NOT_FOUND.value[0]
        if orphaned and self.target.takes_over and self._outgoing is not None and not self._outgoing.full():
            self.election_id = max(self.election_id, self._highest_id + 1)
            self._outgoing.put_nowait(self._arbitration())

    # -- what goes out ------------------------------------------------------------------------------------

    async def send_packet(self, packet: PacketOut) -> None:
        """Send a packet; waits while more than a thousand are on their way.

        The switch does not confirm packets; what it refuses appears among `errors`.

        Raises:
            EncodingError: if its metadata does not fit the program.
            NotConnectedError: if there is no stream at the moment.
        """
        await self._send(p4runtime_pb2.StreamMessageRequest(packet=self._codec.packet_out(packet)))

    async def acknowledge(self, digests: DigestList) -> None:
        """Tell the switch that a list has arrived, so that it reports the same data again when it recurs.

        Raises:
            NotConnectedError: if there is no stream at the moment.
        """
        await self._send(p4runtime_pb2.StreamMessageRequest(digest_ack=self._codec.digest_ack(digests)))

    def _arbitration(self) -> p4runtime_pb2.StreamMessageRequest:
        update = p4runtime_pb2.MasterArbitrationUpdate(
            device_id=self.target.device_id, election_id=uint128(self.election_id)
        )
        if self.target.role:
            update.role.name = self.target.role
        return p4runtime_pb2.StreamMessageRequest(arbitration=update)

    async def _send(self, message: p4runtime_pb2.StreamMessageRequest) -> None:
        outgoing = self._outgoing
        if outgoing is not None:
            await outgoing.put(message)
        if outgoing is None or outgoing is not self._outgoing:
            raise NotConnectedError(f"{self.target}: not connected")


async def _write_all(call: Any, queue: asyncio.Queue[p4runtime_pb2.StreamMessageRequest]) -> None:  # noqa: ANN401
    # why a write fails, the reader of the same call is told too
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while True:
            await call.write(await queue.get())
