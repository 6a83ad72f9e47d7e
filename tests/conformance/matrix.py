"""The conformance matrix: every row of docs/conformance/requirements.md with what the last test runs saw of it.

Tests name the rows they observe (`@pytest.mark.requirement`, and the same decorator for PTF cases); each run leaves
a results file in build/conformance/. `python -m tests.conformance.matrix` joins the two and prints a row each.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MATRIX = ROOT / "docs" / "conformance" / "requirements.md"
RESULTS = ROOT / "build" / "conformance"

PASS, PART, FAIL, SKIPPED, NO_TEST, REVIEWED = "pass", "in part", "FAIL", "not run", "no test yet", "by review"

_ROW = re.compile(r"^\|\s*([A-Z]+(?:-[A-Z]+)*-\d+)\s*\|\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row: id, section of its source, level (MUST, SHOULD, MAY, B, D, N), and what it asks."""

    id: str
    section: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """One test of one run: its name, the rows it observed, its outcome and the suite it belongs to.

    `partial`: those of `ids` of which it observes only a part, because the rest is not built yet.
    """

    test: str
    ids: tuple[str, ...]
    outcome: str
    suite: str
    partial: tuple[str, ...] = ()


def requirements(file: Path = MATRIX) -> dict[str, Requirement]:
    """All rows of the matrix by id, in their order. Raises ValueError when an id stands twice."""
    rows: dict[str, Requirement] = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if match := _ROW.match(line):
            row = Requirement(*match.groups())
            if row.id in rows:
                raise ValueError(f"{file}:{number}: {row.id} stands twice")
            rows[row.id] = row
    return rows


def write_results(suite: str, results: Iterable[Result], folder: Path = RESULTS) -> None:
    """Leaves the results of one suite's run for the matrix."""
    folder.mkdir(parents=True, exist_ok=True)
    data = [
        {"test": r.test, "ids": list(r.ids), "partial": list(r.partial), "outcome": r.outcome, "target": suite}
        for r in results
    ]
    (folder / f"{suite}.json").write_text(json.dumps(data, indent=1) + "\n")


def read_results(folder: Path = RESULTS) -> list[Result]:
    """The results of the last run of every suite."""
    return [
        Result(item["test"], tuple(item["ids"]), item["outcome"], file.stem, tuple(item.get("partial", ())))
        for file in sorted(folder.glob("*.json"))
        for item in json.loads(file.read_text())
    ]


def status(row: Requirement, results: Iterable[Result]) -> str:
    """What is known of one row: a single failure outweighs everything, a pass outweighs a test that did not run."""
    concerned = [result for result in results if row.id in result.ids]
    seen = {result.outcome for result in concerned}
    if "failed" in seen:
        return FAIL
    if "passed" in seen:
        whole = any(result.outcome == "passed" and row.id not in result.partial for result in concerned)
        return PASS if whole else PART
    if seen:
        return SKIPPED
    return REVIEWED if row.level == "N" else NO_TEST


def main() -> int:
    """Prints the matrix; exit code 1 when a row fails."""
    rows = requirements()
    results = read_results()
    if not results:
        print("No results yet: run `make test` first.", file=sys.stderr)
    states = {row.id: status(row, results) for row in rows.values()}
    width = max(map(len, rows))
    for row in rows.values():
        suites = sorted({r.suite for r in results if row.id in r.ids and r.outcome == "passed"})
        print(f"{row.id:{width}}  {states[row.id]:11}  {', '.join(suites):32}  {row.text}")
    counts = Counter(states.values())
    print("\n" + ", ".join(f"{counts[state]} {state}" for state in (PASS, PART, FAIL, SKIPPED, NO_TEST, REVIEWED)))
    print(f"of {len(rows)} rows, from {', '.join(sorted({r.suite for r in results})) or 'no run'}")
    return 1 if counts[FAIL] else 0


if __name__ == "__main__":
    sys.exit(main())
