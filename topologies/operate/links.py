"""Links of a running fabric to accelerators in other processes: Unix sockets (`accelerator.links`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerator.links import LinkError, publish_links
from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, only
from controller.dataplane.entries import mac
from softswitch.ports import HostPort, SequencePort
from topologies.inprocess import Fabric
from topologies.operate import names

# Links that are opened when the fabric comes up; those of a larger one are opened when they are asked for.
OPENED_AT_START = 256


class AcceleratorLinks:
    """The sockets beside the control socket `control`.

    While another process is connected to a link, it gets what the switch sends there, in place of the
    accelerator in this process; what it sends enters the switch.
    """

    def __init__(self, fabric: Fabric, control: Path) -> None:
        self._fabric = fabric
        self._control = control
        self._open: dict[str, list[tuple[HostPort, SequencePort, Callable[[bytes], None] | None]]] = {}
        fabric.elsewhere = self.elsewhere  # type: ignore[method-assign]

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"accelerator.open": self.open_one}

    def start(self) -> None:
        """Opens the links of all accelerators, unless they are many. Raises LinkError, OSError."""
        if len(self._fabric.access_ports) <= OPENED_AT_START:
            for accelerator in self._fabric.interfaces:
                self._publish(accelerator)

    async def open_one(self, params: Mapping[str, Any], session: Session) -> object:
        """Opens the links of an accelerator, if they are not open yet; answers with the paths of their sockets."""
        only(params, "accelerator")
        name = names.accelerator(self._fabric, params)
        try:
            return {"accelerator": name, "links": self._publish(name)}
        except (LinkError, OSError) as error:
            raise ControlError(f"accelerator {name}: {error}") from None

    def elsewhere(self) -> set[str]:
        """The accelerators that are another process now."""
        return {name for name, links in self._open.items() if any(port.is_up for _, port, _ in links)}

    def close(self) -> None:
        """Closes and removes all sockets."""
        for links in self._open.values():
            for end, port, before in links:
                end.on_packet = before
                port.close()
        self._open.clear()

    def _publish(self, accelerator: str) -> list[dict[str, str]]:
        routers = {
            switch: mac(self._fabric.plans[switch].port_to(accelerator).mac)
            for switch, plugged in self._fabric.access_ports
            if plugged == accelerator
        }
        links = publish_links(self._control, accelerator, self._fabric.interfaces[accelerator].mac, routers)
        opened = self._open.setdefault(accelerator, [])
        for link in links[len(opened) :]:
            end = self._fabric.access_ports[link.switch, accelerator]
            port = SequencePort(link.socket, listen=True)
            port.open(end.deliver)
            opened.append((end, port, end.on_packet))
            end.on_packet = _to_either(port, end.on_packet)
        return [{"switch": link.switch, "socket": link.socket, "lock": link.lock} for link in links]


def _to_either(port: SequencePort, here: Callable[[bytes], None] | None) -> Callable[[bytes], None]:
    def send(frame: bytes) -> None:
        if port.is_up:
            port.send(frame)
        elif here is not None:
            here(frame)

    return send
