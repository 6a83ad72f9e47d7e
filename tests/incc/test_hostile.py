"""Two tenants with groups of the same EIDs on the same switches: whatever one sends, the other's sums stay exact.

What is hostile enters an access port while both groups are in the middle of a collective. Nothing of it leaves the
switch by any port, to the controller neither; and each packet is counted with the reason that a reader of docs/incc.md
would give.
"""

from __future__ import annotations

import asyncio
import heapq
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelerator.ethernet import ethernet
from accelerator.ip import ETHERTYPES, UDP, IpPacket, udp
from accelerator.rendezvous import Descriptor
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket
from controller.dataplane.codepoints import DropReason
from controller.dataplane.entries import mac
from softswitch.ports import Effects
from tests.fabric.observe import Observer
from tests.incc.programs import generated
from tests.incc.running import Connections
from topologies.generate import Shape
from topologies.inprocess import Fabric
from topologies.virtual_time import VirtualLinks, VirtualMember, run_together
from topologies.walk import TraceRecorder

SHAPE = Shape(name="tenants", pods=1, accelerators=8, access_per_pod=2, borders=1, fabric_switches=1, tenants=2)
COLLECTIVES = """
  domains:
    - {name: red-ip, iid: 4097, eids: [10.1.255.0/24], segment: dedicated}
    - {name: green-ip, iid: 4098, eids: [10.1.255.0/24], segment: dedicated}
    - {name: red-scale-up, iid: 8193, acc_ids: {first: 1000, last: 1255}, segment: dedicated}
    - {name: green-scale-up, iid: 8194, acc_ids: {first: 1000, last: 1255}, segment: dedicated}
"""
# On the first leaf: red's member, red's accelerator that is in no group, and green's member.
RED, STRANGER, GREEN = ("acc1", "acc2"), "acc5", ("acc3", "acc4")
LEAF, LENGTH, SLOTS = "P1-L1", 64 * 8, 64
_INCC = struct.Struct("!BBBBHHHHHHiI")


@dataclass(frozen=True, slots=True)
class Hostile:
    """A packet of an accelerator of red's; every field of the header is its own choice.

    `as_member`: red's member sends it, not the stranger. `at`: microseconds after the collectives have begun.
    """

    carrier: str
    as_member: bool
    at: int
    source: str
    source_port: int
    version: int
    kind: int
    operation: int
    flags: int
    generation: int
    group: int
    rank: int
    slot: int
    round: int
    target: int
    values: int

    def payload(self) -> bytes:
        first = self.version << 4 | self.kind
        head = (first, self.operation, self.flags, self.generation, self.group, self.rank, self.slot, self.round)
        return _INCC.pack(*head, self.target, 7, 0, 666) + struct.pack("!i", 666) * self.values


@dataclass(frozen=True, slots=True)
class Arena:
    """Both tenants' groups over one carrier, and their members, who go on from one attack to the next."""

    red: Descriptor
    green: Descriptor
    links: VirtualLinks
    members: list[VirtualMember]


class Rig:
    """The fabric with both tenants' groups, by carrier; used from one event loop."""

    def __init__(self, fabric: Fabric, arenas: dict[str, Arena]) -> None:
        self.fabric, self.arenas = fabric, arenas
        self.escaped: list[tuple[Hostile, object]] = []
        self.observer = Observer(fabric, TraceRecorder())

    def frame(self, hostile: Hostile) -> tuple[int, bytes]:
        """The port that it enters by, and its octets."""
        name = RED[0] if hostile.as_member else STRANGER
        port = self.fabric.plans[LEAF].port_to(name)
        victim = self.fabric.topology.accelerator(hostile.source)
        eid = self.arenas[hostile.carrier].green.eid
        if isinstance(eid, int):
            packet = ScaleUpPacket(victim.acc_id, eid, hostile.payload(), operation=5, next_header=1)
            kind, body = ETHERTYPE_SCALE_UP, packet.encode()
        else:
            source = ip_address(str(victim.ip))
            datagram = udp(source, eid, hostile.source_port, 49169, hostile.payload())
            kind, body = ETHERTYPES[eid.version], IpPacket(source, eid, UDP, datagram).encode()
        return port.number, ethernet(mac(port.mac), mac(victim.mac), kind, body)

    def reason(self, hostile: Hostile) -> DropReason:
        """Why it is dropped, by what docs/incc.md has of headers and of who is believed what."""
        mine = self.arenas[hostile.carrier].red
        if hostile.carrier == "scale-up" and hostile.source != (RED[0] if hostile.as_member else STRANGER):
            return DropReason.SPOOFED_SOURCE  # an AccID that is not the port's
        empty = bool(hostile.flags & 1)
        if hostile.version != 1 or hostile.kind > 2 or hostile.operation > 5 or (64, 0)[empty] != hostile.values:
            return DropReason.MALFORMED
        if hostile.group != mine.group:
            return DropReason.NOT_A_MEMBER
        if hostile.generation != mine.generation:
            return DropReason.STALE_GENERATION
        return DropReason.BAD_SLOT if hostile.slot >= SLOTS else DropReason.NOT_A_MEMBER

    async def survive(self, packets: list[Hostile], carrier: str) -> None:
        """Both groups reduce while these come."""
        arena = self.arenas[carrier]
        links, members = arena.links, arena.members
        before = await self.observer.drops(LEAF)
        self.escaped.clear()
        for number, hostile in enumerate(packets):
            at = links.now + hostile.at * 1000
            happen: Callable[[], None] = partial(self._inject, hostile)
            heapq.heappush(links._events, (at, 10**9 + number, happen))
        arrays = [np.arange(LENGTH, dtype=np.int32) * (number + 3) for number in range(len(members))]
        works = [member.all_reduce(array) for member, array in zip(members, arrays, strict=True)]
        run_together(links, members, works)
        links.run(lambda: False)
        for first in (0, 2):
            for work in works[first : first + 2]:
                np.testing.assert_array_equal(work.result, arrays[first] + arrays[first + 1])
        assert self.escaped == []
        after = await self.observer.drops(LEAF)
        own = {DropReason.REPEATED, DropReason.ABSORBED}  # members' packets that a switch keeps to itself
        counted = {reason: after[reason] - before.get(reason, 0) for reason in after.keys() - own}
        assert {reason: count for reason, count in counted.items() if count} == Counter(map(self.reason, packets))

    def _inject(self, hostile: Hostile) -> None:
        found = self.fabric.switches[LEAF].process(*self.frame(hostile))
        if found:
            self.escaped.append((hostile, found))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Rig]]:
    with asyncio.Runner() as runner:
        fabric = Fabric(generated(tmp_path_factory.mktemp("hostile"), SHAPE, COLLECTIVES))
        runner.run(fabric.__aenter__())
        yield runner, runner.run(tenants(fabric))
        runner.run(fabric.__aexit__(None, None, None))


