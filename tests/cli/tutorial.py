"""Runs the commands of a document's console blocks; `python -m tests.cli.tutorial` writes their output into it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from topologies.cli import app

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"

# Seconds that a command in the background may take, to begin or to end.
BACKGROUND_TIMEOUT = 30.0

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# What differs from run to run: times, counts, process and port numbers, identifiers, the choice among equal paths.
_VOLATILE = [
    (re.compile(r" +"), " "),
    (re.compile(r"\d+\.\d+ ms|\d+\.\d+/\d+\.\d+/\d+\.\d+ ms"), "N ms"),
    (re.compile(r"\b\d+ s\b"), "N s"),
    (re.compile(r"process \d+"), "process N"),
    (re.compile(r"up for [\d:]+"), "up for N"),
    (re.compile(r"\d+ control messages"), "N control messages"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:N"),
    (re.compile(r"rloc_set=\d+|rloc_set \[\d+\]"), "rloc_set N"),
    (re.compile(r"bench-[0-9a-f]+"), "bench-N"),
    (re.compile(r"( \d+\.\d+){3}( +\d+)$"), r" N N N\2"),
    (re.compile(r"\d+ contributions repeated"), "N contributions repeated"),
    (re.compile(r"\b(generation|round)\W+\d+"), r"\1 N"),
    (re.compile(r"\bactive +\d+"), "active N"),
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


class Shell:
    """Runs commands as a shell would: `lispfabric`, also with `&` and `> FILE`; `wait`; `cat FILE`; `sort -u FILE`."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the files that commands write, and of the control sockets."""
        self._folder = folder
        self._environment = {"XDG_RUNTIME_DIR": str(folder), "NO_COLOR": "1"}
        self._background: list[subprocess.Popen[bytes]] = []
        self._said: list[Path] = []

    def run(self, command: str) -> str:
        """What a command prints, errors included; of one in the background nothing."""
        name, *arguments = shlex.split(command)
        arguments = [str(ROOT / one) if one.startswith("topologies/") else one for one in arguments]
        if name == "wait":
            for process in self._background:
                process.wait(BACKGROUND_TIMEOUT)
            return ""
        if name == "cat":
            return (self._folder / arguments[0]).read_text()
        if name == "sort":
            return "".join(sorted(set((self._folder / arguments[1]).read_text().splitlines(keepends=True))))
        assert name == "lispfabric", command
        if arguments[-1] == "&":
            self._start(arguments[:-1])
            return ""
        self._until_begun()
        return CliRunner().invoke(app, arguments, env=self._environment).output

    def close(self) -> None:
        """Takes down what is up."""
        self.run("lispfabric down")
        for process in self._background:
            process.kill()
            process.wait()

    def _start(self, arguments: list[str]) -> None:
        *arguments, redirect, file = arguments
        assert redirect == ">", arguments
        errors = self._folder / f"errors-{len(self._background)}"
        with (self._folder / file).open("wb") as out, errors.open("wb") as err:
            command = [sys.executable, "-m", "topologies.cli", *arguments]
            environment = {**os.environ, **self._environment}
            self._background.append(subprocess.Popen(command, stdout=out, stderr=err, env=environment))
        self._said += [self._folder / file, errors]

    def _until_begun(self) -> None:
        """A reader's next command comes when those in the background have said something."""
        until = time.monotonic() + BACKGROUND_TIMEOUT
        while any(not (out.stat().st_size or err.stat().st_size) for out, err in batched(self._said)):
            assert time.monotonic() < until, "a command in the background says nothing"
            time.sleep(0.05)


def batched(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Output and errors of each command in the background."""
    return zip(paths[::2], paths[1::2], strict=True)


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

        shell = Shell(Path(folder))

        def fresh(match: re.Match[str]) -> str:
            parts = steps(f"```console\n{match[0]}```\n")
            return "".join(f"$ {step.command}\n{shell.run(step.command)}" for step in parts)

        try:
            TUTORIAL.write_text(_BLOCK.sub(fresh, text))
        finally:
            shell.close()


if __name__ == "__main__":
    main()
