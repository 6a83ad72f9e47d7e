"""The metadata fields through which the architecture and the program talk to each other."""

from __future__ import annotations

from softswitch.program import Program
from softswitch.reference.expressions import Write, field_writer
from softswitch.reference.layout import Fields, Layout


def _ignore(_fields: Fields, _value: int) -> None:
    """Writes a field that the program does not have."""


class StandardMetadata:
    """Writers of the fields the architecture fills in, and slots of those it reads; None where there are none.

    Names are those of simple_switch; p4c's aliases lead to the fields of ``standard_metadata``.
    """

    def __init__(self, program: Program, layout: Layout) -> None:
        def writer(name: str) -> Write:
            ref = program.field(name)
            return _ignore if ref is None else field_writer(layout.spec(ref))

        def slot(name: str) -> int | None:
            ref = program.field(name)
            return None if ref is None else layout.slot(ref)

        self.set_ingress_port = writer("standard_metadata.ingress_port")
        self.set_packet_length = writer("standard_metadata.packet_length")
        self.set_instance_type = writer("standard_metadata.instance_type")
        self.set_egress_port = writer("standard_metadata.egress_port")
        self.set_egress_spec = writer("standard_metadata.egress_spec")
        self.set_parser_error = writer("standard_metadata.parser_error")
        self.set_checksum_error = writer("standard_metadata.checksum_error")
        self.set_ingress_timestamp = writer("intrinsic_metadata.ingress_global_timestamp")
        self.set_egress_timestamp = writer("intrinsic_metadata.egress_global_timestamp")
        self.set_replica_id = writer("intrinsic_metadata.egress_rid")
        self.set_enqueued_at = writer("queueing_metadata.enq_timestamp")
        self.set_enqueued_depth = writer("queueing_metadata.enq_qdepth")
        self.set_queued_for = writer("queueing_metadata.deq_timedelta")
        self.set_dequeued_depth = writer("queueing_metadata.deq_qdepth")
        self.set_queue_id = writer("queueing_metadata.qid")
        egress_spec = slot("standard_metadata.egress_spec")
        assert egress_spec is not None  # the loader requires it
        self.egress_spec = egress_spec
        self.enqueued_at = slot("queueing_metadata.enq_timestamp")
        self._priority = slot("intrinsic_metadata.priority")
        self._group = slot("intrinsic_metadata.mcast_grp")

    def group(self, f: Fields) -> int:
        """The multicast group the program has chosen, 0 for none."""
        return 0 if self._group is None else f[self._group]

    def priority(self, f: Fields) -> int:
        """The queue the program has chosen, 0 by default."""
        return 0 if self._priority is None else f[self._priority]
