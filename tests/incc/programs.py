"""Members as programs: the accelerators' library, over the control socket and the links of a fabric in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelerator.incc.core import Settings
from accelerator.incc.group import AsyncGroup, attach_interface
from accelerator.rendezvous import Rendezvous
from controller.app.control import ControlServer
from tests.incc.running import until
from topologies.generate import Shape, generate
from topologies.inprocess import Fabric
from topologies.schema import Topology
from topologies.topology_file import load
from topologies.write_yaml import topology_text

SETTINGS = Settings(timeout=60, longest_timeout=0.05)


def generated(folder: Path, shape: Shape, collectives: str) -> Topology:
    """The topology of a shape, with a section `collectives`."""
    file = folder / f"{shape.name}.yaml"
    file.write_text(topology_text(generate(shape), "generated") + f"\ncollectives:\n{collectives}")
    return load(file)


class Programs:
    """The accelerators' processes, each with a connection of its own to the control socket."""

    def __init__(self, fabric: Fabric, server: ControlServer) -> None:
        server.methods.update(fabric.control_methods)
        self.fabric = fabric
        self.control = server.path

    async def create(self, group: str, **params: Any) -> None:
        """Over a connection of somebody who is no member."""
        async with Rendezvous(self.control) as client:
            await client.call("incc.create", group=group, **params)

    async def destroy(self, group: str, members: Sequence[AsyncGroup] = ()) -> None:
        """A group ends, and its members' programs with it."""
        async with Rendezvous(self.control) as client:
            await client.call("incc.destroy", group=group)
        for member in members:
            await member.close()

    async def join(self, group: str, *names: str) -> list[AsyncGroup]:
        """Accelerators join, all at once. Raises what the first of them that could not join was told."""
        async with asyncio.timeout(60):
            joined = await asyncio.gather(*(self._join(group, name) for name in names), return_exceptions=True)
        members = [one for one in joined if isinstance(one, AsyncGroup)]
        for one in joined:
            if isinstance(one, BaseException):
                for member in members:
                    await member.close()
                raise one
        return members

    async def _join(self, group: str, name: str) -> AsyncGroup:
        attach = attach_interface(self.fabric.interfaces[name])
        return await AsyncGroup.join(group, name, control=self.control, attach=attach, settings=SETTINGS)


async def kill(member: AsyncGroup) -> None:
    """A program dies: it sends nothing more, and its connection ends without a word."""
    member._attachment.close()
    assert member._watching is not None
    assert member._rendezvous is not None
    member._watching.cancel()
    await member._rendezvous.close()
    if member._timer is not None:
        member._timer.cancel()


def arrays(members: Sequence[AsyncGroup], length: int = 1000) -> list[NDArray[np.int32]]:
    """Values of each member, by its rank."""
    return [np.random.default_rng(member.rank).integers(-(2**24), 2**24, length, np.int32) for member in members]


async def sums(members: Sequence[AsyncGroup], length: int = 1000) -> None:
    """An AllReduce, which has to give everybody exactly the sum."""
    data = arrays(members, length)
    total = np.sum(data, axis=0, dtype=np.int32)
    handles = [member.all_reduce(array) for member, array in zip(members, data, strict=True)]
    async with asyncio.timeout(60):
        for handle in handles:
            np.testing.assert_array_equal(await handle, total)


async def go_on(members: Sequence[AsyncGroup], size: int) -> None:
    """Members go on when all have heard that the group has been formed anew, of so many."""
    await until(lambda: all(member._next is not None and member._next.size == size for member in members))
    for member in members:
        member.go_on()


class Recorder:
    """Every frame that has entered some switches, to be sent again later."""

    def __init__(self, fabric: Fabric, *switches: str) -> None:
        self.fabric = fabric
        self.frames: list[tuple[str, int, bytes]] = []
        self._taps: list[tuple[Any, Any]] = []
        for switch in switches:
            for number, attached in fabric.switches[switch].ports.items():
                self._tap(switch, number, attached.port)

    def _tap(self, switch: str, number: int, port: Any) -> None:
        def tap(frame: bytes, leaves: bool) -> None:
            if not leaves:
                self.frames.append((switch, number, frame))

        port.add_tap(tap)
        self._taps.append((port, tap))

    def stop(self) -> None:
        for port, tap in self._taps:
            port.remove_tap(tap)

    def replay(self) -> None:
        """All of them, on the ports where they came in."""
        for switch, number, frame in self.frames:
            self.fabric.switches[switch].inject(number, frame)
