"""`lispfabric incc bench`: its arithmetic, what it refuses, and a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from topologies.cli import app
from topologies.incc_bench import COLLECTIVES, Result, _wrong, sizes

SCALE_UP = Path(__file__).resolve().parents[2] / "topologies" / "scale-up.yaml"


@pytest.mark.parametrize(
    ("name", "bus"),
    [("all_reduce", 1.5), ("reduce_scatter", 0.75), ("all_gather", 0.75), ("broadcast", 1.0), ("all_to_all", 0.75)],
)
def test_bandwidths_are_those_of_nccl_tests(name: str, bus: float) -> None:
    line = Result(name, 4_000_000, 1_000_000, "float32", "sum", 0.5, 0, ranks=4).line().split()
    assert line[6:] == ["500000.0", "8.00", f"{8 * bus:.2f}", "0"]


def test_sizes_grow_by_the_factor() -> None:
    assert list(sizes(1000, 9000, 2)) == [1000, 2000, 4000, 8000]
    with pytest.raises(ValueError, match=r"sizes = 10..5 times 2"):
        list(sizes(10, 5, 2))


def test_wrong_elements_are_counted() -> None:
    whole = np.arange(8, dtype=np.int32).reshape(2, 4)
    right = whole.sum(axis=0)
    assert _wrong(COLLECTIVES["all_reduce"], whole, 0, "sum", right) == 0
    assert _wrong(COLLECTIVES["all_reduce"], whole, 0, "sum", right + np.array([0, 1, 0, 1])) == 2
    floats = whole.astype(np.float32)
    rounded = np.nextafter(floats.sum(axis=0), np.float32(np.inf))
    assert _wrong(COLLECTIVES["all_reduce"], floats, 0, "sum", rounded) == 0
    assert _wrong(COLLECTIVES["all_reduce"], floats, 0, "sum", floats.sum(axis=0) * np.float32(1 + 1e-5)) == 4
    assert _wrong(COLLECTIVES["reduce"], whole, 1, "sum", None) == 0
    assert _wrong(COLLECTIVES["reduce"], whole, 0, "sum", None) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a", "b", "--type", "int3"], "--type int3: must be one of int32"),
        (["a", "b", "--type", "int32", "--op", "avg"], "--op avg: there is no average of int32"),
        (["a", "b", "-c", "sort"], "--collective sort: must be one of all_reduce"),
        (["a"], "members a: two are the least"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], text: str) -> None:
    done = CliRunner().invoke(app, ["incc", "bench", *arguments])
    assert done.exit_code == 1
    assert text in done.output.replace("\n", " ")


def test_every_collective_is_timed_and_right() -> None:
    arguments = ["red-1", "red-2", "--domain", "red", "--topology", str(SCALE_UP), "-b", "512", "-e", "512", "-n", "1"]
    done = CliRunner().invoke(app, ["incc", "bench", *arguments, "--type", "int32"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.output.splitlines() if line.startswith(tuple(COLLECTIVES))]
    assert [row[0] for row in rows] == list(COLLECTIVES)
    assert all(int(row[1]) == 512 and float(row[6]) > 0 and row[-1] == "0" for row in rows)
