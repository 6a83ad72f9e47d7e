"""Links of a topology that lose and delay packets, by a seed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fabric.observe import figure1
from topologies.inprocess import Fabric
from topologies.yaml_source import TopologyError

PLACE = "accelerators:\n"


def effects(text: str) -> tuple[str, str]:
    return PLACE, f"link_effects:\n  - {text}\n\n{PLACE}"


@pytest.mark.parametrize("ends", ["[A1, S-A]", "[S-A, A1]", "[A2, acc2]"])
async def test_a_lossy_link_loses_its_share_and_the_same_packets_each_time(tmp_path: Path, ends: str) -> None:
    received = []
    for _ in range(2):
        async with Fabric(figure1(tmp_path, effects(f"{{between: {ends}, loss: 0.3, seed: 7}}"))) as fabric:
            endpoint = fabric.endpoints["acc2"]
            for number in range(200):
                fabric.endpoints["acc1"].send_message(2, b"x", sequence=number)
            await asyncio.sleep(0.05)
            await fabric.converge()
            received.append([packet.sequence for packet in endpoint.received])
    assert received[0] == received[1]
    assert 110 <= len(received[0]) <= 170  # 140, give or take five standard deviations


async def test_a_slow_link_delivers_later(tmp_path: Path) -> None:
    async with Fabric(figure1(tmp_path, effects("{between: [A1, S-A], delay_ms: 200}"))) as fabric:
        endpoint = fabric.endpoints["acc2"]
        fabric.endpoints["acc1"].send_message(2, b"x")
        await asyncio.sleep(0.05)
        assert not endpoint.received
        arrived = asyncio.Event()
        endpoint.on_packet = lambda _: arrived.set()
        await asyncio.wait_for(arrived.wait(), 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{between: [A1, A2], loss: 0.1}", r"link_effects\[0\]\.between: A1 and A2 are not linked"),
        ("{between: [A1, S-A], loss: 1.5}", r"link_effects\[0\]\.loss = 1\.5: Input should be less than or equal to 1"),
        ("{between: [A1, S-A], jitter_ms: 1}", r"link_effects\[0\].*jitter_ms 1\.0 is more than delay_ms 0"),
        ("{between: [A1, S-A], reorder: 0.1}", r"link_effects\[0\].*reorder 0\.1 needs a delay_ms"),
        ("{between: [A1, S-A]}\n  - {between: [S-A, A1]}", r"link_effects\[1\]\.between: the link is also"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        figure1(tmp_path, effects(text))
