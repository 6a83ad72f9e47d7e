"""One rank of a training in which another rank is killed; writes what became of it, as JSON.

Started by test_fabric.py, with PyTorch's environment for `env://`: mortal.py REPORT VICTIM
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    report, victim = sys.argv[1], int(sys.argv[2])
    dist.init_process_group("incc")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found: dict[str, object] = {"steps": 0}
    begun = time.monotonic()
    try:
        for step in range(200):
            if rank == victim and step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            begun = time.monotonic()
            optimizer.zero_grad()
            model(torch.randn(8, 16)).square().mean().backward()
            optimizer.step()
            found["steps"] = step + 1
    except RuntimeError as error:
        found |= {"error": str(error), "seconds": time.monotonic() - begun}
    begun = time.monotonic()
    try:
        dist.all_reduce(torch.ones(3))
    except RuntimeError as error:
        found["afterwards"] = str(error)
    dist.destroy_process_group()
    found["goodbye"] = time.monotonic() - begun
    with open(f"{report}{rank}", "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
