"""How fast the reference engine routes IPv4, against a router written by hand for just that.

Run `python bench/bench_softswitch.py [--quick]`. Rates depend on the machine; the ratios are the result. The limit is
plain Python that does to the packet what the P4 program does: checks and rewrites Ethernet, IPv4 and UDP, looks up the
longest prefix and the next hop, and computes both checksums.
"""

from __future__ import annotations

import argparse
import struct
import timeit
from collections.abc import Callable
from pathlib import Path

from softswitch.program import load_program
from softswitch.reference import Event
from softswitch.state import ActionCall, Exact, Lpm
from softswitch.switch import EngineName, Switch

PROGRAM = Path(__file__).resolve().parents[1] / "tests/softswitch/engine/programs/compiled/router.json"
ROUTES = 1000
SIZES = (64, 1500)
_ETHERNET, _IPV4, _UDP = struct.Struct("!6s6sH"), struct.Struct("!BBHHHBBH4s4s"), struct.Struct("!HHHH")


def prefixes() -> list[tuple[int, int]]:
    """Prefixes of three lengths, and the one that holds the packets' destination."""
    return [(0x0A000000, 8), *((0x0A010000 + (i << 8), 24) for i in range(ROUTES - 2)), (0x0A010203, 32)]


def make_switch(trace: Callable[[Event], None] | None = None, engine: EngineName = "reference") -> Switch:
    """The router with its tables filled."""
    switch = Switch(0, trace=trace, engine=engine)
    switch.set_program(load_program(PROGRAM.read_bytes()))
    routes, next_hops = switch.state.table("MainIngress.routes"), switch.state.table("MainIngress.next_hops")
    for hop, (prefix, length) in enumerate(prefixes()):
        routes.insert((Lpm(prefix, length),), ActionCall("MainIngress.route_to", (hop,)))
        next_hops.insert((Exact(hop),), ActionCall("MainIngress.forward", (hop % 8, 0x020000000000 + hop)))
    return switch


def checksum(data: bytes) -> int:
    """RFC 1071, of data that is not all zeros."""
    if len(data) % 2:
        data += b"\0"
    return -int.from_bytes(data) % 0xFFFF


def make_packet(size: int) -> bytes:
    """A UDP packet of that many octets, Ethernet included."""
    payload = bytes(i & 0xFF for i in range(size - 42))
    addresses = bytes.fromhex("c0000201 0a010203")
    header = _IPV4.pack(0x45, 0, size - 14, 1, 0, 64, 17, 0, addresses[:4], addresses[4:])
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    return _ETHERNET.pack(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 0x0800) + header + _UDP.pack(7, 9, size - 34, 0) + payload


class HandWritten:
    """The limit: a router for this one task."""

    def __init__(self) -> None:
        self.routes: dict[int, dict[int, int]] = {}
        for hop, (prefix, length) in enumerate(prefixes()):
            self.routes.setdefault(length, {})[prefix >> 32 - length] = hop
        self.lengths = sorted(self.routes, reverse=True)
        self.next_hops = {hop: (hop % 8, (0x020000000000 + hop).to_bytes(6)) for hop in range(ROUTES)}

    def process(self, packet: bytes) -> tuple[int, bytes] | None:
        """The egress port and the packet, or None."""
        _, source, kind = _ETHERNET.unpack_from(packet)
        head, tos, total, ident, fragment, ttl, protocol, _, sender, target = _IPV4.unpack_from(packet, 14)
        if kind != 0x0800 or head != 0x45 or ttl < 2 or protocol != 17 or checksum(packet[14:34]) != 0:
            return None
        destination = int.from_bytes(target)
        for length in self.lengths:
            hop = self.routes[length].get(destination >> 32 - length)
            if hop is not None:
                break
        else:
            return None
        port, mac = self.next_hops[hop]
        header = _IPV4.pack(head, tos, total, ident, fragment, ttl - 1, protocol, 0, sender, target)
        header = header[:10] + checksum(header).to_bytes(2) + header[12:]
        sport, dport, octets, _ = _UDP.unpack_from(packet, 34)
        payload = packet[42:]
        pseudo = struct.pack("!4s4sBBHHHH", sender, target, 0, protocol, octets, sport, dport, octets)
        udp = _UDP.pack(sport, dport, octets, checksum(pseudo + payload))
        return port, _ETHERNET.pack(mac, source, kind) + header + udp + payload


def rate(function: Callable[[], object], seconds: float) -> float:
    """Calls per second, best of three."""
    timer = timeit.Timer(function)
    count = max(1, int(seconds / 3 * 20 / timer.timeit(20)))
    return count / min(timer.repeat(3, count))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter measurements, less exact")
    seconds = 0.3 if parser.parse_args().quick else 3.0
    events: list[Event] = []
    switch, traced, limit = make_switch(), make_switch(events.append), HandWritten()
    native = make_switch(engine="native")

    def with_trace(packet: bytes) -> object:
        events.clear()
        return traced.process(1, packet)

    print(f"{'packets per second':<28}{'octets':>8}{'rate':>12}{'of limit':>10}")
    for size in SIZES:
        packet = make_packet(size)
        by_hand = limit.process(packet)
        if switch.process(1, packet) != [by_hand]:
            raise SystemExit("the engine and the hand-written router disagree")
        best = rate(lambda packet=packet: limit.process(packet), seconds)  # type: ignore[misc]
        for name, function in (
            ("native engine, one by one", lambda packet=packet: native.process(1, packet)),
            ("reference engine", lambda packet=packet: switch.process(1, packet)),
            ("reference engine, traced", lambda packet=packet: with_trace(packet)),
        ):
            measured = rate(function, seconds)
            print(f"{name:<28}{size:>8}{measured:>12,.0f}{measured / best:>10.3f}")
        print(f"{'written by hand (limit)':<28}{size:>8}{best:>12,.0f}{1:>10.3f}")


if __name__ == "__main__":
    main()
