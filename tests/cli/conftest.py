"""One running fabric for all tests of the commands: Figure 1 in a process of its own, brought up and down by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from topologies.cli import app

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"


class Commands:
    """Runs commands against the fabric, in this process."""

    def __init__(self, control: Path) -> None:
        self.control = control
        self._runner = CliRunner()

    def run(self, *arguments: str) -> Result:
        """A command with whatever comes of it."""
        return self._runner.invoke(app, [*arguments, "--control", str(self.control)])

    def execute(self, *arguments: str) -> Result:
        """`lispfabric exec`, whose own options come first; what the command prints is not in the result."""
        return self._runner.invoke(app, ["exec", "--control", str(self.control), *arguments])

    def ok(self, *arguments: str) -> str:
        """The output of a command that has to work."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *arguments: str) -> Any:
        """What a command tells programs."""
        return json.loads(self.ok(*arguments, "--json"))

    def error(self, *arguments: str, code: int = 1) -> str:
        """The one line of a command that has to be refused."""
        result = self.run(*arguments)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.stderr


def lispfabric(*arguments: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "topologies.cli", *arguments]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of $XDG_RUNTIME_DIR."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def fabric(runtime: Path) -> Iterator[Commands]:
    """Figure 1, up in the background, and down at the end."""
    up = lispfabric("up", str(FIGURE1), "--detach", "--p4runtime", "127.0.0.1:0", runtime=runtime)
    assert (up.returncode, up.stdout) == (0, "figure1 is up; lispfabric down takes it down\n"), up.stderr
    control = runtime / "lispfabric" / "figure1" / "control.sock"
    yield Commands(control)
    down = lispfabric("down", runtime=runtime)
    assert (down.returncode, down.stdout) == (0, "figure1 is down\n"), down.stderr
    assert not control.exists()
    assert (control.parent / "log").read_text().count("Traceback") == 0
