"""The switch under test as its controller sees it: a synchronous face on the asyncio P4Runtime client.

PTF's tests are plain blocking code; the client lives in an event loop of its own, in a thread beside them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from p4.v1 import p4runtime_pb2
from scapy.packet import Packet

from controller.dataplane import codepoints
from controller.dataplane.codepoints import DropReason
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import CounterCell, CounterData, DirectCounter, State, TableEntry
from controller.p4rt.packetio import PacketIn, PacketOut
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.target import Target

DEVICE_ID = 1
_CALL_SECONDS = 30.0

T = TypeVar("T")


class Switch:
    """One switch, of which this process is the primary controller."""

    def __init__(self, address: str, program: Path) -> None:
        pipeline = Pipeline.from_files(program / "fabric.p4info.txtpb", program / "fabric.json")
        codepoints.check(pipeline.info.proto)
        self._loop = asyncio.new_event_loop()
        self._packets: queue.Queue[PacketIn] = queue.Queue()
        threading.Thread(target=self._loop.run_forever, name="p4runtime", daemon=True).start()
        self._client: P4RuntimeClient = self._call(self._connect(address, pipeline))

    async def _connect(self, address: str, pipeline: Pipeline) -> P4RuntimeClient:
        client = P4RuntimeClient(Target(address, DEVICE_ID), pipeline)
        await client.__aenter__()
        await client.stream.wait_primary()
        await client.set_pipeline()
        self._reader = asyncio.create_task(self._keep_packets(client))
        return client

    async def _keep_packets(self, client: P4RuntimeClient) -> None:
        with client.stream.packets.subscribe() as packets:
            async for packet in packets:
                self._packets.put(packet)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    def insert(self, *entries: State) -> None:
        """Inserts entries, all in one batch. Raises WriteError."""
        self._call(self._client.insert(*entries))

    def modify(self, *entries: State) -> None:
        """Gives entries that exist another action, all in one batch. Raises WriteError."""
        self._call(self._client.modify(*entries))

    def delete(self, *entries: State) -> None:
        """Deletes entries, all in one batch. Raises WriteError."""
        self._call(self._client.delete(*entries))

    def drops(self, name: str = "drops") -> dict[DropReason, CounterData]:
        """Packets and octets dropped since the program was set, by reason; `pruned_copies`: of replicated packets.

        Where collectives have a pipe of their own, it counts what it drops by itself.
        """
        found = self._by_reason(name)
        if name == "drops" and "absorbed" in self._client.codec.info.counters:
            for reason, data in self._by_reason("absorbed").items():
                before = found[reason]
                found[reason] = CounterData(before.packets + data.packets, before.octets + data.octets)
        return found

    def _by_reason(self, name: str) -> dict[DropReason, CounterData]:
        counter = self._client.codec.info.counters[name]
        query = p4runtime_pb2.Entity(counter_entry=p4runtime_pb2.CounterEntry(counter_id=counter.id))
        known = {int(reason) for reason in DropReason}
        found = {}
        for cell in self._call(self._client.read_entities(query)):
            assert isinstance(cell, CounterCell)
            if cell.index in known:
                found[DropReason(cell.index)] = cell.data
            else:
                assert cell.data == CounterData(), f"{cell} counts a reason that does not exist"
        return found

    def counted(self, entry: TableEntry) -> CounterData:
        """Packets and octets that `entry` has matched."""
        query = p4runtime_pb2.Entity.FromString(self._client.codec.encode(DirectCounter(entry)).wire)
        (counter,) = self._call(self._client.read_entities(query))
        assert isinstance(counter, DirectCounter)
        return counter.data

    def packet_out(self, payload: Packet | bytes, *, port: int = 0, mode: int, iid: int = 0) -> None:
        """Hands the switch a packet: to transmit on `port`, or to take through ingress as one of `iid`."""
        packet = PacketOut(bytes(payload), {"port": port, "mode": mode, "iid": iid})
        self._call(self._client.stream.send_packet(packet))

    def packet_in(self, timeout: float) -> PacketIn | None:
        """The oldest packet that the switch has handed over; None when none comes in `timeout` seconds."""
        try:
            return self._packets.get(timeout=timeout)
        except queue.Empty:
            return None

    def forget_packets(self) -> None:
        """Throws away the packets that the switch has handed over."""
        while self.packet_in(0) is not None:
            pass


def difference(before: dict[DropReason, CounterData], after: dict[DropReason, CounterData]) -> Counter[DropReason]:
    """Packets dropped between two readings, by reason; reasons without any are left out."""
    counts = {reason: after[reason].packets - before[reason].packets for reason in after}
    return Counter({reason: count for reason, count in counts.items() if count})


@cache
def connect(address: str, program: str) -> Switch:
    """The switch whose P4Runtime server is at `address`, running the program in a folder; one for the whole process."""
    return Switch(address, Path(program))
