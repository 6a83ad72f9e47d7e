"""Packets per second of the whole program on each switch that is installed, by kind of packet.

Run `PYTHONPATH=. python bench/bench_dataplane.py [--quick]`, as root or where user namespaces are allowed: softswitch
and simple_switch_grpc are processes with veth ports. Rates depend on the machine; their ratio is the result. Each
switch is given more packets than it can carry, and those that leave it are counted. Two switches below it send it
the contributions of an AllReduce, of which at most two rounds of 16 slots are under way, as members would.
"""

from __future__ import annotations

import argparse
import ctypes
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from ipaddress import ip_address
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from scapy.packet import Packet

from controller.dataplane.codepoints import Encapsulation
from controller.dataplane.replication import ReplicaRouter, list_entry, multicast_group, router_copy
from ptf_tests import links, namespace, targets
from ptf_tests.errors import SetupError
from ptf_tests.support.collectives import VALUES, Group, Incc, Node, carried
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
BURST = 64
GROUP = ip_address("239.1.1.1")

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


COLLECTIVE = "AllReduce, 64 values"
CHILDREN = (Node(0x8001, CORE, PEER), Node(0x8002, CORE_2, OTHER))
TREE = Group(RED, ip_address("10.0.255.1"), CHILDREN, OWN, slots=16, first_copy=100)


def contributions() -> list[bytes]:
    """One of each child for each slot, as they come from the underlay."""
    frames = []
    for slot in range(TREE.slots):
        for child in CHILDREN:
            packet = carried(Incc(child.rank, tuple(range(VALUES)), slot=slot), TREE.eid, TREE.eid)
            frames.append(bytes(arriving(CORE, tunnel(VxlanGpe(iid=RED), packet, src=child.rloc, dst=OWN))))
    return frames


# Octets from the beginning of such a frame to its round: Ethernet, IPv4, UDP, VXLAN-GPE, IPv4, UDP, and what is before.
ROUND = 14 + 20 + 8 + 8 + 20 + 8 + 10


def fill(address: str) -> None:
    """Gives the switch the tables of an access xTR, one replication list and one collective group."""
    ways = ((1, PEER, CORE), (2, OTHER, CORE_2))
    connect(address, str(PROGRAM)).insert(
        *dual_stack_xtr(Encapsulation.VXLAN_GPE),
        *(router_copy(number, ReplicaRouter(ip_address(rloc)), hop(port), *SOURCES) for number, rloc, port in ways),
        multicast_group(1, [(port, number) for number, _, port in ways]),
        list_entry((RED, None, GROUP), 1),
        *TREE.entries(),
    )


class Generator:
    """Sends the same frames again and again, as many as the kernel takes, with one system call for each `BURST`."""

    def __init__(self, interface: str, *frames: bytes) -> None:
        """Frames take turns; their number divides `BURST`, or the other way round."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 0))
        self._frames = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self._vectors = [_Iovec(ctypes.addressof(frame), len(frame)) for frame in self._frames]
        self._burst = (_Message * max(BURST, len(frames)))()
        for number, message in enumerate(self._burst):
            message.vector, message.vectors = ctypes.pointer(self._vectors[number % len(frames)]), 1
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg

    def run(self, seconds: float) -> None:
        """Sends for some seconds."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self._send(self._socket.fileno(), self._burst, BURST, 0)

    def send_round(self, number: int) -> None:
        """Sends every contribution once, of this round."""
        turn = (number & 0xFFFF).to_bytes(2, "big")
        for frame in self._frames:
            ctypes.memmove(ctypes.addressof(frame) + ROUND, turn, 2)
        octets, sent = ctypes.sizeof(_Message), 0
        while sent < len(self._frames):
            start = ctypes.addressof(self._burst) + sent * octets
            sent += max(self._send(self._socket.fileno(), ctypes.c_void_p(start), min(BURST, len(self._frames)), 0), 0)

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("octets", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_octets", ctypes.c_uint),
        ("vector", ctypes.POINTER(_Iovec)),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_octets", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def arrived(interfaces: Iterable[str]) -> int:
    """Packets that interfaces have received."""
    return sum(int(Path(f"/sys/class/net/{name}/statistics/rx_packets").read_text()) for name in interfaces)


def rate(testers: dict[int, str], port: int, frame: bytes, copies: int, seconds: float) -> float:
    """Packets per second that get through, of more than can. Raises RuntimeError when none does."""
    generator = Generator(testers[port], frame)
    try:
        generator.run(seconds / 4)  # warms up
        before, begun = arrived(testers.values()), time.perf_counter()
        generator.run(seconds)
        carried = (arrived(testers.values()) - before) / copies
    finally:
        generator.close()
    if not carried:
        raise RuntimeError("no packet gets through")
    return carried / (time.perf_counter() - begun)


def collective_rate(testers: dict[int, str], seconds: float) -> float:
    """Contributions per second that become results. Raises RuntimeError when none does."""
    generator = Generator(testers[CORE], *contributions())
    of_round = TREE.slots * len(CHILDREN)  # contributions, and results as well
    begun, before, sent = time.perf_counter(), arrived(testers.values()), 0
    try:
        while time.perf_counter() - begun < seconds:
            sent += 1
            generator.send_round(sent)
            deadline = time.perf_counter() + 0.05  # a switch that lost some gets the next round
            while arrived(testers.values()) - before < of_round * (sent - 1) and time.perf_counter() < deadline:
                pass
        results = arrived(testers.values()) - before
    finally:
        generator.close()
    if not results:
        raise RuntimeError("no result leaves the switch")
    return results / (time.perf_counter() - begun)


def measure(target: str, seconds: float, answer: Connection) -> None:
    """Sends one switch's rates by kind of packet, or why there are none; in a process, thus namespace, of its own."""
    try:
        command = targets.TARGETS[target]()
        namespace.enter()
        wires, address = links.veth(), targets.free_address()
        with tempfile.NamedTemporaryFile() as log, targets.running(command, wires, address, Path(log.name)):
            fill(address)
            testers = {wire.port: wire.tester for wire in wires}
            rates: Rates = {}
            for name, port, frame, copies in kinds():
                rates[name] = rate(testers, port, bytes(frame), copies, seconds)
                time.sleep(0.3)  # what is under way has left
            rates[COLLECTIVE] = collective_rate(testers, seconds)
        answer.send(rates)
    except SetupError as error:
        answer.send(str(error))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter measurements, less exact")
    seconds = 0.5 if parser.parse_args().quick else 2.0
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
    for name in (*(name for name, *_ in kinds()), COLLECTIVE):
        rates = [result[name] for result in results.values()]
        ratio = f"{rates[0] / rates[1]:>10.2f}" if len(rates) == 2 else ""
        print(f"{name:<26}" + "".join(f"{value:>14,.0f}" for value in rates) + ratio)


if __name__ == "__main__":
    main()
