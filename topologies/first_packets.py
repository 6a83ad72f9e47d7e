"""`lispfabric run`: a fabric comes up, and its first packets are explained."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.console import Console

from accelerator.host import Host
from accelerator.ip import IPAddress, echo_in
from controller.app.network import write_pcap
from topologies import story
from topologies.collective_story import show_all_reduce
from topologies.inprocess import Fabric
from topologies.schema import Topology
from topologies.walk import TraceRecorder

# Seconds that an answer may take, resolution of the destination included.
ANSWER_TIMEOUT = 10.0


async def _answer(host: Host, sequence: int) -> bool:
    """Waits for the echo reply with this sequence number."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while True:
                echoes = [found for packet in host.received if (found := echo_in(packet)) is not None]
                if any(echo.reply and echo.sequence == sequence for echo in echoes):
                    return True
                await asyncio.sleep(0.001)
    except TimeoutError:
        return False


async def run(topology: Topology, source: str, destination: str, target: IPAddress, capture: Path | None) -> bool:
    """Brings a fabric up, sends the first packets, and prints what happened; True if all that was sent arrived."""
    console = Console(soft_wrap=True, highlight=False)
    recorder = TraceRecorder()
    fabric = Fabric(topology, trace=recorder)
    started = time.perf_counter()
    async with fabric:
        entries = sum(len(control.writer) for control in fabric.controls.values())
        console.print(
            f"[bold]{topology.name}[/] is up after {time.perf_counter() - started:.1f} s: {len(topology.pods)} PoDs, "
            f"{len(fabric.routers)} xTRs, {len(fabric.switches)} switches, {len(fabric.hosts)} accelerators, "
            f"{len(fabric.mapping_systems)} mapping systems; {len(fabric.network.record)} control messages, "
            f"{entries} table entries over P4Runtime\n"
        )
        before = list(fabric.network.record)
        console.print(story.registrations(fabric, before), "")
        console.print(story.publications(fabric, before), "")

        source_host = fabric.hosts[source]
        recorder.on = True
        source_host.ping(target)
        answered = await _answer(source_host, 1)
        await fabric.converge()
        recorder.on = False
        console.print(f"[bold]{source} ({source_host.address}) pings {destination} ({target}): first packet[/]")
        for line in story.messages(fabric, list(fabric.network.record)[len(before) :]):
            console.print(f"  {line}", markup=False)
        console.print()
        story.show_walk(console, fabric, recorder.take())

        if answered:
            recorder.on = True
            passed = len(fabric.network.record)
            begun = time.perf_counter()
            source_host.ping(target, sequence=2)
            answered = await _answer(source_host, 2)
            took = time.perf_counter() - begun
            recorder.on = False
            passed = len(fabric.network.record) - passed
            result = f"answered in {took * 1000:.1f} ms with {passed} control messages, by "
            console.print(f"\n[bold]Second packet[/]: {result}", end="")
            console.print(" > ".join(hop.switch for hop in recorder.take()))
        arrived = await _scale_up(console, fabric, recorder, source)
        arrived = await show_all_reduce(console, fabric) and arrived
        if capture is not None:
            count = write_pcap(capture, fabric.network.record)
            console.print(f"{count} control messages written to {capture}")
        if answered:
            reply = source_host.received[-1]
            console.print(f"\n[bold green]{destination} answered {source}[/]: 2 of 2 packets, TTL {reply.ttl}")
    return answered and arrived


async def _scale_up(console: Console, fabric: Fabric, recorder: TraceRecorder, source: str) -> bool:
    """Shows a Scale-Up message to a neighbour in the PoD; True if it arrived, or if there is no such neighbour."""
    peer = fabric.topology.neighbour(source)
    if peer is None:
        return True
    sender, receiver = fabric.endpoints[source], fabric.endpoints[peer]
    recorder.on = True
    sender.send_message(receiver.acc_id, b"lispfabric")
    await fabric.converge()
    recorder.on = False
    console.print(f"\n[bold]{source} sends {peer} a Scale-Up message (AccID {sender.acc_id} to {receiver.acc_id})[/]")
    story.show_walk(console, fabric, recorder.take())
    arrived = len(receiver.received) == 1
    if arrived:
        console.print(f"\n[bold green]{peer} has it[/]: hop limit {receiver.received[0].hop_limit}")
    return arrived
