"""`lispfabric up`: a fabric that stays, in this process."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from controller.app.control import ControlServer
from controller.app.pauses import set_aside
from controller.incc.sqlite_store import SqliteGroupStore
from softswitch.switch import EngineName
from topologies.inprocess import Fabric
from topologies.operate import AcceleratorLinks, methods_of
from topologies.schema import Topology

# Seconds that members have to be told that their groups end with the fabric.
_FAREWELL = 0.1


async def run(topology: Topology, p4runtime: str, control: Path, engine: EngineName) -> None:
    """Brings a fabric up and keeps it until it is interrupted, or told to end over the control socket.

    Groups of collectives are kept in a file beside that socket, until the fabric is taken down: if it is killed, the
    next one takes them up again. Raises GroupStoreError.
    """
    stop = _interruption()
    # The server is there first: a second fabric of the same name is refused before it does anything.
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ControlServer(control))
        kept = control.with_name(control.name + ".groups")
        stack.callback(lambda: _remove(kept) if stop.is_set() else None)
        groups = stack.enter_context(SqliteGroupStore(kept))
        fabric = await stack.enter_async_context(Fabric(topology, p4runtime=p4runtime, engine=engine, groups=groups))
        links = AcceleratorLinks(fabric, server.path)
        try:
            links.start()
            set_aside()
            server.methods.update(methods_of(fabric, stop.set) | links.methods())
            devices = ", ".join(f"{name}={planned.index}" for name, planned in fabric.plans.items())
            _say(f"{topology.name} is up; P4Runtime at {fabric.p4runtime}, device ids: {devices}", server.path)
            await stop.wait()
            fabric.collectives.destroy_all()
            await asyncio.sleep(_FAREWELL)
        finally:
            links.close()
            await server.close()


async def run_namespaces(topology: Topology, target: str, control: Path) -> None:
    """The same in network namespaces: switches are processes, accelerators Linux hosts. Raises StartError, too."""
    from topologies.namespaces import namespace_fabric
    from topologies.operate.outside import methods_outside

    stop = _interruption()
    async with ControlServer(control) as server, namespace_fabric(topology, target) as (network, fabric):
        try:
            server.methods.update(methods_outside(fabric, network, stop.set))
            _say(f"{topology.name} is up in namespaces, on {target}", server.path)
            await stop.wait()
            fabric.collectives.destroy_all()
            await asyncio.sleep(_FAREWELL)
        finally:
            await server.close()


def _interruption() -> asyncio.Event:
    """An event that is set when the process is to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _say(first: str, control: Path) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for line in (first, f"control socket {control}", "Ctrl-C takes it down."):
        console.print(line)


def _remove(file: Path) -> None:
    """Removes a store that has been closed, and what SQLite has put beside it."""
    for name in (file, *file.parent.glob(f"{file.name}-*")):
        name.unlink(missing_ok=True)
