"""The collective to compare with: a ring AllReduce over the same emulated links, as good as one can be.

Each rank sends segments to its right neighbour as UDP datagrams of full size; a datagram of one step goes on as soon as
it has come. There are no acknowledgements, nothing is lost, and adding takes no time: so a real one is slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelerator.ethernet import ethernet
from accelerator.ip import ETHERTYPES, UDP, IpPacket, udp
from softswitch.ports import Effects
from topologies.inprocess import Fabric
from topologies.virtual_time import NS, VirtualLinks

PORT = 50000
# Octets of data in a datagram of 1500 octets: without IP and UDP headers, step and number.
_DATA = 1500 - 28 - 8
_HEADERS = 42


async def warm_up(fabric: Fabric, names: Sequence[str]) -> None:
    """Neighbours have talked before: the map-caches know the way."""
    for name, right in zip(names, [*names[1:], names[0]], strict=True):
        fabric.interfaces[name].uplinks[0].send(_frame(fabric, name, right, b"hello"))
    await fabric.converge()


def _frame(fabric: Fabric, name: str, right: str, data: bytes) -> bytes:
    here, there = fabric.hosts[name].address, fabric.hosts[right].address
    packet = IpPacket(here, there, UDP, udp(here, there, PORT, PORT, data)).encode()
    interface = fabric.interfaces[name]
    return ethernet(interface.uplinks[0].router_mac, interface.mac, ETHERTYPES[here.version], packet)


def all_reduce(
    fabric: Fabric, names: Sequence[str], octets: int, access: Effects, core: Effects
) -> tuple[float, float]:
    """Seconds on the links' clock until every rank has everything, and octets that a host sends, headers included.

    Queues are as long as they have to be.
    """
    links = VirtualLinks(fabric, replace(access, queue=1 << 30), replace(core, queue=1 << 30))
    segment = -(-octets // len(names))
    lengths = [min(_DATA, segment - at) for at in range(0, segment, _DATA)]
    neighbours = zip(names, [*names[1:], names[0]], strict=True)
    ranks = [_Rank(fabric, links, name, right, lengths, 2 * (len(names) - 1)) for name, right in neighbours]
    for rank in ranks:
        for number in range(len(lengths)):
            rank.send(0, number)
    if not links.run(lambda: not any(rank.awaited for rank in ranks)):
        raise RuntimeError(f"datagrams did not come, at {dict(links.lost)}")
    return links.now / NS, ranks[0].sent


class _Rank:
    """`awaited`: datagrams that have not come yet. `sent`: octets."""

    def __init__(
        self, fabric: Fabric, links: VirtualLinks, name: str, right: str, lengths: Sequence[int], steps: int
    ) -> None:
        self.awaited, self.sent = steps * len(lengths), 0
        self._lengths, self._steps = lengths, steps
        self._fabric, self._ends = fabric, (name, right)
        self._out = links.attach(name, fabric.interfaces[name].uplinks[0].router_mac, self._receive)

    def send(self, step: int, number: int) -> None:
        """A datagram of a step to the right neighbour."""
        data = step.to_bytes(4, "big") + number.to_bytes(4, "big") + bytes(self._lengths[number])
        frame = _frame(self._fabric, *self._ends, data)
        self.sent += len(frame)
        self._out(frame)

    def _receive(self, frame: bytes) -> None:
        step, number = (int.from_bytes(frame[at : at + 4], "big") for at in (_HEADERS, _HEADERS + 4))
        self.awaited -= 1
        if step + 1 < self._steps:
            self.send(step + 1, number)
