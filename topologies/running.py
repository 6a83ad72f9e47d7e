"""`lispfabric up`: a fabric that stays, in this process."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from rich.console import Console

from controller.app.control import ControlServer
from controller.app.pauses import set_aside
from softswitch.switch import EngineName
from topologies.inprocess import Fabric
from topologies.operate import AcceleratorLinks, methods_of
from topologies.schema import Topology


async def run(topology: Topology, p4runtime: str, control: Path, engine: EngineName) -> None:
    """Brings a fabric up and keeps it until it is interrupted, or told to end over the control socket."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    # The server is there first: a second fabric of the same name is refused before it does anything.
    async with ControlServer(control) as server, Fabric(topology, p4runtime=p4runtime, engine=engine) as fabric:
        links = AcceleratorLinks(fabric, server.path)
        try:
            links.start()
            set_aside()
            server.methods.update(methods_of(fabric, stop.set) | links.methods())
            devices = ", ".join(f"{name}={planned.index}" for name, planned in fabric.plans.items())
            console = Console(soft_wrap=True, highlight=False)
            console.print(f"{topology.name} is up; P4Runtime at {fabric.p4runtime}, device ids: {devices}")
            console.print(f"control socket {server.path}")
            console.print("Ctrl-C takes it down.")
            await stop.wait()
        finally:
            links.close()
            await server.close()
