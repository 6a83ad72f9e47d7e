"""TNA's controls, compiled for v1model, against the PTF suite on bmv2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from p4src import build

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240

NEEDS = [
    pytest.mark.skipif(
        not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")),
        reason="p4c-bm2-ss IS NOT INSTALLED: the TNA program is not compared with that of v1model",
    ),
    pytest.mark.skipif(
        os.geteuid() != 0 or not (os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")),
        reason="NO simple_switch_grpc, OR NOT root: the TNA program is not compared with that of v1model",
    ),
]


def outcomes(program: str, work: Path, *selection: str, include: Iterable[str] = ()) -> tuple[dict[str, str], str]:
    """Compiles `program` into `work` and runs the cases of `selection` (options of ptf_tests.run) against it.

    Returns the outcome of each case by name, and what the runner said.
    """
    build.compile_v1model(work, program=program, include=include)
    results_in = work / "ptf"  # of its own, for tests of several files run at once
    command = [sys.executable, "-m", "ptf_tests.run", "--target", "bmv2", "--program", str(work)]
    command += ["--work", str(results_in), *selection]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    results = [json.loads(line) for line in (results_in / "records.jsonl").read_text().splitlines()]
    return {result["test"]: result["outcome"] for result in results}, done.stdout + done.stderr
