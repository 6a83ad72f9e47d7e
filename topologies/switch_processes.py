"""Switch processes on network interfaces: one softswitch for all switches, or a simple_switch_grpc for each."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from topologies.brought_up import BroughtUp
from topologies.external import Place
from topologies.plan import SwitchPlan

TARGETS: Final = ("softswitch", "bmv2")
CPU_PORT: Final = 510

_START_SECONDS: Final = 60.0


class StartError(Exception):
    """A part of the fabric cannot be started; the text says which, and what to do where that is known."""


def outlives_own_port(target: str) -> bool:
    """Whether a switch goes on when one of its interfaces is set down, rather than losing its carrier."""
    return target != "bmv2"


def bmv2_command() -> str:
    """Path of simple_switch_grpc. Raises StartError where there is none."""
    found = os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")
    if not found or not os.access(found, os.X_OK):
        raise StartError("simple_switch_grpc is neither on the PATH nor named by $SIMPLE_SWITCH_GRPC")
    return found


class SwitchProcesses(BroughtUp):
    """The switches of a fabric, running without a program; a context manager.

    Attributes:
        places: where the P4Runtime server of each switch is.
    """

    def __init__(
        self,
        target: str,
        plans: Mapping[str, SwitchPlan],
        interfaces: Mapping[tuple[str, int], str],
        folder: Path,
        prefix: Sequence[str] = (),
    ) -> None:
        """`interfaces`: by switch and port. `folder`: for sockets and logs. `prefix`: put before each command."""
        super().__init__()
        self.places: dict[str, Place] = {}
        self._commands: list[tuple[str, Path, list[str]]] = []
        self._folder = folder
        self._prefix = tuple(prefix)
        if target == "softswitch":
            self._one_for_all(plans, interfaces)
        else:
            self._one_for_each(bmv2_command(), plans, interfaces)

    def _bring_up(self) -> None:
        started = [(self._start(name, command), name, sock) for name, sock, command in self._commands]
        for process, name, sock in started:
            self._wait(process, name, sock)

    def _one_for_all(self, plans: Mapping[str, SwitchPlan], interfaces: Mapping[tuple[str, int], str]) -> None:
        sock = self._folder / "softswitch.sock"
        command = [sys.executable, "-m", "softswitch", "--no-p4", "--log-console", "-L", "warn"]
        for planned in plans.values():
            command += ["--device-id", str(planned.index)]
            for port in planned.ports:
                command += ["-i", f"{planned.index}/{port.number}@{interfaces[planned.name, port.number]}"]
            self.places[planned.name] = Place(f"unix:{sock}", planned.index)
        command += ["--grpc-server-addr", f"unix:{sock}", "--cpu-port", str(CPU_PORT)]
        self._commands.append(("softswitch", sock, command))

    def _one_for_each(
        self, program: str, plans: Mapping[str, SwitchPlan], interfaces: Mapping[tuple[str, int], str]
    ) -> None:
        for planned in plans.values():
            sock = self._folder / f"{planned.name}.sock"
            command = [program, "--device-id", str(planned.index), "--no-p4", "--log-console", "-L", "warn"]
            for port in planned.ports:
                command += ["-i", f"{port.number}@{interfaces[planned.name, port.number]}"]
            command += ["--", "--grpc-server-addr", f"unix:{sock}", "--cpu-port", str(CPU_PORT)]
            self.places[planned.name] = Place(f"unix:{sock}", planned.index)
            self._commands.append((planned.name, sock, command))

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [*self._prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the one that will end them
        )
        self._stack.callback(_end, process)
        return process

    def _wait(self, process: subprocess.Popen[bytes], name: str, sock: Path) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(sock)) == 0:
                    return
            if process.poll() is not None or time.monotonic() > until:
                said = (self._folder / f"{name}.log").read_text(errors="replace").strip()[-400:]
                raise StartError(f"{name}: no P4Runtime server at {sock}: {said or 'it said nothing'}")
            time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