async def tenants(fabric: Fabric) -> Rig:
    connections, arenas = Connections(fabric), {}
    for carrier in ("ip", "scale-up"):
        links = VirtualLinks(fabric, Effects(delay=50_000))
        members: list[VirtualMember] = []
        told: list[Descriptor] = []
        for color, names in (("red", RED), ("green", GREEN)):
            group = f"{color}-{carrier}"
            await connections.call(color, "create", group=group, domain=group, members=list(names), slots=SLOTS)
            joined = [Descriptor.from_json(one.descriptor) for one in await connections.join(group, list(names))]
            members += [VirtualMember(links, name, one) for name, one in zip(names, joined, strict=True)]
            told.append(joined[0])
        assert told[0].eid == told[1].eid
        assert told[0].iid != told[1].iid
        arenas[carrier] = Arena(told[0], told[1], links, members)
    await fabric.converge()
    return Rig(fabric, arenas)


@st.composite
def attacks(draw: st.DrawFn, rig: Rig) -> tuple[str, list[Hostile]]:
    """Packets near what would be believed: each field is right for red, right for green, or anything."""
    carrier = draw(st.sampled_from(["ip", "scale-up"]))
    arena = rig.arenas[carrier]
    names = [one.name for one in rig.fabric.topology.accelerators]

    def near(red: int, green: int, bits: int = 16) -> st.SearchStrategy[int]:
        return st.sampled_from([red, green, green]) | st.integers(0, 2**bits - 1)

    one = st.builds(
        Hostile,
        carrier=st.just(carrier),
        as_member=st.booleans(),
        at=st.integers(0, 1000),
        source=st.sampled_from([STRANGER, RED[0], GREEN[0]]) | st.sampled_from(names),
        source_port=st.sampled_from([50000, 49169]) | st.integers(0, 65535),
        version=st.just(1) | st.integers(0, 15),
        kind=st.sampled_from([0, 0, 1, 2]) | st.integers(0, 15),
        operation=st.just(0) | st.integers(0, 255),
        flags=st.sampled_from([0, 0, 1, 2, 4]) | st.integers(0, 255),
        generation=near(arena.red.generation, arena.green.generation, 8),
        group=near(arena.red.group, arena.green.group),
        rank=st.sampled_from([0, 1, 0x8000, 0x8001]) | st.integers(0, 65535),
        slot=st.integers(0, 8) | st.integers(0, 65535),
        round=st.integers(0, 40) | st.integers(0, 65535),
        target=st.just(65535) | st.integers(0, 65535),
        values=st.sampled_from([64, 64, 0, 1]),
    )
    # What red's member says of its own group is red's own affair.
    foreign = one.filter(lambda found: not (found.as_member and found.group == arena.red.group))
    return carrier, draw(st.lists(foreign, max_size=12))


@pytest.mark.requirement("SO-SEG-6", "SU-SEG-6")
@pytest.mark.requirement("GEN-9", "SO-SEG-5", "SU-SEG-5", partial=True)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_that_red_sends_reaches_green(rig: tuple[asyncio.Runner, Rig], data: st.DataObject) -> None:
    runner, arena = rig
    carrier, packets = data.draw(attacks(arena))
    runner.run(arena.survive(packets, carrier))
