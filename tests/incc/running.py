"""Whole fabrics with groups in them: processes' connections, failures, and questions to mapping systems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from p4.v1 import p4runtime_pb2

from controller.app.control import Session
from controller.lisp import (
    CONTROL_PORT,
    Datagram,
    Ecm,
    Eid,
    Endpoint,
    MapReply,
    MapRequest,
    RequestRecord,
    decode,
    encode,
)
from controller.p4rt.actions import Action
from controller.p4rt.entities import DirectCounter, TableEntry
from tests.incc.raw import Member
from topologies.inprocess import Fabric

_numbers = count(1)


class Connections:
    """Connections of accelerators' processes to the fabric's control socket, one for each."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.sessions: dict[str, Session] = {}

    async def call(self, name: str, method: str, **params: Any) -> Any:
        session = self.sessions.setdefault(name, Session())
        return await asyncio.wait_for(self.fabric.control_methods[f"incc.{method}"](params, session), 60)

    async def join(self, group: str, names: list[str]) -> list[Member]:
        """All of them at once, as they have to."""
        joining = (self.call(name, "join", group=group, accelerator=name) for name in names)
        descriptors = await asyncio.gather(*joining)
        return [Member(self.fabric, name, found) for name, found in zip(names, descriptors, strict=True)]

    async def renew(self, members: list[Member], group: str) -> None:
        """Every member waits for another generation than it has, and gets its descriptor."""
        waiting = (
            self.call(one.name, "wait", group=group, accelerator=one.name, generation=one.number("generation"))
            for one in members
        )
        for member, descriptor in zip(members, await asyncio.gather(*waiting), strict=True):
            member.descriptor = descriptor

    def close(self, name: str) -> None:
        """A process ends."""
        self.sessions.pop(name).close()


def cut(fabric: Fabric, switch: str, peer: str) -> None:
    """A link fails at both ends."""
    for here, there in ((switch, peer), (peer, switch)):
        if here in fabric.switches:
            port = fabric.switches[here].ports[fabric.plans[here].port_to(there).number].port
            if (here, there) in fabric.access_ports:
                fabric.access_ports[here, there].enabled = False
            else:
                port.set_enabled(False)  # type: ignore[attr-defined]
    for here in (switch, peer):
        if here in fabric.switches:
            fabric.switches[here].poll_ports()


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for something to be so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any state may be waited for
            await asyncio.sleep(0.01)


async def ask(fabric: Fabric, system: str, eid: Eid) -> MapReply:
    """A Map-Request of somebody who is no xTR, another one each time, and the answer."""
    number = next(_numbers)
    stranger = IPv4Address("198.51.100.0") + number
    answers: list[MapReply] = []

    def receive(datagram: Datagram) -> None:
        message = decode(datagram.payload)
        assert isinstance(message, MapReply)
        answers.append(message)

    fabric.network.listen(stranger, receive)
    request = encode(MapRequest(number, (stranger,), (RequestRecord.for_eid(eid),)))
    inner = Ecm(stranger, IPv4Address("192.0.2.251"), 61000, CONTROL_PORT, request)
    server = Endpoint(fabric.mapping_systems[system].address, CONTROL_PORT)
    fabric.network.send(Datagram(Endpoint(stranger, CONTROL_PORT), server, encode(inner)))
    try:
        await until(lambda: answers)
    finally:
        fabric.network.forget(stranger)
    return answers[0]


async def packets_of(fabric: Fabric, switch: str, group: int) -> int:
    """Packets of a group that a switch had to do with, by the direct counter of its entry."""
    client = fabric.controls[switch].client
    table = client.codec.info.tables["collective"].id
    entries, counters = p4runtime_pb2.Entity(), p4runtime_pb2.Entity()
    entries.table_entry.table_id = counters.direct_counter_entry.table_entry.table_id = table
    found = [one for one in await client.read_entities(entries) if isinstance(one, TableEntry)]
    mine = [one.match for one in found if isinstance(one.action, Action) and one.action.params["group"] == group]
    cells = [one for one in await client.read_entities(counters) if isinstance(one, DirectCounter)]
    return sum(cell.data.packets for cell in cells if cell.entry.match in mine)


def rlocs(fabric: Fabric, reply: MapReply) -> list[str]:
    """The RLOC-set that a Map-Reply has, by name."""
    return [fabric.name_of(one.rloc) for record in reply.records for one in record.locators if one.rloc is not None]
