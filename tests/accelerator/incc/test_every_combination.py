"""Every operation and type in worlds of 2 to 64 members, of odd lengths, with one level of switches and with two."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelerator.incc.floats import from_bfloat16, to_bfloat16
from accelerator.incc.work import Work
from tests.accelerator.incc.members import Member, members, outcome
from tests.accelerator.incc.oracle import World
from tests.accelerator.incc.test_collectives import bound, combined, numbers

Array = NDArray[Any]
SIZES = (2, 3, 5, 9, 17, 64)
LARGE = 16  # beyond, fewer types are tried for what treats all types alike
TYPES = {
    **dict.fromkeys(
        ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"], "sum min max and or xor"
    ),
    "bool": "sum min max and or xor",
    **dict.fromkeys(["float16", "float32", "float64", "bfloat16"], "sum avg min max"),
}
COUNTS = (1, 67)


def leaves_of(size: int, levels: int) -> list[int]:
    """One switch, or leaves of different sizes below a root."""
    if levels == 1:
        return [size]
    first = max(size // 3, 1)
    return [first, size - first] if size < 4 else [first, 1, size - first - 1]


@cache
def arrays_of(dtype: str, count: int, size: int) -> list[Array]:
    """Each rank's; int32 so that sums fit, bfloat16 as its bits."""
    kind = "float32" if dtype == "bfloat16" else dtype
    arrays = [numbers(kind, count, 100 * size + rank) for rank in range(size)]
    if dtype == "int32":
        arrays = [array // 64 for array in arrays]
    return [to_bfloat16(array) for array in arrays] if dtype == "bfloat16" else arrays


def right(dtype: str, op: str, arrays: list[Array], found: Array) -> bool:
    """Whether a reduction is exact, or within its bound."""
    values = [from_bfloat16(array) for array in arrays] if dtype == "bfloat16" else arrays
    result = from_bfloat16(found) if dtype == "bfloat16" else found
    if op == "sum" and dtype == "bool":
        return bool((result == combined("or", values)).all())
    if op in ("min", "max", "and", "or", "xor") or values[0].dtype.kind != "f":
        return bool((result == combined(op, values)).all())
    exact = np.sum(np.stack(values).astype(np.longdouble), axis=0)
    allowed = bound(dtype, values, 21 if dtype == "float64" else 64)
    if op == "avg":
        exact, allowed = exact / len(values), allowed / len(values) + np.abs(exact / len(values)) * 2.0**-53
    return bool((np.abs(result.astype(np.longdouble) - exact) <= allowed).all())


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_reductions(size: int, levels: int) -> None:
    """AllReduce in every operation and type; Reduce and ReduceScatter in every type, with one of its operations."""
    world = World(leaves_of(size, levels), slots=64)
    began: list[tuple[str, str, str, int, list[Work]]] = []
    for dtype, ops in TYPES.items():
        told = dtype if dtype == "bfloat16" else None
        for turn, op in enumerate(ops.split()):
            count = COUNTS[turn % 2] if size <= LARGE else 1
            data = arrays_of(dtype, count, size)
            works = [one.all_reduce(data[one.rank], op, dtype=told) for one in members(world)]
            began.append(("all_reduce", dtype, op, count, works))
        if size > LARGE and dtype not in ("int32", "float32", "int64"):
            continue
        op, data = ops.split()[size % len(ops.split())], arrays_of(dtype, 67, size)
        works = [one.reduce(data[one.rank], size - 1, op, dtype=told) for one in members(world)]
        began.append(("reduce", dtype, op, 67, works))
        works = [one.reduce_scatter(data[one.rank], op, dtype=told) for one in members(world)]
        began.append(("reduce_scatter", dtype, op, 67, works))
    world.run()
    for name, dtype, op, count, works in began:
        data, results, where = arrays_of(dtype, count, size), [outcome(work) for work in works], (name, dtype, op)
        if name == "all_reduce":
            assert right(dtype, op, data, results[0]), where
            assert all(result.tobytes() == results[0].tobytes() for result in results), where
        elif name == "reduce":
            assert right(dtype, op, data, results[size - 1]), where
            assert results[: size - 1] == [None] * (size - 1)
        else:
            assert [len(result) for result in results] == [len(part) for part in np.array_split(data[0], size)]
            at = 0
            for result in results:
                parts = [array[at : at + len(result)] for array in data]
                assert not len(result) or right(dtype, op, parts, result), where
                at += len(result)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_what_only_moves(size: int, levels: int) -> None:
    """Every type, its octets as they are; the root is the last rank."""
    world, root = World(leaves_of(size, levels), slots=64), size - 1
    began: list[tuple[str, list[Array], list[Work]]] = []
    for dtype in TYPES if size < LARGE else ["float64"]:
        data = arrays_of(dtype, 3, size)
        table = np.stack(data)

        def scatter(one: Member, table: Array = table) -> Work:
            return (
                one.scatter(table, root) if one.rank == root else one.scatter(None, root, out=np.empty_like(table[0]))
            )

        everyone = members(world)
        began += [
            ("broadcast", data, [one.broadcast(data[one.rank], root) for one in everyone]),
            ("all_gather", data, [one.all_gather(data[one.rank]) for one in everyone]),
            ("gather", data, [one.gather(data[one.rank], root) for one in everyone]),
            ("scatter", data, [scatter(one) for one in everyone]),
        ]
        if dtype == "int16" or size < 6:
            began.append(("all_to_all", data, [one.all_to_all(np.roll(table, one.rank, axis=0)) for one in everyone]))
        began.append(("barrier", data, [one.barrier() for one in everyone]))
    world.run()
    for name, data, works in began:
        table, results = np.stack(data), [outcome(work) for work in works]
        for rank, result in enumerate(results):
            expected: Any = {
                "broadcast": data[root],
                "all_gather": table,
                "gather": table if rank == root else None,
                "scatter": data[rank],
                "all_to_all": np.stack([np.roll(table, sender, axis=0)[rank] for sender in range(size)]),
                "barrier": None,
            }[name]
            if expected is None:
                assert result is None, name
            else:
                assert result.tobytes() == expected.tobytes(), (name, expected.dtype)
                assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
