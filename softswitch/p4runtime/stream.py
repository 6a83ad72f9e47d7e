"""One stream channel: what a client says, and the queue of what it is to be told."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.device import Device, as_int
from softswitch.p4runtime.errors import (
    SPACE,
    Code,
    P4RuntimeError,
    failed_precondition,
    invalid_argument,
    permission_denied,
    unimplemented,
)
from softswitch.p4runtime.roles import decode_config

log = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 4096
"""Messages that wait for a slow client; packets, digests and notifications beyond are dropped."""


class Stream:
    """A client of a device, from its first arbitration update on.

    Attributes:
        role: the role that the client announced, None for the default role.
        dropped: messages that a slow client did not get.
    """

    def __init__(self, devices: dict[int, Device]) -> None:
        self.role: p4rt.Role | None = None
        self.dropped = 0
        self._devices = devices
        self._device: Device | None = None
        self._queue: asyncio.Queue[p4rt.StreamMessageResponse | None] = asyncio.Queue()

    @property
    def device(self) -> Device | None:
        """The device that it is for; None before the first arbitration update."""
        return self._device

    def send(self, message: p4rt.StreamMessageResponse) -> None:
        """Queues a message; arbitration updates are never dropped."""
        if self._queue.qsize() >= QUEUE_LIMIT and not message.HasField("arbitration"):
            self.dropped += 1
            return
        self._queue.put_nowait(message)

    async def next(self) -> p4rt.StreamMessageResponse | None:
        """The next message for the client, None after the last one."""
        return await self._queue.get()

    def handle(self, request: p4rt.StreamMessageRequest) -> None:
        """Takes a message from the client; what is wrong with anything but arbitration is told on the stream.

        Raises:
            P4RuntimeError: the stream has to be closed with this error.
        """
        kind = request.WhichOneof("update")
        if kind == "arbitration":
            self._arbitrate(request.arbitration)
            return
        try:
            self._pass_on(request, kind)
        except P4RuntimeError as error:
            self.send(p4rt.StreamMessageResponse(error=_stream_error(request, error)))

    def close(self) -> None:
        """The client says no more; it still gets what waits."""
        if self._device is not None:
            self._device.leave(self)
        self._queue.put_nowait(None)
        if self.dropped:
            log.warning("%d stream messages were dropped, since the client was too slow", self.dropped)

    def _arbitrate(self, update: p4rt.MasterArbitrationUpdate) -> None:
        device = self._devices.get(update.device_id)
        if self._device is not None and device is not self._device:
            raise failed_precondition(f"this stream is for another device than {update.device_id}")
        if device is None:
            raise P4RuntimeError(Code.NOT_FOUND, f"there is no device with id {update.device_id}")
        role = update.role if update.HasField("role") else None
        config = decode_config(role.config) if role is not None and role.HasField("config") else None
        if config is not None and role is not None and not role.name:
            raise invalid_argument("role.config: the default role has full pipeline access and no configuration")
        if role is not None and role.id and not role.name:
            raise unimplemented(f"role.id {role.id}: numeric roles were deprecated in P4Runtime 1.4; use role.name")
        election_id = as_int(update.election_id) if update.HasField("election_id") else None
        if self._device is None:
            self.role = role
        device.announce(self, role.name if role is not None else "", election_id, config)
        self._device = device

    def _pass_on(self, request: p4rt.StreamMessageRequest, kind: str | None) -> None:
        if self._device is None:
            raise permission_denied("the first message of a stream must be an arbitration update")
        match kind:
            case "packet":
                self._device.packet_out(self, request.packet)
            case "digest_ack":
                self._device.digest_ack(self, request.digest_ack)
            case "other":
                raise unimplemented(f"stream messages of type {request.other.type_url!r} are not known")
            case _:
                raise invalid_argument("the stream message is empty")


def _stream_error(request: p4rt.StreamMessageRequest, error: P4RuntimeError) -> p4rt.StreamError:
    """The report of an error, with the message that caused it."""
    report = p4rt.StreamError(canonical_code=error.code, message=error.message, space=SPACE, code=error.code)
    match request.WhichOneof("update"):
        case "packet":
            report.packet_out.packet_out.CopyFrom(request.packet)
        case "digest_ack":
            report.digest_list_ack.digest_list_ack.CopyFrom(request.digest_ack)
        case _:
            report.other.other.CopyFrom(request.other)
    return report
