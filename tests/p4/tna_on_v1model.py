"""TNA's controls, compiled for v1model, against the PTF suite."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from p4src import build

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240

NEEDS_P4C = pytest.mark.skipif(
    not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")),
    reason="p4c-bm2-ss IS NOT INSTALLED: the TNA program is not compared with that of v1model",
)
NEEDS_BMV2 = pytest.mark.skipif(
    os.geteuid() != 0 or not (os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")),
    reason="NO simple_switch_grpc, OR NOT root: the TNA program is not compared with that of v1model",
)


def compiled(profile: str, folders: pytest.TempPathFactory) -> Path:
    """The TNA program of `profile`, compiled for v1model once for all processes of a test run. Raises BuildError."""
    of_run = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_run = of_run.parent
    out, done = of_run / f"tna-{profile}", of_run / f"tna-{profile}.done"
    with (of_run / f"tna-{profile}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build.compile_v1model(out, program=f"tna/{profile}_on_v1model.p4", include=["tna/on_v1model"])
            done.touch()
    return out


def outcomes(program: Path, target: str, work: Path, *selection: str) -> tuple[dict[str, str], str]:
    """Runs cases against a compiled program on `target`, bmv2 or softswitch; `selection` are options of ptf_tests.run.

    Returns the outcome of each case by name, and what the runner said.
    """
    results_in = work / "ptf"  # of its own, for tests of several files run at once
    command = [sys.executable, "-m", "ptf_tests.run", "--target", target, "--program", str(program)]
    command += ["--work", str(results_in), *selection]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    results = [json.loads(line) for line in (results_in / "records.jsonl").read_text().splitlines()]
    return {result["test"]: result["outcome"] for result in results}, done.stdout + done.stderr
