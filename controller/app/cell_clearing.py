"""Emptying the cells of a switch by packets, and knowing when that is done.

A clear has no answer, and may be lost; what the switch has is a counter of clears carried out, which says how many and
not which. So a batch is done when the count has grown by its size. Where it has not, the switch or the way to it loses
some: then cells go in pairs, each many times over, and a pair is done when fewer are missing than each was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from p4.v1 import p4runtime_pb2

from controller.app.switch_control import SwitchControl
from controller.dataplane.codepoints import SUBMIT, DropReason
from controller.dataplane.collective_clear import clear_packet

# Clears that are sent together: they have to fit into the queues of the stream and of the switch.
CLEARS_AT_ONCE = 128
# Where clears are lost: cells at once, and how often each is sent. Of 30 % loss, all copies are hit once in 10^8.
CAREFUL_CELLS = 2
CAREFUL_COPIES = 16
# Seconds that the count has to stand still for what is missing to be lost, and looks at it: of a process that has not
# run for so long, a single one would say nothing. Where clears are lost, it has to be waited for again and again.
STANDSTILL = 0.25
CAREFUL_STANDSTILL = 0.05
STANDSTILL_LOOKS = 25
_POLL = 0.002


def _nothing() -> None:
    """Nobody wants to know how it goes."""


async def cleared(control: SwitchControl) -> int:
    """How many cells a switch has cleared since it has its program. Raises P4RuntimeError."""
    counters = control.client.codec.info.counters
    query = p4runtime_pb2.Entity()
    query.counter_entry.counter_id = counters["absorbed" if "absorbed" in counters else "drops"].id
    query.counter_entry.index.index = DropReason.SLOT_CLEARED
    async for entity in control.client.read(query):
        return entity.counter_entry.data.packet_count
    return 0


async def clear_cells(control: SwitchControl, cells: range, progress: Callable[[], object] = _nothing) -> None:
    """Empties cells of a switch that no entry uses; returns when all are. One call at a time.

    `progress` is called whenever some are. Goes on without end where no clear arrives. Raises P4RuntimeError.
    """
    at = cells.start
    while at < cells.stop:
        batch = range(at, min(at + CLEARS_AT_ONCE, cells.stop))
        if await _send(control, batch) < len(batch):
            break
        at = batch.stop
        progress()
    while at < cells.stop:
        pair = range(at, min(at + CAREFUL_CELLS, cells.stop))
        # One after the other and again, so that a full queue does not take all those of one cell.
        wave = [*pair] * CAREFUL_COPIES
        # Nothing of a wave may be counted with the next, which would seem to have arrived.
        if await _send(control, wave, CAREFUL_STANDSTILL) > len(wave) - CAREFUL_COPIES:
            at = pair.stop
            progress()


async def standstill(control: SwitchControl) -> None:
    """Returns when no clear that was sent earlier can be counted any more. Raises P4RuntimeError."""
    await _count(control, None, STANDSTILL)


async def _send(control: SwitchControl, cells: Sequence[int], still: float = STANDSTILL) -> int:
    """Sends clears; how many the switch has counted when those are all, or no more come."""
    before = await cleared(control)
    for cell in cells:
        control.packet_out(clear_packet(cell), mode=SUBMIT)
    return await _count(control, before + len(cells), still) - before


async def _count(control: SwitchControl, wanted: int | None, still: float) -> int:
    """What the switch has counted when that is `wanted`, or has not grown for `still` seconds."""
    loop = asyncio.get_running_loop()
    found = await cleared(control)
    moved, looks = loop.time(), 0
    while wanted is None or found < wanted:
        if looks >= STANDSTILL_LOOKS and loop.time() >= moved + still:
            break
        await asyncio.sleep(_POLL)
        last, found = found, await cleared(control)
        looks += 1
        if found != last:
            moved, looks = loop.time(), 0
    return found
