"""The forwarding of the TNA program does with a packet what the v1model program does.

p4src/tna/forwarding_on_v1model.p4 runs TNA's parsers, ingress, verdict, bridge and egress; the whole PTF suite but the
collectives runs against it on bmv2. The case that differs does so for a reason that docs/tofino.md gives.
"""

from __future__ import annotations

from pathlib import Path

from tests.p4.tna_on_v1model import NEEDS, outcomes

DIFFERENT = {
    "entropy.RotationChangesTheEntropy",  # three hash functions, not a rotation by any number of bits
}

pytestmark = NEEDS


def test_every_case_of_the_suite_but_the_listed_passes(tmp_path: Path) -> None:
    results, said = outcomes(
        "tna/forwarding_on_v1model.p4", tmp_path, "--without", "collective", include=["tna/on_v1model"]
    )
    assert len(results) > 180, said
    assert {test for test, outcome in results.items() if outcome != "passed"} == DIFFERENT, said
