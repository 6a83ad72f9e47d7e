"""Packets per second of the whole program on each switch that is installed, by kind of packet.

Run `PYTHONPATH=. python bench/bench_dataplane.py [--quick]`, as root or where user namespaces are allowed: softswitch
and simple_switch_grpc are processes with veth ports. Rates depend on the machine; their ratio is the result. Each
switch is given more packets than it can carry, and those that leave it are counted.
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


def fill(address: str) -> None:
    """Gives the switch the tables of an access xTR and one replication list."""
    ways = ((1, PEER, CORE), (2, OTHER, CORE_2))
    connect(address, str(PROGRAM)).insert(
        *dual_stack_xtr(Encapsulation.VXLAN_GPE),
        *(router_copy(number, ReplicaRouter(ip_address(rloc)), hop(port), *SOURCES) for number, rloc, port in ways),
        multicast_group(1, [(port, number) for number, _, port in ways]),
        list_entry((RED, None, GROUP), 1),
    )


class Generator:
    """Sends copies of one frame, as many as the kernel takes, with one system call for each `BURST`."""

    def __init__(self, interface: str, frame: bytes) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 0))
        self._frame = ctypes.create_string_buffer(frame, len(frame))
        self._vector = _Iovec(ctypes.addressof(self._frame), len(frame))
        self._burst = (_Message * BURST)()
        for message in self._burst:
            message.vector, message.vectors = ctypes.pointer(self._vector), 1
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg

    def run(self, seconds: float) -> None:
        """Sends for some seconds."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self._send(self._socket.fileno(), self._burst, BURST, 0)

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
    for name, *_ in kinds():
        rates = [result[name] for result in results.values()]
        ratio = f"{rates[0] / rates[1]:>10.2f}" if len(rates) == 2 else ""
        print(f"{name:<26}" + "".join(f"{value:>14,.0f}" for value in rates) + ratio)


if __name__ == "__main__":
    main()
