"""Which rows of the conformance matrix a test observes, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T", bound=type)

_ATTRIBUTE = "_requirements"


def requirement(*ids: str, partial: bool = False) -> Callable[[T], T]:
    """Marks a PTF test class: it observes these rows of docs/conformance/requirements.md, or only a part of them."""

    def mark(test: T) -> T:
        setattr(test, _ATTRIBUTE, {**_marks(test), **dict.fromkeys(ids, partial)})
        return test

    return mark


def _marks(test: type) -> dict[str, bool]:
    """The rows that a test class itself (not its base) is marked with, and whether it observes only a part of them."""
    found: dict[str, bool] = test.__dict__.get(_ATTRIBUTE, {})
    return found


def record(path: Path, test: type, outcome: str, target: str) -> None:
    """Appends one line of JSON to `path`; a run that breaks off keeps what it had."""
    marks = _marks(test)
    line = {
        "test": f"{test.__module__}.{test.__name__}",
        "ids": sorted(marks),
        "partial": sorted(row for row, partial in marks.items() if partial),
        "outcome": outcome,
        "target": target,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
