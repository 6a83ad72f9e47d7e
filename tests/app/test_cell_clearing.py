"""Where the count of cleared cells is read: of ingress's drops, or of the pipe that collectives have to themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from p4.v1 import p4runtime_pb2

from controller.app.cell_clearing import cleared
from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import DropReason

IDS = {"drops": 7, "pruned_copies": 8, "absorbed": 9}


def control(counters: list[str], counted: dict[int, int]) -> SwitchControl:
    """A switch whose program has `counters`, and has counted so many clears in those of these ids."""

    async def read(query: p4runtime_pb2.Entity) -> AsyncIterator[p4runtime_pb2.Entity]:
        assert query.counter_entry.index.index == DropReason.SLOT_CLEARED
        answer = p4runtime_pb2.Entity()
        answer.counter_entry.data.packet_count = counted[query.counter_entry.counter_id]
        yield answer

    info = SimpleNamespace(counters={name: SimpleNamespace(id=IDS[name]) for name in counters})
    return cast(SwitchControl, SimpleNamespace(client=SimpleNamespace(codec=SimpleNamespace(info=info), read=read)))


@pytest.mark.parametrize(
    ("counters", "expected"), [(["drops", "pruned_copies"], 3), (["drops", "pruned_copies", "absorbed"], 5)]
)
def test_clears_are_counted_where_collectives_are(counters: list[str], expected: int) -> None:
    assert asyncio.run(cleared(control(counters, {7: 3, 8: 4, 9: 5}))) == expected
