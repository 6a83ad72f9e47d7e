"""How members find each other: a client of a fabric's control socket, JSON-RPC 2.0 with one object a line.

The connection stands for the accelerator: whoever joined a group over it has died when it ends. So it is kept as long
as the membership.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from accelerator.ip import IPAddress

# Octets of an answer; a group of 32 768 members is described in less.
_LONGEST_ANSWER = 1 << 20

# Seconds that a fabric may be away, and between looks for it.
PATIENCE = 30.0
_LOOK_EVERY = 0.2
# JSON-RPC: the fabric is not that far yet.
_METHOD_NOT_FOUND = -32601

CARRIERS = ("scale-up", "ipv4", "ipv6")


class RendezvousError(RuntimeError):
    """What the fabric answered instead, or that it does not answer.

    Attributes:
        code: JSON-RPC's; 0 if there was no answer.
        data: what the fabric says besides, like `field`, `value` or `lost`.
    """

    def __init__(self, message: str, code: int = 0, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = dict(data or {})

    @property
    def lost(self) -> tuple[str, ...]:
        """The members that are no more, if that is the reason."""
        lost = self.data.get("lost", ())
        return tuple(str(name) for name in lost) if isinstance(lost, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A complete group, as one of its members sees it (docs/incc.md).

    Attributes:
        group: its number in the fabric, 16 bits. name: what people call it. iid: its Instance-ID, 24 bits.
        carrier: "scale-up", "ipv4" or "ipv6".
        eid: the group's AccID, 32 bits, or IP address. address: the member's own.
        generation: 8 bits, another whenever the group is formed anew.
        rank: the member's, 0 to size - 1. size: how many members there are.
        slots: how many chunks can be under way. values: 32-bit values in a packet.
        router_mac: of the access router's port that contributions go to, six octets.
        members: their names by rank.
    """

    group: int
    name: str
    iid: int
    carrier: str
    eid: int | IPAddress
    generation: int
    rank: int
    size: int
    slots: int
    values: int
    router_mac: bytes
    address: int | IPAddress
    members: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Raises ValueError naming the field."""
        if self.carrier not in CARRIERS:
            raise ValueError(f"carrier = {self.carrier!r}: must be one of {', '.join(CARRIERS)}")
        for name, low, high in (
            ("group", 0, 0xFFFF),
            ("iid", 0, 0xFFFFFF),
            ("generation", 0, 0xFF),
            ("size", 1, 0x8000),
            ("rank", 0, self.size - 1),
            ("slots", 1, 0xFFFF),
            ("values", 1, 0x2000),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} = {value!r}: must be in {low}..{high}")
        if len(self.router_mac) != 6:
            raise ValueError(f"router_mac = {self.router_mac.hex(':')!r}: must have six octets")
        if self.members and len(self.members) != self.size:
            raise ValueError(f"members = {self.members}: must be {self.size}")
        for name in ("eid", "address"):
            value = getattr(self, name)
            version = None if isinstance(value, int) else f"ipv{value.version}"
            if (version or "scale-up") != self.carrier or (version is None and not 0 <= value <= 0xFFFFFFFF):
                raise ValueError(f"{name} = {value}: no address for carrier {self.carrier}")

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Descriptor:
        """Reads what `incc.join` and `incc.wait` answer. Raises RendezvousError naming the field."""
        try:
            carrier = str(document["carrier"])
            if carrier not in CARRIERS:
                raise ValueError(f"carrier = {carrier!r}: must be one of {', '.join(CARRIERS)}")
            eid, address = (
                _integer(document, name) if carrier == "scale-up" else ip_address(str(document[name]))
                for name in ("eid", "address")
            )
            members = document.get("members", [])
            if not isinstance(members, list):
                raise ValueError(f"members = {members!r}: must be a list")
            return cls(
                group=_integer(document, "group"),
                name=str(document["name"]),
                iid=_integer(document, "iid"),
                carrier=carrier,
                eid=eid,
                generation=_integer(document, "generation"),
                rank=_integer(document, "rank"),
                size=_integer(document, "size"),
                slots=_integer(document, "slots"),
                values=_integer(document, "values"),
                router_mac=bytes.fromhex(str(document["router_mac"]).replace(":", "")),
                address=address,
                members=tuple(str(member) for member in members),
            )
        except KeyError as error:
            raise RendezvousError(f"the group's descriptor has no {error.args[0]}") from None
        except (TypeError, ValueError) as error:
            raise RendezvousError(f"the group's descriptor: {error}") from None


def _integer(document: Mapping[str, object], name: str) -> int:
    value = document[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} = {value!r}: must be a whole number")
    return value


class Rendezvous:
    """A connection to a fabric's control socket; an async context manager.

    Calls may be under way at the same time. `patience`: seconds that a member waits for a fabric that does not answer
    any more, as when its controller is started anew.
    """

    def __init__(self, path: str | Path, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._path = str(path)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._ended: RendezvousError | None = None
        self._closed = False

    async def __aenter__(self) -> Rendezvous:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connects. Raises RendezvousError if no fabric is there."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST_ANSWER)
        except OSError as error:
            raise RendezvousError(f"control socket {self._path}: {error.strerror or error}") from None
        self._reading = asyncio.create_task(self._read(self._reader), name=f"answers from {self._path}")

    async def close(self) -> None:
        """Disconnects: for the fabric this accelerator is no more. Calls under way fail."""
        self._closed = True
        await self._disconnect()
        self._end(RendezvousError(f"control socket {self._path}: closed here"))

    async def _disconnect(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self._reading = self._writer = None

    async def call(self, method: str, **params: object) -> object:
        """Asks the fabric. Raises RendezvousError for its error, and when the connection ends before it answers."""
        if self._writer is None or self._ended is not None:
            raise self._ended or RendezvousError(f"control socket {self._path}: not open")
        number = next(self._numbers)
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def join(self, group: str, accelerator: str) -> Descriptor:
        """Joins a group; returns when it is complete. Raises RendezvousError."""
        return _descriptor(await self.call("incc.join", group=group, accelerator=accelerator))

    async def wait(self, group: str, accelerator: str, generation: int) -> Descriptor:
        """Returns when the group has been formed anew.

        A fabric that closes the connection may come back within `patience`: the member goes on then. Raises
        RendezvousError when the group or the membership has ended, or the fabric has.
        """
        while True:
            try:
                asked = self.call("incc.wait", group=group, accelerator=accelerator, generation=generation)
                return _descriptor(await asked)
            except RendezvousError as error:
                if error is not self._ended or self._closed:
                    raise
            descriptor = await self._resume(group, accelerator, generation)
            if descriptor.generation != generation:
                return descriptor

    async def leave(self, group: str, accelerator: str) -> None:
        """Leaves a group. Raises RendezvousError."""
        await self.call("incc.leave", group=group, accelerator=accelerator)

    async def _resume(self, group: str, accelerator: str, generation: int) -> Descriptor:
        """Goes on as a member over a new connection. Raises RendezvousError."""
        ended, until = self._ended, asyncio.get_running_loop().time() + self.patience
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await self._disconnect()
                self._ended = None
                await self.open()
                asked = self.call("incc.resume", group=group, accelerator=accelerator, generation=generation)
                return _descriptor(await asked)
            except RendezvousError as error:
                if error.code not in (0, _METHOD_NOT_FOUND):
                    raise
        raise RendezvousError(f"{ended}; it has not come back within {self.patience:g} s")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        reason = "the fabric closed it"
        try:
            while line := await reader.readline():
                self._answered(line)
        except (OSError, ValueError) as error:  # ValueError: longer than the limit
            reason = str(error)
        self._end(RendezvousError(f"control socket {self._path}: {reason}"))

    def _answered(self, line: bytes) -> None:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(f"no answer of JSON-RPC: {line[:80]!r}")
        answer = self._waiting.get(message.get("id", 0))
        if answer is None or answer.done():
            return  # somebody asked and no longer waits; or an error that belongs to no request
        error = message.get("error")
        if error is None:
            answer.set_result(message.get("result"))
        else:
            answer.set_exception(_error(error))

    def _end(self, error: RendezvousError) -> None:
        self._ended = self._ended or error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._ended)


def _error(error: object) -> RendezvousError:
    if not isinstance(error, dict):
        return RendezvousError(str(error))
    code, data = error.get("code", 0), error.get("data")
    return RendezvousError(
        str(error.get("message", "error without a message")),
        code if isinstance(code, int) else 0,
        data if isinstance(data, dict) else None,
    )


def _descriptor(answer: object) -> Descriptor:
    if not isinstance(answer, dict):
        raise RendezvousError(f"the group's descriptor is no object: {answer!r}")
    return Descriptor.from_json(answer)
