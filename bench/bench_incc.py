"""AllReduce in the switches of Figure 1: what a host sends, how time grows with the ranks, and gloo beside it.

What a host sends is counted by its accelerator: whole frames, repeats included. A ring AllReduce sends 2(n-1)/n times
the data, here without any headers. What one host sends and waits for does not depend on the number of ranks; the time
does here, because one core emulates all switches and another one all ranks: `contributions/s` is what they manage.
gloo, where PyTorch is installed, is measured in the same run, but over the kernel's loopback and not over the emulated
links, which carry frames of accelerators only: its figure is this machine's limit, not a peer's.

Window: at most 64 chunks of 64 values are under way, as many as the shortest queue (bmv2's) on the way holds and as the
group has slots, so that a group's own packets never overflow a queue.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from controller.app.control_client import ControlClient
from topologies import background
from topologies.incc_bench import join, leave, measure

FIGURE1 = Path(__file__).resolve().parents[1] / "topologies" / "figure1.yaml"
ORDER = ("acc1", "acc7", "acc3", "acc5", "acc2", "acc4", "acc6", "acc8")  # one for each PoD first
OCTETS, ITERATIONS = 65536, 3

GLOO = f"""
import time, torch, torch.distributed as dist
dist.init_process_group("gloo")
data = torch.ones({OCTETS} // 4)
dist.all_reduce(data)
begun = time.perf_counter()
for _ in range({ITERATIONS}):
    dist.all_reduce(data)
if dist.get_rank() == 0:
    print((time.perf_counter() - begun) / {ITERATIONS})
dist.destroy_process_group()
"""


async def switches(control: Path, ranks: int) -> tuple[float, float, float]:
    """Seconds of an AllReduce, octets sent by a host for each octet of data, all hosts' packets a second."""
    members = await join(control, ORDER[:ranks], "training")
    try:
        result = await measure(members, "all_reduce", OCTETS, "float32", "sum", ITERATIONS)
    finally:
        await leave(control, members)
    assert result.wrong == 0
    seconds = result.seconds * ITERATIONS
    return result.seconds, result.octets_sent / ITERATIONS / OCTETS, result.packets / seconds


def gloo(ranks: int) -> float | None:
    """Seconds of an AllReduce by gloo over loopback; None without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return None
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks), "--rdzv-backend", "c10d"]
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(GLOO)
        script.flush()
        done = subprocess.run(
            [*command, "--rdzv-endpoint", "127.0.0.1:0", script.name],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


def main() -> None:
    """Prints a row for each number of ranks."""
    print(f"AllReduce of {OCTETS} octets of float32 across PoDs, mean of {ITERATIONS}")
    print("ranks  time (ms)  against 2 ranks  sent/data  a ring's  ratio  contributions/s  gloo, loopback (ms)")
    with tempfile.TemporaryDirectory(prefix="lispfabric-") as folder:
        control = Path(folder) / "control.sock"
        background.detach(FIGURE1, f"unix:{folder}/p4rt", control, "auto")
        try:
            first = None
            for ranks in (2, 4, 8):
                seconds, sent, packets = asyncio.run(switches(control, ranks))
                first = first or seconds
                ring = 2 * (ranks - 1) / ranks
                other = gloo(ranks)
                beside = "NOT RUN: PyTorch is not installed" if other is None else f"{other * 1000:.2f}"
                print(
                    f"{ranks:5}  {seconds * 1000:9.1f}  {seconds / first:15.2f}  {sent:9.3f}  {ring:8.3f}  "
                    f"{sent / ring:5.2f}  {packets:15.0f}  {beside}"
                )
        finally:
            with ControlClient(control) as client:
                client.call("stop")


if __name__ == "__main__":
    main()
