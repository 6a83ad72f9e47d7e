"""`lispfabric incc bench`, over a running fabric or one that it brings up for the purpose."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from controller.app.cli.connection import Control, connected, console, fail
from controller.app.cli.connection import Fabric as FabricOption
from topologies import background

TYPES = ("int32", "int64", "float16", "float32", "float64")
OPERATIONS = ("sum", "min", "max", "avg")


def bench(
    members: Annotated[list[str], typer.Argument(help="Accelerators that take part, by rank; two or more.")],
    domain: Annotated[str | None, typer.Option(help="INCC domain of the topology, if there are several.")] = None,
    collective: Annotated[list[str] | None, typer.Option("--collective", "-c", help="Which; all by default.")] = None,
    smallest: Annotated[int, typer.Option("--min-bytes", "-b", help="Octets to begin with.", min=1)] = 1024,
    largest: Annotated[int, typer.Option("--max-bytes", "-e", help="Octets to end with.", min=1)] = 65536,
    factor: Annotated[int, typer.Option("--step-factor", "-f", help="From one size to the next.", min=2)] = 8,
    iterations: Annotated[int, typer.Option("--iters", "-n", help="Operations of each size.", min=1)] = 5,
    dtype: Annotated[str, typer.Option("--type", "-d", help=f"One of {', '.join(TYPES)}.")] = "float32",
    op: Annotated[str, typer.Option("--op", "-o", help=f"One of {', '.join(OPERATIONS)}.")] = "sum",
    topology: Annotated[Path | None, typer.Option(help="Bring this one up first, and take it down at the end.")] = None,
    fabric: FabricOption = None,
    control: Control = None,
) -> None:
    """Time every collective, in the columns of nccl-tests: size, type, operation, time, algorithm and bus bandwidth."""
    import asyncio

    from accelerator.incc.errors import CollectiveError
    from accelerator.links import LinkError
    from accelerator.rendezvous import RendezvousError
    from topologies.incc_bench import COLLECTIVES, sizes

    for name, value, known in (("--type", dtype, TYPES), ("--op", op, OPERATIONS)):
        if value not in known:
            raise fail(f"{name} {value}: must be one of {', '.join(known)}")
    if dtype.startswith("int") and op == "avg":
        raise fail(f"--op avg: there is no average of {dtype}")
    wanted = collective or list(COLLECTIVES)
    if unknown := [one for one in wanted if one not in COLLECTIVES]:
        raise fail(f"--collective {unknown[0]}: must be one of {', '.join(COLLECTIVES)}")
    if len(members) < 2:
        raise fail(f"members {', '.join(members)}: two are the least that a collective needs")
    try:
        octets = list(sizes(smallest, largest, factor))
        with _fabric(topology, fabric, control) as path:
            wrong = asyncio.run(_bench(path, members, domain, wanted, octets, dtype, op, iterations))
    except (*(CollectiveError, LinkError, OSError), *(RendezvousError, ValueError, background.StartError)) as error:
        raise fail(str(error)) from None
    if wrong:
        raise fail(f"{wrong} elements were wrong")


@contextlib.contextmanager
def _fabric(topology: Path | None, fabric: str | None, control: Path | None) -> Iterator[Path]:
    """The control socket of the fabric to use."""
    if topology is None:
        with connected(fabric, control) as client:
            yield client.path
        return
    with tempfile.TemporaryDirectory(prefix="lispfabric-") as folder:
        path = Path(folder) / "control.sock"
        background.detach(topology, path, "--p4runtime", f"unix:{folder}/p4rt")
        try:
            yield path
        finally:
            with connected(None, path) as client:
                client.call("stop")


async def _bench(
    control: Path,
    accelerators: list[str],
    domain: str | None,
    names: list[str],
    octets: list[int],
    dtype: str,
    op: str,
    iterations: int,
) -> int:
    from topologies.incc_bench import HEADER, join, leave, measure

    out = console()
    members = await join(control, accelerators, domain)
    first = members[0].descriptor
    wrong = 0
    try:
        out.print(
            f"# group {first.name}: {first.size} ranks over {first.carrier}, {first.slots} slots of {first.values} "
            f"values; at most {members[0].statistics.window} chunks under way, as many as fit in the shortest queue",
            markup=False,
        )
        out.print("# all ranks are in this process; time is from the first call to the last result", markup=False)
        out.print(HEADER, markup=False)
        for name in names:
            for size in octets:
                result = await measure(members, name, size, dtype, op, iterations)
                out.print(result.line(), markup=False)
                wrong += result.wrong
        repeated = sum(member.statistics.repeated for member in members)
        out.print(f"# {wrong} elements wrong, {repeated} contributions repeated", markup=False)
    finally:
        await leave(control, members)
    return wrong


def add_to(app: typer.Typer) -> None:
    """Makes `bench` one of the commands of `lispfabric incc`."""
    app.command(epilog="Example: lispfabric incc bench acc1 acc3 acc5 acc7 --domain training -b 1024 -e 65536")(bench)
