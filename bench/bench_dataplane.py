"""Packets per second of the whole program on each switch that is installed, by kind of packet.

Run `PYTHONPATH=. python bench/bench_dataplane.py [--quick]`, as root or where user namespaces are allowed: softswitch
and simple_switch_grpc are processes with veth ports. Rates depend on the machine; their ratio is the result. At most
`WINDOW` packets are under way, fewer than bmv2 queues, so that none is lost and each is counted.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import tempfile
import time
from ipaddress import ip_address
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from scapy.packet import Packet

from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.replication import ReplicaRouter, list_entry, multicast_group, router_copy
from ptf_tests import links, namespace, targets
from ptf_tests.errors import SetupError
from ptf_tests.support.control import connect
from ptf_tests.support.headers import Vxlan, VxlanGpe
from ptf_tests.support.packets import arriving, carrying, hop, scale_up, tunnel, udp
from ptf_tests.support.scenario import (
    ACC_HERE,
    ACC_THERE,
    CORE,
    CORE_2,
    HERE,
    HERE6,
    OTHER,
    OWN,
    PEER,
    RED,
    RED_PORT,
    RED_UP,
    SOURCES,
    THERE,
    THERE6,
    dual_stack_xtr,
)

PROGRAM = Path(__file__).resolve().parents[1] / "p4src" / "compiled" / "v1model"
WINDOW = 32
GROUP = ip_address("239.1.1.1")
_ETH_P_ALL = 3

Rates = dict[str, float]


def kinds() -> list[tuple[str, int, Packet, int]]:
    """What is sent: its name, the port, the frame, and how many frames leave for each."""
    frame = arriving(9, scale_up(ACC_THERE, ACC_HERE))
    return [
        ("transit", CORE_2, arriving(CORE_2, tunnel(VxlanGpe(iid=RED), udp(HERE, THERE), src=OTHER, dst=PEER)), 1),
        ("encapsulate IPv4", RED_PORT, arriving(RED_PORT, udp(HERE, THERE)), 1),
        ("encapsulate IPv6", RED_PORT, arriving(RED_PORT, udp(HERE6, THERE6)), 1),
        ("encapsulate Scale-Up", RED_PORT, arriving(RED_PORT, scale_up(ACC_HERE, ACC_THERE)), 1),
        ("decapsulate IPv4", CORE, arriving(CORE, tunnel(VxlanGpe(iid=RED), udp(THERE, HERE), src=PEER, dst=OWN)), 1),
        (
            "decapsulate Scale-Up",
            CORE,
            arriving(CORE, tunnel(*carrying(Vxlan(iid=RED_UP), frame), src=PEER, dst=OWN)),
            1,
        ),
        ("replicate to 2 routers", RED_PORT, arriving(RED_PORT, udp(HERE, str(GROUP))), 2),
    ]


def fill(address: str) -> None:
    """Gives the switch the tables of an access xTR and one replication list."""
    ways = ((1, PEER, CORE), (2, OTHER, CORE_2))
    connect(address, str(PROGRAM)).insert(
        *dual_stack_xtr(Encapsulation.VXLAN_GPE),
        *(router_copy(number, ReplicaRouter(ip_address(rloc)), hop(port), *SOURCES) for number, rloc, port in ways),
        multicast_group(1, [(port, number) for number, _, port in ways]),
        list_entry((RED, None, GROUP), 1),
    )


def rate(ends: dict[int, socket.socket], port: int, frame: bytes, copies: int, count: int) -> float:
    """Packets per second of `count` that enter through `port`. Raises RuntimeError when one is lost."""
    poll = select.poll()
    for end in ends.values():
        poll.register(end, select.POLLIN)
    by_descriptor = {end.fileno(): end for end in ends.values()}
    sent = received = 0
    started = time.perf_counter()
    while received < count * copies:
        while sent < count and sent * copies - received < WINDOW:
            ends[port].send(frame)
            sent += 1
        ready = poll.poll(3000)
        if not ready:
            raise RuntimeError(f"{count * copies - received} packets are lost")
        for descriptor, _ in ready:
            # Outgoing frames are seen here too, and do not count.
            _, (_, _, kind, *_) = by_descriptor[descriptor].recvfrom(65536)
            received += kind != socket.PACKET_OUTGOING
    return count / (time.perf_counter() - started)


def measure(target: str, seconds: float, answer: Connection) -> None:
    """Sends one switch's rates by kind of packet, or why there are none; in a process, thus namespace, of its own."""
    try:
        command = targets.TARGETS[target]()
        namespace.enter()
        wires, address = links.veth(), targets.free_address()
        with tempfile.NamedTemporaryFile() as log, targets.running(command, wires, address, Path(log.name)):
            fill(address)
            ends = {}
            for wire in wires:
                ends[wire.port] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
                ends[wire.port].bind((wire.tester, 0))
            rates: Rates = {}
            for name, port, frame, copies in kinds():
                few = rate(ends, port, bytes(frame), copies, 200)
                rates[name] = rate(ends, port, bytes(frame), copies, max(200, int(few * seconds)))
        answer.send(rates)
    except SetupError as error:
        answer.send(str(error))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter measurements, less exact")
    seconds = 0.3 if parser.parse_args().quick else 2.0
    results: dict[str, Rates] = {}
    spawn = get_context("spawn")
    for target in ("softswitch", "bmv2"):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=measure, args=(target, seconds, theirs), daemon=True)
        process.start()
        theirs.close()
        outcome = ours.recv()
        process.kill()
        if isinstance(outcome, str):
            print(f"{target} IS NOT MEASURED: {outcome}", file=sys.stderr)
        else:
            results[target] = outcome
    print(f"{'packets per second':<26}" + "".join(f"{target:>14}" for target in results) + f"{'ratio':>10}")
    for name, *_ in kinds():
        rates = [result[name] for result in results.values()]
        ratio = f"{rates[0] / rates[1]:>10.2f}" if len(rates) == 2 else ""
        print(f"{name:<26}" + "".join(f"{value:>14,.0f}" for value in rates) + ratio)


if __name__ == "__main__":
    main()
