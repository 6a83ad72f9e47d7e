"""How a fabric is, in short, and its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, only
from topologies.inprocess import Fabric
from topologies.operate import names


class Status:
    """`status`, `stop` and `host`."""

    def __init__(self, fabric: Fabric, stop: Callable[[], object]) -> None:
        self._fabric = fabric
        self._stop = stop
        self._since = time.time()

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"status": self.status, "stop": self.stop, "host": self.host}

    async def status(self, params: Mapping[str, Any], session: Session) -> object:
        """What runs, since when (seconds since 1970), and what of it is not as it should be."""
        only(params)
        fabric = self._fabric
        return {
            "name": fabric.topology.name,
            "pid": os.getpid(),
            "since": self._since,
            "p4runtime": fabric.p4runtime,
            "engine": self.engine(),
            "pods": len(fabric.topology.pods),
            "xtrs": len(fabric.routers),
            "switches": len(fabric.plans),
            "accelerators": len(fabric.topology.accelerators),
            "mapping_systems": len(fabric.mapping_systems),
            "control_messages": fabric.network.passed,
            "elsewhere": sorted(fabric.elsewhere()),
            "detached": [name for name, switches in fabric.attached.items() if not switches],
            "failed": sorted(fabric.failed),
            "ports_down": self.ports_down(),
        }

    def engine(self) -> str:
        """What carries packets in the switches."""
        found = ", ".join(sorted({switch.engine for switch in self._fabric.switches.values()}))
        return f"{found} engine"

    def ports_down(self) -> list[str]:
        """As SWITCH:PEER, those that lead to somebody who wants them."""
        fabric = self._fabric
        return [
            f"{name}:{port.peer}"
            for name, planned in fabric.plans.items()
            for port in planned.ports
            if not fabric.switches[name].ports[port.number].is_up
            and (not port.access or name in fabric.attached[port.peer])
        ]

    async def host(self, params: Mapping[str, Any], session: Session) -> object:
        """How a command is started at an accelerator: not here."""
        only(params, "accelerator")
        name = names.accelerator(self._fabric, params)
        raise ControlError(f"{name} is no Linux host; accelerators are those with: lispfabric up FILE --namespaces")

    async def stop(self, params: Mapping[str, Any], session: Session) -> object:
        """Takes the fabric down, once this connection has ended."""
        only(params)
        session.on_close(self._stop)
        return {"pid": os.getpid()}
