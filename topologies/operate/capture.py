"""Captures: what passes a link, the ports of a switch, or the network of the control messages."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, integer, number, only, text
from controller.app.describe import describe_datagram
from controller.app.network import Recorded, raw_packet
from softswitch.ports import LinkEnd
from topologies.frames import describe_frame
from topologies.inprocess import Fabric
from topologies.operate import names
from topologies.plan import PortPlan

# Packets that wait for whoever captures; of more the oldest are lost, and counted. And packets in one answer.
WAITING_LIMIT = 20_000
ANSWER_LIMIT = 500

ETHERNET, RAW_IP = 1, 101  # link types of pcapng
CONTROL = "control"


class Capture:
    """`capture.open`, `capture.read` and `capture.close`; a capture ends with the connection that opened it."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._numbers = itertools.count(1)
        self._running: dict[int, tuple[Session, _Running]] = {}

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"capture.open": self.open, "capture.read": self.read, "capture.close": self.close}

    async def open(self, params: Mapping[str, Any], session: Session) -> object:
        """Begins to capture at `where`: a link (ONE-OTHER), a switch, or `control`; tells number and interfaces."""
        only(params, "where")
        where = text(params, "where")
        running = _Running()
        if where == CONTROL:
            self._tap_control(running)
        elif where in self._fabric.plans:
            for port in self._fabric.plans[where].ports:
                self._tap_port(running, where, port)
        else:
            for switch, port in self._where(where):
                self._tap_port(running, switch, port)
        number_ = next(self._numbers)
        self._running[number_] = session, running
        session.on_close(lambda: self._end(number_))
        return {"capture": number_, "interfaces": running.interfaces}

    async def read(self, params: Mapping[str, Any], session: Session) -> object:
        """What was captured since the last call, waiting for it for `wait` seconds at most; and how much was lost."""
        only(params, "capture", "wait")
        running = self._of(params, session)
        packets = await running.take(number(params, "wait", 0.0, 60.0, 1.0))
        lost, running.lost = running.lost, 0
        return {"packets": packets, "lost": lost}

    async def close(self, params: Mapping[str, Any], session: Session) -> object:
        """Ends a capture."""
        only(params, "capture")
        self._of(params, session)
        self._end(params["capture"])
        return None

    def _where(self, where: str) -> list[tuple[str, PortPlan]]:
        try:
            return names.link(self._fabric, {"where": where}, "where")
        except ControlError as error:
            known = f"{error}; a switch, a link as ONE-OTHER, or {CONTROL}"
            raise ControlError(known, code=error.code, data=error.data) from None

    def _of(self, params: Mapping[str, Any], session: Session) -> _Running:
        wanted = integer(params, "capture", 1, 1 << 53)
        owner, running = self._running.get(wanted, (None, None))
        if owner is not session or running is None:
            raise ControlError(f"capture {wanted}: this connection has none of that number")
        return running

    def _end(self, wanted: int) -> None:
        _, running = self._running.pop(wanted, (None, None))
        if running is not None:
            running.stop()

    def _tap_port(self, running: _Running, switch: str, port: PortPlan) -> None:
        at = self._fabric.switches[switch].ports[port.number].port
        end = at if isinstance(at, LinkEnd) else self._fabric.access_ports[switch, port.peer]
        interface = running.add_interface(f"{switch}:{port.number}", f"{switch} port {port.number} to {port.peer}")
        ends = (switch, port.peer)

        def tap(frame: bytes, out: bool) -> None:
            source, target = ends if out else reversed(ends)
            about = " / ".join(describe_frame(frame)[1:])
            running.add(interface, frame, "out" if out else "in", f"{source} > {target}  {about}")

        end.add_tap(tap)
        running.on_stop(lambda: end.remove_tap(tap))

    def _tap_control(self, running: _Running) -> None:
        interface = running.add_interface(CONTROL, "LISP control messages, UDP 4342", RAW_IP)
        network = self._fabric.network

        def tap(item: Recorded) -> None:
            about = describe_datagram(item.datagram, self._fabric.name_of)
            lost = "" if item.delivered else "  (lost)"
            running.add(interface, raw_packet(item.datagram), "out", about + lost)

        network.taps.append(tap)
        running.on_stop(lambda: network.taps.remove(tap))


class _Running:
    """Packets on their way to whoever captures."""

    def __init__(self) -> None:
        self.interfaces: list[dict[str, object]] = []
        self.lost = 0
        self._waiting: deque[dict[str, object]] = deque()
        self._arrived = asyncio.Event()
        self._stops: list[Callable[[], object]] = []

    def add_interface(self, name: str, description: str, link_type: int = ETHERNET) -> int:
        """Where packets are captured; returns its number."""
        self.interfaces.append({"name": name, "description": description, "link_type": link_type})
        return len(self.interfaces) - 1

    def on_stop(self, stop: Callable[[], object]) -> None:
        """What ends the capture at an interface."""
        self._stops.append(stop)

    def stop(self) -> None:
        """Nothing is captured any more."""
        while self._stops:
            self._stops.pop()()

    def add(self, interface: int, frame: bytes, direction: str, about: str) -> None:
        """A packet has passed."""
        if len(self._waiting) >= WAITING_LIMIT:
            self._waiting.popleft()
            self.lost += 1
        packet = {"at": time.time_ns(), "interface": interface, "direction": direction, "about": about}
        self._waiting.append({**packet, "data": base64.b64encode(frame).decode()})
        self._arrived.set()

    async def take(self, wait: float) -> list[dict[str, object]]:
        """What waits, at most `ANSWER_LIMIT`; after at most `wait` seconds nothing."""
        if not self._waiting:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), wait)
            except TimeoutError:
                return []
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), ANSWER_LIMIT))]
