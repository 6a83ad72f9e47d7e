"""What a topology says about limits and samples is in force on the switches."""

from __future__ import annotations

from pathlib import Path

from controller.dataplane.codepoints import DropReason
from controller.lisp import MapRequest
from tests.fabric.observe import figure1, observed


async def test_the_controller_is_told_of_an_unknown_destination_once_in_a_while(tmp_path: Path) -> None:
    window = ("accelerators:\n", "punt: {packets_per_second: 1000, burst: 64, window_ms: 60000}\n\naccelerators:\n")
    async with observed(figure1(tmp_path, window)) as fabric:
        mark, punted = fabric.mark(), fabric.fabric.routers["A1"].punted
        for number in range(20):
            fabric.fabric.endpoints["acc1"].send_message(99, b"nobody", entropy=number)
        await fabric.settle()
        assert fabric.fabric.routers["A1"].punted == punted + 1
        assert len(fabric.sent(MapRequest, since=mark)) == 1
        assert (await fabric.drops("A1"))[DropReason.PUNT_SUPPRESSED] >= 1


async def test_an_accelerator_cannot_flood_the_controller(tmp_path: Path) -> None:
    limit = ("accelerators:\n", "punt: {packets_per_second: 1, burst: 4}\n\naccelerators:\n")
    async with observed(figure1(tmp_path, limit)) as fabric:
        punted = fabric.fabric.routers["A1"].punted
        for number in range(50):
            fabric.fabric.endpoints["acc1"].send_message(1000 + number, b"nobody")
        await fabric.settle()
        assert 1 <= fabric.fabric.routers["A1"].punted - punted <= 8
        assert (await fabric.drops("A1"))[DropReason.PUNT_LIMITED] >= 40


async def test_a_tenant_has_its_rate(tmp_path: Path) -> None:
    rate = ("domain: scale-up, encapsulation: vxlan-gpe,", "domain: scale-up, octets_per_second: 1000,")
    async with observed(figure1(tmp_path, rate)) as fabric:
        await fabric.scale_up("acc1", 2, count=300)
        arrived = len(fabric.fabric.endpoints["acc2"].received)
        assert 20 <= arrived <= 200  # 9 000 octets at once, then 1 000 a second
        dropped = [(await fabric.drops(switch)).get(DropReason.INSTANCE_LIMITED, 0) for switch in ("A1", "A2")]
        assert sum(dropped) == 300 - arrived
        await fabric.walk("acc1", "40.0.0.7")
        assert len(fabric.fabric.hosts["acc7"].received) == 1  # the other domain is not touched


async def test_samples_reach_the_controller(tmp_path: Path) -> None:
    share = ("domain: scale-up, encapsulation: vxlan-gpe,", "domain: scale-up, sample_share: 65535,")
    async with observed(figure1(tmp_path, share)) as fabric:
        before = fabric.fabric.routers["A1"].sampled
        await fabric.scale_up("acc1", 2, count=10)
        assert len(fabric.fabric.endpoints["acc2"].received) == 10
        assert fabric.fabric.routers["A1"].sampled - before >= 9
