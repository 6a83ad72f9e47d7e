"""Two softswitches side by side, one with the v1model program and one with TNA's on v1model."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from p4.v1 import p4runtime_pb2

from controller.dataplane.codepoints import CPU_PORT, SUBMIT, DropReason
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import CounterCell, State, TableEntry
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.target import Target
from p4src import build
from softswitch.p4runtime.device import Device
from softswitch.p4runtime.service import serve
from softswitch.switch import Switch

V1MODEL = build.HERE / "compiled" / "v1model"

_TUNNEL_PORTS = (4341, 4789, 4790)
# Each counter of a program, and what it is one of. The pipe of collectives counts what it drops by itself.
_COUNTERS = {"drops": "drops", "absorbed": "drops", "pruned_copies": "pruned_copies"}


@asynccontextmanager
async def running(
    program: Path, entries: Sequence[State], folder: Path
) -> AsyncIterator[tuple[Switch, P4RuntimeClient]]:
    """A softswitch with a program and entries, and its controller."""
    switch = Switch(1, cpu_port=CPU_PORT)
    address = f"unix:{folder}/{program.name}.sock"
    pipeline = Pipeline.from_files(program / "fabric.p4info.txtpb", program / "fabric.json")
    async with AsyncExitStack() as stack:
        server = await serve([Device(switch)], address)
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(P4RuntimeClient(Target(address, 1), pipeline))
        await client.stream.wait_primary()
        await client.set_pipeline()
        defaults = [entry for entry in entries if isinstance(entry, TableEntry) and entry.is_default]
        await client.insert(*(entry for entry in entries if entry not in defaults))
        if defaults:
            await client.modify(*defaults)
        yield switch, client


async def dropped(client: P4RuntimeClient) -> Counter[tuple[str, DropReason]]:
    """Packets, and copies that were not made, by reason; both that a damaged header may be dropped for are one."""
    found: Counter[tuple[str, DropReason]] = Counter()
    for name, of in _COUNTERS.items():
        if name not in client.codec.info.counters:
            continue
        counter = p4runtime_pb2.CounterEntry(counter_id=client.codec.info.counters[name].id)
        for cell in await client.read_entities(p4runtime_pb2.Entity(counter_entry=counter)):
            if isinstance(cell, CounterCell) and cell.data.packets:
                reason = DropReason(cell.index)
                kind = DropReason.MALFORMED if reason is DropReason.BAD_CHECKSUM else reason
                found[of, kind] += cell.data.packets
    return found


def submitted(frame: bytes, iid: int) -> tuple[int, bytes]:
    """What the controller gives to ingress, as if an accelerator of `iid` had sent it: port and packet."""
    return CPU_PORT, bytes((0, 0, SUBMIT)) + iid.to_bytes(3, "big") + frame


def in_tunnel_over_ipv6(frame: bytes) -> bool:
    """Is it a frame to the underlay, with a tunnel over IPv6?"""
    into_tunnel = frame[12:14] == b"\x86\xdd" and len(frame) > 62 and frame[20] == 17
    return into_tunnel and int.from_bytes(frame[56:58], "big") in _TUNNEL_PORTS


def in_tunnel_over_ipv4(frame: bytes) -> bool:
    """The same over IPv4."""
    into_tunnel = frame[12:14] == b"\x08\x00" and len(frame) > 42 and frame[23] == 17
    return into_tunnel and int.from_bytes(frame[36:38], "big") in _TUNNEL_PORTS


def compared(outputs: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Without the flow labels of tunnels over IPv6."""
    found = []
    for port, packet in outputs:
        octets = bytearray(packet)
        if port != CPU_PORT and in_tunnel_over_ipv6(packet):
            octets[15:18] = bytes((octets[15] & 0xF0, 0, 0))
        found.append((port, bytes(octets)))
    return sorted(found)
