"""`lispfabric up --detach`: a fabric that stays, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from controller.app.control_client import ControlClient, NotRunningError
from controller.app.control_errors import ControlError
from controller.app.control_path import make_folder

# Seconds that a fabric in the background may take to come up.
START_TIMEOUT = 300.0


class StartError(Exception):
    """A fabric in the background did not come up; the text is what it said."""


def detach(file: Path, control: Path, *options: str) -> None:
    """Brings a fabric up in a process of its own and returns when it is up. Raises StartError.

    `options`: more of the command `lispfabric up`. What it says later is in the file `log` beside its control socket.
    """
    make_folder(control.parent)
    log = control.parent / "log"
    command = [sys.executable, "-m", "topologies.cli", "up", str(file), "--control", str(control), *options]
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
