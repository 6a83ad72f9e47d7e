"""AllReduce in the switches: on the clock of the links, on this machine's clock, and against a ring and gloo.

Three measurements, since two cores emulate everything:

1. Virtual time (topologies/virtual_time.py): the real protocol, the real program and entries of Figure 1's switches,
   but links with a rate, a delay and queues of 64 packets, whose clock is read. Nothing of it depends on this machine.
   A ring AllReduce without acknowledgements or losses runs over the same links and switches.
2. Wall clock, without privileges: all ranks in one process, all switches in another. What a host sends does not depend
   on the number of ranks; the time does, because one core does the work of all switches and one that of all ranks: the
   columns with CPU time say what part. A repeat here would be a fault of the protocol, for nothing is lost.
3. Wall clock, as root: ranks are processes in network namespaces, joined to the switches by veth pairs; gloo's TCP
   takes the same links through the same switches, as the overlay's IP traffic, in the same run. With bmv2 too where it
   is.

Packets a second are those of the collective that a switch of the tree handled, by its own counters, while it ran.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np

from accelerator.rendezvous import Descriptor
from bench import ring, switch_counts
from bench.incc_namespaces import compare
from controller.app.collective_methods import CollectiveMethods
from controller.app.control_client import ControlClient
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.stream import StreamState
from controller.p4rt.target import Target
from softswitch.ports import Effects
from topologies import background
from topologies.incc_bench import join, leave, measure
from topologies.inprocess import Fabric
from topologies.plan import plan
from topologies.program import COMPILED
from topologies.topology_file import load
from topologies.virtual_time import VirtualLinks, VirtualMember, run_together

FIGURE1 = Path(__file__).resolve().parents[1] / "topologies" / "figure1.yaml"
ORDER = ("acc1", "acc7", "acc3", "acc5", "acc2", "acc4", "acc6", "acc8")  # one for each PoD first
RANKS = (2, 4, 8)
OCTETS, ITERATIONS = 65536, 10
ACCESS = Effects(rate=10**10, delay=1000, queue=64)
CORES = (Effects(rate=4 * 10**10, delay=1000, queue=64), ACCESS)


async def virtual(octets: int) -> None:
    """Prints what the links take."""
    async with Fabric(load(FIGURE1)) as fabric:
        methods = CollectiveMethods(fabric.collectives, lambda switch, peer: fabric.plans[switch].port_to(peer).mac)
        for core in CORES:
            print(
                f"\nVirtual time, {octets} octets of float32; accelerators' links {ACCESS.rate / 1e9:g} Gbit/s, others"
            )
            print(f"{core.rate / 1e9:g} Gbit/s, {core.delay / 1000:g} us each, queues of {core.queue} packets")
            print("ranks  time (us)  against 2  sent/data  repeats  ring (us)  against 2  sent/data  ring/INCC")
            first = (0.0, 0.0)
            for size in RANKS:
                names, group = ORDER[:size], f"virtual-{size}-{octets}-{core.rate}"
                fabric.collectives.create(group, "training", names)
                for name in names:
                    fabric.collectives.join(group, name)
                await fabric.converge()
                links, view = VirtualLinks(fabric, ACCESS, core), fabric.collectives.manager.group(group)
                described = [Descriptor.from_json(methods.descriptor(view, name)) for name in names]
                members = [VirtualMember(links, *pair) for pair in zip(names, described, strict=True)]
                data = np.ones(octets // 4, np.float32)
                for _ in range(2):  # the first one finds the window
                    before = [member.core.snapshot() for member in members]
                    works = [member.all_reduce(data * member.rank) for member in members]
                    seconds = run_together(links, members, works)
                assert all((work.result == size * (size - 1) / 2).all() for work in works)  # type: ignore[attr-defined]
                after = [member.core.snapshot() for member in members]
                sent = (after[0].octets_sent - before[0].octets_sent) / octets
                repeats = sum(new.repeated - old.repeated for old, new in zip(before, after, strict=True))
                await ring.warm_up(fabric, names)
                other, others_sent = ring.all_reduce(fabric, names, octets, ACCESS, core)
                first = first if first[0] else (seconds, other)
                print(
                    f"{size:5}  {seconds * 1e6:9.1f}  {seconds / first[0]:9.2f}  {sent:9.3f}  "
                    f"{repeats:7}  {other * 1e6:9.1f}  {other / first[1]:9.2f}  "
                    f"{others_sent / octets:9.3f}  {other / seconds:9.2f}"
                )
                fabric.collectives.destroy(group)
                await fabric.converge()


def _cpu(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _clients(address: str) -> AsyncIterator[dict[str, P4RuntimeClient]]:
    """A connection to each switch, to read its counters only."""
    pipeline = Pipeline.from_files(COMPILED / "fabric.p4info.txtpb", COMPILED / "fabric.json")
    async with AsyncExitStack() as stack:
        found = {}
        for name, planned in plan(load(FIGURE1)).items():
            client = P4RuntimeClient(Target(address, planned.index, election_id=1), pipeline)
            found[name] = await stack.enter_async_context(client)
        async with asyncio.timeout(20):
            while any(client.stream.state is StreamState.DISCONNECTED for client in found.values()):
                await asyncio.sleep(0.02)
        yield found


async def switches(control: Path, ranks: int, pid: int, address: str, first: float | None) -> float:
    """Prints a row of the second table; seconds of an AllReduce."""
    members = await join(control, ORDER[:ranks], "training")
    try:
        await measure(members, "all_reduce", OCTETS, "float32", "sum", 1)
        async with _clients(address) as clients:
            before, cpu, own = await switch_counts.read(clients), _cpu(pid), sum(os.times()[:2])
            result = await measure(members, "all_reduce", OCTETS, "float32", "sum", ITERATIONS, warm_up=0)
            spent, mine = _cpu(pid) - cpu, sum(os.times()[:2]) - own
            found = switch_counts.rates(before, await switch_counts.read(clients))
    finally:
        await leave(control, members)
    assert result.wrong == 0
    repeats = sum(new.repeated - old.repeated for old, new in zip(result.before, result.after, strict=True))
    sent, ring_sent = result.octets_sent / ITERATIONS / OCTETS, 2 * (ranks - 1) / ranks
    print(
        f"{ranks:5}  {result.seconds * 1000:9.1f}  {result.seconds / (first or result.seconds):9.2f}  {sent:9.3f}  "
        f"{ring_sent:8.3f}  {repeats:7}  {spent / ITERATIONS * 1000:13.1f}  {mine / ITERATIONS * 1000:10.1f}  "
        f"{result.packets / result.seconds / ITERATIONS:15.0f}"
    )
    print(switch_counts.line(found))
    return first or result.seconds


def wall_clock() -> None:
    """Prints what this machine takes, without privileges."""
    print(f"\nWall clock, Unix sockets, {OCTETS} octets of float32, mean of {ITERATIONS}; times in ms")
    print("ranks       time  against 2  sent/data  a ring's  repeats  CPU: switches  CPU: ranks  contributions/s")
    with tempfile.TemporaryDirectory(prefix="lispfabric-") as folder:
        control = Path(folder) / "control.sock"
        background.detach(FIGURE1, control, "--p4runtime", f"unix:{folder}/p4rt")
        try:
            with ControlClient(control) as client:
                status = client.call("status")
            first: float | None = None
            for ranks in RANKS:
                first = asyncio.run(switches(control, ranks, status["pid"], status["p4runtime"], first))
        finally:
            with ControlClient(control) as client:
                client.call("stop")


def main() -> None:
    """Prints all tables."""
    asyncio.run(virtual(OCTETS))
    wall_clock()
    print(f"\nWall clock, network namespaces and veth, {OCTETS} octets of float32; times in ms")
    if os.geteuid() != 0:
        print("NOT RUN: network namespaces need root")
        return
    gloo = importlib.util.find_spec("torch") is not None
    if not gloo:
        print("gloo NOT RUN: PyTorch is not installed")
    for target in ("softswitch", "bmv2"):
        if target == "bmv2" and not (os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")):
            print("bmv2 NOT RUN: simple_switch_grpc is not on the PATH")
            continue
        turns = ITERATIONS if target == "softswitch" else ITERATIONS // 5
        print(f"{target}, mean of {turns}")
        print("ranks  INCC time  against 2  sent/data  repeats  gloo time  against 2  gloo/INCC")
        asyncio.run(compare(FIGURE1, target, [ORDER[:ranks] for ranks in RANKS], OCTETS, turns, gloo=gloo))


if __name__ == "__main__":
    main()
