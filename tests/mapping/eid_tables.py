"""An EID table beside a dictionary."""

from __future__ import annotations

from collections.abc import Iterable

from controller.lisp import Eid
from controller.mapping.machine import EidTable


def with_its_model(steps: Iterable[tuple[bool, Eid]]) -> tuple[EidTable[int], dict[Eid, int]]:
    """Both after the same insertions (True) and removals of EIDs that may not be there; numbered by step."""
    table: EidTable[int] = EidTable()
    model: dict[Eid, int] = {}
    for number, (insert, one) in enumerate(steps):
        if insert:
            table[one] = model[one] = number
        else:
            assert table.pop(one) == model.pop(one, None)
    return table, model
