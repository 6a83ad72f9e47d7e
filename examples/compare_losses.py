"""Trains by gloo and by the switches of a fabric that it brings up, and prints the two loss curves.

    python examples/compare_losses.py

How far apart they may be: a sum of gradients by the switches is off by at most n 2^(log2(n) - 30) of the largest
magnitude in its block of 64 (accelerator/incc/floats.py), which for four ranks is 2^-26; float32 itself rounds by
2^-24. So the curves differ as those of two orders of addition do, and `BOUND` is what is allowed of the loss.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BOUND = 1e-3
HERE = Path(__file__).resolve().parent
TOPOLOGY = HERE.parent / "topologies" / "figure1.yaml"
RANKS = ("acc1", "acc3", "acc5", "acc7")


def train(backend: str, folder: Path, control: Path, epochs: int) -> list[float]:
    """The loss of every epoch. Raises RuntimeError with what the ranks said if one fails."""
    losses = folder / f"{backend}.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(len(RANKS))]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    command += [str(HERE / "train_ddp.py"), "--backend", backend, "--epochs", str(epochs), "--losses", str(losses)]
    environment = os.environ | {
        "LISPFABRIC_CONTROL": str(control),
        "LISPFABRIC_DOMAIN": "training",
        "LISPFABRIC_ACCELERATORS": ",".join(RANKS),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{backend}: {done.stderr[-4000:]}")
    found: list[float] = json.loads(losses.read_text())
    return found


def compare(control: Path, folder: Path, epochs: int) -> float:
    """Prints both curves; returns how far apart they are at most."""
    curves = {backend: train(backend, folder, control, epochs) for backend in ("gloo", "incc")}
    print("epoch  gloo      incc      difference")
    apart = 0.0
    for epoch, (gloo, incc) in enumerate(zip(curves["gloo"], curves["incc"], strict=True)):
        print(f"{epoch + 1:5}  {gloo:.6f}  {incc:.6f}  {incc - gloo:+.1e}")
        apart = max(apart, abs(incc - gloo))
    print(f"at most {apart:.1e} apart, {BOUND:g} is allowed")
    return apart


def main() -> None:
    """Brings the fabric up, trains twice, and takes it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lispfabric-") as temporary:
        folder = Path(temporary)
        control = folder / "control.sock"
        fabric = [sys.executable, "-m", "topologies.cli"]
        start = [*fabric, "up", str(TOPOLOGY), "--detach", "--p4runtime", "127.0.0.1:0", "--control", str(control)]
        subprocess.run(start, check=True)
        try:
            apart = compare(control, folder, options.epochs)
        finally:
            subprocess.run([*fabric, "down", "--control", str(control)], check=False)
    sys.exit(apart > BOUND)


if __name__ == "__main__":
    main()
