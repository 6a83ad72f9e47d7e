"""The tutorial's commands print what the tutorial says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.tutorial import TUTORIAL, Shell, normalised, steps


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of few letters: pytest's own leave a socket's path too little."""
    with tempfile.TemporaryDirectory(prefix="lf-") as name:
        yield Path(name)


def test_the_tutorial_is_true(folder: Path) -> None:
    told = list(steps(TUTORIAL.read_text()))
    assert len(told) > 15
    shell = Shell(folder)
    try:
        for step in told:
            assert (step.command, normalised(shell.run(step.command))) == (step.command, normalised(step.output))
    finally:
        shell.close()
