"""A group whose members are in one process and compute at once: what the backend sees of a fabric, without one."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from accelerator.torch_backend.communicator import Communicator
from accelerator.torch_backend.numbers import Array, Octets

_COMBINE = {
    "sum": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip


class Hub:
    """Brings together what the members of a group call; fails if they do not call the same."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._calls: list[dict[int, Array]] = []
        self._names: list[object] = []
        self._ready: list[asyncio.Event] = []

    async def meet(self, turn: int, rank: int, name: object, data: Array) -> list[Array]:
        """What all members gave in their call number `turn`, by rank."""
        if turn == len(self._calls):
            self._calls.append({})
            self._names.append(name)
            self._ready.append(asyncio.Event())
        if self._names[turn] != name:
            raise RuntimeError(f"rank {rank} called {name}, another one {self._names[turn]}")
        self._calls[turn][rank] = data.copy()
        if len(self._calls[turn]) == self.size:
            self._ready[turn].set()
        await self._ready[turn].wait()
        return [self._calls[turn][one] for one in range(self.size)]


class Loopback(Communicator):
    """One member."""

    def __init__(self, hub: Hub, rank: int) -> None:
        self.rank, self.size = rank, hub.size
        self.closed = False
        self._hub = hub
        self._turn = 0

    async def _meet(self, name: object, data: Array) -> list[Array]:
        self._turn += 1
        return await self._hub.meet(self._turn - 1, self.rank, name, data)

    async def _combined(self, name: str, values: Array, how: str, kind: str | None) -> Array:
        found = await self._meet((name, how, len(values), kind), values)
        if kind == "bfloat16":
            found = [(one.astype(np.uint32) << 16).view(np.float32) for one in found]
        function = _COMBINE["sum" if how == "avg" else how]
        total: Any = found[0]
        for one in found[1:]:
            total = function(total, one)
        if how == "avg":
            total = total / self.size
        if kind == "bfloat16":  # exact for the small whole numbers of these tests
            total = (total.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        result: Array = total.astype(values.dtype)
        return result

    async def all_reduce(self, values: Array, how: str, kind: str | None = None) -> Array:
        return await self._combined("all_reduce", values, how, kind)

    async def reduce(self, values: Array, how: str, root: int, kind: str | None = None) -> Array | None:
        found = await self._combined(f"reduce to {root}", values, how, kind)
        return found if self.rank == root else None

    async def reduce_scatter(self, values: Array, how: str, kind: str | None = None) -> Array:
        return np.split(await self._combined("reduce_scatter", values, how, kind), self.size)[self.rank]

    async def broadcast(self, octets: Octets, root: int) -> Octets:
        return (await self._meet(("broadcast", root, len(octets)), octets))[root].astype(np.uint8)

    async def all_gather(self, octets: Octets) -> Octets:
        return np.concatenate(await self._meet(("all_gather", len(octets)), octets)).astype(np.uint8)

    async def gather(self, octets: Octets, root: int) -> Octets | None:
        found = await self._meet(("gather", root, len(octets)), octets)
        return np.concatenate(found).astype(np.uint8) if self.rank == root else None

    async def scatter(self, octets: Octets | None, root: int, share: int) -> Octets:
        found = await self._meet(("scatter", root, share), np.zeros(0, np.uint8) if octets is None else octets)
        return np.split(found[root], self.size)[self.rank].astype(np.uint8)

    async def all_to_all(self, octets: Octets) -> Octets:
        found = await self._meet(("all_to_all", len(octets)), octets)
        return np.concatenate([np.split(one, self.size)[self.rank] for one in found]).astype(np.uint8)

    async def barrier(self) -> None:
        await self._meet("barrier", np.zeros(0, np.uint8))

    async def close(self) -> None:
        self.closed = True
