"""The forwarding of the TNA program does with a packet what the v1model program does.

p4src/tna/forwarding_on_v1model.p4 runs TNA's parsers, ingress, verdict, bridge and egress; the whole PTF suite but the
collectives runs against it on bmv2. The cases that differ do so for reasons that docs/tofino.md gives.
"""

from __future__ import annotations

from pathlib import Path

from tests.p4.tna_on_v1model import NEEDS, outcomes

DIFFERENT = {
    "entropy.RotationChangesTheEntropy",  # three hash functions, not a rotation by any number of bits
}

# UNSUPPORTED_PAYLOAD: the encapsulation of an Instance-ID that is not known carries nothing.
REASONS = {
    "controller_packets.SubmittedPacketCanFail",
    "drops.EachReasonOnce",
    "extranet.NobodyElseIsLetThrough",
    "extranet.NoWayRoundTheOwnInstance",
    "isolation.ForeignInstanceIdIsDropped",
    "isolation.PortOfAnUnconfiguredInstanceId",
    "isolation.RemovedInstanceIdIsForeign",
    "scale_up.DomainsOfAPort",
    "scale_up.TenantsAreApart",
    "malformed.Ipv4Options",  # BAD_CHECKSUM: only the first 20 octets are summed up
}

pytestmark = NEEDS


def test_every_case_of_the_suite_but_the_listed_passes(tmp_path: Path) -> None:
    results, said = outcomes(
        "tna/forwarding_on_v1model.p4", tmp_path, "--without", "collective", include=["tna/on_v1model"]
    )
    assert len(results) > 180, said
    assert {test for test, outcome in results.items() if outcome != "passed"} == DIFFERENT | REASONS, said
