"""Every operation, type and world size against NumPy, over the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelerator.incc.errors import SaturatedError
from accelerator.incc.floats import from_bfloat16, to_bfloat16
from accelerator.incc.integers import integer_sum
from accelerator.incc.work import Work
from tests.accelerator.incc.members import Member, everybody
from tests.accelerator.incc.oracle import Faults, World

Array = NDArray[Any]
INTEGERS = ["int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64"]
UFUNC = {"sum": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or}
UFUNC["xor"] = np.bitwise_xor
LEAVES = [[2], [3], [8], [2, 2], [1, 3, 2]]


def numbers(dtype: str, count: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, count).astype(bool)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return rng.integers(info.min, info.max, count, kind, endpoint=True)
    return (rng.standard_normal(count) * 2.0 ** rng.integers(-6, 6, count)).astype(kind)


def combined(op: str, arrays: list[Array]) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(UFUNC[op].reduce(np.stack(arrays), axis=0, dtype=arrays[0].dtype))


@pytest.mark.parametrize("leaves", LEAVES, ids=str)
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
@pytest.mark.parametrize("op", ["sum", "min", "max", "and", "or", "xor"])
def test_integers_are_exact_and_wrap(op: str, dtype: str, leaves: list[int]) -> None:
    world = World(leaves)
    arrays = [numbers(dtype, 333, rank) for rank in range(world.size)]
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank], op)):
        np.testing.assert_array_equal(result, combined(op, arrays))
        assert result.dtype == dtype


@pytest.mark.parametrize("op", ["min", "max", "and", "or", "xor"])
def test_int32_is_exact(op: str) -> None:
    world = World([2, 3])
    arrays = [numbers("int32", 1000, rank) for rank in range(world.size)]
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank], op)):
        np.testing.assert_array_equal(result, combined(op, arrays))


def test_int32_sums_are_exact_and_those_that_do_not_fit_are_named() -> None:
    world = World([2, 2])
    arrays = [numbers("int32", 1000, rank) // 4 for rank in range(4)]
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(result, combined("sum", arrays))
    arrays[2][200] = 2**31 - 1
    arrays[3][200] = 2**31 - 1
    with pytest.raises(
        SaturatedError, match=r"all_reduce\(sum, int32\[1000\]\) #1: .* first in chunk 3 \(elements from 192"
    ):
        everybody(world, lambda member: member.all_reduce(arrays[member.rank]))
    results = everybody(world, lambda member: member.all_reduce(arrays[member.rank] // 4))  # and the group goes on
    np.testing.assert_array_equal(results[0], combined("sum", [array // 4 for array in arrays]))


@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16"])
@pytest.mark.parametrize("op", ["min", "max"])
def test_minimum_and_maximum_of_floats_are_exact(op: str, dtype: str) -> None:
    world = World([2, 2])
    bfloat16 = dtype == "bfloat16"
    arrays = [numbers("float32" if bfloat16 else dtype, 200, rank) for rank in range(4)]
    arrays[1][:4] = [np.inf, -np.inf, np.nan, -0.0]
    arrays[2][:4] = [1, 1, 1, 0.0]
    if bfloat16:
        arrays = [from_bfloat16(to_bfloat16(array)) for array in arrays]
    given = [to_bfloat16(array) if bfloat16 else array for array in arrays]
    told = dtype if bfloat16 else None
    for result in everybody(world, lambda member: member.all_reduce(given[member.rank], op, dtype=told)):
        np.testing.assert_array_equal(from_bfloat16(result) if bfloat16 else result, combined(op, arrays))
        assert result.dtype == given[0].dtype


def bound(dtype: str, arrays: list[Array], elements: int) -> Array:
    """The documented bound for each element: n * 2^(log2 n - bits) * M, and one rounding to the type."""
    size, count = len(arrays), len(arrays[0])
    places = 62 if dtype == "float64" else 30
    largest = np.abs(np.stack(arrays).astype(np.float64)).max(axis=0)
    blocks = np.pad(largest, (0, -count % elements)).reshape(-1, elements).max(axis=1)
    sums = math.fsum([1]) * size * 2.0 ** (math.ceil(math.log2(size)) - places) * np.repeat(blocks, elements)[:count]
    exact = np.abs(np.sum(np.stack(arrays).astype(np.longdouble), axis=0))
    epsilon = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    tiny = {"float16": 2.0**-25, "float64": 0.0}.get(dtype, 2.0**-150)
    return np.asarray(sums + (exact + sums) * epsilon + tiny)


@pytest.mark.parametrize("leaves", [[2], [3, 4], [8, 8, 8, 8]], ids=str)
@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16"])
@pytest.mark.parametrize("op", ["sum", "avg"])
def test_sums_of_floats_keep_their_bound(op: str, dtype: str, leaves: list[int]) -> None:
    world = World(leaves)
    bfloat16 = dtype == "bfloat16"
    arrays = [numbers("float32" if bfloat16 else dtype, 700, rank) for rank in range(world.size)]
    arrays[0][64:128] = 0
    given = [to_bfloat16(array) if bfloat16 else array for array in arrays]
    arrays = [from_bfloat16(array) for array in given] if bfloat16 else arrays
    told = dtype if bfloat16 else None
    results = everybody(world, lambda member: member.all_reduce(given[member.rank], op, dtype=told))
    exact = np.sum(np.stack(arrays).astype(np.longdouble), axis=0)
    allowed = bound(dtype, arrays, 21 if dtype == "float64" else 64)
    if op == "avg":
        exact, allowed = exact / world.size, allowed / world.size
        if dtype == "float64":  # is rounded twice
            allowed += np.abs(exact) * 2.0**-53
    for result in results:
        found = from_bfloat16(result) if bfloat16 else result
        assert (np.abs(found.astype(np.longdouble) - exact) <= allowed).all()
        np.testing.assert_array_equal(result, results[0])  # and all members have the same


@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16"])
def test_nan_and_infinity_make_one_element_nan(dtype: str) -> None:
    world = World([2, 2])
    bfloat16 = dtype == "bfloat16"
    arrays = [np.ones(150, np.float32 if bfloat16 else dtype) for _ in range(4)]
    arrays[0][3], arrays[1][3], arrays[2][70], arrays[3][100] = np.nan, np.inf, -np.inf, np.inf
    given = [to_bfloat16(array) if bfloat16 else array for array in arrays]
    expected = np.full(150, 4.0)
    expected[[3, 70, 100]] = np.nan
    told = dtype if bfloat16 else None
    for result in everybody(world, lambda member: member.all_reduce(given[member.rank], dtype=told)):
        np.testing.assert_array_equal(from_bfloat16(result) if bfloat16 else result, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("size", [2, 128, 129, 512, 513, 1024])
def test_no_lane_overflows_however_many_members_add(dtype: str, size: int) -> None:
    info = np.iinfo(dtype)
    coding = integer_sum(np.dtype(dtype), 64, size)
    for value in (info.max, info.min, -1 if info.min else 1):
        block = np.full((1, coding.elements), value, dtype)
        lanes = coding.encode(block, np.zeros(1, np.int32)).astype(np.int64) * size
        assert lanes.max() < 2**31
        assert lanes.min() >= -(2**31)
        found = coding.decode(lanes.astype(np.int32), np.zeros(1, np.int32))
        np.testing.assert_array_equal(
            found, np.full_like(block, (int(value) * size - info.min) % 2**info.bits + info.min)
        )


def test_bfloat16_is_rounded_to_nearest_and_ties_to_even() -> None:
    bits = np.array([0x3F808000, 0x3F808001, 0x3F818000, 0x3F817FFF, 0xBF818000, 0x7F7FFFFF], np.uint32)
    rounded = to_bfloat16(bits.view(np.float32))
    np.testing.assert_array_equal(rounded, [0x3F80, 0x3F81, 0x3F82, 0x3F81, 0xBF82, 0x7F80])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=1),
        min_size=2,
        max_size=6,
    )
)
def test_any_finite_floats_keep_their_bound(rows: list[list[float]]) -> None:
    world = World([len(rows)])
    arrays = [np.array(row, np.float32) for row in rows]
    exact = np.sum(np.stack(arrays).astype(np.longdouble), axis=0)
    result = everybody(world, lambda member: member.all_reduce(arrays[member.rank]))[0]
    allowed = bound("float32", arrays, 64)
    if np.isinf(result).any():
        assert abs(exact[0]) + allowed[0] >= np.finfo(np.float32).max
    else:
        assert (np.abs(result.astype(np.longdouble) - exact) <= allowed).all()


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 255, 257, 1000])
@pytest.mark.parametrize("leaves", [[3], [2, 3]], ids=str)
def test_every_operation_for_odd_lengths(leaves: list[int], count: int) -> None:
    world = World(leaves)
    size = world.size
    arrays = [numbers("int32", count, rank) // 8 for rank in range(size)]
    total, whole = combined("sum", arrays), np.stack(arrays)
    tables = [numbers("int16", size * count, 100 + rank).reshape(size, count) for rank in range(size)]

    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(result, total)
    for rank, result in enumerate(everybody(world, lambda member: member.reduce(arrays[member.rank], 1))):
        if rank == 1:
            np.testing.assert_array_equal(result, total)
        else:
            assert result is None
    pieces = np.array_split(total, size)
    for rank, result in enumerate(everybody(world, lambda member: member.reduce_scatter(arrays[member.rank]))):
        np.testing.assert_array_equal(result, pieces[rank])
    for result in everybody(world, lambda member: member.broadcast(arrays[member.rank], 2)):
        np.testing.assert_array_equal(result, arrays[2])
    for result in everybody(world, lambda member: member.all_gather(arrays[member.rank])):
        np.testing.assert_array_equal(result, whole)
    for rank, result in enumerate(everybody(world, lambda member: member.gather(arrays[member.rank], 2))):
        if rank == 2:
            np.testing.assert_array_equal(result, whole)
        else:
            assert result is None

    def scatter(member: Member) -> Any:
        if member.rank == 1:
            return member.scatter(tables[1], 1)
        return member.scatter(root=1, out=np.empty(count, np.int16))

    for rank, result in enumerate(everybody(world, scatter)):
        np.testing.assert_array_equal(result, tables[1][rank])
    for rank, result in enumerate(everybody(world, lambda member: member.all_to_all(tables[member.rank]))):
        np.testing.assert_array_equal(result, np.stack([table[rank] for table in tables]))
    assert everybody(world, lambda member: member.barrier()) == [None] * size


@pytest.mark.parametrize("op", ["sum", "max"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "float64"])
def test_types_of_several_steps_are_reduced_to_one_and_scattered(dtype: str, op: str) -> None:
    world = World([2, 1])
    arrays = [np.round(numbers(dtype, 500, rank) / 4) for rank in range(3)]
    arrays = [array.astype(dtype) for array in arrays]
    total = combined(op, arrays)
    results = everybody(world, lambda member: member.reduce(arrays[member.rank], 2, op))
    np.testing.assert_allclose(results[2], total, rtol=1e-6, atol=1e-3)
    results = everybody(world, lambda member: member.reduce_scatter(arrays[member.rank], op))
    np.testing.assert_allclose(np.concatenate(results), total, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("size", [2, 3, 5, 16, 33, 64])
def test_world_sizes(size: int) -> None:
    world = World([size] if size < 16 else [size // 4] * 3 + [size - size // 4 * 3], slots=16)
    arrays = [numbers("int32", 300, rank) // 64 for rank in range(size)]
    for result in everybody(world, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(result, combined("sum", arrays))
    octets = [numbers("uint8", 300, rank) for rank in range(size)]
    for result in everybody(world, lambda member: member.all_reduce(octets[member.rank])):
        np.testing.assert_array_equal(result, combined("sum", octets))


def test_arrays_of_any_layout_and_in_place() -> None:
    world = World([3])
    bases = [numbers("int32", 6000, rank).reshape(20, 30, 10) // 4 for rank in range(3)]
    views = [base[::3, ::-2, 1:7].transpose(2, 0, 1) for base in bases]
    total = combined("sum", views)
    for result in everybody(world, lambda member: member.all_reduce(views[member.rank])):
        np.testing.assert_array_equal(result, total)
    for rank, result in enumerate(
        everybody(world, lambda member: member.all_reduce(views[member.rank], out=views[member.rank]))
    ):
        assert result is views[rank]
        np.testing.assert_array_equal(bases[rank][::3, ::-2, 1:7].transpose(2, 0, 1), total)
    for result in everybody(world, lambda member: member.all_reduce(np.int32(member.rank + 1))):
        assert (result.shape, int(result)) == ((), 6)
    swapped = np.arange(100).astype(">i4")
    for result in everybody(world, lambda member: member.all_reduce(swapped)):
        np.testing.assert_array_equal(result, 3 * np.arange(100))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.all_reduce(np.zeros(3), "product"), r"op = 'product': must be one of sum, avg"),
        (lambda m: m.all_reduce(np.zeros(3, np.int32), "avg"), r"op = 'avg': elements of int32 have sum"),
        (lambda m: m.all_reduce(np.zeros(3), "xor"), r"op = 'xor': elements of float64 have sum, avg"),
        (lambda m: m.all_reduce(np.zeros(3, complex)), "cannot be computed on elements of complex128"),
        (lambda m: m.all_reduce(np.zeros(3), dtype="bfloat16"), "must be of uint16"),
        (lambda m: m.all_reduce(["a", None]), "objects have no octets"),
        (lambda m: m.all_reduce(np.zeros(3), out=np.zeros(4)), r"out = array of float64\[4\]: must be float64\[3\]"),
        (lambda m: m.broadcast(np.zeros(3), 3), r"root = 3: must be in 0\.\.2"),
        (lambda m: m.broadcast(np.zeros(3), "0"), r"root = '0'"),
        (lambda m: m.reduce_scatter(np.float32(1)), "no axis"),
        (lambda m: m.all_to_all(np.zeros(4)), r"array\.shape = \(4,\): all_to_all needs 3 rows"),
        (lambda m: m.scatter(root=0), "array = None: rank 0 is the root"),
        (lambda m: m.scatter(root=1), "out = None: rank 0 has to say"),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(call: Any, message: str) -> None:
    world = World([3])
    with pytest.raises((ValueError, TypeError), match=message):
        call(Member(world, 0))
    assert world.cores[0].idle


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("leaves", [[4], [2, 3]], ids=str)
def test_loss_duplication_and_reordering(leaves: list[int], seed: int) -> None:
    """Of 30 % on every link in both directions, with several collectives under way."""
    world = World(leaves, faults=Faults(0.3, 0.3, 0.3), seed=seed)
    size = world.size
    whole = [numbers("int32", 1500, rank) // 8 for rank in range(size)]
    floats = [numbers("float32", 700, rank) for rank in range(size)]
    calls: list[Callable[[Member], Work]] = [
        lambda m: m.all_reduce(whole[m.rank]),
        lambda m: m.all_reduce(floats[m.rank]),
        lambda m: m.barrier(),
        lambda m: m.all_gather(whole[m.rank][:100]),
        lambda m: m.all_reduce(whole[m.rank].astype(np.int64) << 20, "max"),
    ]
    works = [[call(member) for call in calls] for member in (Member(world, rank) for rank in range(size))]
    world.run()
    exact = np.sum(np.stack(floats).astype(np.longdouble), axis=0)
    for row in works:
        assert all(work.finished and work.error is None for work in row)
        np.testing.assert_array_equal(row[0].result, combined("sum", whole))
        assert (np.abs(np.asarray(row[1].result) - exact) <= bound("float32", floats, 64)).all()
        np.testing.assert_array_equal(row[3].result, np.stack([array[:100] for array in whole]))
        np.testing.assert_array_equal(row[4].result, np.max(whole, axis=0).astype(np.int64) << 20)
    statistics = [core.snapshot() for core in world.cores]
    assert all(one.repeated and one.duplicates for one in statistics)
