"""INCC and gloo over the same links in one run: each rank a process in the network namespace of its accelerator."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import switch_counts
from controller.app.control import ControlServer
from topologies.namespaces import NamespaceNetwork, namespace_fabric
from topologies.topology_file import load

_SECONDS = 240.0


async def compare(
    file: Path, target: str, groups: Sequence[Sequence[str]], octets: int, iterations: int, *, gloo: bool
) -> None:
    """Prints a row for each group of accelerators, and below it what each switch of the tree handled."""
    topology = load(file)
    with tempfile.TemporaryDirectory(prefix="lispfabric-") as name:
        folder = Path(name)
        async with namespace_fabric(topology, target) as (network, fabric), ControlServer(folder / "s") as server:
            server.methods.update(fabric.control_methods)
            clients = {switch: control.client for switch, control in fabric.controls.items()}
            first: dict[str, float] = {}
            for members in groups:
                group = f"bench-{len(members)}"
                fabric.collectives.create(group, "training", members)
                before = await switch_counts.read(clients)
                found = await _ranks(network, members, ["incc", str(server.path), group], octets, iterations)
                rates = switch_counts.rates(before, await switch_counts.read(clients))
                fabric.collectives.destroy(group)
                seconds = max(one["seconds"] for one in found)
                repeats = sum(one["repeated"] for one in found)
                row = f"{len(members):5}  {seconds * 1000:9.1f}  {seconds / first.setdefault('incc', seconds):9.2f}  "
                row += f"{found[0]['sent'] / octets:9.3f}  {repeats:7}"
                if gloo:
                    (folder / group).mkdir()
                    others = await _ranks(network, members, ["gloo", str(folder / group)], octets, iterations)
                    other = max(one["seconds"] for one in others)
                    row += (
                        f"  {other * 1000:9.1f}  {other / first.setdefault('gloo', other):9.2f}  {other / seconds:9.2f}"
                    )
                else:
                    row += "    NOT RUN"
                print(row)
                print(switch_counts.line(rates))


async def _ranks(
    network: NamespaceNetwork, members: Sequence[str], command: Sequence[str], octets: int, iterations: int
) -> list[dict[str, Any]]:
    """What each rank says at its end. Raises RuntimeError with what one says that fails."""
    measured = [str(octets), str(iterations)]
    processes = []
    for rank, member in enumerate(members):
        own = [member] if command[0] == "incc" else [str(network.topology.accelerator(member).ip), str(rank)]
        own += [] if command[0] == "incc" else [str(len(members))]
        whole = [*network.hosts[member].prefix, sys.executable, "-m", "bench.incc_rank", *command, *own, *measured]
        processes.append(
            await asyncio.create_subprocess_exec(*whole, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        )
    try:
        async with asyncio.timeout(_SECONDS):
            said = await asyncio.gather(*(process.communicate() for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
    for process, (_, problem) in zip(processes, said, strict=True):
        if process.returncode:
            raise RuntimeError(
                f"{' '.join(command)}: a rank ended with {process.returncode}: {problem.decode()[-600:]}"
            )
    return [json.loads(out.decode().splitlines()[-1]) for out, _ in said]
