"""From any state to any other, through any trouble: in the end the switch holds what is desired."""

from __future__ import annotations

import asyncio
import random
import tempfile

from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Codec
from controller.p4rt.entities import State
from controller.p4rt.reconcile import Writer
from tests.p4rt.fake_store import OK, Update
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.strategies import states
from tests.p4rt.support import QUICK, catalogue, connected

CODEC = Codec(catalogue().info)
TROUBLES = [
    StatusCode.UNAVAILABLE,
    StatusCode.ABORTED,
    StatusCode.UNKNOWN,
    StatusCode.INTERNAL,
    StatusCode.RESOURCE_EXHAUSTED,
]


def wires(state: dict[object, State]) -> dict[bytes, bytes]:
    return {entity.key: entity.wire for entity in map(CODEC.encode, state.values())}


def held(switch: FakeSwitch) -> dict[bytes, bytes]:
    return {key: entity.SerializeToString() for key, entity in switch.held.items()}


async def settled(writer: Writer) -> None:
    async with asyncio.timeout(20):
        await writer.settled()


@settings(max_examples=25, deadline=None)
@given(states(), st.lists(states(), min_size=1, max_size=3), st.integers(0, 1 << 16))
def test_states_follow_each_other_with_the_fewest_writes(
    before: dict[object, State], wanted: list[dict[object, State]], seed: int
) -> None:
    async def run(address: str) -> None:
        async with FakeSwitch(seed=seed).serving(address) as switch, connected(address, catalogue()) as client:
            await client.set_pipeline()
            switch.held = {key: p4runtime_pb2.Entity.FromString(wire) for key, wire in wires(before).items()}
            async with Writer(client, backoff=QUICK) as writer:
                for state in wanted:
                    start, goal = held(switch), wires(state)
                    switch.writes()
                    writer.set_desired(state.values())
                    await settled(writer)
                    assert held(switch) == goal
                    writes = switch.writes()
                    assert all(write.code is OK for write in writes)
                    differing = [key for key in {*start, *goal} if start.get(key) != goal.get(key)]
                    assert len(writes) == writer.stats.updates == len(differing)
                    writer.stats.inserted = writer.stats.modified = writer.stats.deleted = 0
            async with Writer(client, backoff=QUICK) as restarted:
                restarted.set_desired(wanted[-1].values())
                await settled(restarted)
                assert switch.writes() == []

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(f"unix:{folder}/switch"))


@settings(max_examples=25, deadline=None)
@given(states(), st.lists(states(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_trouble_passes(before: dict[object, State], wanted: list[dict[object, State]], chance: random.Random) -> None:
    """Refusals, half-done updates, broken connections and changes of mind, all at once."""

    def refuse(update: Update) -> StatusCode | None:
        return chance.choice(TROUBLES) if chance.random() < 0.2 else None

    async def run(address: str) -> None:
        switch = FakeSwitch(seed=chance.randrange(1 << 16))

        async def disturb() -> None:
            if chance.random() < 0.2:
                switch.hang_up()
            await asyncio.sleep(0)

        async with switch.serving(address), connected(address, catalogue()) as client:
            await client.set_pipeline()
            switch.held = {key: p4runtime_pb2.Entity.FromString(wire) for key, wire in wires(before).items()}
            async with Writer(client, batch=4, backoff=QUICK) as writer:
                switch.refuse, switch.before_write = refuse, disturb
                for state in wanted:
                    _want(writer, client, state, chance)
                    await asyncio.sleep(chance.choice([0, 0.003]))
                switch.refuse, switch.before_write = (lambda update: None), None
                writer.set_desired(wanted[-1].values())
                await settled(writer)
                writer.retry()
                await settled(writer)
                assert writer.failures() == ()
                assert held(switch) == wires(wanted[-1])

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(f"unix:{folder}/switch"))


def _want(writer: Writer, client: P4RuntimeClient, state: dict[object, State], chance: random.Random) -> None:
    """Desire `state`, all at once or in pieces."""
    if chance.random() < 0.5:
        writer.set_desired(state.values())
        return
    entities = list(state.values())
    chance.shuffle(entities)
    for entity in entities:
        if chance.random() < 0.7:
            writer.apply(put=[entity])
        else:
            writer.apply(remove=[entity])
