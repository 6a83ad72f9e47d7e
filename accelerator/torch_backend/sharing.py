"""How the ranks of a process group become members of a group of the fabric.

Every rank knows its own accelerator; the first tells the fabric who all are, and all join. What they tell each other
goes through PyTorch's store.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import numpy as np
import torch.distributed as dist

from accelerator.incc.group import AsyncGroup
from accelerator.links import control_path
from accelerator.rendezvous import Rendezvous, RendezvousError
from accelerator.torch_backend.communicator import Communicator
from accelerator.torch_backend.engine import Engine
from accelerator.torch_backend.numbers import Array, Octets
from accelerator.torch_backend.shared_links import SharedLinks

CONTROL, FABRIC, DOMAIN = "LISPFABRIC_CONTROL", "LISPFABRIC_FABRIC", "LISPFABRIC_DOMAIN"
ACCELERATOR, ACCELERATORS = "LISPFABRIC_ACCELERATOR", "LISPFABRIC_ACCELERATORS"
SLOTS = "LISPFABRIC_SLOTS"

# Seconds for which a rank that is done waits for the others to be done too before it leaves a group.
_FAREWELL = 5.0

_links: dict[tuple[str, str], SharedLinks] = {}


def connect(
    engine: Engine, store: dist.Store, name: str, rank: int, size: int, ranks: Sequence[int], timeout: timedelta
) -> Communicator:
    """Makes this rank a member of a new group; returns when all are.

    `ranks`: the members' ranks in the whole job. Raises DistBackendError naming what is missing or was refused.
    """
    control = os.environ.get(CONTROL) or str(control_path(os.environ.get(FABRIC, "figure1")))
    try:
        store.set(f"incc/{rank}", own_accelerator(ranks[rank]))
        if rank == 0:
            members = [store.get(f"incc/{other}").decode() for other in range(size)]
            # Process groups of other jobs on the same fabric have the same names.
            group = f"torch-{name}-{secrets.token_hex(4)}"
            try:
                engine.run(create(control, group, members), timeout.total_seconds())
            except Exception as error:
                store.set("incc/group", f"!{error}")
                raise
            store.set("incc/group", group)
        group = store.get("incc/group").decode()
        if group.startswith("!"):
            raise RendezvousError(f"rank 0 could not make the group: {group[1:]}")
        accelerator = own_accelerator(ranks[rank])
        links = _links.setdefault((control, accelerator), SharedLinks(control, accelerator))
        joining = AsyncGroup.join(group, accelerator, control=control, attach=links.attach)
        return FabricCommunicator(engine.run(joining, timeout.total_seconds()), store, control)
    except (RuntimeError, ValueError, OSError) as error:
        text = f"not formed after {timeout.total_seconds():g} s" if isinstance(error, TimeoutError) else str(error)
        raise dist.DistBackendError(f"incc: process group {name}, rank {rank} of {size}: {text}") from error


def own_accelerator(rank: int) -> str:
    """The accelerator of this process, whose rank in the whole job is `rank`. Raises ValueError."""
    if name := os.environ.get(ACCELERATOR):
        return name
    names = [name.strip() for name in os.environ.get(ACCELERATORS, "").split(",") if name.strip()]
    if rank < len(names):
        return names[rank]
    found = f"{ACCELERATORS} names {len(names)}" if names else f"neither that nor {ACCELERATORS} is set"
    raise ValueError(f"{ACCELERATOR}: no accelerator for rank {rank}, {found}")


async def create(control: str, group: str, members: Sequence[str]) -> None:
    """Asks the fabric for a group. Raises RendezvousError, ValueError for a number of slots that is none."""
    wanted: dict[str, object] = {}
    if domain := os.environ.get(DOMAIN):
        wanted["domain"] = domain
    if slots := os.environ.get(SLOTS):
        wanted["slots"] = int(slots)
    async with Rendezvous(control) as fabric:
        try:
            await fabric.call("incc.create", group=group, members=list(members), **wanted)
        except RendezvousError as error:
            hint = f" ({DOMAIN} has to name one of the fabric's INCC domains)" if not domain else ""
            raise RendezvousError(f"no group of {', '.join(members)}: {error}{hint}") from None


class FabricCommunicator(Communicator):
    """A member of a group of a running fabric."""

    def __init__(self, group: AsyncGroup, store: dist.Store, control: str) -> None:
        self.group = group
        self._store, self._control = store, control
        self._said = False
        self.rank, self.size = group.rank, group.size

    async def all_reduce(self, values: Array, how: str, kind: str | None = None) -> Array:
        """See Communicator, as for all others."""
        return cast(Array, await self.group.all_reduce(values, how, dtype=kind))

    async def reduce(self, values: Array, how: str, root: int, kind: str | None = None) -> Array | None:
        """See Communicator."""
        return cast("Array | None", await self.group.reduce(values, root, how, dtype=kind))

    async def reduce_scatter(self, values: Array, how: str, kind: str | None = None) -> Array:
        """See Communicator."""
        return cast(Array, await self.group.reduce_scatter(values, how, dtype=kind))

    async def broadcast(self, octets: Octets, root: int) -> Octets:
        """See Communicator."""
        return cast(Octets, await self.group.broadcast(octets, root))

    async def all_gather(self, octets: Octets) -> Octets:
        """See Communicator."""
        return cast(Octets, await self.group.all_gather(octets)).reshape(-1)

    async def gather(self, octets: Octets, root: int) -> Octets | None:
        """See Communicator."""
        found = cast("Octets | None", await self.group.gather(octets, root))
        return None if found is None else found.reshape(-1)

    async def scatter(self, octets: Octets | None, root: int, share: int) -> Octets:
        """See Communicator."""
        rows = None if octets is None else octets.reshape(self.size, share)
        return cast(Octets, await self.group.scatter(rows, root, out=np.empty(share, np.uint8)))

    async def all_to_all(self, octets: Octets) -> Octets:
        """See Communicator."""
        return cast(Octets, await self.group.all_to_all(octets.reshape(self.size, -1))).reshape(-1)

    async def barrier(self) -> None:
        """See Communicator."""
        await self.group.barrier()

    async def close(self) -> None:
        """See Communicator.

        Whoever has the last result must not be gone while another one still asks for it, so all wait for all, for a
        while. Then rank 0 ends the group, which gives its slots back.
        """
        if self.group.error is None:
            await self._farewell()
        await self.group.close()
        if self.rank == 0:
            async with asyncio.timeout(_FAREWELL), Rendezvous(self._control) as fabric:
                await fabric.call("incc.destroy", group=self.group.descriptor.name)

    async def _farewell(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL):
                while await asyncio.to_thread(self._store.add, "incc/done", 0 if self._said else 1) < self.size:
                    self._said = True
                    await asyncio.sleep(0.01)
        except (RuntimeError, TimeoutError):
            pass  # the store has gone with the rank that kept it, or somebody died
