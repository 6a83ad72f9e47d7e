"""Runs the commands of a document's console blocks; `python -m tests.cli.tutorial` writes their output into it."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from topologies.cli import app

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# What differs from run to run: times, counts, process and port numbers, identifiers, the choice among equal paths.
_VOLATILE = [
    (re.compile(r"\d+\.\d+ ms|\d+\.\d+/\d+\.\d+/\d+\.\d+ ms"), "N ms"),
    (re.compile(r"\b\d+ s\b"), "N s"),
    (re.compile(r"process \d+"), "process N"),
    (re.compile(r"up for [\d:]+"), "up for N"),
    (re.compile(r"\d+ control messages"), "N control messages"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:N"),
    (re.compile(r"rloc_set=\d+|rloc_set \[\d+\]"), "rloc_set N"),
    (re.compile(r" +"), " "),
]


class Step(NamedTuple):
    """A command and what it prints."""

    command: str
    output: str


def steps(text: str) -> Iterator[Step]:
    """The commands of all console blocks, in their order."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield Step(command, output)


def run(command: str, runtime: Path) -> str:
    """What a command prints, errors included."""
    name, *arguments = shlex.split(command)
    assert name == "lispfabric", command
    arguments = [str(ROOT / one) if one.startswith("topologies/") else one for one in arguments]
    result = CliRunner().invoke(app, arguments, env={"XDG_RUNTIME_DIR": str(runtime), "NO_COLOR": "1"})
    return result.output


def normalised(output: str) -> list[str]:
    """Output without what differs from run to run."""
    lines = [line for line in output.rstrip().splitlines() if not line.startswith("not at rest yet")]
    for pattern, instead in _VOLATILE:
        lines = [pattern.sub(instead, line) for line in lines]
    return [line.rstrip() for line in lines]


def main() -> None:
    """Writes what the commands print now into the document."""
    text = TUTORIAL.read_text()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder

        def fresh(match: re.Match[str]) -> str:
            parts = steps(f"```console\n{match[0]}```\n")
            return "".join(f"$ {step.command}\n{run(step.command, Path(folder))}" for step in parts)

        TUTORIAL.write_text(_BLOCK.sub(fresh, text))


if __name__ == "__main__":
    main()
