"""The compiled program that every switch of a fabric runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from controller.p4rt.pipeline import Pipeline

COMPILED = Path(__file__).resolve().parents[1] / "p4src" / "compiled" / "v1model"


@cache
def fabric_pipeline() -> Pipeline:
    """The same for all fabrics of a process: reading it takes longer than bringing up a small one.

    Raises P4InfoError where it cannot be read.
    """
    return Pipeline.from_files(COMPILED / "fabric.p4info.txtpb", COMPILED / "fabric.json")
