"""A whole fabric in one process and one event loop: switches, mapping systems, routers and accelerators. Needs no root.

The switches are softswitches linked in memory, each a P4Runtime device of one server on a Unix socket; the routers'
control planes reach them through that socket as they would reach any other switch.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType

from controller.app.collective_methods import PATIENCE, CollectiveMethods
from controller.app.collectives import Collectives
from controller.app.control import Method
from controller.app.mapping_system import MappingSystem
from controller.app.network import InProcessNetwork
from controller.app.pauses import none_while_building
from controller.app.router import Router
from controller.app.switch_control import SwitchControl
from controller.dataplane.collective_limits import collective_limits, common_values
from controller.dataplane.entries import NextHop
from controller.incc import GroupStore, Home, MemoryGroupStore
from controller.lisp import IPAddress
from controller.mapping import MapServerConfig, MemoryStore, Store
from controller.p4rt.target import Target
from controller.xtr.nonces import MemoryNonceStore
from softswitch.p4runtime import Server
from softswitch.switch import EngineName
from topologies.collectives import manager_of
from topologies.linked_switches import LinkedSwitches, TraceSink
from topologies.plan import PortPlan, SwitchPlan, plan, port_mac
from topologies.program import fabric_pipeline
from topologies.roles import (
    eids_of,
    group_of,
    mapping_systems,
    names_of,
    xtr_config,
)
from topologies.schema import GroupConfig, ScaleUpGroupConfig, Topology
from topologies.switch_tables import initial_tables, next_hop

# A large fabric on a busy machine may take as long to come up.
_START_SECONDS = 300.0

# Seconds between looks at whether the control plane has come to rest.
_POLL = 0.02


class NotConvergedError(Exception):
    """The fabric did not come to rest in time; the text says what is still waiting for what."""


class Fabric:
    """A running fabric; an async context manager that brings it up and takes it down.

    Attributes, all by name:
        linked: the softswitches and what is plugged into them; switches, interfaces, hosts, endpoints, access_ports
        and interceptors are its own.
        controls: the control of each switch; routers: the xTRs; mapping_systems: the Map-Servers.
        attached: the access routers that each accelerator is up on.
        failed: the xTRs and Map-Servers that do not run.
        collectives: the groups whose collectives the switches compute.
        network: what the control messages travel through, with a record of them.
        p4runtime: address of the switches' P4Runtime server; server: itself.
        control_methods: what the fabric's parts offer on its control socket, by name; filled while it is brought up.
    """

    def __init__(
        self,
        topology: Topology,
        trace: TraceSink | None = None,
        p4runtime: str | None = None,
        engine: EngineName = "auto",
        groups: GroupStore | None = None,
    ) -> None:
        """What to bring up.

        `trace`: is given the name of a switch and an event for everything that happens to a packet there. `p4runtime`:
        where the P4Runtime server listens, `host:port` or `unix:path`; None for a socket that nobody else knows of.
        `engine`: what carries packets, as a switch takes it. `groups`: what keeps the groups of collectives, also those
        of a fabric before this one; None for memory.
        """
        self.topology = topology
        self.plans: dict[str, SwitchPlan] = plan(topology)
        self.network = InProcessNetwork()
        self.linked = linked = LinkedSwitches()
        self.switches = linked.switches
        self.controls: dict[str, SwitchControl] = {}
        self.routers: dict[str, Router] = {}
        self.mapping_systems: dict[str, MappingSystem] = {}
        self.interfaces = linked.interfaces
        self.hosts = linked.hosts
        self.endpoints = linked.endpoints
        self.access_ports = linked.access_ports
        self._trace = trace
        self._engine: EngineName = engine
        self.p4runtime = p4runtime or ""
        self.control_methods: dict[str, Method] = {}
        self.interceptors = linked.interceptors
        self.failed: set[str] = set()
        self._running: dict[str, Router] = {}
        self.server: Server
        self.collectives: Collectives
        self.attached: dict[str, list[str]] = {accelerator.name: [] for accelerator in topology.accelerators}
        self._joined: dict[str, list[GroupConfig | ScaleUpGroupConfig]] = {name: [] for name in self.attached}
        self._stores: dict[str, Store] = {}
        self._nonces: dict[str, MemoryNonceStore] = {}
        self._group_store = groups if groups is not None else MemoryGroupStore()
        self._stack = AsyncExitStack()
        self._controllers = AsyncExitStack()
        self._names = self._addresses()

    def name_of(self, address: IPAddress) -> str:
        """The name of whoever has an RLOC or Map-Server address; the address itself where nobody has it."""
        return self._names.get(address, str(address))

    async def __aenter__(self) -> Fabric:
        try:
            with none_while_building():
                await self._bring_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def pod_of(self, accelerator: str) -> str:
        """The PoD that an accelerator belongs to."""
        return self.topology.switch(self.topology.accelerator(accelerator).attached_to[0]).pod or ""

    def elsewhere(self) -> set[str]:
        """The accelerators that are other processes; none unless links to them have been opened."""
        return set()

    async def converge(self, seconds: float = 30.0) -> None:
        """Waits until no message is under way or awaited and every switch has what it shall have.

        Raises NotConvergedError.
        """
        waiting: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    waiting = self._waiting()
                    for control in self.controls.values():
                        await control.settled()
                    # What the control planes came to rest with may have been on its way to the switches until now.
                    if not waiting and not self._waiting():
                        break
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise NotConvergedError(f"after {seconds} s: {'; '.join(waiting[:5])}") from None
        if failures := [f"{name}: {f}" for name, c in self.controls.items() for f in c.writer.failures()]:
            raise NotConvergedError("; ".join(failures[:5]))

    def attach(self, accelerator: str, *switches: str) -> None:
        """An accelerator comes up on some of its access routers, by default on all that its cables lead to.

        Where it has no cable yet, it gets one. Raises ValueError for a switch that is no access router of its PoD, or
        that has failed.
        """
        config = self.topology.accelerator(accelerator)
        wanted = switches or self._cables(accelerator)
        for switch in wanted:
            self._require_access(accelerator, switch)
        for switch in wanted:
            if switch not in self._cables(accelerator):
                self._plug_in(accelerator, switch)
            self._enable(accelerator, switch)
        here = self.attached[accelerator]
        here += [switch for switch in wanted if switch not in here]
        rlocs = (self.topology.switch(switch).rloc for switch in here)
        cabled = tuple(rloc for rloc in rlocs if rloc is not None)
        for switch in here:
            if switch not in self.failed:
                for eid in eids_of(self.topology, config):
                    self.routers[switch].attach(eid, next_hop(self.plans[switch].port_to(accelerator)), cabled)
            self.collectives.attached(accelerator, Home(switch, self.plans[switch].port_to(accelerator).number))
        for group in self._joined[accelerator]:
            for switch in wanted:
                self.routers[switch].join(self.plans[switch].port_to(accelerator).number, group_of(group))

    def detach(self, accelerator: str, switch: str) -> None:
        """An accelerator leaves one of its access routers; its cable stays where it is."""
        if switch in self.attached[accelerator]:
            self.attached[accelerator].remove(switch)
        if switch not in self.failed:
            for eid in eids_of(self.topology, self.topology.accelerator(accelerator)):
                self.routers[switch].detach(eid)
        self.collectives.detached(accelerator, switch)

    def join(self, accelerator: str, group: GroupConfig | ScaleUpGroupConfig) -> None:
        """An accelerator wants what is sent to a group."""
        self._receive_group(accelerator, group)
        self._joined[accelerator].append(group)
        for switch in self.attached[accelerator]:
            self.routers[switch].join(self.plans[switch].port_to(accelerator).number, group_of(group))

    def leave(self, accelerator: str, group: GroupConfig | ScaleUpGroupConfig) -> None:
        """An accelerator wants a group no more. What still comes, it refuses."""
        if isinstance(group, ScaleUpGroupConfig):
            self.endpoints[accelerator].groups.discard(group.number)
        else:
            self.hosts[accelerator].groups.discard(group.address)
        if group in self._joined[accelerator]:
            self._joined[accelerator].remove(group)
        for switch in self.attached[accelerator]:
            self.routers[switch].leave(self.plans[switch].port_to(accelerator).number, group_of(group))

    def start_mapping_system(self, name: str, config: MapServerConfig | None = None) -> None:
        """A Map-Server begins with what its store has, the first time with nothing. It must not be running."""
        wanted = config or dict(mapping_systems(self.topology))[name]
        system = MappingSystem(name, wanted, self.network, self._stores[name])
        self.mapping_systems[name] = system
        self.failed.discard(name)
        system.listen()
        system.perform(())  # what it was about to say when it ended is due now

    def stop_mapping_system(self, name: str) -> None:
        """A Map-Server ends without a word; what it knew stays in its store."""
        system = self.mapping_systems[name]
        self.failed.add(name)
        self.network.forget(system.address)
        system.stop()

    def start_router(self, name: str) -> None:
        """The control plane of an xTR begins, with nothing but the nonces of its last life. It must not be running."""
        switch, control = self.topology.switch(name), self.controls[name]
        assert switch.pod is not None
        router = Router(
            name,
            xtr_config(self.topology, switch),
            self.network,
            control,
            names=names_of(self.topology.pod(switch.pod)),
            scale_up_iids=self.topology.instance_ids("scale-up"),
            nonces=self._nonces[name],
        )
        self.routers[name] = self._running[name] = router
        self.failed.discard(name)
        router.start()
        self.collectives.router_started(name)

    def stop_router(self, name: str) -> None:
        """The control plane of an xTR ends without a word. Its switch goes on with the tables that it has."""
        router = self.routers[name]
        self.failed.add(name)
        del self._running[name]
        self.network.forget(router.address)
        router.control.on_packet_in = None
        router.stop()

    def _addresses(self) -> dict[IPAddress, str]:
        names: dict[IPAddress, str] = {s.rloc: s.name for s in self.topology.switches if s.rloc is not None}
        return names | {system.address: system.name for system in self.topology.mapping_systems()}

    def _waiting(self) -> list[str]:
        """What has not come to rest, in words."""
        waiting = [] if self.network.idle else ["control messages are under way"]
        waiting += self._packets_under_way()
        running = [(name, router) for name, router in self.routers.items() if name not in self.failed]
        for name, router in running:
            waiting += [f"{name}: {item.what} of {item.eid} at {item.link}" for item in router.machine.pending()]
        for name, system in self.mapping_systems.items():
            if name not in self.failed:
                waiting += [f"{name}: notifications to {item.xtr}" for item in system.machine.pending()]
        return waiting + self.collectives.busy

    def _packets_under_way(self) -> list[str]:
        waiting = []
        for name, control in self.controls.items():
            to_it = self.linked.punts[name] - control.packets_in
            from_it = control.packets_out - self.linked.submissions[name]
            if to_it or from_it:
                waiting.append(f"{name}: {to_it} packets to the controller, {from_it} from it")
        return waiting

    def _cables(self, accelerator: str) -> tuple[str, ...]:
        """The switches that an accelerator has a cable to."""
        return tuple(switch for switch, plugged in self.access_ports if plugged == accelerator)

    def _enable(self, accelerator: str, switch: str) -> None:
        """An accelerator turns its port to a switch on."""
        self.access_ports[switch, accelerator].enabled = True
        self.switches[switch].poll_ports()

    def _receive_group(self, accelerator: str, group: GroupConfig | ScaleUpGroupConfig) -> None:
        """An accelerator takes what is sent to a group."""
        if isinstance(group, ScaleUpGroupConfig):
            self.endpoints[accelerator].groups.add(group.number)
        else:
            self.hosts[accelerator].groups.add(group.address)

    def _require_access(self, accelerator: str, switch: str) -> None:
        pod = self.pod_of(accelerator)
        access = [found.name for found in self.topology.xtrs(pod, "access")]
        if switch not in access:
            raise ValueError(f"{switch} is no access router of PoD {pod}, to which {accelerator} belongs")
        if switch in self.failed:
            raise ValueError(f"{switch} has failed")

    def _stop(self) -> None:
        for system in self.mapping_systems.values():
            system.stop()
        for router in self.routers.values():
            router.stop()

    async def _bring_up(self) -> None:
        self._stack.callback(self._stop)
        for name, config in mapping_systems(self.topology):
            self._stores[name] = MemoryStore()
            self.start_mapping_system(name, config)
        self._make_switches()
        await self._serve_switches()
        self._stack.push_async_callback(self.stop_controllers)
        await self._start_controllers()
        for accelerator in self.topology.accelerators:
            self.attach(accelerator.name, *accelerator.attached_to)
        groups: list[GroupConfig | ScaleUpGroupConfig] = [*self.topology.groups, *self.topology.scale_up_groups]
        for group in groups:
            for member in group.members:
                self.join(member, group)
        await self._take_up_groups()

    async def start_controllers(self) -> None:
        """What controls switches and groups begins anew, with what the stores have. It must not be running."""
        await self._start_controllers()
        for name, switch in self.switches.items():
            for port, attached in switch.ports.items():
                if not attached.is_up:
                    self._port_status(name)(port, False)
        for accelerator, switches in self.attached.items():
            if switches:
                self.attach(accelerator, *switches)
        await self._take_up_groups()

    async def stop_controllers(self) -> None:
        """All that controls the switches ends without a word. They go on with the tables that they have."""
        for name in list(self._running):
            self.stop_router(name)
        await self._controllers.aclose()

    async def _start_controllers(self) -> None:
        await self._make_controls()
        self._make_collectives()
        for switch in self.topology.switches:
            if switch.rloc is not None:
                self._nonces.setdefault(switch.name, MemoryNonceStore())
                self.start_router(switch.name)
        await self.converge(_START_SECONDS)

    async def _take_up_groups(self) -> None:
        """Groups that the store has go on before anything goes from the switches, or are formed when it is gone."""
        await self.converge(_START_SECONDS)
        await self.collectives.restore()
        for control in self.controls.values():
            control.complete()
        await self.converge(_START_SECONDS)
        self.collectives.begin_anew()
        known = {view.name for view in self.collectives.manager.groups()}
        started = set()
        for one in self.topology.collectives.groups:
            if one.name not in known:
                self.collectives.create(one.name, one.domain, one.members, slots=one.slots)
            for member in one.members if one.start else ():
                self.collectives.join(one.name, member)
                started.add((one.name, member))
        self._methods.expect(PATIENCE, started)
        await self.converge(_START_SECONDS)

    def _make_switches(self) -> None:
        self.linked.make(
            self.topology,
            self.plans,
            self._stack,
            port_status=self._port_status,
            trace=self._trace,
            engine=self._engine,
        )

    def _port_status(self, name: str) -> Callable[[int, bool], None]:
        def tell(port: int, up: bool) -> None:
            if name in self._running:
                self._running[name].port_status(port, up)
            self.collectives.port_status(name, port, up)

        return tell

    def _make_collectives(self) -> None:
        """The group manager. Its generations begin where the time is, so that they differ from those of a last life."""
        limits = {name: collective_limits(control.client.codec.info) for name, control in self.controls.items()}
        manager = manager_of(self.topology, self.plans, limits, int(time.time()))
        names = {pod.name: names_of(pod) for pod in self.topology.pods}
        self.collectives = Collectives(manager, self.controls, self._running, names, self._hop, self._group_store)
        self.collectives.start()
        self._controllers.callback(self.collectives.stop)
        self._methods = CollectiveMethods(
            self.collectives, lambda switch, peer: self.plans[switch].port_to(peer).mac, common_values(limits)
        )
        self.control_methods.update(self._methods.methods())

    def _hop(self, switch: str, port: int) -> NextHop:
        return next_hop(next(one for one in self.plans[switch].ports if one.number == port))

    def _plug_in(self, accelerator: str, switch: str) -> None:
        """A new cable, to the next port of the switch."""
        before = self.plans[switch]
        number = len(before.ports) + 1
        config = self.topology.accelerator(accelerator)
        there = len(self.interfaces[accelerator].uplinks) + 1
        port = PortPlan(number, port_mac(before.index, number), accelerator, there, config.mac, access=True)
        self.plans[switch] = replace(before, ports=(*before.ports, port))
        self.linked.plug(switch, port)
        punt = self.topology.punt
        control = self.controls[switch]
        control.apply(control.tables.set_punt_limit(number, punt.packets_per_second, punt.burst))

    async def _serve_switches(self) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lispfabric-"))
        self.server = await self.linked.serve(self.p4runtime or f"unix:{folder}/p4runtime.sock", self._stack)
        self.p4runtime = self.server.address

    async def _make_controls(self) -> None:
        for switch in self.topology.switches:
            planned = self.plans[switch.name]
            # An election id that grows with every start lets a new control plane take over from one that hangs.
            target = Target(self.p4runtime, planned.index, election_id=time.time_ns(), takes_over=True)
            control = SwitchControl(switch.name, target, fabric_pipeline(), initial_tables(self.topology, planned))
            self.controls[switch.name] = control
            self.linked.punts[switch.name] = self.linked.submissions[switch.name] = 0
        for control in self.controls.values():
            await self._controllers.enter_async_context(control)
