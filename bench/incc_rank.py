"""One rank of a measurement, in the network namespace of its accelerator: prints seconds of an AllReduce as JSON.

python -m bench.incc_rank incc CONTROL GROUP ACCELERATOR OCTETS ITERATIONS
python -m bench.incc_rank gloo FOLDER ADDRESS RANK SIZE OCTETS ITERATIONS
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np


def _timed(once: Callable[[], Any], iterations: int) -> float:
    once()
    begun = time.monotonic()
    for _ in range(iterations):
        once()
    return (time.monotonic() - begun) / iterations


def incc(control: str, group: str, accelerator: str, octets: str, iterations: str) -> dict[str, float]:
    """By the switches, from a UDP socket of this namespace."""
    from accelerator.incc.group import Group, attach_udp

    with Group.join(group, accelerator, control=control, attach=attach_udp()) as member:
        data = np.full(int(octets) // 4, member.rank + 1, np.float32)
        before = member.statistics
        seconds = _timed(lambda: member.all_reduce(data), int(iterations))
        after = member.statistics
        total = member.size * (member.size + 1) / 2
        assert (member.all_reduce(data) == total).all()
        member.barrier()
        return {
            "seconds": seconds,
            "sent": (after.octets_sent - before.octets_sent) / (int(iterations) + 1),
            "repeated": after.repeated - before.repeated,
        }


def gloo(folder: str, address: str, rank: str, size: str, octets: str, iterations: str) -> dict[str, float]:
    """By gloo, over TCP between the addresses of the namespaces."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    options = dist.ProcessGroupGloo._Options()
    options._devices = [dist.ProcessGroupGloo.create_device(hostname=address)]
    options._timeout = timedelta(seconds=60)
    store = dist.FileStore(f"{folder}/store", int(size))
    group = dist.ProcessGroupGloo(store, int(rank), int(size), options)
    data = torch.ones(int(octets) // 4)
    seconds = _timed(lambda: group.allreduce([data]).wait(), int(iterations))
    group.barrier().wait()
    return {"seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(incc(*sys.argv[2:]) if sys.argv[1] == "incc" else gloo(*sys.argv[2:])))
