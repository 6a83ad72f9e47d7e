"""The command `lispfabric`.

What brings fabrics up is imported by the commands that do so: one to a running fabric does not wait for an engine, gRPC
and models of configuration files that it has no use for.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from controller.app import cli, commands
from controller.app.cli import collectives as cli_collectives
from controller.app.cli.connection import EXIT_CODES
from topologies import incc_commands, topology_commands

if TYPE_CHECKING:
    from accelerator.ip import IPAddress
    from topologies.schema import Topology

app = typer.Typer(
    help="A LISP-based network for AI infrastructure.", no_args_is_help=True, add_completion=True, epilog=EXIT_CODES
)
commands.add_to(app)
app.add_typer(topology_commands.app, name="topology")
cli.add_to(app)
incc_commands.add_to(cli_collectives.app)


class Engine(StrEnum):
    """What carries packets."""

    AUTO = "auto"
    NATIVE = "native"
    REFERENCE = "reference"


class Target(StrEnum):
    """Switches that run as processes."""

    SOFTSWITCH = "softswitch"
    BMV2 = "bmv2"


@app.callback()
def main_options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the parts do.")] = False,
) -> None:
    """A LISP-based network for AI infrastructure."""
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, format="%(name)s: %(message)s")


def _fail(message: str) -> typer.Exit:
    Console(stderr=True, soft_wrap=True).print(f"error: {message}", style="red", markup=False, highlight=False)
    return typer.Exit(1)


def _load(file: Path) -> Topology:
    from topologies.topology_file import load
    from topologies.yaml_source import TopologyError

    try:
        return load(file)
    except TopologyError as error:
        raise _fail(str(error)) from None


def _accelerator(topology: Topology, name: str, option: str) -> IPAddress:
    try:
        address = topology.accelerator(name).ip
    except KeyError:
        known = ", ".join(accelerator.name for accelerator in topology.accelerators)
        raise _fail(f"{option} {name}: no such accelerator; there are {known or 'none'}") from None
    if address is None:
        raise _fail(f"{option} {name}: has no Scale-Out address")
    return address


@app.command(epilog="Example: lispfabric check topologies/figure1.yaml")
def check(file: Annotated[Path, typer.Argument(help="Topology file.")]) -> None:
    """Check a topology file; every mistake is named with its line and field."""
    topology = _load(file)
    Console(soft_wrap=True, highlight=False).print(
        f"{file}: {topology.name}: {len(topology.pods)} PoDs, {len(topology.switches)} switches, "
        f"{len(topology.links)} links, {len(topology.accelerators)} accelerators"
    )


@app.command(epilog="Example: lispfabric run figure1 --from acc3 --to acc6")
def run(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    source: Annotated[str, typer.Option("--from", help="Accelerator that speaks first.")] = "acc1",
    destination: Annotated[str, typer.Option("--to", help="Accelerator that answers.")] = "acc7",
    capture: Annotated[Path | None, typer.Option(help="Write all control messages to this pcap file.")] = None,
) -> None:
    """Bring a fabric up, let one accelerator talk to another, and show what happened."""
    import asyncio

    from topologies import first_packets
    from topologies.inprocess import NotConvergedError
    from topologies.yaml_source import TopologyError

    topology = _load(file)
    _accelerator(topology, source, "--from")
    target = _accelerator(topology, destination, "--to")
    try:
        answered = asyncio.run(first_packets.run(topology, source, destination, target, capture))
    except (NotConvergedError, TopologyError, OSError) as error:
        raise _fail(str(error)) from None
    if not answered:
        limit = first_packets.ANSWER_TIMEOUT
        raise _fail(f"no answer from {destination} within {limit} s, or what was sent later went wrong")


@app.command(epilog="Example: lispfabric up topologies/figure1.yaml --detach; then: lispfabric status, lispfabric down")
def up(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    detached: Annotated[bool, typer.Option("--detach", "-d", help="In the background; return when it is up.")] = False,
    p4runtime: Annotated[str, typer.Option(help="Where the switches' P4Runtime server listens.")] = "127.0.0.1:9559",
    control: Annotated[Path | None, typer.Option(help="Where the control socket shall be.")] = None,
    engine: Annotated[Engine, typer.Option(help="What carries packets; auto is native where that is possible.")] = (
        Engine.AUTO
    ),
    namespaces: Annotated[
        bool,
        typer.Option("--namespaces", help="Switches as processes, accelerators as Linux hosts, in namespaces; root."),
    ] = False,
    target: Annotated[Target, typer.Option(help="With --namespaces: which switches.")] = Target.SOFTSWITCH,
) -> None:
    """Bring a fabric up and keep it until interrupted; each switch is a P4Runtime device of one server."""
    import asyncio

    from accelerator.links import LinkError
    from controller.app.control_path import ControlPathError, default_path
    from topologies import background, running
    from topologies.inprocess import NotConvergedError
    from topologies.switch_processes import StartError as ProcessError
    from topologies.yaml_source import TopologyError

    topology = _load(file)
    socket = control or default_path(topology.name)
    try:
        if not detached:
            if namespaces:
                asyncio.run(running.run_namespaces(topology, target.value, socket))
            else:
                asyncio.run(running.run(topology, p4runtime, socket, engine.value))
            return
        options = ["--namespaces", "--target", target.value] if namespaces else ["--engine", engine.value]
        with Console(stderr=True).status(f"{topology.name} comes up ..."):
            background.detach(file, socket, "--p4runtime", p4runtime, *options)
        Console(soft_wrap=True, highlight=False).print(f"{topology.name} is up; lispfabric down takes it down")
    except (
        *(NotConvergedError, TopologyError, OSError, RuntimeError),
        *(ControlPathError, LinkError, background.StartError, ProcessError),
    ) as error:
        raise _fail(str(error)) from None


@app.command(epilog="Example: lispfabric conformance")
def conformance() -> None:
    """Print the draft's requirements, each with what the last test runs saw of it; needs a checkout of the sources."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "docs" / "conformance" / "requirements.md").exists():
        raise _fail(f"{root} is no checkout of the sources: clone them, run `make test`, then `make conformance`")
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", "tests.conformance.matrix"], cwd=root, check=False).returncode
    )


@app.command(epilog="Example: lispfabric device topologies/figure1.yaml D3")
def device(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    switch: Annotated[str, typer.Argument(help="Name of a switch.")],
) -> None:
    """Print the P4Runtime device id of a switch."""
    from topologies.plan import plan

    plans = plan(_load(file))
    if switch not in plans:
        raise _fail(f"{switch}: no such switch; there are {', '.join(plans)}")
    print(plans[switch].index)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
