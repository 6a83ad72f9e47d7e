"""One Figure 1 for all tests that only look, and one of its own for each test that changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fabric.observe import Observer, figure1, observed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric() -> AsyncIterator[Observer]:
    """Figure 1, shared by the tests of a module."""
    async with observed(figure1()) as observer:
        yield observer


@pytest_asyncio.fixture(loop_scope="module")
async def own_fabric_of_module() -> AsyncIterator[Observer]:
    """Figure 1 for one test, in the event loop of its module."""
    async with observed(figure1()) as observer:
        yield observer


@pytest_asyncio.fixture
async def own_fabric() -> AsyncIterator[Observer]:
    """Figure 1 for one test."""
    async with observed(figure1()) as observer:
        yield observer
