"""An AllReduce of all members of a group, for people: the tree, what each switch combined, and who sent how much."""

from __future__ import annotations

import asyncio

import numpy as np
from p4.v1 import p4runtime_pb2
from rich.console import Console

from accelerator.attachment import Attachment, InterfaceAttachment
from accelerator.ethernet import PacketError, decode_ethernet
from accelerator.incc.core import Settings
from accelerator.incc.group import AsyncGroup
from accelerator.incc.header import UDP_PORT
from accelerator.rendezvous import Descriptor
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation
from controller.app.collective_methods import CollectiveMethods
from controller.incc import GroupView
from controller.p4rt.entities import DirectCounter
from topologies.inprocess import Fabric

# Values of 32 bits that each accelerator has: 4 packets.
LENGTH = 256
# Seconds that a group may take to be formed, and its AllReduce.
TIMEOUT = 60.0
# A switch that traces every packet takes milliseconds for each: members that do not wait would only add to them.
PATIENT = Settings(shortest_timeout=5.0, longest_timeout=10.0)

_UDP_SOURCE = {0x0800: 20, 0x86DD: 40}  # where the source port is, behind Ethernet


def is_result(frame: bytes) -> bool:
    """Whether a frame is the result of a collective."""
    try:
        _, _, ether_type, payload = decode_ethernet(frame)
    except PacketError:
        return False
    if ether_type == ETHERTYPE_SCALE_UP:
        return payload[:1] != b"" and payload[0] & 15 == Operation.COLLECTIVE
    at = _UDP_SOURCE.get(ether_type)
    return at is not None and payload[at : at + 2] == UDP_PORT.to_bytes(2, "big")


async def members_of(fabric: Fabric, group: str, names: tuple[str, ...]) -> list[AsyncGroup]:
    """Accelerators of this process join a group. Raises TimeoutError if it is not formed."""
    for name in names:
        fabric.collectives.join(group, name)
    async with asyncio.timeout(TIMEOUT):
        while (view := fabric.collectives.manager.group(group)).state != "active":
            await fabric.collectives.change(group)
    describe = CollectiveMethods(fabric.collectives, lambda switch, peer: fabric.plans[switch].port_to(peer).mac)

    def member(name: str) -> AsyncGroup:
        def attach(descriptor: Descriptor) -> Attachment:
            return InterfaceAttachment(fabric.interfaces[name], descriptor.router_mac, is_result)

        return AsyncGroup(Descriptor.from_json(describe.descriptor(view, name)), attach, PATIENT)

    return [member(name) for name in names]


async def leave(fabric: Fabric, group: str, members: list[AsyncGroup]) -> None:
    """All members leave, so that whoever joins next begins in another generation."""
    for member in members:
        await member.close()
        fabric.collectives.leave(group, member.descriptor.members[member.rank])


async def show_all_reduce(console: Console, fabric: Fabric) -> bool:
    """An AllReduce of the topology's first group; True if everybody got the sum, or if there is no group."""
    if not fabric.topology.collectives.groups:
        return True
    config = fabric.topology.collectives.groups[0]
    members = await members_of(fabric, config.name, config.members)
    view = fabric.collectives.manager.group(config.name)
    arrays = [np.arange(LENGTH, dtype=np.int32) * (rank + 1) for rank in range(len(members))]
    try:
        handles = [member.all_reduce(array) for member, array in zip(members, arrays, strict=True)]
        async with asyncio.timeout(TIMEOUT):
            results = [await handle for handle in handles]
    except TimeoutError:
        console.print(f"group {view.name}: no result within {TIMEOUT} s", style="red")
        return False
    sent = [member.statistics.sent for member in members]
    wanted = np.sum(np.stack(arrays), axis=0, dtype=np.int32)
    right = all(np.array_equal(result, wanted) for result in results)

    size, chunks = len(members), -(-LENGTH // 64)
    console.print(
        f"\n[bold]{', '.join(view.members)} AllReduce {LENGTH} int32 each[/]: group {view.name}, EID {view.eid}"
    )
    await _show(console, fabric, view, view.root or "", 0)
    ring = 2 * (size - 1) / size * chunks
    console.print(
        f"Each accelerator sent {max(sent)} packets, {chunks} of them with values; in a ring it would send {ring:g}."
    )
    await leave(fabric, config.name, members)
    if right:
        console.print(f"[bold green]All {size} have the sum[/]")
    return right


async def _show(console: Console, fabric: Fabric, view: GroupView, switch: str, depth: int) -> None:
    branch = view.branches[switch]
    children = [child.accelerator for child in branch.members] + [child.switch for child in branch.nodes]
    role = "root" if branch.parent is None else fabric.topology.switch(switch).role
    count = await _contributions(fabric, switch)
    text = f"{'  ' * (depth + 1)}{switch} ({role}) combined {count} packets of {', '.join(children)}"
    console.print(text, markup=False)
    for child in branch.nodes:
        await _show(console, fabric, view, child.switch, depth + 1)


async def _contributions(fabric: Fabric, switch: str) -> int:
    """Contributions that a switch took, by the direct counters of `contributor`."""
    client = fabric.controls[switch].client
    query = p4runtime_pb2.Entity()
    query.direct_counter_entry.table_entry.table_id = client.codec.info.tables["contributor"].id
    cells = [cell for cell in await client.read_entities(query) if isinstance(cell, DirectCounter)]
    return sum(cell.data.packets for cell in cells)
