"""`lispfabric incc bench`: what collectives take, in the columns of nccl-tests.

size: octets of the whole operation, the larger of what a rank gives and gets. count: elements of that. time: of one
operation, the mean over the iterations, from the call to the last rank's result. algbw: size / time. busbw: algbw times
what a ring would have to move for each octet (2(n-1)/n for AllReduce, (n-1)/n for those whose parts go to or come from
every rank, 1 for Broadcast and Reduce), so that it compares with other machines. wrong: elements that are not what they
have to be; sums of floating-point numbers may be off by their bound (accelerator/incc/floats.py).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.group import AsyncGroup
from accelerator.incc.statistics import Statistics
from accelerator.rendezvous import Rendezvous

Array = NDArray[Any]

HEADER = (
    f"{'collective':14} {'size':>9} {'count':>9} {'type':>8} {'redop':>5} {'root':>4} "
    f"{'time':>9} {'algbw':>8} {'busbw':>8} {'wrong':>5}\n"
    f"{'':14} {'(B)':>9} {'(elem.)':>9} {'':8} {'':5} {'':4} {'(us)':>9} {'(MB/s)':>8} {'(MB/s)':>8} {'':5}"
)
ROOT = 0


@dataclass(frozen=True, slots=True)
class Collective:
    """One kind of collective.

    Attributes:
        call: begins it for a member, given its data and operation; awaited it gives the result.
        shape: of each rank's data, for so many elements of the whole operation and so many ranks.
        expected: a rank's result, from all ranks' data, exact; None where a rank gets none.
        factor: busbw / algbw.
        reduces, rooted: whether it has an operation, a root.
    """

    call: Callable[[AsyncGroup, Array, str], Any]
    shape: Callable[[int, int], tuple[int, ...]]
    expected: Callable[[Array, int, str], Array | None]
    factor: Callable[[int], float]
    reduces: bool = False
    rooted: bool = False


def _combined(data: Array, op: str) -> Array:
    wide: Array = data.astype(np.float64 if data.dtype.kind == "f" else np.int64)
    how: dict[str, Callable[..., Array]] = {"sum": np.sum, "min": np.min, "max": np.max, "avg": np.mean}
    return how[op](wide, axis=0)


def _whole(count: int, ranks: int) -> tuple[int, ...]:
    return (count,)


def _part(count: int, ranks: int) -> tuple[int, ...]:
    return (max(count // ranks, 1),)


def _parts(count: int, ranks: int) -> tuple[int, ...]:
    return (ranks, max(count // ranks, 1))


def _share(ranks: int) -> float:
    return (ranks - 1) / ranks


def _scatter(group: AsyncGroup, data: Array, op: str) -> Any:  # noqa: ANN401 - a handle
    rooted = group.rank == ROOT
    return group.scatter(data if rooted else None, ROOT, out=None if rooted else np.empty_like(data[0]))


def _one(ranks: int) -> float:
    return 1.0


COLLECTIVES = {
    "all_reduce": Collective(
        lambda group, data, op: group.all_reduce(data, op),
        _whole, lambda data, rank, op: _combined(data, op), lambda n: 2 * _share(n), reduces=True,
    ),
    "reduce": Collective(
        lambda group, data, op: group.reduce(data, ROOT, op),
        _whole, lambda data, rank, op: _combined(data, op) if rank == ROOT else None, _one, reduces=True, rooted=True,
    ),
    "reduce_scatter": Collective(
        lambda group, data, op: group.reduce_scatter(data.reshape(-1), op),
        _parts, lambda data, rank, op: _combined(data, op)[rank], _share, reduces=True,
    ),
    "broadcast": Collective(
        lambda group, data, op: group.broadcast(data, ROOT),
        _whole, lambda data, rank, op: data[ROOT], _one, rooted=True,
    ),
    "all_gather": Collective(
        lambda group, data, op: group.all_gather(data), _part, lambda data, rank, op: data, _share,
    ),
    "gather": Collective(
        lambda group, data, op: group.gather(data, ROOT),
        _part, lambda data, rank, op: data if rank == ROOT else None, _share, rooted=True,
    ),
    "scatter": Collective(_scatter, _parts, lambda data, rank, op: data[ROOT][rank], _share, rooted=True),
    "all_to_all": Collective(
        lambda group, data, op: group.all_to_all(data), _parts, lambda data, rank, op: data[:, rank], _share,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What one collective took. `seconds`: of one operation; `before`, `after`: each member's counters."""

    name: str
    size: int
    count: int
    dtype: str
    op: str
    seconds: float
    wrong: int
    ranks: int
    before: tuple[Statistics, ...] = ()
    after: tuple[Statistics, ...] = ()

    @property
    def octets_sent(self) -> float:
        """By a member's host in all the operations, as counted; mean of the members."""
        sent = [new.octets_sent - old.octets_sent for old, new in zip(self.before, self.after, strict=True)]
        return sum(sent) / len(sent)

    @property
    def packets(self) -> int:
        """That all members sent in all the operations."""
        return sum(new.sent - old.sent for old, new in zip(self.before, self.after, strict=True))

    def line(self) -> str:
        """As a row below HEADER."""
        kind = COLLECTIVES[self.name]
        speed = self.size / self.seconds / 1e6
        root = str(ROOT) if kind.rooted else "-1"
        op = self.op if kind.reduces else "none"
        return (
            f"{self.name:14} {self.size:9} {self.count:9} {self.dtype:>8} {op:>5} {root:>4} {self.seconds * 1e6:9.1f} "
            f"{speed:8.2f} {speed * kind.factor(self.ranks):8.2f} {self.wrong:5}"
        )


