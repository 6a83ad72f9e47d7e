"""A fabric whose switches are processes of their own and whose accelerators are hosts with a real network stack.

Control plane and order of events are those of `topologies.inprocess`; control messages travel in band.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from controller.app.inband import InBandNetwork
from controller.app.switch_control import SwitchControl
from controller.p4rt.target import Target
from topologies.inprocess import Fabric
from topologies.plan import plan, server_homes
from topologies.program import fabric_pipeline
from topologies.schema import GroupConfig, ScaleUpGroupConfig, Topology
from topologies.switch_tables import initial_tables, next_hop


class Place(NamedTuple):
    """Where the P4Runtime server of a switch is, and its device id there."""

    address: str
    device_id: int


class ExternalFabric(Fabric):
    """The control plane of a fabric whose switches run already, without a program.

    `port_status` tells it which ports are down: a switch has no way to say so over P4Runtime.
    """

    def __init__(self, topology: Topology, places: Mapping[str, Place]) -> None:
        """`places`: of every switch."""
        super().__init__(topology)
        addresses = sorted({place.address for place in places.values()})
        self.p4runtime = addresses[0] if len(addresses) == 1 else f"{addresses[0]} and {len(addresses) - 1} others"
        self._homes = server_homes(topology)
        self.plans = plan(topology, self._homes)
        self.network = self._in_band = InBandNetwork()
        self._places = places
        self.ports_down: set[tuple[str, int]] = set()
        """What the kernel said last: switch and port."""
        self._early: list[tuple[str, int, bool]] | None = []
        """What ports did before there was anybody to be told."""

    def port_status(self, switch: str, port: int, up: bool) -> None:
        """A port of a switch has gone down or come up."""
        (self.ports_down.discard if up else self.ports_down.add)((switch, port))
        if self._early is not None:
            self._early.append((switch, port, up))
            return
        self._in_band.port_status(switch, port, up)
        self._port_status(switch)(port, up)

    def _make_switches(self) -> None:
        """They run already."""

    async def _serve_switches(self) -> None:
        """They do so themselves."""

    async def _make_controls(self) -> None:
        pipeline = fabric_pipeline()
        for switch in self.topology.switches:
            planned, place = self.plans[switch.name], self._places[switch.name]
            addresses = [address for address, home in self._homes.items() if home == switch.name]
            tables = initial_tables(self.topology, planned)
            for address in addresses:
                tables.add_local_address(address)
            target = Target(place.address, place.device_id, election_id=time.time_ns(), takes_over=True)
            control = SwitchControl(switch.name, target, pipeline, tables)
            self.controls[switch.name] = control
            if switch.rloc is not None:
                addresses.append(switch.rloc)
            routes = {rloc: [next_hop(port) for port in ports] for rloc, ports in planned.routes.items()}
            self._in_band.add_switch(control, addresses, routes)
        for control in self.controls.values():
            await self._controllers.enter_async_context(control)
        for control in self.controls.values():
            await control.settled()  # the underlay has to be there before the first message

    def _make_collectives(self) -> None:
        super()._make_collectives()
        early, self._early = self._early, None
        for change in early or ():
            self.port_status(*change)

    def _packets_under_way(self) -> list[str]:
        """Nobody can tell."""
        return []

    def _cables(self, accelerator: str) -> tuple[str, ...]:
        return self.topology.accelerator(accelerator).attached_to

    def _enable(self, accelerator: str, switch: str) -> None:
        """Its interface is the host's own affair."""

    def _plug_in(self, accelerator: str, switch: str) -> None:
        raise ValueError(f"{accelerator} has no cable to {switch}, and none can be added")

    def _receive_group(self, accelerator: str, group: GroupConfig | ScaleUpGroupConfig) -> None:
        """What a host takes is its own affair."""
