"""What the tests of the P4Runtime client share: a program, and a fake switch that runs it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Codec
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.reconcile import Writer
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import catalogue, connected
from tests.p4rt.writer_support import writing


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The pipeline of the program that has one of everything."""
    return catalogue()


@pytest.fixture(scope="session")
def codec(pipeline: Pipeline) -> Codec:
    return Codec(pipeline.info)


@pytest.fixture
def address() -> Iterator[str]:
    """An address on which a server can be started, stopped and started again."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"unix:{folder}/switch"


@pytest.fixture
async def switch(address: str) -> AsyncIterator[FakeSwitch]:
    async with FakeSwitch().serving(address) as switch:
        yield switch


@pytest.fixture
async def client(switch: FakeSwitch, address: str, pipeline: Pipeline) -> AsyncIterator[P4RuntimeClient]:
    """A client that is primary on the fake switch, on which the pipeline is set."""
    async with connected(address, pipeline) as client:
        await client.set_pipeline()
        yield client


@pytest.fixture
async def writer(client: P4RuntimeClient) -> AsyncIterator[Writer]:
    async with writing(client) as writer:
        yield writer
