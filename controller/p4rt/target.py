"""Which switch, as whom, and how to reach it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import grpc.aio
from p4.v1 import p4runtime_pb2

_OPTIONS: list[tuple[str, int]] = [
    # Some servers, PI's among them, answer a read with one message, however large it is.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The trailer of a failed batch names the outcome of every update; gRPC's limit of 8 kB holds about 150.
    ("grpc.max_metadata_size", 16 << 20),
    ("grpc.absolute_max_metadata_size", 16 << 20),
    # A subchannel shared with an earlier, failed attempt would impose gRPC's own back-off on the next.
    ("grpc.use_local_subchannel_pool", 1),
    # A switch that vanishes without a word is noticed 20 s after something was sent, or when a ping remains
    # unanswered. A server takes offence at pings more frequent than one in five minutes.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


@dataclass(frozen=True, slots=True)
class Target:
    """A device behind a P4Runtime server, and the role in which it is controlled.

    Attributes:
        address: gRPC target, such as ``192.0.2.1:9559`` or ``unix:/run/switch.sock``.
        device_id: number of the device at that server.
        election_id: 1 to 2^128 - 1; of several controllers, the one with the largest is primary. One that is
            larger after every start of the controller spares it from waiting until the switch has noticed that
            its predecessor is gone.
        role: "" has access to everything.
        takes_over: ask for the switch whenever it is without a primary, with a higher election id. Of several
            controllers only one should; whoever came with a higher id meanwhile is left alone.
        credentials: of the channel; None: plain text.
    """

    address: str
    device_id: int = 0
    election_id: int = 1
    role: str = ""
    takes_over: bool = False
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False, compare=False)

    def open_channel(self) -> grpc.aio.Channel:
        """A new channel, not connected yet."""
        if self.credentials is not None:
            return grpc.aio.secure_channel(self.address, self.credentials, options=_OPTIONS)
        return grpc.aio.insecure_channel(self.address, options=_OPTIONS)

    def __str__(self) -> str:
        return f"{self.address} device {self.device_id}"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts, in seconds: from `first`, doubling, up to `limit`, each shortened at random.

    The random part keeps the controllers of a restarted switch from calling in step.
    """

    first: float = 0.1
    limit: float = 5.0

    def pauses(self) -> Iterator[float]:
        """The pauses, without end."""
        pause = self.first
        while True:
            yield pause * random.uniform(0.5, 1.0)
            pause = min(pause * 2, self.limit)


def uint128(value: int) -> p4runtime_pb2.Uint128:
    """An election id as P4Runtime has it."""
    return p4runtime_pb2.Uint128(high=value >> 64, low=value & (1 << 64) - 1)


def from_uint128(message: p4runtime_pb2.Uint128) -> int:
    """An election id as a number."""
    return message.high << 64 | message.low
