"""INCC and gloo over the same links in one run: each rank a process in the network namespace of its accelerator."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import switch_counts
from controller.app.control import ControlServer
from controller.p4rt.client import P4RuntimeClient
from topologies.namespaces import NamespaceNetwork, namespace_fabric
from topologies.topology_file import load

_SECONDS = 120.0


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
                ranks = _Ranks(network, members, octets, iterations)
                found, rates = await ranks.run(["incc", str(server.path), group], clients)
                fabric.collectives.destroy(group)
                seconds = max(one["seconds"] for one in found)
                repeats = sum(one["repeated"] for one in found)
                row = f"{len(members):5}  {seconds * 1000:9.1f}  {seconds / first.setdefault('incc', seconds):9.2f}  "
                row += f"{found[0]['sent'] / octets:9.3f}  {repeats:7}"
                if gloo:
                    (folder / group).mkdir()
                    others, _ = await ranks.run(["gloo", str(folder / group)], {})
                    other = max(one["seconds"] for one in others)
                    growth = other / first.setdefault("gloo", other)
                    row += f"  {other * 1000:9.1f}  {growth:9.2f}  {other / seconds:9.2f}"
                else:
                    row += "    NOT RUN"
                print(row)
                print(switch_counts.line(rates))


class _Ranks:
    """The processes of a measurement."""

    def __init__(self, network: NamespaceNetwork, members: Sequence[str], octets: int, iterations: int) -> None:
        self._network, self._members = network, members
        self._measured = [str(octets), str(iterations)]
        self._processes: list[asyncio.subprocess.Process] = []

    async def run(
        self, command: Sequence[str], clients: Mapping[str, P4RuntimeClient]
    ) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """What each rank says, and the rates of the switches meanwhile.

        Raises RuntimeError with what a rank says that fails, TimeoutError.
        """
        self._processes = []
        try:
            async with asyncio.timeout(_SECONDS):
                for rank, member in enumerate(self._members):
                    await self._start(command, rank, member)
                await self._lines()
                before = await switch_counts.read(clients)
                found = [json.loads(line) for line in await self._lines(go=True)]
                rates = switch_counts.rates(before, await switch_counts.read(clients))
                await self._lines(go=True)  # all are done, so nobody leaves while another one needs it
                for process in self._processes:
                    await self._go(process)
                for process in self._processes:
                    if await process.wait():
                        raise RuntimeError(f"a rank has failed at its end: {await self._problem(process)}")
        finally:
            for process in self._processes:
                if process.returncode is None:
                    process.kill()
        return found, rates

    async def _start(self, command: Sequence[str], rank: int, member: str) -> None:
        own = [member]
        if command[0] == "gloo":
            own = [str(self._network.topology.accelerator(member).ip), str(rank), str(len(self._members))]
        whole = [*self._network.hosts[member].prefix, sys.executable, "-m", "bench.incc_rank"]
        pipe = asyncio.subprocess.PIPE
        arguments = [*whole, *command, *own, *self._measured]
        self._processes.append(await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe))

    async def _lines(self, *, go: bool = False) -> list[bytes]:
        """The next line of each, after another one to it."""
        for process in self._processes if go else ():
            await self._go(process)
        return [await self._line(process) for process in self._processes]

    async def _go(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        await process.stdin.drain()

    async def _line(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"a rank has failed: {await self._problem(process)}")
        return line

    async def _problem(self, process: asyncio.subprocess.Process) -> str:
        assert process.stderr is not None
        return (await process.stderr.read()).decode()[-600:]
