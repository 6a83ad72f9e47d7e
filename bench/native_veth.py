"""Packets per second through a switch in a process of its own, between two veth pairs; for bench_native.py."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softswitch.native.compiler import core
from softswitch.ports import InterfacePort, WorkQueue
from softswitch.program import load_program
from softswitch.switch import Switch

PROGRAM = Path(__file__).resolve().parents[1] / "tests/softswitch/engine/programs/compiled/copies.json"
PAIRS = (("bng0", "bns0"), ("bns1", "bnk1"))  # generator to switch, switch to sink
OCTETS = 64
_READY = 15.0  # seconds until a switch must carry packets


def over_veth(seconds: float) -> None:
    """Prints the table, or why there is none."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        print("over veth: NOT RUN, needs root and iproute2")
        return
    bmv2 = os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")
    print(
        f"{'over veth, a process of its own':<40}{'packets/s':>14}{'per CPU second':>16}{'of bmv2' if bmv2 else '':>10}"
    )
    own = [sys.executable, "-m", "softswitch"]
    targets = [("softswitch, reference engine", [*own, "--engine", "reference"]), ("softswitch, native", own)]
    if bmv2:
        targets.insert(0, ("simple_switch_grpc", [bmv2]))
    base = 0.0
    with pairs():
        for name, command in targets:
            rate, by_cpu = asyncio.run(measure(command, seconds))
            base = base or by_cpu
            print(f"{name:<40}{rate:>14,.0f}{by_cpu:>16,.0f}{f'{by_cpu / base:.1f}' if bmv2 else '':>10}")


@contextmanager
def pairs() -> Iterator[None]:
    """The interfaces, quiet and up."""
    try:
        for a, b in PAIRS:
            subprocess.run(["ip", "link", "add", a, "type", "veth", "peer", "name", b], check=True)
            for name in (a, b):
                Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
                subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield
    finally:
        for a, _ in PAIRS:
            subprocess.run(["ip", "link", "del", a], check=False, capture_output=True)


def arrived() -> int:
    """Packets that the sink has got."""
    return int(Path(f"/sys/class/net/{PAIRS[1][1]}/statistics/rx_packets").read_text())


async def measure(command: list[str], seconds: float) -> tuple[float, float]:
    """Packets that get through a switch, given as many as it may take: per second, and per second of its CPU time.

    The second does not depend on what else runs on the machine.
    """
    generator = Switch(0, queue=WorkQueue(), engine="native")
    generator.set_program(load_program(PROGRAM.read_bytes()))
    generator.add_port(1, InterfacePort(PAIRS[0][0]))
    packet = bytes([0, 1]) + bytes(OCTETS - 2)
    with tempfile.TemporaryDirectory() as folder:
        ports = ["-i", f"0@{PAIRS[0][1]}", "-i", f"1@{PAIRS[1][0]}"]
        options = [str(PROGRAM), *ports, "--log-level", "off", "--", "--grpc-server-addr", f"unix:{folder}/p4rt.sock"]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, *options, stdout=quiet, stderr=quiet)
        try:
            await carrying(generator, packet, process)
            return await asyncio.to_thread(rate, generator, packet, seconds, process.pid)
        finally:
            process.terminate()
            await process.wait()
            generator.close()


async def carrying(generator: Switch, packet: bytes, process: asyncio.subprocess.Process) -> None:
    """Waits until packets get through. SystemExit."""
    before, deadline = arrived(), time.monotonic() + _READY
    while arrived() == before:
        if process.returncode is not None or time.monotonic() > deadline:
            raise SystemExit("the switch carries no packets")
        generator.inject(0, packet)
        await asyncio.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(generator: Switch, packet: bytes, seconds: float, pid: int) -> tuple[float, float]:
    """Floods for some seconds, and counts at the sink."""
    native = generator._native
    assert native is not None
    flood = core().function("flood", 5)
    address = ctypes.cast(ctypes.c_char_p(packet), ctypes.c_void_p).value or 0
    begun, before, used = time.perf_counter(), arrived(), cpu_seconds(pid)
    while time.perf_counter() - begun < seconds:
        flood(native.address, 0, address, len(packet), 256)
    carried, took = arrived() - before, time.perf_counter() - begun
    return carried / took, carried / max(cpu_seconds(pid) - used, 1e-3)
