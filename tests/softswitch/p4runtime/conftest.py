from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.softswitch.p4runtime.rig import Rig, running


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path) as rig:
        yield rig
