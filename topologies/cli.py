"""The command `lispfabric`."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from accelerator.host import Host
from accelerator.ip import IPAddress, echo_in
from accelerator.links import LinkError
from controller.app import cli, commands
from controller.app.cli import collectives as cli_collectives
from controller.app.cli.connection import EXIT_CODES
from controller.app.control_path import ControlPathError, default_path
from controller.app.network import write_pcap
from topologies import incc_commands, running, story, topology_commands
from topologies.collective_story import show_all_reduce
from topologies.inprocess import Fabric, NotConvergedError
from topologies.plan import plan
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.walk import TraceRecorder
from topologies.yaml_source import TopologyError

# Seconds that an answer may take, resolution of the destination included.
ANSWER_TIMEOUT = 10.0

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


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Topology file.")]) -> None:
    """Check a topology file; every mistake is named with its line and field."""
    topology = _load(file)
    Console(soft_wrap=True, highlight=False).print(
        f"{file}: {topology.name}: {len(topology.pods)} PoDs, {len(topology.switches)} switches, "
        f"{len(topology.links)} links, {len(topology.accelerators)} accelerators"
    )


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    source: Annotated[str, typer.Option("--from", help="Accelerator that speaks first.")] = "acc1",
    destination: Annotated[str, typer.Option("--to", help="Accelerator that answers.")] = "acc7",
    capture: Annotated[Path | None, typer.Option(help="Write all control messages to this pcap file.")] = None,
) -> None:
    """Bring a fabric up, let one accelerator talk to another, and show what happened."""
    topology = _load(file)
    _accelerator(topology, source, "--from")
    target = _accelerator(topology, destination, "--to")
    try:
        answered = asyncio.run(_run(topology, source, destination, target, capture))
    except (NotConvergedError, TopologyError, OSError) as error:
        raise _fail(str(error)) from None
    if not answered:
        raise _fail(f"no answer from {destination} within {ANSWER_TIMEOUT} s, or what was sent later went wrong")


@app.command(epilog="Example: lispfabric up topologies/figure1.yaml --detach; then: lispfabric status, lispfabric down")
def up(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    detached: Annotated[bool, typer.Option("--detach", "-d", help="In the background; return when it is up.")] = False,
    p4runtime: Annotated[str, typer.Option(help="Where the switches' P4Runtime server listens.")] = "127.0.0.1:9559",
    control: Annotated[Path | None, typer.Option(help="Where the control socket shall be.")] = None,
    engine: Annotated[Engine, typer.Option(help="What carries packets; auto is native where that is possible.")] = (
        Engine.AUTO
    ),
) -> None:
    """Bring a fabric up and keep it until interrupted; each switch is a P4Runtime device of one server."""
    topology = _load(file)
    socket = control or default_path(topology.name)
    try:
        if not detached:
            asyncio.run(running.run(topology, p4runtime, socket, engine.value))
            return
        with Console(stderr=True).status(f"{topology.name} comes up ..."):
            running.detach(file, p4runtime, socket, engine.value)
        Console(soft_wrap=True, highlight=False).print(f"{topology.name} is up; lispfabric down takes it down")
    except (
        *(NotConvergedError, TopologyError, OSError, RuntimeError),
        *(ControlPathError, LinkError, running.StartError),
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


@app.command()
def device(
    file: Annotated[Path, typer.Argument(help="Topology file.")],
    switch: Annotated[str, typer.Argument(help="Name of a switch.")],
) -> None:
    """Print the P4Runtime device id of a switch."""
    plans = plan(_load(file))
    if switch not in plans:
        raise _fail(f"{switch}: no such switch; there are {', '.join(plans)}")
    print(plans[switch].index)


async def _answer(host: Host, sequence: int) -> bool:
    """Waits for the echo reply with this sequence number."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while True:
                echoes = [found for packet in host.received if (found := echo_in(packet)) is not None]
                if any(echo.reply and echo.sequence == sequence for echo in echoes):
                    return True
                await asyncio.sleep(0.001)
    except TimeoutError:
        return False


async def _run(topology: Topology, source: str, destination: str, target: IPAddress, capture: Path | None) -> bool:
    console = Console(soft_wrap=True, highlight=False)
    recorder = TraceRecorder()
    fabric = Fabric(topology, trace=recorder)
    started = time.perf_counter()
    async with fabric:
        entries = sum(len(control.writer) for control in fabric.controls.values())
        console.print(
            f"[bold]{topology.name}[/] is up after {time.perf_counter() - started:.1f} s: {len(topology.pods)} PoDs, "
            f"{len(fabric.routers)} xTRs, {len(fabric.switches)} switches, {len(fabric.hosts)} accelerators, "
            f"{len(fabric.mapping_systems)} mapping systems; {len(fabric.network.record)} control messages, "
            f"{entries} table entries over P4Runtime\n"
        )
        before = list(fabric.network.record)
        console.print(story.registrations(fabric, before), "")
        console.print(story.publications(fabric, before), "")

        source_host = fabric.hosts[source]
        recorder.on = True
        source_host.ping(target)
        answered = await _answer(source_host, 1)
        await fabric.converge()
        recorder.on = False
        console.print(f"[bold]{source} ({source_host.address}) pings {destination} ({target}): first packet[/]")
        for line in story.messages(fabric, list(fabric.network.record)[len(before) :]):
            console.print(f"  {line}", markup=False)
        console.print()
        story.show_walk(console, fabric, recorder.take())

        if answered:
            recorder.on = True
            passed = len(fabric.network.record)
            begun = time.perf_counter()
            source_host.ping(target, sequence=2)
            answered = await _answer(source_host, 2)
            took = time.perf_counter() - begun
            recorder.on = False
            passed = len(fabric.network.record) - passed
            result = f"answered in {took * 1000:.1f} ms with {passed} control messages, by "
            console.print(f"\n[bold]Second packet[/]: {result}", end="")
            console.print(" > ".join(hop.switch for hop in recorder.take()))
        arrived = await _scale_up(console, fabric, recorder, source)
        arrived = await show_all_reduce(console, fabric) and arrived
        if capture is not None:
            count = write_pcap(capture, fabric.network.record)
            console.print(f"{count} control messages written to {capture}")
        if answered:
            reply = source_host.received[-1]
            console.print(f"\n[bold green]{destination} answered {source}[/]: 2 of 2 packets, TTL {reply.ttl}")
    return answered and arrived


async def _scale_up(console: Console, fabric: Fabric, recorder: TraceRecorder, source: str) -> bool:
    """Shows a Scale-Up message to a neighbour in the PoD; True if it arrived, or if there is no such neighbour."""
    peer = fabric.topology.neighbour(source)
    if peer is None:
        return True
    sender, receiver = fabric.endpoints[source], fabric.endpoints[peer]
    recorder.on = True
    sender.send_message(receiver.acc_id, b"lispfabric")
    await fabric.converge()
    recorder.on = False
    console.print(f"\n[bold]{source} sends {peer} a Scale-Up message (AccID {sender.acc_id} to {receiver.acc_id})[/]")
    story.show_walk(console, fabric, recorder.take())
    arrived = len(receiver.received) == 1
    if arrived:
        console.print(f"\n[bold green]{peer} has it[/]: hop limit {receiver.received[0].hop_limit}")
    return arrived


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
