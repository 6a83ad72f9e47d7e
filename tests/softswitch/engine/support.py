"""Programs of this folder in a switch, and what its tests have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path

from softswitch.program import Program, load_program
from softswitch.switch import EngineName, Switch
from tests.softswitch.clock import Clock

PROGRAMS = Path(__file__).parent / "programs"
COMPILED = PROGRAMS / "compiled"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.p4"))
CPU_PORT = 255


@cache
def program(name: str) -> Program:
    """A program of the folder."""
    return load_program((COMPILED / f"{name}.json").read_bytes())


def switch_with(name: str, clock: Clock | None = None, engine: EngineName = "auto") -> Switch:
    """A switch without ports that runs a program of the folder."""
    switch = Switch(0, cpu_port=CPU_PORT, clock=clock or Clock(), engine=engine)
    switch.set_program(program(name))
    return switch


def only(outputs: list[tuple[int, bytes]], port: int = 1) -> bytes:
    """The one packet that left, which must have left by that port."""
    ((where, packet),) = outputs
    assert where == port
    return packet


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Let the event loop run until the condition holds. TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions are those of synchronous code
            await asyncio.sleep(0.001)
