"""Registers the conformance marker and records which requirement rows each test observed."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): rows of docs/conformance/requirements.md this test observes")
