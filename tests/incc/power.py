"""Switches that lose their power, come back empty, or answer no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from softswitch.ports import Port
from softswitch.switch import Switch
from topologies.inprocess import Fabric
from topologies.linked_switches import CPU_PORT


def power_off(fabric: Fabric, name: str) -> dict[int, Port]:
    """A switch is there no more, neither its P4Runtime device nor its ends of links; returns what it was cabled to."""
    switch = fabric.switches[name]
    cables = {number: attached.port for number, attached in switch.ports.items()}
    fabric.server.remove(switch.device_id)
    switch.close()
    _look(fabric, name)
    return cables


def power_on(fabric: Fabric, name: str, cables: dict[int, Port]) -> None:
    """It is started: a device without a program, on the same cables."""
    switch = Switch(fabric.plans[name].index, cpu_port=CPU_PORT)
    switch.on_port_status = fabric._port_status(name)
    fabric.switches[name] = switch
    for number, port in cables.items():
        switch.add_port(number, port)
    fabric.server.add(fabric.linked.device(name))
    _look(fabric, name)


def _look(fabric: Fabric, name: str) -> None:
    """The switches at the other ends of the cables see the light go or come."""
    for port in fabric.plans[name].ports:
        if port.peer in fabric.switches:
            fabric.switches[port.peer].poll_ports()


class _Mute:
    """A stub none of whose calls is answered: they end when their time is up, or the switch is heard again."""

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    def __getattr__(self, name: str) -> Callable[..., _Unanswered]:
        return lambda _, timeout=None: _Unanswered(self._over, timeout)


class _Unanswered:
    def __init__(self, over: asyncio.Event, timeout: float | None) -> None:
        self._over, self._timeout = over, timeout

    def __await__(self) -> Generator[Any, None, None]:
        return self.__anext__().__await__()

    def __aiter__(self) -> _Unanswered:
        return self

    async def __anext__(self) -> None:
        code = grpc.StatusCode.UNAVAILABLE
        try:
            await asyncio.wait_for(self._over.wait(), self._timeout)
        except TimeoutError:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
        raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "", "")

    def cancel(self) -> None:
        """Nobody waits any more."""


@contextmanager
def mute(fabric: Fabric, name: str) -> Iterator[None]:
    """A switch whose control plane hangs: its stream stays, no call is answered. Packets are forwarded all the same."""
    client, over = fabric.controls[name].client, asyncio.Event()
    stub, client.stream._stub = client.stream._stub, _Mute(over)
    timeout, client.timeout = client.timeout, 1.0
    try:
        yield
    finally:
        client.stream._stub, client.timeout = stub, timeout
        over.set()
