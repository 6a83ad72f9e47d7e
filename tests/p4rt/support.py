"""What the tests of the P4Runtime client have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.target import Backoff, Target

CATALOGUE = Path(__file__).parent / "programs" / "catalogue"
QUICK = Backoff(first=0.01, limit=0.05)


@cache
def catalogue() -> Pipeline:
    """The pipeline of the program that has one of everything."""
    return Pipeline.from_files(f"{CATALOGUE}.p4info.txtpb", f"{CATALOGUE}.json")


@asynccontextmanager
async def connected(
    address: str, pipeline: Pipeline, *, device_id: int = 1, election_id: int = 1
) -> AsyncIterator[P4RuntimeClient]:
    """A client that is primary."""
    target = Target(address, device_id, election_id)
    async with P4RuntimeClient(target, pipeline, backoff=QUICK) as client:
        async with asyncio.timeout(10):
            await client.stream.wait_primary()
        yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true; fails the test when it does not become so within seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is observed has no event to wait for
            await asyncio.sleep(0.002)
