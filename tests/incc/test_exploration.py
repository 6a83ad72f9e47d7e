"""Nothing that a network can do to packets makes a result wrong, or keeps a group from coming to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.incc.exploration import Arrival, State, World, explore
from topologies.inprocess import Fabric
from topologies.topology_file import load

# Two access routers with two accelerators each; one of them is the root as well.
TOPOLOGY = """
name: small
instances:
  - {iid: 8193, name: tenant, domain: scale-up}
pods:
  - name: P
    site_id: 1
    mapping_system: {name: MS, address: 198.19.0.1}
    key: {secret: a key of the tests}
switches:
  - {name: L1, role: access, pod: P, rloc: 198.18.1.1}
  - {name: L2, role: access, pod: P, rloc: 198.18.1.2}
  - {name: S, role: pod-switch, pod: P}
links: [[L1, S], [L2, S]]
accelerators:
  - {name: acc1, acc_id: 1, scale_up_iid: 8193, mac: "02:00:00:00:00:01", attached_to: [L1]}
  - {name: acc2, acc_id: 2, scale_up_iid: 8193, mac: "02:00:00:00:00:02", attached_to: [L1]}
  - {name: acc3, acc_id: 3, scale_up_iid: 8193, mac: "02:00:00:00:00:03", attached_to: [L2]}
  - {name: acc4, acc_id: 4, scale_up_iid: 8193, mac: "02:00:00:00:00:04", attached_to: [L2]}
collectives:
  domains:
    - {name: training, iid: 8193, acc_ids: {first: 1000, last: 1001}, slots: 2}
  groups:
    - {name: all, domain: training, members: [acc1, acc2, acc3, acc4], start: true}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fabric(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fabric]:
    file = tmp_path_factory.mktemp("small") / "small.yaml"
    file.write_text(TOPOLOGY)
    async with Fabric(load(file)) as running:
        yield running


@pytest.mark.requirement("GEN-9", partial=True)
@pytest.mark.parametrize(
    ("slots", "rounds", "first", "silent"),
    [
        (1, 6, 1, ()),
        (1, 5, 65533, ()),  # rounds wrap
        (1, 4, 1, (0, 3)),  # a contribution without values is the first, or the last
        (1, 4, 1, (2, 3)),  # a whole branch without values
        (1, 3, 1, (0, 1, 2, 3)),  # barriers
        (2, 2, 1, ()),
    ],
)
def test_every_story(fabric: Fabric, slots: int, rounds: int, first: int, silent: tuple[int, ...]) -> None:
    world = World(fabric, "all", slots=slots, rounds=rounds, first=first, silent=silent)
    states, complete = explore(world, limit=50_000)
    assert complete, f"more than {states} states"


class Hasty(World):
    """Its members do not wait: they contribute the round after next, too."""

    def arrivals(self, state: State) -> Iterator[Arrival]:
        yield from super().arrivals(state)
        for member, done in zip(self.members, state.done, strict=True):
            for slot in range(self.slots):
                if done[slot] + 2 < self.rounds:
                    yield self.contribution(member, slot, done[slot] + 2)


def test_the_exploration_finds_what_breaks_the_rule(fabric: Fabric) -> None:
    """Two cells are enough only because nobody begins a round before he has the result of the one before."""
    with pytest.raises(AssertionError, match="stuck at"):
        explore(Hasty(fabric, "all", slots=1, rounds=4), limit=50_000)
