"""Members of groups as bytes on ports: what is sent and received is put together and taken apart here, by hand."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

from accelerator.ethernet import ethernet
from accelerator.ip import ETHERTYPES, UDP, IpPacket, decode_ip, udp
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket
from topologies.inprocess import Fabric

PORT = 49169
EVERYBODY = 0xFFFF
_HEADER = struct.Struct("!BBBBHHHHHHiI")


@dataclass(frozen=True, slots=True)
class Incc:
    """The header of docs/incc.md and its values."""

    kind: int
    group: int
    generation: int
    rank: int
    slot: int
    round: int
    values: tuple[int, ...] = ()
    operation: int = 0
    target: int = EVERYBODY
    flags: int = 0

    def encode(self) -> bytes:
        flags = self.flags | (0 if self.values else 1)
        head = _HEADER.pack(
            0x10 | self.kind, self.operation, flags, self.generation, self.group, self.rank, self.slot, self.round,
            self.target, 7, 0, 0,
        )  # fmt: skip
        return head + struct.pack(f"!{len(self.values)}i", *self.values)

    @classmethod
    def decode(cls, octets: bytes) -> Incc:
        first, operation, flags, generation, group, rank, slot, round_, target, *_ = _HEADER.unpack_from(octets)
        rest = octets[_HEADER.size :]
        values = struct.unpack(f"!{len(rest) // 4}i", rest)
        return cls(first & 15, group, generation, rank, slot, round_, values, operation, target, flags)


@dataclass
class Member:
    """One accelerator in a group, by its descriptor. `results`: what came for it, from the group's EID."""

    fabric: Fabric
    name: str
    descriptor: dict[str, object]
    results: list[Incc] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.descriptor["carrier"] == "scale-up":
            self.fabric.endpoints[self.name].on_packet = self._scale_up
        else:
            host = self.fabric.hosts[self.name]
            self.fabric.interfaces[self.name].handle(ETHERTYPES[host.address.version], self._ip)

    def number(self, field_: str) -> int:
        value = self.descriptor[field_]
        assert isinstance(value, int)
        return value

    def contribution(self, slot: int, round_: int, values: tuple[int, ...]) -> Incc:
        return Incc(0, self.number("group"), self.number("generation"), self.number("rank"), slot, round_, values)

    def send(self, packet: Incc, *, at: str | None = None) -> None:
        """Sends a packet to the group's EID, to the router of the descriptor, or to the switch `at`."""
        interface = self.fabric.interfaces[self.name]
        mac = str(self.descriptor["router_mac"]) if at is None else self.fabric.plans[at].port_to(self.name).mac
        router = bytes.fromhex(mac.replace(":", ""))
        uplink = next(one for one in interface.uplinks if one.router_mac == router)
        uplink.send(ethernet(router, interface.mac, *self._payload(packet)))

    def _payload(self, packet: Incc) -> tuple[int, bytes]:
        eid, own = self.descriptor["eid"], self.descriptor["address"]
        if isinstance(eid, int) and isinstance(own, int):
            return ETHERTYPE_SCALE_UP, ScaleUpPacket(own, eid, packet.encode(), operation=5, next_header=1).encode()
        source, destination = ip_address(str(own)), ip_address(str(eid))
        body = udp(source, destination, 50000, PORT, packet.encode())
        return ETHERTYPES[source.version], IpPacket(source, destination, UDP, body).encode()

    def _scale_up(self, packet: ScaleUpPacket) -> None:
        if (packet.operation, packet.next_header, packet.source) == (5, 1, self.descriptor["eid"]):
            self.results.append(Incc.decode(packet.payload))

    def _ip(self, payload: bytes) -> None:
        packet = decode_ip(payload)
        ports = struct.unpack_from("!HH", packet.payload)
        if str(packet.source) == self.descriptor["eid"] and ports[0] == PORT:
            length = int.from_bytes(packet.payload[4:6], "big")
            self.results.append(Incc.decode(packet.payload[8:length]))

    def result(self, slot: int, round_: int) -> Incc | None:
        """What came for a slot in a round, of the generation that the member is in."""
        for found in reversed(self.results):
            if (found.slot, found.round, found.generation) == (slot, round_, self.number("generation")):
                return found
        return None


async def all_reduce(members: list[Member], slot: int = 0, round_: int = 1, seconds: float = 60.0) -> list[Incc]:
    """Each contributes 64 values, again and again until it has the result; what each of them got."""

    def values(member: Member) -> tuple[int, ...]:
        return tuple(1000 * (member.number("rank") + 1) + index for index in range(64))

    async with asyncio.timeout(seconds):
        while missing := [member for member in members if member.result(slot, round_) is None]:
            for member in missing:
                member.send(member.contribution(slot, round_, values(member)))
            await asyncio.sleep(0.02)
    return [found for member in members if (found := member.result(slot, round_)) is not None]


def total(size: int) -> tuple[int, ...]:
    """The sum that `all_reduce` has to give with so many members."""
    return tuple(500 * size * (size + 1) + size * index for index in range(64))
