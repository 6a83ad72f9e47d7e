"""The switches that the suite runs against: how each is found, started and stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ptf_tests.errors import SetupError
from ptf_tests.links import Link

DEVICE_ID = 1
CPU_PORT = 510  # CPU_PORT of p4src/v1model/arch.p4
_START_SECONDS = 20.0


def softswitch() -> list[str]:
    """The command that starts softswitch."""
    return [sys.executable, "-m", "softswitch"]


def bmv2() -> list[str]:
    """The command that starts simple_switch_grpc. Raises SetupError where there is none."""
    found = os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")
    if not found:
        raise SetupError("simple_switch_grpc is neither on the PATH nor named by $SIMPLE_SWITCH_GRPC")
    if not os.access(found, os.X_OK):
        raise SetupError(f"{found} (from $SIMPLE_SWITCH_GRPC) cannot be executed")
    return [found]


TARGETS = {"softswitch": softswitch, "bmv2": bmv2}


@contextmanager
def running(command: Sequence[str], links: Sequence[Link], address: str, log: Path) -> Iterator[None]:
    """Starts a switch without a program and waits for its P4Runtime server at `address` ("host:port").

    What the switch says goes to `log`. Raises SetupError when it does not come up.
    """
    ports = [argument for link in links for argument in ("-i", f"{link.port}@{link.switch}")]
    options = ["--device-id", str(DEVICE_ID), "--no-p4", "--log-console", "-L", "warn", *ports]
    target_options = ["--grpc-server-addr", address, "--cpu-port", str(CPU_PORT)]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen([*command, *options, "--", *target_options], stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for_server(process, address, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_address() -> str:
    """An address on the loopback interface where nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _wait_for_server(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SetupError(f"{process.args!r} ended at once with code {process.returncode}; see {log}")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SetupError(f"no P4Runtime server at {address} after {_START_SECONDS:.0f} s; see {log}")
