"""Does the one hear the other: an echo over IP, or a load and its response over Scale-Up, and how long that took."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from accelerator.ethernet import PacketError, decode_ethernet
from accelerator.ip import ETHERTYPES, IPAddress, decode_ip, echo_in
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, ScaleUpPacket, decode_scale_up
from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, integer, number, only
from topologies.inprocess import Fabric
from topologies.operate import names
from topologies.operate.trace import destination


class Ping:
    """`ping`: one question and its answer."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._sequence = 0

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"ping": self.ping}

    async def ping(self, params: Mapping[str, Any], session: Session) -> object:
        """From an accelerator to another, an IP address or an AccID; answers with the time that it took, or null.

        `size`: octets of payload. `timeout` in seconds. Over Scale-Up it is a load, which the receiver's response
        answers.
        """
        only(params, "source", "destination", "scale_up", "size", "timeout")
        source = names.accelerator(self._fabric, params, "source")
        target = destination(self._fabric, source, params)
        size, timeout = integer(params, "size", 0, 8900, 56), number(params, "timeout", 0.01, 60.0, 2.0)
        if not self._fabric.attached[source]:
            raise ControlError(f"{source} is attached nowhere; attach it with: lispfabric attach {source}")
        if source in self._fabric.elsewhere():
            raise ControlError(f"{source} is served by another process: it has to ping itself")
        if isinstance(target, int):
            answer = await self._load(source, target, size, timeout)
        else:
            answer = await self._echo(source, target, size, timeout)
        return {"source": source, "destination": str(target), "size": size, **answer}

    async def _echo(self, source: str, target: IPAddress, size: int, seconds: float) -> dict[str, object]:
        host = self._fabric.hosts[source]
        self._sequence = self._sequence % 0xFFFF + 1
        sequence, answered = self._sequence, asyncio.get_running_loop().create_future()

        def tap(frame: bytes) -> bool:
            try:
                _, _, kind, payload = decode_ethernet(frame)
                if kind != ETHERTYPES[target.version]:
                    return False
                packet = decode_ip(payload)
                echo = echo_in(packet)
            except PacketError:
                return False
            if echo is None or not echo.reply or echo.sequence != sequence or packet.source != target:
                return False
            if not answered.done():
                answered.set_result((time.perf_counter(), packet.ttl))
            return True

        return await self._wait(source, tap, lambda: host.ping(target, sequence, bytes(size)), answered, seconds)

    async def _load(self, source: str, target: int, size: int, seconds: float) -> dict[str, object]:
        endpoint = self._fabric.endpoints[source]
        tag, answered = secrets.randbits(32), asyncio.get_running_loop().create_future()

        def mine(frame: bytes, operation: Operation) -> ScaleUpPacket | None:
            try:
                _, _, kind, payload = decode_ethernet(frame)
                packet = decode_scale_up(payload) if kind == ETHERTYPE_SCALE_UP else None
            except PacketError:
                return None
            return packet if packet and (packet.tag, packet.operation) == (tag, operation) else None

        def response(frame: bytes) -> bool:
            packet = mine(frame, Operation.RESPONSE)
            if packet is None:
                return False
            if not answered.done():
                answered.set_result((time.perf_counter(), packet.hop_limit))
            return True

        def load(frame: bytes) -> bool:
            packet = mine(frame, Operation.LOAD)
            if packet is None:
                return False
            answer = ScaleUpPacket(packet.destination, packet.source, packet.payload, Operation.RESPONSE, tag=tag)
            self._fabric.endpoints[receivers[0]].send(answer)
            return True

        pod = self._fabric.pod_of(source)
        here = self._fabric.topology.accelerator(source)
        receivers = [
            one.name
            for one in self._fabric.topology.accelerators
            if one.acc_id == target and one.scale_up_iid == here.scale_up_iid and self._fabric.pod_of(one.name) == pod
        ]
        packet = ScaleUpPacket(endpoint.acc_id, target, bytes(size), Operation.LOAD, tag=tag)
        taps = self._fabric.interfaces[receivers[0]].taps if receivers else []
        taps.append(load)
        try:
            return await self._wait(source, response, lambda: endpoint.send(packet), answered, seconds)
        finally:
            taps.remove(load)

    async def _wait(
        self,
        source: str,
        tap: Callable[[bytes], bool],
        send: Callable[[], None],
        answered: asyncio.Future[tuple[float, int]],
        seconds: float,
    ) -> dict[str, object]:
        taps = self._fabric.interfaces[source].taps
        taps.append(tap)
        begun = time.perf_counter()
        try:
            send()
            at, ttl = await asyncio.wait_for(answered, seconds)
        except TimeoutError:
            return {"milliseconds": None, "ttl": None}
        finally:
            taps.remove(tap)
        return {"milliseconds": (at - begun) * 1000, "ttl": ttl}
