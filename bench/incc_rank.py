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

_HEADERS = 14 + 20 + 8  # that the kernel puts before each datagram


def _timed(once: Callable[[], Any], iterations: int) -> float:
    """Begins, after a first one that does not count, when a line comes; says "ready" before."""
    once()
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    for _ in range(iterations):
        once()
    return (time.monotonic() - begun) / iterations


def _say(found: object) -> None:
    """Goes on when another line comes: until then the switches have their counters."""
    print(json.dumps(found), flush=True)
    sys.stdin.readline()


def incc(control: str, group: str, accelerator: str, octets: str, iterations: str) -> None:
    """By the switches, from a UDP socket of this namespace."""
    from accelerator.incc.group import Group, attach_udp

    with Group.join(group, accelerator, control=control, attach=attach_udp()) as member:
        data = np.full(int(octets) // 4, member.rank + 1, np.float32)
        before = member.statistics
        seconds = _timed(lambda: member.all_reduce(data), int(iterations))
        after = member.statistics
        octets_sent = after.octets_sent - before.octets_sent + _HEADERS * (after.sent - before.sent)
        found = {
            "seconds": seconds,
            "sent": octets_sent / (int(iterations) + 1),
            "repeated": after.repeated - before.repeated,
        }
        _say(found)
        assert (member.all_reduce(data) == member.size * (member.size + 1) / 2).all()
        _say("done")


def gloo(folder: str, address: str, rank: str, size: str, octets: str, iterations: str) -> None:
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
    _say({"seconds": seconds})
    group.barrier().wait()
    _say("done")


if __name__ == "__main__":
    if sys.argv[1] == "incc":
        incc(*sys.argv[2:])
    else:
        gloo(*sys.argv[2:])
