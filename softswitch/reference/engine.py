"""The reference engine: a v1model program in the architecture of bmv2's simple_switch.

Parser, ingress, replication, egress, deparser; clones, resubmitted and recirculated packets; and the standard
metadata that goes with each. The order of things follows simple_switch, odd cases included.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from typing import Literal

from softswitch.program import FieldRef, Program
from softswitch.reference.actions import ActionCompiler
from softswitch.reference.calculations import compile_calculation
from softswitch.reference.checksums import compile_update, compile_verification
from softswitch.reference.deparser import Deparser
from softswitch.reference.expressions import ExpressionCompiler
from softswitch.reference.layout import Layout
from softswitch.reference.metadata import StandardMetadata
from softswitch.reference.packet import Packet, PacketDropped
from softswitch.reference.parser import Parser
from softswitch.reference.pipeline import Pipeline
from softswitch.reference.primitives import Context
from softswitch.reference.trace import (
    Copied,
    DigestSampled,
    Dropped,
    NamedValue,
    Received,
    Sent,
    TraceSink,
)
from softswitch.state import CloneSession, Replica, SwitchState

log = logging.getLogger(__name__)

# Values of standard_metadata.instance_type
NORMAL, INGRESS_CLONE, EGRESS_CLONE, COALESCED, RECIRCULATED, REPLICATION, RESUBMITTED = range(7)

_NS_PER_US = 1000
_QUEUES_PER_PORT = 1


class ReferenceEngine:
    """Runs packets through one program.

    drop_port:  value of egress_spec that drops
    started_ns: clock value at which the program's timestamps are 0
    trace:      receives every event; None for full speed
    seed:       of the random primitive
    """

    def __init__(
        self,
        program: Program,
        state: SwitchState,
        *,
        drop_port: int = 511,
        started_ns: int = 0,
        trace: TraceSink | None = None,
        seed: int | None = None,
    ) -> None:
        self._program = program
        self._state = state
        self._clock = state.clock
        self._started_ns = started_ns
        self._drop_port = drop_port
        self._trace = trace
        self._packets = 0
        self._layout = layout = Layout(program)
        self._metadata = StandardMetadata(program, layout)
        calculations = {
            definition: compile_calculation(definition, layout, state.crc_parameters)
            for definition in program.calculations.values()
        }
        context = Context(
            layout=layout,
            expressions=ExpressionCompiler(layout, state.registers),
            calculations=calculations,
            state=state,
            drop_port=drop_port,
            random=random.Random(seed),
            trace=trace,
            standard=program.field,
        )
        actions = ActionCompiler(context)
        verified = [compile_verification(c, context) for c in program.checksums if c.verify]
        updated = [compile_update(c, context) for c in program.checksums if c.update]
        self._parser = Parser(program, context, verified)
        self._ingress = Pipeline(program.ingress, context, actions)
        self._egress = Pipeline(program.egress, context, actions)
        self._deparser = Deparser(program.deparser, context, updated)
        self._digests = {digest.id: digest for digest in program.digests.values()}
        self._field_lists = {
            field_list.id: [layout.slot(ref) for ref in field_list.fields]
            for field_list in program.field_lists.values()
        }
        self._wire_headers = [layout.headers[header] for header in program.deparser.order]

    def receive(self, port: int, packet: bytes) -> Packet:
        """A packet that has arrived on a port, ready for ingress."""
        arrived = self._make_packet(packet, port, len(packet))
        f = arrived.fields
        self._metadata.set_ingress_port(f, port)
        self._metadata.set_packet_length(f, len(packet))
        self._metadata.set_ingress_timestamp(f, self._now())
        return arrived

    def step(self, work: object) -> tuple[Sequence[tuple[int, bytes]], Sequence[object]]:
        """One pass through ingress and egress, or through egress alone for a packet that is past ingress.

        What leaves, as (port, packet), and the packets that still have a pass before them.
        """
        assert isinstance(work, Packet)
        outputs: list[tuple[int, bytes]] = []
        again: list[Packet] = []
        waiting = [work] if work.egress_port is not None else self._run_ingress(work, again)
        for packet in waiting:
            self._run_egress(packet, outputs, again)
        return outputs, again

    # Ingress

    def _run_ingress(self, packet: Packet, again: list[Packet]) -> list[Packet]:
        """The packets that go on to egress."""
        if self._trace is not None:
            self._trace(Received(packet.id, packet.ingress_port, packet.data))
        arrived_length = packet.length
        f = packet.fields
        try:
            self._parser.parse(packet)
            self._metadata.set_parser_error(f, packet.error)
            self._metadata.set_checksum_error(f, int(packet.checksum_error))
            self._ingress.apply(packet)
        except PacketDropped as outcome:
            self._report_drop(packet, "ingress", str(outcome))
            return []
        packet.exited = False
        following: list[Packet] = []
        if packet.clone_session is not None:
            following += self._clone_of_ingress(packet, arrived_length)
        if packet.digest:
            self._sample_digest(packet)
        group = self._metadata.group(f)
        if packet.resubmit_list:
            again.append(self._resubmitted(packet, arrived_length))
        elif group:
            self._metadata.set_instance_type(f, REPLICATION)
            following += self._replicas(packet, self._state.multicast.replicas(group), "replica", group)
        elif f[self._metadata.egress_spec] == self._drop_port:
            self._report_drop(packet, "ingress", "egress_spec is the drop port")
        else:
            self._metadata.set_instance_type(f, NORMAL)
            following += self._enqueued(packet, f[self._metadata.egress_spec])
        return following

    def _clone_of_ingress(self, packet: Packet, arrived_length: int) -> list[Packet]:
        """Clones carry the packet as it arrived, parsed anew."""
        session = self._session_of(packet)
        if session is None:
            return []
        clone = self._make_packet(packet.data, packet.ingress_port, packet.ingress_length)
        self._metadata.set_ingress_port(clone.fields, packet.ingress_port)
        try:
            self._parser.parse(clone)
        except PacketDropped as outcome:
            self._report_drop(clone, "parser", str(outcome))
            return []
        self._keep_fields(packet.clone_list, packet, clone)
        self._metadata.set_instance_type(clone.fields, INGRESS_CLONE)
        clone.length = arrived_length
        self._cut(clone, session)
        return self._replicas(clone, session.replicas, "ingress clone", session.id, packet.id)

    def _resubmitted(self, packet: Packet, arrived_length: int) -> Packet:
        resubmitted = self._make_packet(packet.data, packet.ingress_port, packet.ingress_length)
        self._keep_fields(packet.resubmit_list, packet, resubmitted)
        self._metadata.set_instance_type(resubmitted.fields, RESUBMITTED)
        self._metadata.set_packet_length(resubmitted.fields, arrived_length)
        resubmitted.length = arrived_length
        self._report_copy("resubmitted", packet.id, resubmitted, packet.resubmit_list)
        return resubmitted

    def _sample_digest(self, packet: Packet) -> None:
        digest = self._digests.get(packet.digest)
        if digest is None:
            log.error("the program asked for a digest of id %d, which it does not have", packet.digest)
            return
        values = self._values(packet, digest.fields)
        if self._trace is not None:
            self._trace(DigestSampled(packet.id, digest.name, values))
        self._state.digests(digest.name).add(tuple(value.value for value in values))

    # Egress

    def _run_egress(self, packet: Packet, outputs: list[tuple[int, bytes]], again: list[Packet]) -> None:
        assert packet.egress_port is not None
        f = packet.fields
        now = self._now()
        self._metadata.set_egress_timestamp(f, now)
        if self._metadata.enqueued_at is not None:
            self._metadata.set_queued_for(f, now - f[self._metadata.enqueued_at])
            self._metadata.set_dequeued_depth(f, 0)
            self._metadata.set_queue_id(f, 0)
        self._metadata.set_egress_port(f, packet.egress_port)
        self._metadata.set_egress_spec(f, self._drop_port + 1)  # anything that does not drop
        self._metadata.set_packet_length(f, packet.length)
        try:
            self._egress.apply(packet)
            if packet.clone_session is not None:
                again += self._clones_of_egress(packet)
            if f[self._metadata.egress_spec] == self._drop_port:
                raise PacketDropped("egress_spec is the drop port")
            data = self._deparser.deparse(packet)
        except PacketDropped as outcome:
            self._report_drop(packet, "egress", str(outcome))
            return
        if packet.recirculate_list:
            again.append(self._recirculated(packet, data))
            return
        if self._trace is not None:
            self._trace(Sent(packet.id, packet.egress_port, data))
        outputs.append((packet.egress_port, data))

    def _clones_of_egress(self, packet: Packet) -> list[Packet]:
        """Clones carry the packet as it is at the end of egress, and go through egress again."""
        session = self._session_of(packet)
        if session is None:
            return []
        clone = packet.copy(self._next_id())
        self._keep_fields(packet.clone_list, packet, clone)
        self._metadata.set_instance_type(clone.fields, EGRESS_CLONE)
        self._cut(clone, session)
        return self._replicas(clone, session.replicas, "egress clone", session.id, packet.id)

    def _recirculated(self, packet: Packet, data: bytes) -> Packet:
        recirculated = self._make_packet(data, packet.ingress_port, len(data))
        self._keep_fields(packet.recirculate_list, packet, recirculated)
        self._metadata.set_instance_type(recirculated.fields, RECIRCULATED)
        self._metadata.set_packet_length(recirculated.fields, len(data))
        self._report_copy("recirculated", packet.id, recirculated, packet.recirculate_list)
        return recirculated

    # Copies

    def _replicas(
        self,
        packet: Packet,
        replicas: Iterable[Replica],
        kind: Literal["replica", "ingress clone", "egress clone"],
        reference: int,
        source: int | None = None,
    ) -> list[Packet]:
        copies: list[Packet] = []
        for replica in replicas:
            copy = packet.copy(self._next_id())
            self._metadata.set_replica_id(copy.fields, replica.instance)
            self._report_copy(kind, packet.id if source is None else source, copy, reference, replica.port)
            copies += self._enqueued(copy, replica.port)
        return copies

    def _enqueued(self, packet: Packet, port: int) -> list[Packet]:
        """The packet in the queue of a port, if the queue it asks for exists."""
        priority = self._metadata.priority(packet.fields)
        if priority >= _QUEUES_PER_PORT:
            self._report_drop(packet, "queue", f"there is no queue of priority {priority}")
            return []
        packet.egress_port = port
        packet.clone_session = None
        self._metadata.set_enqueued_at(packet.fields, self._now())
        self._metadata.set_enqueued_depth(packet.fields, 0)
        return [packet]

    def _session_of(self, packet: Packet) -> CloneSession | None:
        assert packet.clone_session is not None
        return self._state.clone_sessions.find(packet.clone_session)

    def _cut(self, clone: Packet, session: CloneSession) -> None:
        """Shorten the payload so that headers and payload keep to the session's length."""
        if session.packet_length_bytes:
            headers = sum(slots.octets(clone.fields) for slots in self._wire_headers if clone.fields[slots.valid])
            clone.payload = clone.payload[: max(0, session.packet_length_bytes - headers)]
            clone.length = min(clone.length, headers + len(clone.payload))

    def _keep_fields(self, list_id: int, source: Packet, copy: Packet) -> None:
        """Metadata of a copy is zero but for the fields of the list."""
        for slots in self._layout.metadata:
            copy.fields[slots.start : slots.end] = [0] * (slots.end - slots.start)
        for slot in self._field_lists.get(list_id, ()):
            copy.fields[slot] = source.fields[slot]

    def _make_packet(self, data: bytes, port: int, ingress_length: int) -> Packet:
        return Packet(self._next_id(), self._layout.fresh(), data, port, ingress_length)

    def _next_id(self) -> int:
        self._packets += 1
        return self._packets - 1

    def _now(self) -> int:
        """Microseconds since the switch started."""
        return (self._clock() - self._started_ns) // _NS_PER_US

    # Trace

    def _values(self, packet: Packet, refs: Iterable[FieldRef]) -> tuple[NamedValue, ...]:
        values = []
        for ref in refs:
            spec = self._layout.spec(ref)
            values.append(NamedValue(ref.name, packet.fields[spec.slot] & spec.mask, spec.width))
        return tuple(values)

    def _report_drop(self, packet: Packet, where: str, reason: str) -> None:
        if self._trace is not None:
            self._trace(Dropped(packet.id, where, reason))

    def _report_copy(
        self,
        kind: Literal["ingress clone", "egress clone", "replica", "resubmitted", "recirculated"],
        source: int,
        copy: Packet,
        reference: int | None,
        port: int | None = None,
    ) -> None:
        if self._trace is not None:
            self._trace(Copied(copy.id, kind, source, reference, port))
