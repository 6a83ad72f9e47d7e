"""A command to a running fabric starts without what only fabrics need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What brings fabrics up, computes on arrays, or reads configuration files.
HEAVY = {"llvmlite", "numpy", "torch", "grpc", "google.protobuf", "yaml", "asyncio", "softswitch", "p4"}
HEAVY |= {"controller.lisp", "controller.mapping", "controller.xtr", "controller.p4rt", "topologies.inprocess"}

_SCRIPT = """
import sys
from topologies.cli import app
try:
    app(sys.argv[1:], prog_name="lispfabric")
except SystemExit as end:
    code = end.code
print(code, *sorted(sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["status"], 3),
        (["show", "map-cache", "--xtr", "A1"], 3),
        (["trace", "acc1", "acc7"], 3),
        (["incc", "show"], 3),
        (["fail", "link", "A1-S-A"], 3),
        (["incc", "bench", "--help"], 0),
    ],
    ids=str,
)
def test_a_light_command_imports_little(arguments: list[str], code: int, tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "PATH": ""}
    command = [sys.executable, "-c", _SCRIPT, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    found, *modules = ended.stdout.splitlines()[-1].split()
    assert int(found) == code, ended.stderr
    assert "controller.app.cli.show" in modules
    assert not HEAVY & set(modules)
