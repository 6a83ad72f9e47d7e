"""`lispfabric up`: a fabric that stays, in this process or one in the background."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from controller.app.control import ControlServer
from controller.app.control_client import ControlClient, NotRunningError
from controller.app.control_errors import ControlError
from controller.app.control_path import make_folder
from softswitch.switch import EngineName
from topologies.inprocess import Fabric
from topologies.operate import AcceleratorLinks, methods_of
from topologies.schema import Topology

# Seconds that a fabric in the background may take to come up.
START_TIMEOUT = 300.0


class StartError(Exception):
    """A fabric in the background did not come up; the text is what it said."""


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


def detach(file: Path, p4runtime: str, control: Path, engine: EngineName) -> None:
    """Brings a fabric up in a process of its own and returns when it is up. Raises StartError.

    What it says later is in the file `log` beside its control socket.
    """
    make_folder(control.parent)
    log = control.parent / "log"
    command = [sys.executable, "-m", "topologies.cli", "up", str(file), "--p4runtime", p4runtime]
    command += ["--control", str(control), "--engine", engine]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until:
        if child.poll() is not None:
            said = log.read_text(errors="replace").strip().removeprefix("error: ")
            raise StartError(said or f"it ended with {child.returncode}")
        if _is_up(control, child.pid):
            return
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)
    raise StartError(f"it was not up after {START_TIMEOUT:g} s; what it said is in {log}")


def _is_up(control: Path, pid: int) -> bool:
    try:
        with ControlClient(control) as client:
            return bool(client.call("status", timeout=5.0)["pid"] == pid)
    except (NotRunningError, ControlError, TimeoutError):
        return False  # not yet
