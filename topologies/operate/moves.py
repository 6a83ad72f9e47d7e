"""Accelerators that come, go and move from one access router of their PoD to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.app.control import Method, Session
from controller.app.control_errors import ControlError, only, texts, unknown
from topologies.inprocess import Fabric
from topologies.operate import names
from topologies.operate.failures import settled


class Moves:
    """`attach`, `detach` and `move` of an `accelerator`, at or to `switches`."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {"attach": self.attach, "detach": self.detach, "move": self.move}

    async def attach(self, params: Mapping[str, Any], session: Session) -> object:
        """It comes up on these access routers, by default on all that its cables lead to."""
        name, wanted = self._read(params)
        here = self._fabric.attached[name]
        if (wanted and not set(wanted) - set(here)) or (not wanted and set(here) >= set(self._cabled(name))):
            raise ControlError(f"{name} is attached to {', '.join(wanted or here)} already")
        self._attach(name, wanted)
        return await self._answer(name)

    async def detach(self, params: Mapping[str, Any], session: Session) -> object:
        """It leaves these access routers, by default all: its EIDs are withdrawn, then the link goes down."""
        name, wanted = self._read(params)
        here = self._fabric.attached[name]
        if not here:
            raise ControlError(f"{name} is attached nowhere")
        for switch in wanted:
            if switch not in here:
                raise unknown("switches", switch, here, f"switch that {name} is attached to")
        for switch in wanted or tuple(here):
            self._leave(name, switch)
        return await self._answer(name)

    async def move(self, params: Mapping[str, Any], session: Session) -> object:
        """It is attached to these access routers and no others: first to the new ones, then not to the old ones."""
        name, wanted = self._read(params)
        if not wanted:
            raise ControlError("switches: at least one is needed")
        before = list(self._fabric.attached[name])
        if sorted(before) == sorted(wanted):
            raise ControlError(f"{name} is attached to {', '.join(wanted)} already")
        self._attach(name, wanted)
        for switch in before:
            if switch not in wanted:
                self._leave(name, switch)
        self._fabric.attach(name, *wanted)  # the RLOCs that it is cabled to are fewer now
        return await self._answer(name)

    def _read(self, params: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        only(params, "accelerator", "switches")
        wanted = tuple(dict.fromkeys(texts(params, "switches")))
        for switch in wanted:
            names.switch(self._fabric, {"switches": switch}, "switches")
        return names.accelerator(self._fabric, params), wanted

    def _cabled(self, name: str) -> list[str]:
        return [switch for switch, plugged in self._fabric.access_ports if plugged == name]

    def _attach(self, name: str, wanted: tuple[str, ...]) -> None:
        try:
            self._fabric.attach(name, *wanted)
        except ValueError as error:
            raise names.refused(error) from None

    def _leave(self, name: str, switch: str) -> None:
        self._fabric.detach(name, switch)
        self._fabric.access_ports[switch, name].enabled = False
        self._fabric.switches[switch].poll_ports()

    async def _answer(self, name: str) -> object:
        waiting = await settled(self._fabric)
        return {"accelerator": name, "attached_to": list(self._fabric.attached[name]), "waiting": waiting}
