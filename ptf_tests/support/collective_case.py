"""Three members of a collective on the ports of one switch, its root: what tests of collectives begin with."""

from __future__ import annotations

import random
from ipaddress import ip_address

from scapy.packet import Packet

from controller.dataplane.addresses import AccId, Endpoint
from controller.dataplane.codepoints import CollectiveKind, Domain, DropReason, Encapsulation
from controller.dataplane.entries import access_port, instance
from controller.p4rt.entities import State
from ptf_tests.support.base import FabricTest
from ptf_tests.support.collectives import EVERYBODY, VALUES, Group, Incc, Member, carried, clear
from ptf_tests.support.packets import arriving, leaving
from ptf_tests.support.scenario import BLUE, BLUE_UP, OWN, RED, RED_UP, SITE, dual_stack_xtr

GROUP = 7
PORTS = (1, 2, 6)
BLUE_MEMBER = 5
GROUP_EIDS: dict[str, Endpoint] = {
    "Scale-Up": AccId(0x0FFF0001),
    "IPv4": ip_address("10.0.255.1"),
    "IPv6": ip_address("fd00:10::ff:1"),
}


def member_address(carrier: str, port: int) -> Endpoint:
    """The EID of the accelerator on `port`."""
    if carrier == "Scale-Up":
        return AccId(0x700 + port)
    return ip_address(f"10.0.0.{port}" if carrier == "IPv4" else f"fd00:10::{port}")


def iid_of(carrier: str) -> int:
    """RED's Instance-ID for this carrier."""
    return RED_UP if carrier == "Scale-Up" else RED


def numbers(chance: random.Random) -> tuple[int, ...]:
    """Values of any size, the ends of the range among them."""
    ends = [0, 1, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF]
    return tuple(
        chance.choice(ends) if lane % 4 == 0 else chance.randrange(1 << chance.randrange(1, 33))
        for lane in range(VALUES)
    )


class CollectiveTest(FabricTest):
    """A switch with three members of RED on its ports, and one accelerator of BLUE."""

    carrier = "Scale-Up"

    def setUp(self) -> None:
        """Attaches the accelerators and installs a group."""
        super().setUp()
        self.chance = random.Random(type(self).__name__)
        ports = [access_port(port, SITE, RED, scale_up_iid=RED_UP, acc_id=AccId(0x700 + port)) for port in PORTS]
        self.write(
            *(
                entry
                for entry in dual_stack_xtr(Encapsulation.VXLAN_GPE)
                if entry.key() not in {p.key() for p in ports}
            ),
            *(entry for entry in ports),
            instance(BLUE, Encapsulation.VXLAN_GPE, False),
            instance(BLUE_UP, Encapsulation.VXLAN_GPE, False, domain=Domain.SCALE_UP),
        )
        self.use(self.carrier)

    def use(self, carrier: str, **other: object) -> None:
        """Members talk by `carrier` from now on; every cell of the group is empty."""
        self.carrier = carrier
        self.group = self.made(carrier, **other)
        self.clear_cells(self.group)
        self.write(*self.entries(self.group))

    def made(self, carrier: str, **other: object) -> Group:
        """The group of the three members."""
        members = tuple(Member(rank, port, member_address(carrier, port)) for rank, port in enumerate(PORTS))
        return Group(iid_of(carrier), GROUP_EIDS[carrier], members, OWN, **other)  # type: ignore[arg-type]

    def entries(self, wanted: Group) -> list[State]:
        """What the switch is told of a group."""
        return wanted.entries()

    def clear_cells(self, wanted: Group) -> None:
        """As the group manager does."""
        cells = range(2 * wanted.first_slot, 2 * (wanted.first_slot + wanted.slots))
        with self.drops(DropReason.SLOT_CLEARED, len(cells)):
            for cell in cells:
                self.submit(RED_UP, arriving(PORTS[0], clear(cell)))

    def frame(self, rank: int, packet: Incc | bytes, *, port: int | None = None) -> Packet:
        """A packet of the member of that rank."""
        at = PORTS[rank] if port is None else port
        return arriving(
            at, carried(packet, member_address(self.carrier, at), self.group.eid, sport=50000, checksum=None)
        )

    def contribute(self, packet: Incc, *, port: int | None = None) -> None:
        """The member whose rank is in a packet sends it."""
        at = PORTS[packet.rank] if port is None else port
        self.send(at, self.frame(packet.rank, packet, port=at))

    def result(self, rank: int, packet: Incc) -> Packet:
        """`packet` as a result for a member, as it leaves through its port."""
        made = packet.but(kind=CollectiveKind.RESULT, rank=rank)
        if packet.target not in (EVERYBODY, rank):
            made = made.but(values=(), flags=packet.flags)
        return leaving(PORTS[rank], carried(made, self.group.eid, member_address(self.carrier, PORTS[rank])))

    def absorbed(self, *packets: Incc) -> None:
        """Members send these, and nothing comes of them yet."""
        with self.drops(DropReason.ABSORBED, len(packets)):
            for packet in packets:
                self.contribute(packet)

    def released(self, last: Incc, result: Incc) -> None:
        """With the last contribution each member gets its result."""
        self.contribute(last)
        self.expect_results(result)

    def expect_results(self, result: Incc) -> None:
        """Each member gets it, in any order."""
        found = {port: bytes(frame) for port, frame in (self.receive_anywhere() for _ in PORTS)}
        self.assertEqual(found.keys(), set(PORTS))
        for rank, port in enumerate(PORTS):
            self.assertEqual(found[port].hex(), bytes(self.result(rank, result)).hex(), f"port {port}")

    def refused(self, reason: DropReason, port: int, frame: Packet) -> None:
        """A packet is dropped for a reason."""
        with self.drops(reason):
            self.send(port, frame)

    def round_with(self, packets: list[Incc], result: Incc) -> None:
        """All contribute, and all get the result."""
        self.absorbed(*packets[:-1])
        self.released(packets[-1], result)
