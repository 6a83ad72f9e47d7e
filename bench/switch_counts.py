"""Packets of collectives that each switch has handled, by its own counters, over P4Runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping

from p4.v1 import p4runtime_pb2

from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import DirectCounter

# Packets, and when they were read (seconds of time.monotonic()).
Reading = tuple[int, float]


async def read(clients: Mapping[str, P4RuntimeClient]) -> dict[str, Reading]:
    """By switch: contributions and results that belong to a group of this switch."""
    return {name: (await _packets(client), time.monotonic()) for name, client in clients.items()}


async def _packets(client: P4RuntimeClient) -> int:
    query = p4runtime_pb2.Entity()
    query.direct_counter_entry.table_entry.table_id = client.codec.info.tables["collective"].id
    return sum(one.data.packets for one in await client.read_entities(query) if isinstance(one, DirectCounter))


def rates(before: Mapping[str, Reading], after: Mapping[str, Reading]) -> dict[str, float]:
    """Packets a second of the switches that had any."""
    found = {name: (after[name][0] - count) / (after[name][1] - then) for name, (count, then) in before.items()}
    return {name: rate for name, rate in found.items() if rate > 0}


def line(found: Mapping[str, float]) -> str:
    """As it is printed below a row."""
    return "       packets/s: " + "  ".join(f"{name} {rate:.0f}" for name, rate in sorted(found.items()))
