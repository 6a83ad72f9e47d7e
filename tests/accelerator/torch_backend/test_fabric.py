"""Four ranks, each a process and an accelerator of a running Figure 1: collectives against gloo, DDP, FSDP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="NOT RUN: PyTorch is not installed (pip install '.[torch]')")

from examples.compare_losses import BOUND, compare

ROOT = Path(__file__).resolve().parents[3]
RANKS = "acc1,acc3,acc5,acc7"


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fabric")
    path = folder / "control.sock"
    command = [sys.executable, "-m", "topologies.cli"]
    up = [*command, "up", "topologies/figure1.yaml", "--detach", "--control", str(path)]
    subprocess.run([*up, "--p4runtime", f"unix:{folder}/p4rt"], cwd=ROOT, check=True)
    yield path
    subprocess.run([*command, "down", "--control", str(path)], cwd=ROOT, check=True)


def launch(control: Path, *script: str, **more: str) -> subprocess.CompletedProcess[str]:
    own = {"LISPFABRIC_CONTROL": str(control), "LISPFABRIC_DOMAIN": "training", "LISPFABRIC_ACCELERATORS": RANKS}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "4", "--rdzv-backend", "c10d"]
    return subprocess.run(
        [*command, "--rdzv-endpoint", "127.0.0.1:0", *script],
        env=os.environ | own | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_collectives_training_and_sharding_give_what_gloo_gives(control: Path, tmp_path: Path) -> None:
    done = launch(control, "tests/accelerator/torch_backend/rank.py", str(tmp_path / "report{rank}"))
    assert done.returncode == 0, done.stderr[-4000:]
    for rank in range(4):
        report = json.loads((tmp_path / f"report{rank}").read_text())
        assert report["backend"] == "incc"
        assert len(report["same"]) == 12
        assert all(report["same"].values()), report["same"]
        # Of the largest sum: what each type rounds to, and the bound of float32 for four ranks (2^-26) besides.
        bounds = {"float64": 2**-50, "float32": 2**-23, "float16": 2**-10, "bfloat16": 2**-7}
        assert all(report["floats"][f"torch.{name}"] <= bound for name, bound in bounds.items()), report["floats"]
        for incc, gloo in (report["ddp"], report["uneven"], report["fsdp"]):
            assert incc == pytest.approx(gloo, abs=1e-5)


def test_a_rank_that_is_killed_while_training_is_named_to_the_others_at_once(control: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "4", "OMP_NUM_THREADS": "1"}
    own |= {"LISPFABRIC_CONTROL": str(control), "LISPFABRIC_DOMAIN": "training", "LISPFABRIC_ACCELERATORS": RANKS}
    own |= {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "tests/accelerator/torch_backend/mortal.py", str(tmp_path / "report"), "2"]
    ranks = [
        subprocess.Popen(command, cwd=ROOT, env=own | {"RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(4)
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    assert [process.returncode for process in ranks] == [0, 0, -signal.SIGKILL, 0], said
    for rank in (0, 1, 3):
        report = json.loads((tmp_path / f"report{rank}").read_text())
        assert 2 <= report["steps"] <= 3
        assert "acc5" in report["error"], report  # the victim's
        assert "acc5" in report["afterwards"], report
        assert report["seconds"] < 20  # a bound for the slowest machine; PyTorch's own time-out is half an hour
        assert report["goodbye"] < 20


def test_a_rank_without_an_accelerator_is_told_so(control: Path) -> None:
    script = "import torch.distributed as d; d.init_process_group('incc')"
    own = os.environ | {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    own |= {"LISPFABRIC_CONTROL": str(control), "LISPFABRIC_ACCELERATORS": ""}
    done = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "LISPFABRIC_ACCELERATOR: no accelerator for rank 0" in done.stderr


def test_an_unchanged_script_learns_by_switches_as_it_does_by_gloo(
    control: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="NOT RUN: scikit-learn is not installed (pip install '.[torch]')")
    assert compare(control, tmp_path, epochs=2) <= BOUND
    curves = [json.loads((tmp_path / f"{backend}.json").read_text()) for backend in ("gloo", "incc")]
    assert all(len(curve) == 2 and curve[1] < curve[0] / 2 for curve in curves)
    assert "epoch  gloo" in capsys.readouterr().out
