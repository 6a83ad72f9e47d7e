"""How a fabric is, in short, and its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import only
from topologies.inprocess import Fabric


class Status:
    """`status` and `stop`."""

    def __init__(self, fabric: Fabric, stop: Callable[[], object]) -> None:
        self._fabric = fabric
        self._stop = stop
        self._since = time.time()

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"status": self.status, "stop": self.stop}

    async def status(self, params: Mapping[str, Any], session: Session) -> object:
        """What runs, since when (seconds since 1970), and what of it is not as it should be."""
        only(params)
        fabric = self._fabric
        return {
            "name": fabric.topology.name,
            "pid": os.getpid(),
            "since": self._since,
            "p4runtime": fabric.p4runtime,
            "engine": ", ".join(sorted({switch.engine for switch in fabric.switches.values()})),
            "pods": len(fabric.topology.pods),
            "xtrs": len(fabric.routers),
            "switches": len(fabric.switches),
            "accelerators": len(fabric.interfaces),
            "mapping_systems": len(fabric.mapping_systems),
            "control_messages": fabric.network.passed,
            "elsewhere": sorted(fabric.elsewhere()),
            "detached": [name for name, switches in fabric.attached.items() if not switches],
            "failed": sorted(fabric.failed),
            "ports_down": [
                f"{name}:{port.peer}"
                for name, planned in fabric.plans.items()
                for port in planned.ports
                if not fabric.switches[name].ports[port.number].is_up
                and (not port.access or name in fabric.attached[port.peer])
            ],
        }

    async def stop(self, params: Mapping[str, Any], session: Session) -> object:
        """Takes the fabric down, once this connection has ended."""
        only(params)
        session.on_close(self._stop)
        return {"pid": os.getpid()}
