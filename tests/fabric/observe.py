"""What a test of a whole fabric sees: control messages on UDP 4342, frames on ports, state dumps, table entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from p4.v1 import p4runtime_pb2

from controller.app.describe import unwrap
from controller.app.network import Recorded
from controller.lisp import DecodeError, DistinguishedName, Eid, EidRecord, Message
from controller.p4rt.entities import DirectCounter, TableEntry
from controller.p4rt.matches import Exact, Lpm
from topologies.inprocess import Fabric
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.walk import Hop, TraceRecorder

FIGURE1 = Path(__file__).resolve().parents[2] / "topologies" / "figure1.yaml"
IID = 4097
SCALE_UP_IID = 8193


def eid(prefix: str) -> Eid:
    """An EID of the tenant of Figure 1."""
    return Eid.of(IID, IPv4Network(prefix))


def acc(pod: str, number: int) -> Eid:
    """An accelerator of Figure 1 by its name in the mapping system of its PoD."""
    return Eid(SCALE_UP_IID, DistinguishedName(f"POD-{pod}-AccID-{number}"))


@dataclass(frozen=True, slots=True)
class Seen:
    """A control message that passed, with the names of its ends."""

    source: str
    destination: str
    message: Message
    encapsulated: bool
    item: Recorded

    @property
    def nonce(self) -> int:
        """Its nonce; -1 for a message without one."""
        return int(getattr(self.message, "nonce", -1))

    @property
    def records(self) -> tuple[EidRecord, ...]:
        """Its EID-records; none for a Map-Request."""
        records = getattr(self.message, "records", ())
        return tuple(record for record in records if isinstance(record, EidRecord))

    def record(self, wanted: Eid) -> EidRecord | None:
        """Its EID-record for exactly this EID."""
        return next((record for record in self.records if record.key == wanted), None)


def figure1(tmp_path: Path | None = None, *changes: tuple[str, str]) -> Topology:
    """Figure 1, with texts of its file replaced."""
    if tmp_path is None:
        return load(FIGURE1)
    text = FIGURE1.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "changed.yaml"
    file.write_text(text)
    return load(file)


class Observer:
    """A fabric under test.

    Attributes:
        fabric: the fabric; recorder: the traces of its switches.
    """

    def __init__(self, fabric: Fabric, recorder: TraceRecorder) -> None:
        self.fabric = fabric
        self.recorder = recorder

    def seen(self, since: int = 0) -> list[Seen]:
        """The control messages since a mark; what is none is left out."""
        found = []
        for item in list(self.fabric.network.record)[since:]:
            try:
                message, encapsulated = unwrap(item.datagram)
            except DecodeError:
                continue
            source = self.fabric.name_of(item.datagram.source.address)
            destination = self.fabric.name_of(item.datagram.destination.address)
            found.append(Seen(source, destination, message, encapsulated, item))
        return found

    def mark(self) -> int:
        """How many control messages have passed."""
        return len(self.fabric.network.record)

    def sent(
        self, kind: type[Message], source: str | None = None, destination: str | None = None, since: int = 0
    ) -> list[Seen]:
        """Messages of one type between two named ends."""
        return [
            seen
            for seen in self.seen(since)
            if isinstance(seen.message, kind)
            and source in (None, seen.source)
            and destination in (None, seen.destination)
        ]

    async def settle(self) -> None:
        """Lets everything that is under way arrive."""
        await asyncio.sleep(0.05)
        await self.fabric.converge()

    async def walk(self, source: str, destination: str, *, port: int = 40000, count: int = 1) -> list[Hop]:
        """Sends UDP packets from an accelerator, each a flow of its own; returns the hops of all of them."""
        self.recorder.take()
        self.recorder.on = True
        for number in range(count):
            self.fabric.hosts[source].send_udp(IPv4Address(destination), port + number, 4791, b"payload")
        await self.settle()
        self.recorder.on = False
        return self.recorder.take()

    async def resolve(self, source: str, destination: str) -> None:
        """Lets the accelerator's router resolve a destination: of a burst before that only a few packets are kept."""
        await self.walk(source, destination, port=39999)

    def locators(self, switch: str, prefix: str | Eid) -> list[str] | None:
        """The RLOC-set of exactly this EID-prefix in a router's map-cache, by name; None without an entry."""
        wanted = eid(prefix) if isinstance(prefix, str) else prefix
        for entry in self.fabric.routers[switch].machine.map_cache():
            if entry.eid == wanted:
                return [self.fabric.name_of(locator.rloc) for locator in entry.locators]
        return None

    async def entries(self, switch: str, table: str) -> list[TableEntry]:
        """The entries of a table, read from the switch over P4Runtime."""
        client = self.fabric.controls[switch].client
        query = p4runtime_pb2.Entity()
        query.table_entry.table_id = client.codec.info.tables[table].id
        return [entity for entity in await client.read_entities(query) if isinstance(entity, TableEntry)]

    async def scale_up(self, source: str, destination: int, *, entropy: int = 1, count: int = 1) -> list[Hop]:
        """Sends Scale-Up messages from an accelerator, each a flow of its own; returns the hops of all of them."""
        self.recorder.take()
        self.recorder.on = True
        for number in range(count):
            self.fabric.endpoints[source].send_message(destination, b"payload", entropy=entropy + number)
        await self.settle()
        self.recorder.on = False
        return self.recorder.take()

    async def hits(self, switch: str, prefix: str) -> int:
        """Packets that hit the entry for exactly this EID-prefix, by the switch's direct counter."""
        network = IPv4Network(prefix)
        match = {"iid": Exact(IID), "eid": Lpm.network(network)}
        client = self.fabric.controls[switch].client
        query = p4runtime_pb2.Entity()
        query.direct_counter_entry.table_entry.table_id = client.codec.info.tables["scale_out_ipv4"].id
        counters = [cell for cell in await client.read_entities(query) if isinstance(cell, DirectCounter)]
        return sum(cell.data.packets for cell in counters if cell.entry.match == match)

    async def drops(self, switch: str) -> dict[int, int]:
        """Packets dropped at a switch, by reason; reasons without a drop are left out."""
        client = self.fabric.controls[switch].client
        query = p4runtime_pb2.Entity()
        query.counter_entry.counter_id = client.codec.info.counters["drops"].id
        cells = [entity async for entity in client.read(query)]
        counts = {cell.counter_entry.index.index: cell.counter_entry.data.packet_count for cell in cells}
        return {reason: packets for reason, packets in counts.items() if packets}


def way(hops: Iterable[Hop]) -> list[str]:
    """The switches of a walk in order, each pass once."""
    return [hop.switch for hop in hops]


def outer_destinations(hops: Iterable[Hop], switch: str) -> list[IPv4Address]:
    """The outer (or only) IPv4 destination of every frame that a switch sent to another switch or host."""
    return [IPv4Address(frame[30:34]) for hop in hops if hop.switch == switch for port, frame in hop.sent if port < 500]


@asynccontextmanager
async def observed(topology: Topology) -> AsyncIterator[Observer]:
    """Brings a fabric up for a test."""
    recorder = TraceRecorder()
    async with Fabric(topology, trace=recorder) as fabric:
        yield Observer(fabric, recorder)
