"""Figure 1 in one process: how long it takes to come up, and how fast packets cross it.

The machine's limit in the same run: one switch that only forwards the same tunnel packet in its underlay. A packet from
PoD A to PoD D makes seven passes through a switch, four of which encapsulate or decapsulate, so the best that one event
loop could do end to end is about a seventh of that.
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address
from pathlib import Path

from accelerator.ethernet import ETHERTYPE_IPV4, ethernet
from accelerator.ip import UDP, IpPacket, udp
from topologies.inprocess import Fabric
from topologies.topology_file import load

FIGURE1 = Path(__file__).resolve().parents[1] / "topologies" / "figure1.yaml"
PACKETS = 500
BURST = 50


async def end_to_end(fabric: Fabric) -> float:
    """Packets per second from accelerator 1 to accelerator 7."""
    source, target = fabric.hosts["acc1"], fabric.hosts["acc7"]
    source.ping(target.address)
    while not source.received:
        await asyncio.sleep(0.01)
    await fabric.converge()
    before = len(target.received)
    begun = time.perf_counter()
    for burst in range(0, PACKETS, BURST):
        for number in range(burst, burst + BURST):
            source.send_udp(target.address, 40000 + number, 4791, b"x" * 64)
        while len(target.received) - before < burst + BURST:
            await asyncio.sleep(0)
    return PACKETS / (time.perf_counter() - begun)


def one_switch(fabric: Fabric) -> float:
    """Packets per second through one pod-switch that only routes the underlay."""
    switch = fabric.switches["S-A"]
    inner = IpPacket(IPv4Address("10.0.0.1"), IPv4Address("40.0.0.7"), UDP, bytes(72)).encode()
    rlocs = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.3")
    tunnel = bytes.fromhex("0c00000100100100")
    outer = IpPacket(*rlocs, UDP, udp(*rlocs, 50000, 4790, tunnel + inner)).encode()
    frame = ethernet(bytes(6), bytes(6), ETHERTYPE_IPV4, outer)
    begun = time.perf_counter()
    for _ in range(PACKETS):
        assert switch.process(1, frame)
    return PACKETS / (time.perf_counter() - begun)


async def main() -> None:
    """Prints the figures."""
    begun = time.perf_counter()
    async with Fabric(load(FIGURE1)) as fabric:
        took = time.perf_counter() - begun
        entries = sum(len(control.writer) for control in fabric.controls.values())
        messages = len(fabric.network.record)
        print(f"Figure 1 up: {took:.2f} s; {len(fabric.switches)} switches, {messages} messages, {entries} entries")
        across = await end_to_end(fabric)
        alone = one_switch(fabric)
        print(f"one switch, underlay only:   {alone:8.0f} packets/s   1.00")
        per_pass = across * 7 / alone
        print(f"acc1 to acc7, seven passes:  {across:8.0f} packets/s   {across / alone:.2f}   per pass {per_pass:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
