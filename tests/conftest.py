"""Records which rows of the conformance matrix each test observes, for `make conformance`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

from tests.conformance.matrix import Result, requirements, write_results

_IDS, _PARTIAL = "requirements", "partial requirements"

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_results: dict[str, Result] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requirement(*ids, partial=False): rows of docs/conformance/requirements.md that this test observes"
    )
    _results.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A misspelt row would count for nothing in silence, so it is an error."""
    known = requirements()
    for item in items:
        marks = list(item.iter_markers("requirement"))
        ids = tuple(dict.fromkeys(id_ for mark in marks for id_ in mark.args))
        if unknown := [id_ for id_ in ids if id_ not in known]:
            raise pytest.UsageError(f"{item.nodeid}: no row {', '.join(unknown)} in the conformance matrix")
        if ids:
            partial = tuple(id_ for mark in marks if mark.kwargs.get("partial") for id_ in mark.args)
            item.user_properties += [(_IDS, ids), (_PARTIAL, partial)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Takes a result down; under xdist, in the process that the workers report to."""
    said: dict[str, Any] = dict(report.user_properties)
    if _IDS in said and (report.when == "call" or report.outcome != "passed"):
        ids, partial = tuple(said[_IDS]), tuple(said[_PARTIAL])
        _results[report.nodeid] = Result(report.nodeid, ids, report.outcome, "pytest", partial)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run of everything speaks for the matrix; a run of a part would make the rest look untested."""
    config = session.config
    whole = not config.option.keyword and not config.option.markexpr and config.args == config.getini("testpaths")
    if whole and not config.option.collectonly and not hasattr(config, "workerinput"):
        write_results("pytest", _results.values())
