"""What all tests of groups need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.app import collective_orders


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """The switches of a busy machine are slow, not silent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collective_orders, "ORDER_TIMEOUT", 60.0)
        yield
