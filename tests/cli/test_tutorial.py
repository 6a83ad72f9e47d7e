"""The tutorial's commands print what the tutorial says."""

from __future__ import annotations

from pathlib import Path

from tests.cli.tutorial import TUTORIAL, Shell, normalised, steps


def test_the_tutorial_is_true(tmp_path: Path) -> None:
    told = list(steps(TUTORIAL.read_text()))
    assert len(told) > 15
    shell = Shell(tmp_path)
    try:
        for step in told:
            assert (step.command, normalised(shell.run(step.command))) == (step.command, normalised(step.output))
    finally:
        shell.close()
