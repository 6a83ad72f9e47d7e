"""Collectives over real switches: the compiled program on softswitches, with entries from the group manager."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerator.incc.core import Settings
from accelerator.incc.group import AsyncGroup, Handle, attach_interface
from accelerator.rendezvous import Descriptor
from controller.app.collective_methods import CollectiveMethods
from topologies.inprocess import Fabric
from topologies.schema import LinkEffects, Topology
from topologies.topology_file import load

TOPOLOGIES = Path(__file__).resolve().parents[3] / "topologies"


def lossy(topology: Topology) -> Topology:
    """The same topology, every link with faults in both directions."""
    cables = [*topology.links, *((switch, one.name) for one in topology.accelerators for switch in one.attached_to)]
    effects = tuple(
        LinkEffects(between=pair, seed=7, loss=0.15, duplicate=0.3, reorder=0.3, delay_ms=0.2) for pair in cables
    )
    return topology.model_copy(update={"link_effects": effects})


@asynccontextmanager
async def joined(topology: Topology, name: str) -> AsyncIterator[tuple[Fabric, list[AsyncGroup]]]:
    """A fabric, and the members of one of its groups."""
    config = next(group for group in topology.collectives.groups if group.name == name)
    async with Fabric(topology) as fabric:
        for member in config.members:
            fabric.collectives.join(name, member)
        await fabric.converge()
        groups = [member_of(fabric, name, member) for member in config.members]
        yield fabric, groups
        for group in groups:
            await group.close()


def described(fabric: Fabric, name: str, member: str) -> Descriptor:
    methods = CollectiveMethods(fabric.collectives, lambda switch, peer: fabric.plans[switch].port_to(peer).mac)
    return Descriptor.from_json(methods.descriptor(fabric.collectives.manager.group(name), member))


def member_of(fabric: Fabric, name: str, member: str) -> AsyncGroup:
    attach = attach_interface(fabric.interfaces[member])
    return AsyncGroup(described(fabric, name, member), attach, Settings(timeout=20, longest_timeout=0.05))


async def each(groups: list[AsyncGroup], call: Callable[[AsyncGroup], Handle]) -> list[Any]:
    async with asyncio.timeout(30):
        return list(await asyncio.gather(*(call(group) for group in groups)))


async def all_operations(groups: list[AsyncGroup]) -> None:
    size = len(groups)
    rng = np.random.default_rng(5)
    whole = [rng.integers(-(2**27), 2**27, 501, np.int32) for _ in range(size)]
    total = np.sum(whole, axis=0, dtype=np.int64).astype(np.int32)
    tables = [rng.integers(0, 255, (size, 70), np.uint8) for _ in range(size)]
    for result in await each(groups, lambda group: group.all_reduce(whole[group.rank])):
        np.testing.assert_array_equal(result, total)
    for op, expected in (("min", np.min(whole, axis=0)), ("xor", np.bitwise_xor.reduce(whole))):
        for result in await each(groups, lambda group, op=op: group.all_reduce(whole[group.rank], op)):  # type: ignore[misc]
            np.testing.assert_array_equal(result, expected)
    results = await each(groups, lambda group: group.reduce(whole[group.rank], 1))
    np.testing.assert_array_equal(results[1], total)
    results = await each(groups, lambda group: group.reduce_scatter(whole[group.rank]))
    np.testing.assert_array_equal(np.concatenate(results), total)
    for result in await each(groups, lambda group: group.broadcast(whole[group.rank], size - 1)):
        np.testing.assert_array_equal(result, whole[-1])
    for result in await each(groups, lambda group: group.all_gather(whole[group.rank])):
        np.testing.assert_array_equal(result, np.stack(whole))
    results = await each(groups, lambda group: group.gather(whole[group.rank]))
    np.testing.assert_array_equal(results[0], np.stack(whole))
    results = await each(
        groups,
        lambda group: group.scatter(tables[0]) if not group.rank else group.scatter(out=np.empty(70, np.uint8)),
    )
    np.testing.assert_array_equal(np.stack(results), tables[0])
    for rank, result in enumerate(await each(groups, lambda group: group.all_to_all(tables[group.rank]))):
        np.testing.assert_array_equal(result, np.stack([table[rank] for table in tables]))
    assert await each(groups, lambda group: group.barrier()) == [None] * size


async def all_types(groups: list[AsyncGroup]) -> None:
    rng = np.random.default_rng(6)
    for dtype in ("int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64", "bool"):
        arrays = [rng.integers(0, 2 if dtype == "bool" else 100, 99).astype(dtype) for _ in groups]
        total = np.add.reduce(np.stack(arrays), axis=0, dtype=dtype)
        for op, expected in (("sum", total), ("max", np.max(arrays, axis=0))):
            handles = [group.all_reduce(array, op) for group, array in zip(groups, arrays, strict=True)]
            for handle in handles:
                np.testing.assert_array_equal(await handle, expected)
    for dtype in ("float16", "float32", "float64"):
        arrays = [rng.standard_normal(333).astype(dtype) for _ in groups]
        arrays[0][7] = np.inf
        exact = np.sum(np.stack(arrays).astype(np.float64), axis=0)
        exact[7] = np.nan
        handles = [group.all_reduce(array) for group, array in zip(groups, arrays, strict=True)]
        for handle in handles:
            tolerance = 1e-3 if dtype == "float16" else 1e-6
            np.testing.assert_allclose(await handle, exact, rtol=tolerance, atol=1e-5)


@pytest.mark.requirement("GEN-9")
async def test_all_operations_and_types_in_a_pod() -> None:
    """Scale-Up frames between two leaves."""
    async with joined(load(TOPOLOGIES / "scale-up.yaml"), "red-pair") as (_, groups):
        await all_operations(groups)
        await all_types(groups)


@pytest.mark.requirement("GEN-9")
async def test_all_operations_and_types_across_pods() -> None:
    """Figure 1: eight accelerators, UDP over IPv4, a tree over four PoDs."""
    async with joined(load(TOPOLOGIES / "figure1.yaml"), "everybody") as (_, groups):
        await all_operations(groups)
        await all_types(groups)


@pytest.mark.parametrize(("file", "name"), [("figure1", "everybody"), ("scale-up", "red-pair")])
async def test_faults_on_every_link(file: str, name: str) -> None:
    async with joined(lossy(load(TOPOLOGIES / f"{file}.yaml")), name) as (_, groups):
        arrays = [np.arange(400, dtype=np.int32) * (group.rank + 1) for group in groups]
        floats = [array.astype(np.float32) for array in arrays]
        total = np.sum(arrays, axis=0)
        for result in await each(groups, lambda group: group.all_reduce(arrays[group.rank])):
            np.testing.assert_array_equal(result, total)
        for result in await each(groups, lambda group: group.all_reduce(floats[group.rank])):
            np.testing.assert_allclose(result, total, rtol=1e-5, atol=1)
        await each(groups, lambda group: group.barrier())
        assert all(group.statistics.repeated for group in groups)
