"""One switch under control: its P4Runtime connection, the writer of its tables, and its packets for the controller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType

from controller.dataplane import codepoints
from controller.dataplane.router_tables import Changes, RouterTables
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import Key, State
from controller.p4rt.errors import P4RuntimeError
from controller.p4rt.failures import Failure
from controller.p4rt.packetio import PacketIn, PacketOut
from controller.p4rt.pipeline import Pipeline, PipelineMode
from controller.p4rt.readback import StateReader
from controller.p4rt.reconcile import Writer
from controller.p4rt.target import Target

log = logging.getLogger(__name__)

# Packets that may wait for the connection to the switch; more are lost, as on any full queue.
PACKET_OUT_QUEUE = 256


class SwitchControl:
    """Keeps a switch's tables as `tables` desires them; an async context manager.

    Until `complete` is called, entries that an earlier controller left on the switch stay there, so that a restarted
    control plane disturbs no traffic while it learns what it knew before.

    Attributes:
        tables: what the switch shall have; change it through `apply`.
        on_packet_in: is given every packet that the switch sends to the controller.
        on_local: sees each of them first, where control messages come in band; what it returns True for was for it.
        packets_in, packets_out: packets received from the switch, and accepted for it and not lost.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        pipeline: Pipeline,
        tables: RouterTables,
        on_packet_in: Callable[[PacketIn], None] | None = None,
    ) -> None:
        """Raises ProgramMismatchError when the pipeline's code points are not this controller's."""
        codepoints.check(pipeline.info.proto)
        self.name = name
        self.tables = tables
        self.on_packet_in = on_packet_in
        self.on_local: Callable[[PacketIn], bool] = lambda _: False
        self.packets_in = 0
        self.packets_out = 0
        self.client = P4RuntimeClient(target, pipeline)
        self.writer = Writer(self.client, mode=PipelineMode.PRESERVE)
        self._outgoing: asyncio.Queue[PacketOut] = asyncio.Queue(PACKET_OUT_QUEUE)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> SwitchControl:
        await self._stack.enter_async_context(self.client)
        await self._stack.enter_async_context(self.writer)
        for work in (self._receive(), self._transmit()):
            task = asyncio.create_task(work, name=f"{self.name} packets")
            self._stack.callback(task.cancel)
        self.writer.apply(self.tables.desired())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def apply(self, changes: Changes) -> None:
        """Has the switch changed; returns at once, `settled` tells when it is done."""
        if changes:
            self.writer.apply(changes.put, changes.remove)

    def complete(self) -> None:
        """The tables are known in full: whatever else is on the switch goes."""
        self.writer.sweep()

    async def settled(self) -> tuple[Failure, ...]:
        """Waits until the switch has what is desired; returns what it refused."""
        return await self.writer.settled()

    async def lacks(self, entities: Iterable[State]) -> set[Key]:
        """The keys of those that the switch does not hold, or holds otherwise, by what it says now.

        Raises P4RuntimeError; waits as long as this controller is not primary.
        """
        await self.client.stream.wait_primary()
        wanted = [(entity, self.client.codec.encode(entity)) for entity in entities]
        found = await StateReader(self.client, {encoded.key: encoded for _, encoded in wanted}).read()
        held = {encoded.key: encoded.wire for encoded in found}
        return {entity.key() for entity, encoded in wanted if held.get(encoded.key) != encoded.wire}

    def packet_out(self, payload: bytes, *, port: int = 0, mode: int = codepoints.TRANSMIT, iid: int = 0) -> None:
        """Sends a frame out of `port`, or, with mode SUBMIT, through ingress as if from an accelerator of `iid`."""
        try:
            self._outgoing.put_nowait(PacketOut(payload, {"port": port, "mode": mode, "iid": iid}))
            self.packets_out += 1
        except asyncio.QueueFull:
            log.warning("%s: a packet-out of %d octets is lost: %d wait", self.name, len(payload), PACKET_OUT_QUEUE)

    async def _transmit(self) -> None:
        while True:
            packet = await self._outgoing.get()
            try:
                # A packet that is resubmitted must find the entries that its resubmission is due to.
                await self.writer.settled()
                await self.client.stream.send_packet(packet)
            except P4RuntimeError as error:
                self.packets_out -= 1
                log.warning("%s: a packet-out of %d octets is lost: %s", self.name, len(packet.payload), error)

    async def _receive(self) -> None:
        with self.client.stream.packets.subscribe() as packets:
            async for packet in packets:
                self.packets_in += 1
                try:
                    if not self.on_local(packet) and self.on_packet_in is not None:
                        self.on_packet_in(packet)
                except Exception:
                    # A packet must not end the reception of all that follow.
                    log.exception("%s: a packet of %d octets was not handled", self.name, len(packet.payload))
