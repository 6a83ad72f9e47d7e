"""docs/benchmarks.md is what the benchmarks say of themselves, with the figures of their last runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bench.report import DOCUMENT, Run, benchmarks, document, run

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_has_every_benchmark() -> None:
    written = DOCUMENT.read_text()
    headings = [line[3:] for line in written.splitlines() if line.startswith("## ")]
    assert headings == list(benchmarks())


def test_figures_are_those_that_were_kept(tmp_path: Path) -> None:
    kept = Run("2026-01-02 03:04", "a machine, 2 cores", "abc1234", 61.6, "figure 1\nfigure 2", 0)
    (tmp_path / "store.json").write_text(json.dumps(asdict(kept)))
    sections = document(tmp_path).split("\n## ")
    store = next(section for section in sections if section.startswith("store\n"))
    assert "2026-01-02 03:04 UTC, commit abc1234, a machine, 2 cores; it took 62 s:" in store
    assert "```\nfigure 1\nfigure 2\n```" in store
    assert sum("Not run yet." in section for section in sections) == len(benchmarks()) - 1


def test_a_run_keeps_what_it_printed(tmp_path: Path) -> None:
    script = tmp_path / "bench_small.py"
    script.write_text("print('12 packets/s')\nraise SystemExit(3)\n")
    done = run(script)
    assert (done.output, done.code) == ("12 packets/s", 3)
    assert "cores" in done.machine


def test_an_unknown_name_is_refused() -> None:
    command = [sys.executable, "-m", "bench.report", "run", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing: no such benchmark; there are" in done.stderr
