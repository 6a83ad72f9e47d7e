"""Which ports of switch processes are up: heard from the kernel, since P4Runtime has no word for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

# `3: s1p1@s5p1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu ...`: LOWER_UP is the carrier.
_LINE: Final = re.compile(r"\d+: ([^:@\s]+)[^:]*: <([^>]*)>")


@asynccontextmanager
async def watch_ports(
    interfaces: Mapping[str, tuple[str, int]], told: Callable[[str, int, bool], None], prefix: Sequence[str] = ()
) -> AsyncIterator[None]:
    """Tells `told` of each change: switch, port, and whether it is up. `prefix`: put before the command.

    All ports are taken to be up at the beginning.
    """
    monitor = await asyncio.create_subprocess_exec(
        *prefix, "ip", "-oneline", "monitor", "link", stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    assert monitor.stdout is not None
    reader = asyncio.create_task(_follow(monitor.stdout, interfaces, told), name="port watch")
    try:
        yield
    finally:
        reader.cancel()
        monitor.terminate()
        await monitor.wait()


async def _follow(
    lines: asyncio.StreamReader, interfaces: Mapping[str, tuple[str, int]], told: Callable[[str, int, bool], None]
) -> None:
    up = dict.fromkeys(interfaces, True)
    async for line in lines:
        found = _LINE.match(line.decode(errors="replace").removeprefix("Deleted "))
        if found is None or found[1] not in interfaces:
            continue
        now = "LOWER_UP" in found[2].split(",") and not line.startswith(b"Deleted")
        if now != up[found[1]]:
            up[found[1]] = now
            told(*interfaces[found[1]], now)
