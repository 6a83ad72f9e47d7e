"""The softswitches of a fabric in this process, their links, and the interfaces of the accelerators on them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from accelerator.host import Host
from accelerator.interface import Interface
from accelerator.scale_up import ScaleUpEndpoint
from controller.dataplane.entries import mac
from softswitch.p4runtime import Device, Server, serve
from softswitch.ports import Effects, HostPort, ImpairedPort, make_link
from softswitch.reference.trace import Event as TraceEvent
from softswitch.switch import EngineName, Switch
from topologies.plan import PortPlan, SwitchPlan
from topologies.schema import LinkEffects, Topology

CPU_PORT = 510

TraceSink = Callable[[str, TraceEvent], None]


def link_effects(config: LinkEffects) -> Effects:
    """The effects of a link as the switches' ports take them."""
    return Effects(
        delay=round(config.delay_ms * 1e6),
        jitter=round(config.jitter_ms * 1e6),
        loss=config.loss,
        duplicate=config.duplicate,
        reorder=config.reorder,
        rate=round(config.rate_mbps * 1e6),
        queue=config.queue,
        seed=config.seed,
    )


class LinkedSwitches:
    """What carries packets, without a control plane.

    Attributes, all by name:
        switches: every softswitch.
        interfaces: the accelerators' network interfaces; hosts: their IPv4 addresses; endpoints: their AccIDs.
        access_ports: the port of a switch that an accelerator is plugged into.
        interceptors: are shown each packet that a controller sends, with its switch; one that says True has taken it.
        punts, submissions: how many packets a switch has sent to its controller, and has been given by it.
    """

    def __init__(self) -> None:
        self.switches: dict[str, Switch] = {}
        self.interfaces: dict[str, Interface] = {}
        self.hosts: dict[str, Host] = {}
        self.endpoints: dict[str, ScaleUpEndpoint] = {}
        self.access_ports: dict[tuple[str, str], HostPort] = {}
        self.interceptors: list[Callable[[str, bytes], bool]] = []
        self.punts: Counter[str] = Counter()
        self.submissions: Counter[str] = Counter()

    def make(
        self,
        topology: Topology,
        plans: Mapping[str, SwitchPlan],
        stack: AsyncExitStack,
        *,
        port_status: Callable[[str], Callable[[int, bool], None]],
        trace: TraceSink | None,
        engine: EngineName,
    ) -> None:
        """Makes switches, links and accelerators as planned; `stack` closes the switches.

        `port_status`: gives what a switch tells that a port of it has gone down or come up.
        """
        for name, planned in plans.items():
            sink = None if trace is None else _sink(name, trace)
            self.switches[name] = Switch(planned.index, cpu_port=CPU_PORT, trace=sink, engine=engine)
            self.switches[name].on_port_status = port_status(name)
            stack.callback(self.switches[name].close)
        for accelerator in topology.accelerators:
            interface = self.interfaces[accelerator.name] = Interface(mac(accelerator.mac))
            if accelerator.address is not None:
                self.hosts[accelerator.name] = Host(accelerator.address, interface)
            if accelerator.scale_up_iid is not None:
                self.endpoints[accelerator.name] = ScaleUpEndpoint(accelerator.acc_id, interface)
        effects = {frozenset(one.between): link_effects(one) for one in topology.link_effects}
        for name, planned in plans.items():
            for port in planned.ports:
                if port.access:
                    self.plug(name, port, effects.get(frozenset((name, port.peer))))
                elif (name, port.number) < (port.peer, port.peer_port):
                    ends = make_link(f"{name}-{port.peer}", effects=effects.get(frozenset((name, port.peer))))
                    self.switches[name].add_port(port.number, ends[0])
                    self.switches[port.peer].add_port(port.peer_port, ends[1])

    def plug(self, switch: str, port: PortPlan, effects: Effects | None = None) -> None:
        """Connects the accelerator that a port is for."""
        interface = self.interfaces[port.peer]
        end = HostPort(f"{switch}-{port.peer}", interface.receive)
        self.switches[switch].add_port(port.number, end if effects is None else ImpairedPort(end, effects, effects))
        self.access_ports[switch, port.peer] = end
        interface.attach(end.deliver, mac(port.mac), lambda: end.is_up)

    async def serve(self, address: str, stack: AsyncExitStack) -> Server:
        """Starts the clocks of the switches, and their P4Runtime server; `stack` ends them."""
        for name, switch in self.switches.items():
            clock = asyncio.create_task(switch.run(), name=f"{name} clock")
            stack.callback(clock.cancel)
        server = await serve([self.device(name) for name in self.switches], address)
        stack.push_async_callback(server.stop)
        return server

    def device(self, name: str) -> Device:
        """The P4Runtime device of a switch; what it exchanges with its controller is counted at the switch."""
        switch = self.switches[name]
        device = Device(switch)
        up, down = switch.on_packet_in, switch.packet_out
        assert up is not None

        def packet_in(packet: bytes) -> None:
            self.punts[name] += 1
            up(packet)

        def packet_out(packet: bytes) -> None:
            self.submissions[name] += 1
            if not any(take(name, packet) for take in self.interceptors):
                down(packet)

        switch.on_packet_in = packet_in
        switch.packet_out = packet_out  # type: ignore[method-assign]
        return device


def _sink(name: str, trace: TraceSink) -> Callable[[TraceEvent], None]:
    return lambda event: trace(name, event)
