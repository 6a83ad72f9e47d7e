"""Cells are empty before a group uses them, whatever becomes of the packets that empty them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from accelerator.rendezvous import RendezvousError
from controller.app import collective_orders
from controller.app.control import ControlServer
from controller.dataplane.collective_clear import clear_packet
from tests.incc.programs import Programs, generated, sums
from tests.incc.running import until
from topologies.generate import Shape
from topologies.inprocess import Fabric

COLLECTIVES = "  domains:\n    - {name: up, iid: 8193, acc_ids: {first: 1000, last: 1001}, slots: 16}\n"
MEMBERS = ("acc1", "acc2", "acc3", "acc4")
# More than three rounds of each slot.
LENGTH = 64 * 16 * 3 + 100
Lose = Callable[[str, bytes], bool]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def programs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Programs]:
    folder = tmp_path_factory.mktemp("clearing")
    shape = Shape(
        name="clearing", pods=1, accelerators=4, access_per_pod=2, borders=0, fabric_switches=0, domains="scale-up"
    )
    async with (
        Fabric(generated(folder, shape, COLLECTIVES)) as fabric,
        ControlServer(folder / "control.sock") as server,
    ):
        yield Programs(fabric, server)


def is_clear(packet: bytes) -> bool:
    return clear_packet(0)[:16] in packet and packet[-24:-20] == clear_packet(0)[-24:-20]


def at_random(share: float) -> Lose:
    draw = random.Random(share).random
    return lambda _switch, packet: is_clear(packet) and draw() < share


def in_bursts() -> Lose:
    """As a queue that is full now and then: of every 100 clears of a switch 40, one after the other."""
    passed: Counter[str] = Counter()

    def lose(switch: str, packet: bytes) -> bool:
        if not is_clear(packet):
            return False
        passed[switch] += 1
        return 20 <= passed[switch] % 100 < 60

    return lose


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.requirement("GEN-9", partial=True)
@pytest.mark.parametrize(
    ("lose", "loses"),
    [(at_random(0.0), False), (at_random(0.05), True), (at_random(0.3), True), (in_bursts(), True)],
    ids=["nothing is lost", "5 %", "30 %", "in bursts"],
)
async def test_slots_are_used_again(programs: Programs, lose: Lose, loses: bool) -> None:
    """The second group would wait for ever if a cell still had a round of the first."""
    seen: Counter[bool] = Counter()

    def count(switch: str, packet: bytes) -> bool:
        lost = lose(switch, packet)
        seen[lost] += is_clear(packet)
        return lost

    programs.fabric.interceptors.append(count)
    ranges = []
    for name in ("first", "second"):
        await programs.create(name, domain="up", members=MEMBERS)
        members = await programs.join(name, *MEMBERS)
        ranges.append([branch.slots for branch in programs.fabric.collectives.manager.group(name).branches.values()])
        await sums(members, LENGTH)
        await programs.destroy(name, members)
    programs.fabric.interceptors.remove(count)
    assert ranges[0] == ranges[1] == [range(16), range(16)]
    assert (seen[True] > 0) is loses
    assert seen[False] >= 128, "two cells of each slot, on two switches, twice"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_switch_that_carries_out_no_clear_is_named(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collective_orders, "ORDER_TIMEOUT", 2.0)
    await programs.create("g", domain="up", members=MEMBERS)
    programs.fabric.interceptors.append(deaf := lambda switch, packet: switch == "P1-L2" and is_clear(packet))
    with pytest.raises(RendezvousError, match=r"acc2 is lost with P1-L2|acc4 is lost with P1-L2"):
        await programs.join("g", *MEMBERS)
    programs.fabric.interceptors.remove(deaf)
    monkeypatch.undo()
    await until(lambda: programs.fabric.collectives.manager.network.is_up("P1-L2"))
    await programs.destroy("g")
    await programs.create("g", domain="up", members=MEMBERS)
    await sums(await programs.join("g", *MEMBERS))
