"""Real processes under test: `lispfabric map-server` and `lispfabric xtr` as a user starts them, and their files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "topologies.cli")
SECRET = "a secret that nobody may read in a log"


class Daemon:
    """A process, and what it has said on standard error so far."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.lines.append(line.rstrip("\n"))

    def says(self, text: str, seconds: float = 20.0) -> str:
        """Wait until it has said a line with this text; returns the last such line."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := [line for line in list(self.lines) if text in line]:
                return found[-1]
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"{text!r} was not said; only:\n{self.log}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; returns the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        code = self.child.wait(timeout=15)
        self._reader.join(timeout=5)
        return code


@contextmanager
def daemon(
    *arguments: str, prefix: Sequence[str] = (), environment: dict[str, str] | None = None, ready: str = "listening at"
) -> Iterator[Daemon]:
    """A running command of `lispfabric`, ready; it must end with 0 on SIGTERM, or have ended."""
    child = subprocess.Popen(
        [*prefix, *COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Daemon(child)
    ended = False
    try:
        running.says(ready)
        yield running
        ended = child.poll() is not None
    finally:
        code = running.end()
        output = child.stdout.read() if child.stdout is not None else ""
    assert SECRET not in running.log + output
    assert output == "", "logs go to standard error"
    assert ended or code == 0, running.log


def write(file: Path, content: dict[str, Any]) -> Path:
    """Write a configuration file."""
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def secret_file(folder: Path, name: str = "site.key", secret: str = SECRET) -> str:
    """Write a secret that only its owner can read; returns the name for a configuration file beside it."""
    file = folder / name
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return name
