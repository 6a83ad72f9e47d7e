"""Frames of accelerators through the switches of a running fabric, in virtual time.

The switches are those of the fabric, with the program and the entries that they have; the links are taken out of its
hands: each has a rate, a delay and queues (softswitch.ports.effects), and a clock of its own says when a frame arrives.
So what is measured is what the links would take, whatever the machine takes to emulate the switches. Switches and hosts
take no time; what a switch takes may be added to the links' delay.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count

from accelerator.incc.core import Core, Settings
from accelerator.incc.membership import Member, Membership
from accelerator.incc.ways import carrier_of, place_of
from accelerator.incc.work import Work
from accelerator.rendezvous import Descriptor
from controller.dataplane.entries import mac
from softswitch.ports import Channel, Effects
from topologies.inprocess import Fabric

Deliver = Callable[[bytes], None]

NS = 1_000_000_000


class VirtualLinks:
    """The links of a fabric and the time on their clock.

    Attributes:
        now: nanoseconds. packets: that each switch has received, by its name. lost: by name of a switch, packets that
        found a queue full, and those that it sent to its controller, which does not exist here.
    """

    def __init__(self, fabric: Fabric, access: Effects, core: Effects | None = None) -> None:
        """`access`: of every link of an accelerator, in each direction; `core`: of those between switches."""
        self.now = 0
        self.packets: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._fabric = fabric
        self._access = access
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._hosts: dict[str, Deliver] = {}
        self._out: dict[tuple[str, int], Deliver] = {}
        for name, planned in fabric.plans.items():
            for port in planned.ports:
                if port.access:
                    send = self._link(name, access, partial(self._at_host, port.peer))
                else:
                    deliver = partial(self._at_switch, port.peer, port.peer_port)
                    send = self._link(name, core or access, deliver)
                self._out[name, port.number] = send

    def mac(self, accelerator: str) -> bytes:
        """The MAC address of an accelerator."""
        return self._fabric.interfaces[accelerator].mac

    def attach(self, accelerator: str, router_mac: bytes, receive: Deliver) -> Deliver:
        """Gives frames for an accelerator to `receive`; answers with how it sends to that router."""
        self._hosts[accelerator] = receive
        for name, planned in self._fabric.plans.items():
            for port in planned.ports:
                if port.peer == accelerator and mac(port.mac) == router_mac:
                    return self._link(accelerator, self._access, partial(self._at_switch, name, port.number))
        raise ValueError(f"router_mac = {router_mac.hex(':')}: {accelerator} has no link there")

    def run(self, until: Callable[[], bool]) -> bool:
        """Lets time go by while frames are under way; whether it has come to what `until` says."""
        while not until():
            if not self._events:
                return False
            self.now, _, happen = heapq.heappop(self._events)
            happen()
        return True

    def _link(self, sender: str, effects: Effects, deliver: Deliver) -> Deliver:
        channel = Channel(effects)

        def arrive() -> None:
            for frame in channel.due(self.now):
                deliver(frame)

        def send(frame: bytes) -> None:
            before = channel.counters.overflowed
            channel.offer(frame, self.now)
            if channel.counters.overflowed != before:
                self.lost[sender] += 1
            else:
                heapq.heappush(self._events, (channel.latest, next(self._numbers), arrive))

        return send

    def _at_switch(self, name: str, port: int, frame: bytes) -> None:
        self.packets[name] += 1
        for out, packet in self._fabric.switches[name].process(port, frame):
            send = self._out.get((name, out))
            if send is None:
                self.lost[name] += 1
            else:
                send(packet)

    def _at_host(self, accelerator: str, frame: bytes) -> None:
        receive = self._hosts.get(accelerator)
        if receive is not None:
            receive(frame)


class VirtualMember(Member[Work]):
    """A member of a group, over virtual links: the protocol as it is, without sockets and event loop."""

    def __init__(
        self, links: VirtualLinks, accelerator: str, descriptor: Descriptor, settings: Settings | None = None
    ) -> None:
        self.core = Core(settings)
        super().__init__(Membership(descriptor, self.core))
        self._links = links
        self._carrier = carrier_of(descriptor, links.mac(accelerator))
        self._send = links.attach(accelerator, descriptor.router_mac, self._receive)
        self.core.form(place_of(descriptor), self._carrier, self.seconds)
        self.pump()

    @property
    def seconds(self) -> float:
        """The time of the links."""
        return self._links.now / NS

    def pump(self) -> None:
        """Sends what there is to send."""
        for packet in self.core.poll_transmit(self.seconds):
            self._send(packet)

    def _submit(self, work: Work) -> Work:
        self.core.submit(work, self.seconds)
        return work

    def _receive(self, frame: bytes) -> None:
        if self._carrier.is_plain(frame):
            self.core.receive([frame], self.seconds)
            self.pump()


def run_together(links: VirtualLinks, members: list[VirtualMember], works: list[Work]) -> float:
    """Seconds on the links' clock until all have the results of works that they have submitted.

    When nothing is under way any more, time goes on to the next deadline of a member.
    """
    begun = links.now
    for member in members:
        member.pump()
    while not links.run(lambda: all(work.finished for work in works)):
        deadlines = [one for member in members if (one := member.core.next_deadline()) is not None]
        if not deadlines:
            raise RuntimeError("no packet is under way, and no member waits")
        links.now = max(links.now, round(min(deadlines) * NS) + 1)
        for member in members:
            member.pump()
    return (links.now - begun) / NS
