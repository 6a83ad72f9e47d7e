"""What can be asked of a fabric whose switches are other processes, in namespaces of their own.

State, groups of collectives, and failures of links, xTRs and Map-Servers are as in one process. What looks into a
switch of this process, or sends as an accelerator of it, is refused with what does the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, invalid, only
from topologies.external import ExternalFabric
from topologies.namespaces import NamespaceNetwork
from topologies.operate import names
from topologies.operate.failures import Failures
from topologies.operate.show import Show
from topologies.operate.status import Status
from topologies.plan import PortPlan

_INSTEAD = {
    "trace": "lispfabric exec ACC traceroute ..., or tcpdump at the switches' interfaces",
    "ping": "lispfabric exec ACC ping ADDRESS",
    "capture.open": "tcpdump at an accelerator: lispfabric exec ACC tcpdump -ni eth0",
    "attach": "lispfabric heal link",
    "detach": "lispfabric fail link",
    "move": "lispfabric fail link, lispfabric heal link",
}


def methods_outside(fabric: ExternalFabric, network: NamespaceNetwork, stop: Callable[[], object]) -> dict[str, Method]:
    """The methods of a fabric in namespaces. `stop` takes it down."""
    found = _Status(fabric, network, stop).methods() | Show(fabric).methods() | _Failures(fabric, network).methods()
    refused = {name: _refusal(name.partition(".")[0], instead) for name, instead in _INSTEAD.items()}
    return found | refused | fabric.control_methods


def _refusal(verb: str, instead: str) -> Method:
    async def refuse(params: Mapping[str, Any], session: Session) -> object:
        raise ControlError(f"{verb}: not in namespaces, where accelerators are hosts; use: {instead}")

    return refuse


class _Status(Status):
    """`status`, `stop`, and `host`: how a command is started at an accelerator."""

    def __init__(self, fabric: ExternalFabric, network: NamespaceNetwork, stop: Callable[[], object]) -> None:
        super().__init__(fabric, stop)
        self._network = network

    async def host(self, params: Mapping[str, Any], session: Session) -> object:
        """What to put before a command so that it runs at an accelerator, and the names of its interfaces."""
        only(params, "accelerator")
        name = names.accelerator(self._fabric, params)
        return {"prefix": list(self._network.hosts[name].prefix), "interfaces": self._network.interfaces(name)}

    def engine(self) -> str:
        """Which switches these are."""
        return f"{self._network.target} in namespaces"

    def ports_down(self) -> list[str]:
        """As SWITCH:PEER, those that the kernel says are down."""
        plans = self._fabric.plans
        assert isinstance(self._fabric, ExternalFabric)
        return [f"{name}:{plans[name].ports[number - 1].peer}" for name, number in sorted(self._fabric.ports_down)]


class _Failures(Failures):
    """Links lose their carrier at both ends."""

    def __init__(self, fabric: ExternalFabric, network: NamespaceNetwork) -> None:
        super().__init__(fabric)
        self._network = network

    async def _change(self, params: Mapping[str, Any], *, up: bool) -> object:
        if params.get("port") is not None:
            raise invalid("port", params["port"], "a port cannot fail alone here; a link can, at both ends")
        return await super()._change(params, up=up)

    def _enable(self, ports: list[tuple[str, PortPlan]], up: bool) -> None:
        for one, other in {tuple(sorted((switch, port.peer))) for switch, port in ports}:
            self._network.set_link(one, other, up=up)
