"""What the command line starts: switches, their ports and links, and one P4Runtime server for all of them."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from softswitch.interfaces import CapturedPort, Interface, Place
from softswitch.p4runtime import Device, serve
from softswitch.ports import ChannelCounters, ImpairedPort, LinkEnd, PcapPort, Port, PortError, make_link
from softswitch.ports.effects import NO_EFFECTS
from softswitch.switch import Switch

log = logging.getLogger(__name__)

_PROGRAM_POLL: Final = 0.05  # seconds between looks for a program, while packet files wait for one


class StartError(Exception):
    """The process cannot do what it is to do; the message names the option."""


@dataclass(frozen=True, slots=True)
class Process:
    """What to run.

    Attributes:
        devices: by device id.
        interfaces: of all devices.
        address: of the P4Runtime server.
        capture: the folder in which every port is recorded, None for none.
        wait: seconds before packet files are read.
    """

    devices: Mapping[int, Device]
    interfaces: Sequence[Interface]
    address: str
    capture: Path | None = None
    wait: float = 0.0

    async def run(self) -> None:
        """Until SIGINT or SIGTERM. StartError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        plugged: list[_Plugged] = []
        switches = [device.switch for device in self.devices.values()]
        try:
            for interface in self.interfaces:
                for plug in self._ends(interface):
                    self._attach(plug)
                    plugged.append(plug)
            try:
                server = await serve(self.devices.values(), self.address)
            except OSError as error:
                raise StartError(f"--grpc-server-addr: cannot listen on {self.address}: {error}") from None
            print(f"Server listening on {server.address}", flush=True)
            files = [plug for plug in plugged if plug.file is not None]
            tasks = [asyncio.create_task(switch.run()) for switch in switches]
            tasks += [asyncio.create_task(_replay(files, self.wait))] if files else []
            await stop.wait()
            for task in tasks:
                task.cancel()
            await server.stop()
        finally:
            for switch in switches:
                switch.close()
            for plug in plugged:
                plug.report()

    def _ends(self, interface: Interface) -> Iterator[_Plugged]:
        place, target = interface.place, interface.target
        switch = self._switch(place)
        sent, received = interface.sent or NO_EFFECTS, interface.received or NO_EFFECTS
        if not isinstance(target, Place):
            port = ImpairedPort(target, interface.sent, interface.received) if sent.any or received.any else target
            yield _Plugged(switch, place, port, target if isinstance(target, PcapPort) else None)
            return
        peer = self._switch(target)
        name = f"{switch.device_id}-{place.number}_{peer.device_id}-{target.number}"
        near, far = make_link(name, effects=sent, back=received)
        yield _Plugged(switch, place, near)
        yield _Plugged(peer, target, far)

    def _switch(self, place: Place) -> Switch:
        if place.device is not None:
            if place.device not in self.devices:
                raise StartError(f"--interface: {place}: the devices are {', '.join(map(str, self.devices))}")
            return self.devices[place.device].switch
        if len(self.devices) > 1:
            raise StartError(f"--interface: {place}: of which device? Write DEVICE/{place.number}")
        return next(iter(self.devices.values())).switch

    def _attach(self, plug: _Plugged) -> None:
        port = plug.port if self.capture is None else CapturedPort(plug.port, self.capture)
        try:
            plug.switch.add_port(plug.place.number, port)
        except OSError as error:
            raise StartError(f"--interface: {plug.place}: cannot open {plug.port.name}: {error}") from None
        except ValueError as error:
            raise StartError(f"--interface: {error}") from None


@dataclass(frozen=True, slots=True)
class _Plugged:
    """A port and where it belongs; `file` is the packet file behind it, if it is one."""

    switch: Switch
    place: Place
    port: Port
    file: PcapPort | None = None

    def report(self) -> None:
        """Logs what the effects did."""
        counters: Mapping[str, ChannelCounters] = {}
        if isinstance(self.port, ImpairedPort):
            counters = self.port.counters
        elif isinstance(self.port, LinkEnd) and self.port.counters is not None:
            counters = {"out": self.port.counters}
        for way, counted in counters.items():
            log.info("%s, %s: %s", self.place, way, counted)


async def _replay(files: Sequence[_Plugged], wait: float) -> None:
    """Reads the packet files, one after the other, once there is a program to take their packets."""
    await asyncio.sleep(wait)
    for plug in files:
        while plug.switch.program is None:  # noqa: ASYNC110 - the switch has no event for it, and this happens once
            await asyncio.sleep(_PROGRAM_POLL)
        assert plug.file is not None
        try:
            log.info("%d packets read from %s", plug.file.replay(), plug.file.name)
        except (OSError, PortError) as error:
            log.error("%s: %s", plug.file.name, error)
