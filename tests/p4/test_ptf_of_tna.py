"""The TNA program does with a packet what the v1model program does: the PTF suite runs against both.

p4src/tna/full_on_v1model.p4 is the program of both pipes, p4src/tna/forwarding_on_v1model.p4 that without collectives:
TNA's parsers, controls, bridge and work orders as in the chip. The cases that differ do so for reasons that
docs/tofino.md and docs/tofino-collectives.md give.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.p4.tna_on_v1model import NEEDS_BMV2, NEEDS_P4C, compiled, outcomes

# Three hash functions, not a rotation by any number of bits.
DIFFERENT = {"entropy.RotationChangesTheEntropy"}

DIFFERENT_COLLECTIVES = {
    # A contribution of another operation is combined by its own, and said to mean nothing.
    "collectives.Disagreement",
    # Who does not want the values of a result gets them behind the packet, as padding of the frame.
    "collectives.OnlyTheTargetGetsValues",
    "collective_trees.TargetThroughATree",
    # What is cut off within its values is dropped by a parser, which counts nothing.
    "collective_strangers.CutOrStretched",
}


@NEEDS_P4C
@NEEDS_BMV2
def test_every_case_but_the_listed_passes_with_both_pipes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Limits are a matter of time, and bmv2 takes longer for several ways through it. The other test has them.
    results, said = outcomes(compiled("full", tmp_path_factory), "bmv2", tmp_path, "--without", "limits.")
    assert len(results) > 200, said
    assert failed(results) == DIFFERENT | DIFFERENT_COLLECTIVES, said


@NEEDS_P4C
def test_every_case_but_the_listed_passes_without_collectives(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    results, said = outcomes(
        compiled("forwarding", tmp_path_factory), "softswitch", tmp_path, "--without", "collective"
    )
    assert len(results) > 180, said
    assert failed(results) == DIFFERENT, said


def failed(results: dict[str, str]) -> set[str]:
    """Those that did not pass."""
    return {test for test, outcome in results.items() if outcome != "passed"}
