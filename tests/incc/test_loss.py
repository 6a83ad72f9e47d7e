"""Every kind of link loses, repeats and reorders packets, in both directions, and sums stay exact: on real switches.

The switches are those of a running fabric; time is that of the links, so that nobody waits for a time-out.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio

from accelerator.incc.ways import place_of
from accelerator.incc.work import Work
from accelerator.rendezvous import Descriptor
from softswitch.ports import Channel, Effects
from tests.incc.programs import generated
from tests.incc.running import Connections
from topologies import virtual_time
from topologies.generate import Shape
from topologies.inprocess import Fabric
from topologies.virtual_time import Deliver, VirtualLinks, VirtualMember, run_together

COLLECTIVES = """
  domains:
    - {name: ip, iid: 4097, eids: [10.1.255.0/24, 10.2.255.0/24], slots: 8}
    - {name: scale-up, iid: 8193, acc_ids: {first: 1000, last: 1255}, slots: 8}
"""
# Eight access routers with eight accelerators each: in a PoD one of them is the root as well.
ONE = Shape(name="one", pods=1, accelerators=64, access_per_pod=8, borders=1, fabric_switches=1)
# Two PoDs of two: a tree of three levels, over borders.
TWO = Shape(name="two", pods=2, accelerators=8, access_per_pod=2, borders=1, fabric_switches=1)
FAULTS = Effects(delay=20_000, jitter=10_000, loss=0.3, duplicate=0.3, reorder=0.3, seed=11)
# Rounds of 16 bits wrap within a few chunks of each slot.
FIRST_ROUND = 65533
ROUND_AT = 66  # the bit where a cell's round begins, above set and flags
LENGTH = 64 * 8 * 4 + 17
KINDS = {"access, to the switch", "access, to the host", "core"}


class FaultyLinks(VirtualLinks):
    """Links whose directions each have chances of their own, by kind."""

    def __init__(self, fabric: Fabric, effects: Effects) -> None:
        self.channels: dict[str, list[Channel]] = defaultdict(list)
        self._count = 0
        super().__init__(fabric, effects, replace(effects))

    def _link(self, sender: str, effects: Effects, deliver: Deliver) -> Deliver:
        self._count += 1
        channel = Channel(effects, f"{sender} {self._count}")
        core, host = effects is not self._access, sender in self._fabric.interfaces
        kind = "core" if core else "access, to the switch" if host else "access, to the host"
        self.channels[kind].append(channel)

        def arrive() -> None:
            for frame in channel.due(self.now):
                deliver(frame)
            await_next()

        def await_next() -> None:
            if channel.deadline is not None:
                heapq.heappush(self._events, (channel.deadline, next(self._numbers), arrive))

        def send(frame: bytes) -> None:
            channel.offer(frame, self.now)
            await_next()

        return send


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pod(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fabric]:
    text = COLLECTIVES.replace(", 10.2.255.0/24", "")
    async with Fabric(generated(tmp_path_factory.mktemp("pod"), ONE, text)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pods(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fabric]:
    async with Fabric(generated(tmp_path_factory.mktemp("pods"), TWO, COLLECTIVES)) as running:
        yield running


async def members_of(fabric: Fabric, links: VirtualLinks, domain: str, names: list[str]) -> list[VirtualMember]:
    connections = Connections(fabric)
    await connections.call("x", "create", group="g", domain=domain, members=names)
    joined = await connections.join("g", names)
    begin_late(fabric)
    return [VirtualMember(links, one.name, Descriptor.from_json(one.descriptor)) for one in joined]


def begin_late(fabric: Fabric) -> None:
    """The group's cells are what the rounds before the first have left."""
    for name, branch in fabric.collectives.manager.group("g").branches.items():
        registers = fabric.switches[name].state.registers
        rounds = next(registers[one] for one in registers if one.endswith("collective_rounds"))
        for cell in range(2 * branch.slots.start, 2 * branch.slots.stop):
            rounds.put(cell, (FIRST_ROUND - 1 - (FIRST_ROUND - 1 - cell) % 2) << ROUND_AT)


def all_of(links: VirtualLinks, members: list[VirtualMember], call: Callable[[VirtualMember], Work]) -> Iterator[Work]:
    works = [call(member) for member in members]
    run_together(links, members, works)
    for work in works:
        assert work.error is None
        yield work


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("GEN-9", partial=True)
@pytest.mark.parametrize(("size", "domain"), [(2, "ip"), (33, "scale-up"), (64, "ip"), (64, "scale-up")])
async def test_up_to_64_on_two_levels(pod: Fabric, size: int, domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await exact(pod, domain, size, monkeypatch)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("GEN-9", partial=True)
async def test_three_levels(pods: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    await exact(pods, "ip", 8, monkeypatch)


async def exact(fabric: Fabric, domain: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of a group over faulty links have exactly the sums, although everybody has met faults."""
    monkeypatch.setattr(virtual_time, "place_of", lambda told: replace(place_of(told), first_round=FIRST_ROUND))
    links = FaultyLinks(fabric, FAULTS)
    members = await members_of(fabric, links, domain, [f"acc{number}" for number in range(1, size + 1)])
    arrays = [np.random.default_rng(one.rank).integers(-(2**24), 2**24, LENGTH, np.int32) for one in members]
    total = np.sum(arrays, axis=0, dtype=np.int32)
    for work in all_of(links, members, lambda member: member.all_reduce(arrays[member.rank])):
        np.testing.assert_array_equal(work.result, total)
    for work in all_of(links, members, lambda member: member.all_reduce(arrays[member.rank][:99], "max")):
        np.testing.assert_array_equal(work.result, np.max(arrays, axis=0)[:99])
    assert len(list(all_of(links, members, lambda member: member.barrier()))) == size

    assert links.channels.keys() == KINDS
    for kind, channels in links.channels.items():
        used = [one.counters for one in channels if one.counters.offered > 40]
        assert used, kind
        assert all(one.lost and one.duplicated for one in used), kind
        assert any(one.reordered for one in used), kind
    for member in members:
        assert member.core.statistics.repeated
        assert member.core._wire(member.core._low) // 8 + FIRST_ROUND > 0x10000, "rounds have wrapped"
    connections = Connections(fabric)
    await connections.call("x", "destroy", group="g")
    await fabric.converge()
