"""Draft section 4.5.4, the alternative: the forwarding plane drops what it does not know, and asks nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fabric.observe import figure1, observed, way

UNKNOWN_DESTINATION = 9


@pytest.mark.requirement("SO-UNK-4")
async def test_unknown_accelerators_are_dropped_by_policy(tmp_path: Path) -> None:
    async with observed(figure1(tmp_path, ("unknown: punt", "unknown: drop"))) as fabric:
        mark = fabric.mark()
        hops = await fabric.walk("acc1", "40.0.0.99")
        assert way(hops) == ["A1"]
        assert hops[0].sent == []
        assert await fabric.drops("A1") == {UNKNOWN_DESTINATION: 1}
        assert fabric.mark() == mark
        # What is published is forwarded all the same.
        assert way(await fabric.walk("acc1", "10.0.0.2")) == ["A1", "S-A", "A2"]