def sizes(smallest: int, largest: int, factor: int) -> Iterator[int]:
    """From `smallest` to `largest` octets, each `factor` times the one before. Raises ValueError."""
    if not 0 < smallest <= largest or factor < 2:
        raise ValueError(f"sizes = {smallest}..{largest} times {factor}: must grow from at least 1 by at least 2")
    while smallest <= largest:
        yield smallest
        smallest *= factor


async def join(control: Path, accelerators: Sequence[str], domain: str | None) -> list[AsyncGroup]:
    """Makes these accelerators of a running fabric the members of a new group, all in this process.

    Raises RendezvousError, LinkError, OSError.
    """
    name = f"bench-{secrets.token_hex(4)}"
    wanted = {} if domain is None else {"domain": domain}
    async with Rendezvous(control) as fabric:
        await fabric.call("incc.create", group=name, members=list(accelerators), **wanted)
    joining = (AsyncGroup.join(name, accelerator, control=control) for accelerator in accelerators)
    return list(await asyncio.gather(*joining))


async def leave(control: Path, members: Sequence[AsyncGroup]) -> None:
    """Ends their group."""
    async with Rendezvous(control) as fabric:
        await fabric.call("incc.destroy", group=members[0].descriptor.name)
    await asyncio.gather(*(member.close() for member in members))


async def measure(
    members: Sequence[AsyncGroup], name: str, octets: int, dtype: str, op: str, iterations: int, warm_up: int = 1
) -> Result:
    """Runs a collective `iterations` times after `warm_up` that do not count. Raises CollectiveError."""
    kind, ranks, kinds = COLLECTIVES[name], len(members), np.dtype(dtype)
    shape = kind.shape(max(octets // kinds.itemsize, 1), ranks)
    generator = np.random.default_rng(octets)
    if kinds.kind == "f":
        data = generator.standard_normal((ranks, *shape)).astype(kinds)
    else:
        data = generator.integers(0, 100, (ranks, *shape)).astype(kinds)

    async def once() -> list[Any]:
        handles = [kind.call(member, data[rank], op) for rank, member in enumerate(members)]
        return [await handle for handle in handles]

    for _ in range(warm_up):
        await once()
    before = tuple(member.statistics for member in members)
    begun = time.perf_counter()
    for _ in range(iterations):
        found = await once()
    seconds = (time.perf_counter() - begun) / iterations
    after = tuple(member.statistics for member in members)
    wrong = sum(_wrong(kind, data, rank, op, one) for rank, one in enumerate(found))
    count = data[0].size * (ranks if name in ("all_gather", "gather") else 1)
    return Result(name, count * kinds.itemsize, count, kinds.name, op, seconds, wrong, ranks, before, after)


def _wrong(kind: Collective, data: Array, rank: int, op: str, found: Array | None) -> int:
    expected = kind.expected(data, rank, op)
    if expected is None or found is None:
        return 0 if expected is found else 1
    if data.dtype.kind == "f" and kind.reduces and op in ("sum", "avg"):
        ranks = len(data)
        bound = ranks * ranks * 2.0**-30 * np.abs(data).max() + np.abs(expected) * np.finfo(data.dtype).eps
        return int((np.abs(found.astype(np.float64) - expected) > bound).sum())
    return int((found.reshape(expected.shape) != expected).sum())
