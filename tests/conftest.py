"""Records which rows of the conformance matrix each test observes, for `make conformance`."""

from __future__ import annotations

import pytest

from tests.conformance.matrix import Result, requirements, write_results

_results = pytest.StashKey[dict[str, Result]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requirement(*ids, partial=False): rows of docs/conformance/requirements.md that this test observes"
    )
    config.stash[_results] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A misspelt row would count for nothing in silence, so it is an error."""
    known = requirements()
    for item in items:
        for mark in item.iter_markers("requirement"):
            if unknown := [id_ for id_ in mark.args if id_ not in known]:
                raise pytest.UsageError(f"{item.nodeid}: no row {', '.join(unknown)} in the conformance matrix")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def] # noqa: ANN201
    outcome = yield
    report = outcome.get_result()
    marks = list(item.iter_markers("requirement"))
    ids = tuple(dict.fromkeys(id_ for mark in marks for id_ in mark.args))
    partial = tuple(id_ for mark in marks if mark.kwargs.get("partial") for id_ in mark.args)
    if ids and (report.when == "call" or report.outcome != "passed"):
        item.config.stash[_results][item.nodeid] = Result(item.nodeid, ids, report.outcome, "pytest", partial)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run of everything speaks for the matrix; a run of a part would make the rest look untested."""
    config = session.config
    whole = not config.option.keyword and not config.option.markexpr and config.args == config.getini("testpaths")
    if whole and not config.option.collectonly:
        write_results("pytest", config.stash[_results].values())
