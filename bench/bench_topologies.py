"""How long fabrics take to come up, and how long packets go wrong after a link has failed. All in one process.

Run `python bench/bench_topologies.py [--quick]`. Start-up: Figure 1 and generated fabrics of up to 1 024 accelerators,
until every registration, publication and table entry is there; the ratio is to Figure 1, for each table entry.

Failure: accelerators at two access switches are sent to from another PoD, some packets each millisecond, then their
link to one of the switches fails. A packet is wrong when it is sent after that and does not arrive; what counts is
when the last such packet was sent. It is compared with 50 ms, within which networks with fast reroute are expected to
have repaired a path. Half of the runs fail the one, half the other link. Sender, switches and control planes share
one event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import statistics
import time
from ipaddress import IPv4Address
from pathlib import Path

from accelerator.ethernet import ethernet
from accelerator.ip import ETHERTYPES, UDP, IpPacket
from controller.app.pauses import set_aside
from controller.lisp import Eid
from topologies.generate import Shape, generate
from topologies.inprocess import Fabric
from topologies.schema import Topology
from topologies.switch_tables import next_hop
from topologies.topology_file import load

FIGURE1 = Path(__file__).resolve().parents[1] / "topologies" / "figure1.yaml"
AIM = 0.050
IID, PORT = 4097, 4791
FIRST = IPv4Address("40.0.1.0")
FLOWS = 8
# Packets of each millisecond: for one EID each of its flows; for many as many as leave the event loop half of its time.
EACH_MS = 32


async def start_up(name: str, topology: Topology, base: float | None) -> float:
    """Prints what it took; returns seconds for each table entry."""
    begun, cpu = time.perf_counter(), time.process_time()
    async with Fabric(topology) as fabric:
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        entries = sum(len(control.writer) for control in fabric.controls.values())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ratio = took / entries / (base or took / entries)
        print(
            f"{name:24} {len(fabric.switches):4} switches {len(topology.accelerators):5} accelerators "
            f"{fabric.network.passed:6} messages {entries:7} entries: {took:6.2f} s ({cpu:.2f} s of CPU), "
            f"{memory:5.0f} MiB, {ratio:.2f} of Figure 1's time an entry",
            flush=True,
        )
        return took / entries


# Where in a frame the data of UDP over IPv4 begins.
_DATA = 14 + 20 + 8


class Stream:
    """Packets to every address in turn, numbered; which of them have arrived."""

    def __init__(self, fabric: Fabric, targets: list[IPv4Address]) -> None:
        self.sent: dict[int, float] = {}
        self.arrived: set[int] = set()
        self._interface = fabric.interfaces["acc1"]
        self._burst = min(FLOWS * len(targets), EACH_MS)
        source = fabric.hosts["acc1"].address
        own, router = self._interface.mac, self._interface.uplinks[0].router_mac
        self._frames = []
        for flow in range(FLOWS):
            # UDP over IPv4 need have no checksum.
            ports = (40000 + flow).to_bytes(2, "big") + PORT.to_bytes(2, "big") + (16).to_bytes(2, "big") + bytes(2)
            for target in targets:
                packet = IpPacket(source, target, UDP, ports + bytes(8)).encode()
                self._frames.append(ethernet(router, own, ETHERTYPES[4], packet))
        self._stop = False

    async def run(self) -> None:
        """Until stopped; each round is another flow of each address."""
        number = 0
        send = self._interface.uplinks[0].send
        while not self._stop:
            for _ in range(self._burst):
                frame = self._frames[number % len(self._frames)]
                number += 1
                self.sent[number] = time.perf_counter()
                send(frame[:_DATA] + number.to_bytes(8, "big") + frame[_DATA + 8 :])
            await asyncio.sleep(0.001)

    def stop(self) -> None:
        """No more."""
        self._stop = True

    def receive(self, frame: bytes) -> None:
        """Takes a frame that has come for the address."""
        if frame[_DATA - 6 : _DATA - 4] == PORT.to_bytes(2, "big"):
            self.arrived.add(int.from_bytes(frame[_DATA : _DATA + 8], "big"))

    def lost(self, since: float, until: float) -> int:
        """How many packets of that time have not arrived."""
        return sum(since <= at < until and number not in self.arrived for number, at in self.sent.items())

    def last_wrong(self, since: float) -> float:
        """Seconds after `since` at which the last packet was sent that has not arrived; 0 for none."""
        lost = [at for number, at in self.sent.items() if at >= since and number not in self.arrived]
        return max(lost, default=since) - since


async def failures(fabric: Fabric, count: int, runs: int) -> list[float]:
    """Seconds of wrong packets after each failure, for so many EIDs behind the link."""
    targets = [FIRST + number for number in range(count)]
    switches = fabric.topology.accelerator("acc7").attached_to
    rlocs = tuple(rloc for switch in switches if (rloc := fabric.topology.switch(switch).rloc) is not None)
    for switch in switches:
        hop = next_hop(fabric.plans[switch].port_to("acc7"))
        for target in targets:
            fabric.routers[switch].attach(Eid.of(IID, target), hop, rlocs)
    await fabric.converge(120)
    set_aside()
    ends = [fabric.access_ports[switch, "acc7"] for switch in switches]
    quiet = 0.1 + count / 2000
    found = []
    for run in range(runs):
        stream = Stream(fabric, targets)
        for end in ends:
            end.on_packet = stream.receive
        sending = asyncio.create_task(stream.run())
        await asyncio.sleep(quiet)
        failing = run % 2
        at = time.perf_counter()
        ends[failing].enabled = False
        fabric.switches[switches[failing]].poll_ports()
        await asyncio.sleep(2 * quiet)
        stream.stop()
        await sending
        await fabric.converge(120)
        before = stream.lost(at - 0.05, at - 0.02)  # the last ones were still on their way
        assert not before, f"{before} packets were lost before anything failed"
        found.append(stream.last_wrong(at))
        ends[failing].enabled = True
        fabric.switches[switches[failing]].poll_ports()
        await fabric.converge(120)
    for end in ends:
        end.on_packet = fabric.interfaces["acc7"].receive
    return found


async def main(quick: bool) -> None:
    """Prints the figures."""
    logging.basicConfig()
    figure1 = load(FIGURE1)
    await start_up("(compiles, fills caches)", figure1, None)
    base = await start_up("Figure 1", figure1, None)
    for pods in (4,) if quick else (4, 16, 32):
        shape = Shape(pods=pods, accelerators=32 * pods, access_per_pod=4, multihomed=8 * pods)
        await start_up(f"{pods} PoDs, generated", Topology.model_validate(generate(shape)), base)
    for count, runs in ((1, 10 if quick else 100), (1024, 2 if quick else 20)):
        async with Fabric(figure1) as fabric:
            took = sorted(await failures(fabric, count, runs))
        median, last = statistics.median(took), took[min(len(took) - 1, round(0.99 * len(took)))]
        print(
            f"link fails, {count:4} EIDs: last wrong packet after {median * 1e3:6.1f} ms (median), "
            f"{last * 1e3:6.1f} ms (99th percentile) of {runs} runs; {median / AIM:.2f} and {last / AIM:.2f} of 50 ms",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smaller fabrics, and fewer runs")
    asyncio.run(main(parser.parse_args().quick))
