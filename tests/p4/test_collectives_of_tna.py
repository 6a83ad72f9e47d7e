"""The collectives of the TNA program answer as those of the v1model program do.

p4src/tna/on_v1model.p4 is the v1model program with the passes of TNA and the programs of its stateful ALUs; the PTF
suite of the collectives runs against it on bmv2. Two cases differ, for reasons that docs/tofino-collectives.md gives.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from p4src import build

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "build" / "ptf" / "bmv2-veth" / "records.jsonl"
DIFFERENT = {"collective_rounds.CountersCount", "collectives.Disagreement"}

pytestmark = [
    pytest.mark.skipif(
        not (os.environ.get("P4C") or shutil.which("p4c-bm2-ss")),
        reason="p4c-bm2-ss IS NOT INSTALLED: the collectives of TNA are not compared with those of v1model",
    ),
    pytest.mark.skipif(
        os.geteuid() != 0 or not (os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")),
        reason="NO simple_switch_grpc, OR NOT root: the collectives of TNA are not compared with those of v1model",
    ),
]


def test_every_case_of_the_suite_but_two_passes(tmp_path: Path) -> None:
    build.compile_v1model(tmp_path, program="tna/on_v1model.p4")
    command = [
        sys.executable,
        "-m",
        "ptf_tests.run",
        "--target",
        "bmv2",
        "-k",
        "collective",
        "--program",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    results = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    assert len(results) > 30, done.stdout + done.stderr
    assert {result["test"] for result in results if result["outcome"] != "passed"} == DIFFERENT, done.stdout
