"""How fast machine code carries packets, and what it takes to get there.

Run `python bench/bench_native.py [--quick] [--full]`. Packets are made, carried over links inside the process and
dropped by machine code on one core; the limit is one memcpy of the packet for each hop. Rates depend on the machine;
the ratios are the result. Over veth pairs (needs root) a generator sends to a switch in another process, which sends
back out by another pair; the same for simple_switch_grpc, where it is on the PATH or in $SIMPLE_SWITCH_GRPC, with the
same program.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_softswitch import make_packet
from bench.native_veth import over_veth
from softswitch.native import engine as native_engine
from softswitch.native.compiler import core
from softswitch.native.engine import compile_program
from softswitch.ports import WorkQueue, make_link
from softswitch.program import Program, load_program
from softswitch.state import ActionCall, AlreadyExists, Exact, Lpm, Ternary
from softswitch.switch import Switch

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "tests/softswitch/engine/programs/compiled"
FABRIC = ROOT / "p4src/compiled/v1model/fabric.json"
SIZES = (64, 1500)
HOPS = 2
_EXACT_KEYS = 60_000  # of 16 bits


def load(path: Path) -> Program:
    """A program."""
    return load_program(path.read_bytes())


def router_entries(switch: Switch) -> None:
    """Two routes; what leaves goes out by port 2."""
    for hop, prefix in enumerate(((0x0A000000, 8), (0x0A010203, 32))):
        switch.state.table("MainIngress.routes").insert((Lpm(*prefix),), ActionCall("MainIngress.route_to", (hop,)))
        call = ActionCall("MainIngress.forward", (2, 0x020000000000 + hop))
        switch.state.table("MainIngress.next_hops").insert((Exact(hop),), call)


def chain(program: Program, fill: Callable[[Switch], None], length: int = HOPS) -> list[Switch]:
    """Switches in a row; what the last one sends is dropped."""
    queue = WorkQueue()
    switches = [Switch(i, queue=queue, engine="native") for i in range(length)]
    for switch in switches:
        switch.set_program(program)
        fill(switch)
    for left, right in pairwise(switches):
        a, b = make_link()
        left.add_port(2, a)
        right.add_port(1, b)
    return switches


def flood(switch: Switch, packet: bytes, seconds: float) -> float:
    """Packets per second into a switch, all that they cause being done."""
    native = switch._native
    assert native is not None
    native.prepare()
    run = core().function("flood", 5)
    address = ctypes.cast(ctypes.c_char_p(packet), ctypes.c_void_p).value or 0
    count, best = 1 << 12, 0.0
    for _ in range(3):
        while True:
            begun = time.perf_counter()
            done = run(native.address, 1, address, len(packet), count)
            took = time.perf_counter() - begun
            if took > seconds / 3:
                break
            count *= 2
        best = max(best, done / took)
    return best


def copies_per_second(size: int) -> float:
    """The limit: memcpy of a packet between two buffers."""
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    copy, count = core().function("copy_often", 4), 1 << 20
    begun = time.perf_counter()
    copy(ctypes.addressof(target), ctypes.addressof(source), size, count)
    return count / (time.perf_counter() - begun)


def links(seconds: float) -> None:
    """Packets per second over links."""
    print(f"{'over in-process links, one core':<40}{'octets':>7}{'packets/s':>14}{'ns a hop':>10}{'of memcpy':>10}")
    for size in SIZES:
        limit = copies_per_second(size)
        for name, program, fill, packet in (
            ("forward by a field of the packet", "copies", lambda switch: None, bytes([0, 2]) + bytes(size - 2)),
            ("IPv4 router, two checksums", "router", router_entries, make_packet(size)),
        ):
            switches = chain(load(SAMPLES / f"{program}.json"), fill)
            rate = flood(switches[0], packet, seconds) * HOPS
            if not switches[-1].unsent:
                raise SystemExit(f"{name}: packets do not get through")
            print(f"{name:<40}{size:>7}{rate:>14,.0f}{1e9 / rate:>10.0f}{rate / limit:>10.3f}")


def compile_times() -> None:
    """From a loaded program to machine code."""
    print(f"{'compile time':<40}{'tables':>7}{'new':>12}{'from disk':>12}")
    for path in (SAMPLES / "copies.json", SAMPLES / "router.json", FABRIC):
        program = load(path)
        with tempfile.TemporaryDirectory() as folder, fresh(folder):
            core()
            times = []
            for _ in range(2):
                native_engine._programs.clear()
                begun = time.perf_counter()
                compile_program(program)
                times.append(time.perf_counter() - begun)
        native_engine._programs.clear()
        print(f"{path.stem:<40}{len(program.tables):>7}{times[0]:>10.2f} s{1000 * times[1]:>9.1f} ms")


def fresh(folder: str) -> AbstractContextManager[object]:
    """An empty cache."""
    return mock.patch.dict(os.environ, {"XDG_CACHE_HOME": folder})


def growth(seconds: float, most: int) -> None:
    """How rate and insertion grow with the entries of a table; every packet hits."""
    print(f"{'entries of a table':<40}{'entries':>9}{'packets/s':>14}{'ns':>8}{'insert, us':>12}")
    for kind, limit in (("exact", _EXACT_KEYS), ("lpm", most), ("ternary, 64 masks", most)):
        count = 10
        while count <= min(most, limit):
            grow(kind, count, seconds)
            count *= 10


def grow(kind: str, count: int, seconds: float) -> None:
    """One line. A router with as many next hops or routes, or a table that tries up to 64 masks for every packet."""
    name = "matches" if kind.startswith("ternary") else "router"
    (switch,) = chain(load(SAMPLES / f"{name}.json"), lambda switch: None, 1)
    tables = {"exact": "MainIngress.next_hops", "lpm": "MainIngress.routes"}
    table = switch.state.table(tables.get(kind, "MainIngress.ternary_table"))
    table.definition = dataclasses.replace(table.definition, max_size=count + 2)
    packet = make_packet(64)
    if kind.startswith("ternary"):
        action = next(a for a in table.definition.actions.values() if len(a.params) == 1)
        packet = bytes([2]) + bytes(63)
        widths = [key.width for key in table.definition.keys]
    begun = time.perf_counter()
    for number in range(count):
        if kind == "exact":
            table.insert((Exact(2 + number),), ActionCall("MainIngress.forward", (2, number)))
        elif kind == "lpm":
            table.insert((Lpm(0x0B000000 + (number << 4), 28),), ActionCall("MainIngress.route_to", (number & 0xFF,)))
        else:
            match = Ternary(number % 8, number % 8), Lpm((number >> 6) % (1 << widths[1] - 8), 8 + number % 8), Exact(0)
            try:
                table.insert(match, ActionCall(action.name, (1,)), 1 + number)
            except AlreadyExists:
                continue
    took = time.perf_counter() - begun
    if name == "router":
        router_entries(switch)
    rate = flood(switch, packet, seconds / 3)
    print(f"{kind:<40}{len(table):>9}{rate:>14,.0f}{1e9 / rate:>8.0f}{1e6 * took / count:>12.1f}")


def with_more_tables(count: int) -> Program:
    """The router with so many more tables in its egress, each looked up for every packet before its own."""
    program = json.loads((SAMPLES / "router.json").read_text())
    (egress,) = (pipeline for pipeline in program["pipelines"] if pipeline["name"] == "egress")
    (own,) = egress["tables"]
    following = egress["init_table"]
    for number in range(count):
        table = copy.deepcopy(own) | {"name": f"MainEgress.more_{number}", "id": 1000 + number}
        table["next_tables"] = dict.fromkeys(table["next_tables"], following)
        egress["tables"].append(table)
        following = table["name"]
    egress["init_table"] = following
    return load_program(json.dumps(program).encode())


def tables(seconds: float) -> None:
    """How the rate falls with the number of tables that a packet meets; every lookup hits."""
    print(f"{'tables that a packet meets':<40}{'tables':>9}{'packets/s':>14}{'ns':>8}{'ns a table':>12}")
    first = 0.0
    for count in (0, 4, 16, 64):

        def fill(switch: Switch, count: int = count) -> None:
            router_entries(switch)
            for number in range(count):
                switch.state.table(f"MainEgress.more_{number}").insert((Exact(2),), ActionCall("NoAction", ()))

        (switch,) = chain(with_more_tables(count), fill, 1)
        took = 1e9 / flood(switch, make_packet(64), seconds / 3)
        first = first or took
        each = f"{(took - first) / count:>12.1f}" if count else ""
        print(f"{'exact, one entry each':<40}{3 + count:>9}{1e9 / took:>14,.0f}{took:>8.0f}{each}")


def more_switches(seconds: float) -> None:
    """What other switches in the process cost those that carry packets."""
    print(f"{'other switches in the process':<40}{'switches':>9}{'packets/s':>14}{'of alone':>10}")
    program, alone = load(SAMPLES / "router.json"), 0.0
    for others in (0, 22, 64):
        idle = [Switch(100 + number, engine="native") for number in range(others)]
        for switch in idle:
            switch.set_program(program)
            router_entries(switch)
        switches = chain(program, router_entries)
        rate = flood(switches[0], make_packet(64), seconds) * HOPS
        alone = alone or rate
        print(f"{'idle':<40}{others:>9}{rate:>14,.0f}{rate / alone:>10.2f}")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter measurements, less exact")
    parser.add_argument("--full", action="store_true", help="tables of up to a million entries")
    arguments = parser.parse_args()
    seconds = 0.3 if arguments.quick else 1.5
    compile_times()
    links(seconds)
    tables(seconds)
    more_switches(seconds)
    growth(seconds, 1_000_000 if arguments.full else 10_000 if arguments.quick else 100_000)
    over_veth(seconds)


if __name__ == "__main__":
    main()
