"""One rank of the tests over a fabric: every collective by incc and by gloo, then DDP and FSDP, and a JSON report.

Started by test_fabric.py, with PyTorch's environment for `env://`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

Call = Callable[[Any], Any]


def integers(rank: int, size: int) -> dict[str, Call]:
    """Every collective, given a group; each returns what the rank has afterwards."""

    def data(count: int = 150) -> torch.Tensor:
        return torch.arange(count, dtype=torch.int32) * (rank + 1) - 70

    def all_reduce(group: Any) -> Any:
        found = data()
        work = dist.all_reduce(found, group=group, async_op=True)
        work.wait()
        return found

    def coalesced(group: Any) -> Any:
        found = [data(7), data(130)]
        dist.all_reduce_coalesced(found, group=group)
        return found

    def broadcast(group: Any) -> Any:
        found = data().to(torch.complex64)
        dist.broadcast(found, 2, group=group)
        return found

    def reduce(group: Any) -> Any:
        found = data()
        dist.reduce(found, 1, dist.ReduceOp.MAX, group=group)
        return found if rank == 1 else None

    def all_gather(group: Any) -> Any:
        found = [torch.empty(150, dtype=torch.int32) for _ in range(size)]
        dist.all_gather(found, data(), group=group)
        return found

    def all_gather_into_tensor(group: Any) -> Any:
        found = torch.empty(150 * size, dtype=torch.int32)
        dist.all_gather_into_tensor(found, data(), group=group)
        return found

    def objects(group: Any) -> Any:
        found: list[Any] = [None] * size
        dist.all_gather_object(found, {"rank": rank, "text": "x" * rank}, group=group)
        return found

    def gather(group: Any) -> Any:
        found = [torch.empty(150, dtype=torch.int32) for _ in range(size)] if rank == 3 else None
        dist.gather(data(), found, 3, group=group)
        return found

    def scatter(group: Any) -> Any:
        found = torch.empty(150, dtype=torch.int32)
        dist.scatter(found, [data() + one for one in range(size)] if rank == 1 else None, 1, group=group)
        return found

    def reduce_scatter_tensor(group: Any) -> Any:
        found = torch.empty(50, dtype=torch.int32)
        dist.reduce_scatter_tensor(found, data(50 * size), group=group)
        return found

    def all_to_all_single(group: Any) -> Any:
        sizes = [1 + rank + one for one in range(size)]
        found = torch.empty(sum(sizes), dtype=torch.int32)
        dist.all_to_all_single(found, data(sum(sizes)), sizes, sizes, group=group)
        return found

    def pair(group: Any) -> Any:
        # A group of two of the ranks, of the same backend.
        backend = dist.get_backend(group)
        two = dist.new_group([1, 3], backend=backend)
        found = data()
        if rank in (1, 3):
            dist.all_reduce(found, group=two)
            dist.destroy_process_group(two)
        dist.barrier(group=group)
        return found

    calls = (all_reduce, coalesced, broadcast, reduce, all_gather, all_gather_into_tensor, objects, gather, scatter)
    return {call.__name__: call for call in (*calls, reduce_scatter_tensor, all_to_all_single, pair)}


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal to the bit."""
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def floats(rank: int, group: Any) -> dict[str, float]:
    """How far sums of numbers are off, in units of the bound's magnitude."""
    found = {}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        values = torch.randn(1000, generator=torch.Generator().manual_seed(rank)).to(dtype)
        exact = values.to(torch.float64)
        dist.all_reduce(exact, group=group)
        dist.all_reduce(values)
        found[str(dtype)] = float((values.to(torch.float64) - exact).abs().max() / exact.abs().max())
    return found


def train(wrap: Callable[[nn.Module], nn.Module]) -> list[float]:
    """The losses of a few steps of a small model."""
    torch.manual_seed(0)
    model = wrap(nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1 + dist.get_rank())
    losses = []
    for _ in range(5):
        inputs = torch.randn(8, 16)
        optimizer.zero_grad()
        loss = (model(inputs) - inputs[:, :4]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def uneven(group: Any) -> list[float]:
    """Losses of ranks with batches of different sizes and numbers; those who are done shadow the others."""
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Linear(16, 4), process_group=group)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rank, losses = dist.get_rank(), []
    torch.manual_seed(1 + rank)
    with model.join():
        for step in range(4 + rank % 2):
            inputs = torch.randn(8 if step < 3 else 1 + rank, 16)
            optimizer.zero_grad()
            loss = (model(inputs) - inputs[:, :4]).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return [*losses, *model.module.bias.tolist()]


def main() -> None:
    dist.init_process_group("incc")
    rank, size = dist.get_rank(), dist.get_world_size()
    gloo = dist.new_group(backend="gloo")
    report: dict[str, Any] = {"same": {}, "backend": dist.get_backend()}
    for name, call in integers(rank, size).items():
        report["same"][name] = same(call(dist.group.WORLD), call(gloo))
    report["floats"] = floats(rank, gloo)
    groups = (dist.group.WORLD, gloo)
    report["ddp"] = [train(partial(DistributedDataParallel, process_group=group)) for group in groups]
    report["uneven"] = [uneven(group) for group in groups]
    meshes = [DeviceMesh.from_group(group, "cpu") for group in groups]
    report["fsdp"] = [train(partial(fully_shard, mesh=mesh)) for mesh in meshes]
    with open(sys.argv[1].format(rank=rank), "w") as file:
        json.dump(report, file)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
