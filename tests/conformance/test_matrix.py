"""The matrix itself: its rows are all read, and a failure is never hidden by a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.matrix import (
    FAIL,
    MATRIX,
    NO_TEST,
    PART,
    PASS,
    REVIEWED,
    SKIPPED,
    Requirement,
    Result,
    read_results,
    requirements,
    status,
    write_results,
)

ROW = Requirement("SO-FLOW-1", "4.3", "B", "text")


def result(outcome: str, *ids: str) -> Result:
    return Result("test", ids, outcome, "suite")


def test_every_row_of_the_document_is_read() -> None:
    lines = [line for line in MATRIX.read_text().splitlines() if line.startswith("| ") and "| Id |" not in line]
    assert len(requirements()) == len(lines)
    assert requirements()["SU-MS-4"].level == "MUST"


def test_a_row_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.md"
    file.write_text("| SO-X-1 | 1 | B | one |\n| SO-X-1 | 1 | B | two |\n")
    with pytest.raises(ValueError, match=r"rows.md:2: SO-X-1 stands twice"):
        requirements(file)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], NO_TEST),
        ([result("passed", "SO-FLOW-1"), result("failed", "SO-FLOW-1")], FAIL),
        ([result("skipped", "SO-FLOW-1")], SKIPPED),
        ([result("skipped", "SO-FLOW-1"), result("passed", "SO-FLOW-1", "DP-1")], PASS),
        ([result("passed", "SO-FLOW-10")], NO_TEST),
        ([Result("test", ("SO-FLOW-1",), "passed", "suite", ("SO-FLOW-1",))], PART),
        ([Result("test", ("SO-FLOW-1",), "passed", "suite", ("SO-FLOW-1",)), result("passed", "SO-FLOW-1")], PASS),
    ],
)
def test_status(results: list[Result], expected: str) -> None:
    assert status(ROW, results) == expected


def test_a_row_that_is_reviewed_needs_no_test() -> None:
    assert status(Requirement("GEN-6", "1", "N", "text"), []) == REVIEWED


def test_results_survive_the_file(tmp_path: Path) -> None:
    results = [Result("a::b", ("DP-1", "DP-2"), "passed", "ptf-bmv2", ("DP-2",))]
    write_results("ptf-bmv2", results, tmp_path)
    assert read_results(tmp_path) == results
