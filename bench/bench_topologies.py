"""How long fabrics take to come up, and how long packets go wrong after a link has failed. All in one process.

Run `python bench/bench_topologies.py [--quick]`. Start-up: Figure 1 and generated fabrics of 4, 8 and 16 PoDs, until
every registration, publication and table entry is there; the ratio is to Figure 1, for each table entry. Failure:
accelerators at two access switches are sent to without a pause from another PoD, then their link to one of the switches
fails; a packet is sent wrongly when it is sent after that and does not arrive. It is compared with 50 ms, within which
networks with fast reroute are expected to have repaired a path. Half of the runs fail the one, half the other link.
Sender, switches and control planes share one event loop, so the packets that are sent meanwhile slow the repair down.
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

from accelerator.host import Host
from controller.dataplane.entries import mac
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
QUIET = 0.25  # seconds without a lost packet after which the repair is over
FLOWS = 8


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


class Stream:
    """Packets to every address in turn, numbered; which of them have arrived."""

    def __init__(self, source: Host, targets: list[IPv4Address]) -> None:
        self.sent: dict[int, float] = {}
        self.arrived: set[int] = set()
        self._source, self._targets = source, targets
        self._stop = False

    async def run(self) -> None:
        """Until stopped: eight flows to each address before the next one."""
        number = 0
        while not self._stop:
            for target in self._targets:
                for flow in range(FLOWS):
                    number += 1
                    self.sent[number] = time.perf_counter()
                    self._source.send_udp(target, 40000 + flow, PORT, number.to_bytes(8, "big"))
                if number % 64 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)

    def stop(self) -> None:
        """No more."""
        self._stop = True

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
    source = fabric.hosts["acc1"]
    interface = fabric.interfaces["acc7"]
    found = []
    for run in range(runs):
        stream = Stream(source, targets)
        octets = mac(fabric.topology.accelerator("acc7").mac)

        def receive(frame: bytes, stream: Stream = stream, own: bytes = octets) -> None:
            if frame[:6] == own and frame[36:38] == PORT.to_bytes(2, "big"):
                stream.arrived.add(int.from_bytes(frame[42:50], "big"))

        ends = [fabric.access_ports[switch, "acc7"] for switch in switches]
        for end in ends:
            end.on_packet = receive
        sending = asyncio.create_task(stream.run())
        await asyncio.sleep(QUIET + count / 2000)
        failing = run % 2
        at = time.perf_counter()
        ends[failing].enabled = False
        fabric.switches[switches[failing]].poll_ports()
        await asyncio.sleep(QUIET + count / 1000)
        stream.stop()
        await sending
        await fabric.converge(120)
        found.append(stream.last_wrong(at))
        ends[failing].enabled = True
        fabric.switches[switches[failing]].poll_ports()
        for end in ends:
            end.on_packet = interface.receive
        await fabric.converge(120)
    return found


async def main(quick: bool) -> None:
    """Prints the figures."""
    logging.basicConfig(level=logging.ERROR)  # a thousand EIDs on one port ask for their groups at once
    figure1 = load(FIGURE1)
    await start_up("(compiles, fills caches)", figure1, None)
    base = await start_up("Figure 1", figure1, None)
    for pods in (4,) if quick else (4, 8, 16):
        shape = Shape(pods=pods, accelerators=32 * pods, access_per_pod=4, multihomed=8 * pods)
        await start_up(f"{pods} PoDs, generated", Topology.model_validate(generate(shape)), base)
    for count, runs in ((1, 10 if quick else 60), (1024, 2 if quick else 12)):
        async with Fabric(figure1) as fabric:
            took = sorted(await failures(fabric, count, runs))
        median, last = statistics.median(took), took[min(len(took) - 1, round(0.99 * len(took)))]
        print(
            f"link fails, {count:4} EIDs: last wrong packet after {median * 1e3:6.1f} ms (median), "
            f"{last * 1e3:6.1f} ms (99th percentile) of {runs} runs; {last / AIM:.2f} of 50 ms",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smaller fabrics, and fewer runs")
    asyncio.run(main(parser.parse_args().quick))
