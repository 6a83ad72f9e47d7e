"""Failure drills: links, ports, xTRs and Map-Servers that fail and heal, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, invalid, only, optional_text
from softswitch.ports import HostPort, LinkEnd
from topologies.inprocess import Fabric, NotConvergedError
from topologies.operate import names
from topologies.plan import PortPlan
from topologies.switch_tables import initial_tables

# Seconds that a fabric may take to come to rest before an answer says what it still waits for.
SETTLE_SECONDS = 2.0

KINDS = ("link", "port", "xtr", "map_server")


async def settled(fabric: Fabric) -> str:
    """What the fabric still waits for after a while; empty when it has come to rest."""
    try:
        await fabric.converge(SETTLE_SECONDS)
    except NotConvergedError as error:
        return str(error)
    return ""


class Failures:
    """`fail` and `heal`, each of one `link`, `port`, `xtr` or `map_server`; and `failures`, what has failed."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._ports_down: set[tuple[str, int]] = set()

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"fail": self.fail, "heal": self.heal, "failures": self.failures}

    async def failures(self, params: Mapping[str, Any], session: Session) -> object:
        """What has failed and not healed: ports as SWITCH:PEER, xTRs and Map-Servers."""
        only(params)
        return {
            "ports": [self._port_name(*place) for place in sorted(self._ports_down)],
            "xtrs": sorted(self._fabric.failed & self._fabric.routers.keys()),
            "map_servers": sorted(self._fabric.failed & self._fabric.mapping_systems.keys()),
        }

    async def fail(self, params: Mapping[str, Any], session: Session) -> object:
        """Something fails."""
        return await self._change(params, up=False)

    async def heal(self, params: Mapping[str, Any], session: Session) -> object:
        """Something that has failed works again."""
        return await self._change(params, up=True)

    async def _change(self, params: Mapping[str, Any], *, up: bool) -> object:
        only(params, *KINDS)
        given = [kind for kind in KINDS if optional_text(params, kind) is not None]
        if len(given) != 1:
            raise invalid("params", ", ".join(given) or "nothing", f"exactly one of {', '.join(KINDS)} is needed")
        kind = given[0]
        match kind:
            case "link":
                cables = names.link(self._fabric, params)
                self._set_ports([end for cable in cables for end in self._ends(*cable)], up, params[kind])
            case "port":
                self._set_ports([names.port(self._fabric, params)], up, params[kind])
            case "xtr":
                self._xtr(names.xtr(self._fabric, params), up)
            case _:
                self._map_server(names.map_server(self._fabric, params), up)
        return {"kind": kind, "name": params[kind], "up": up, "waiting": await settled(self._fabric)}

    def _ends(self, switch: str, port: PortPlan) -> list[tuple[str, PortPlan]]:
        """Both ends of a cable, the accelerator's left out."""
        if port.access:
            return [(switch, port)]
        far = self._fabric.plans[port.peer].ports[port.peer_port - 1]
        return [(switch, port), (port.peer, far)]

    def _set_ports(self, ports: list[tuple[str, PortPlan]], up: bool, name: str) -> None:
        places = {(switch, port.number) for switch, port in ports}
        changed = places & self._ports_down if up else places - self._ports_down
        if not changed:
            raise ControlError(f"{name} {'is not down' if up else 'is down already'}")
        self._enable(ports, up)
        (self._ports_down.difference_update if up else self._ports_down.update)(changed)

    def _enable(self, ports: list[tuple[str, PortPlan]], up: bool) -> None:
        """Carrier comes or goes; the switches at both ends see it at once, as they would a loss of light."""
        seen = dict.fromkeys(switch for switch, _ in ports)
        for switch, port in ports:
            end = self._fabric.switches[switch].ports[port.number].port
            if isinstance(end, LinkEnd):
                end.set_enabled(up)
                seen[port.peer] = None
            else:
                self._plug(switch, port).enabled = up and switch in self._fabric.attached[port.peer]
        for switch in seen:
            self._fabric.switches[switch].poll_ports()

    def _plug(self, switch: str, port: PortPlan) -> HostPort:
        return self._fabric.access_ports[switch, port.peer]

    def _xtr(self, name: str, up: bool) -> None:
        fabric = self._fabric
        if (name not in fabric.failed) == up:
            raise ControlError(f"{name} {'has not failed' if up else 'has failed already'}")
        ports = [(name, port) for port in fabric.plans[name].ports if (name, port.number) not in self._ports_down]
        if not up:
            fabric.stop_router(name)
            fabric.collectives.switch_status(name, up)
            self._enable(ports, up)
            return
        # It knows nothing any more, and what its switch had from the mapping systems goes.
        control = fabric.controls[name]
        before, control.tables = control.tables, initial_tables(fabric.topology, fabric.plans[name])
        control.writer.apply(control.tables.desired(), before.desired())
        self._enable(ports, up)
        fabric.start_router(name)
        fabric.collectives.switch_status(name, up)
        for place in sorted(self._ports_down):
            if place[0] == name:
                fabric.routers[name].port_status(place[1], False)
        for accelerator, switches in fabric.attached.items():
            if name in switches:
                fabric.attach(accelerator, name)

    def _map_server(self, name: str, up: bool) -> None:
        if (name not in self._fabric.failed) == up:
            raise ControlError(f"{name} {'has not failed' if up else 'has failed already'}")
        if up:
            self._fabric.start_mapping_system(name)
        else:
            self._fabric.stop_mapping_system(name)

    def _port_name(self, switch: str, number: int) -> str:
        return f"{switch}:{self._fabric.plans[switch].ports[number - 1].peer}"
