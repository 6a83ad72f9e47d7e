"""The architecture of simple_switch: ingress, replication, egress, and the copies that pass again.

In the same order as :mod:`softswitch.reference.engine`. Copies are made when their turn comes.
"""

from __future__ import annotations

from softswitch.native.runtime.buffers import buffer_release, buffer_take, malloc
from softswitch.native.runtime.events import event_put
from softswitch.native.runtime.links import transmit
from softswitch.native.runtime.program import (
    context_bytes,
    field_bytes,
    p4_deparse,
    p4_egress,
    p4_emit,
    p4_get_egress_spec,
    p4_get_enqueued_at,
    p4_get_group,
    p4_get_priority,
    p4_header_octets,
    p4_ingress,
    p4_keep_fields,
    p4_parse,
    p4_sample_digest,
    p4_set_checksum_error,
    p4_set_dequeued_depth,
    p4_set_egress_port,
    p4_set_egress_spec,
    p4_set_egress_timestamp,
    p4_set_enqueued_at,
    p4_set_enqueued_depth,
    p4_set_ingress_port,
    p4_set_ingress_timestamp,
    p4_set_instance_type,
    p4_set_packet_length,
    p4_set_parser_error,
    p4_set_queue_id,
    p4_set_queued_for,
    p4_set_replica_id,
)
from softswitch.native.runtime.structs import (
    BUF_AREA,
    BUF_REFERENCES,
    CTX_BUFFER,
    CTX_CHECKSUM_ERROR,
    CTX_CLONE_LIST,
    CTX_CLONE_SESSION,
    CTX_DATA,
    CTX_DATA_LENGTH,
    CTX_DIGEST,
    CTX_EGRESS_PORT,
    CTX_ERROR,
    CTX_EXITED,
    CTX_FIELDS,
    CTX_INGRESS_LENGTH,
    CTX_INGRESS_PORT,
    CTX_LENGTH,
    CTX_LIMIT,
    CTX_NEXT,
    CTX_PAYLOAD,
    CTX_PAYLOAD_LENGTH,
    CTX_RECIRCULATE,
    CTX_RESUBMIT,
    DESC_BUFFER,
    DESC_DATA,
    DESC_LENGTH,
    DESC_PORT,
    DESCRIPTOR_BYTES,
    HEADROOM,
    NONE,
    P_COUNT,
    P_OCTETS,
    P_REPLICAS,
    REPLICA_BYTES,
    REPLICA_INSTANCE,
    REPLICA_PORT,
    SW_AGAIN_HEAD,
    SW_AGAIN_TAIL,
    SW_CONTEXTS,
    SW_DROP_PORT,
    SW_ENDLESS,
    SW_GROUPS,
    SW_HUB,
    SW_NOW,
    SW_PACKETS,
    SW_RING,
    SW_RING_HEAD,
    SW_RING_MASK,
    SW_RING_TAIL,
    SW_SESSIONS,
    SW_STARTED,
    SW_TRACE_COUNT,
    SW_TRACE_EVERY,
    TRACE,
)
from softswitch.native.words import clear, copy, inline, u64, word

NORMAL, INGRESS_CLONE, EGRESS_CLONE, COALESCED, RECIRCULATED, REPLICATION, RESUBMITTED = range(7)
MAX_PASSES = 1024  # of one packet and its copies
_NS_PER_US = 1000


@inline
def now_us(switch: int) -> int:
    """Microseconds since the switch started."""
    return (u64[switch + SW_NOW] - u64[switch + SW_STARTED]) // _NS_PER_US


@inline
def context_take(switch: int) -> int:
    """Memory for a context."""
    context = u64[switch + SW_CONTEXTS]
    if context == 0:
        return malloc(context_bytes())
    u64[switch + SW_CONTEXTS] = u64[context + CTX_NEXT]
    return context


@inline
def context_release(switch: int, context: int) -> None:
    """A packet ends here."""
    buffer_release(u64[switch + SW_HUB], u64[context + CTX_BUFFER])
    u64[context + CTX_NEXT] = u64[switch + SW_CONTEXTS]
    u64[switch + SW_CONTEXTS] = context


@inline
def context_clear_requests(context: int) -> None:
    """Nothing is asked for."""
    u64[context + CTX_EGRESS_PORT] = NONE
    u64[context + CTX_EXITED] = 0
    u64[context + CTX_CLONE_SESSION] = NONE
    u64[context + CTX_CLONE_LIST] = 0
    u64[context + CTX_DIGEST] = 0
    u64[context + CTX_RESUBMIT] = 0
    u64[context + CTX_RECIRCULATE] = 0


@word
def context_fresh(switch: int, buffer: int, data: int, octets: int, port: int, ingress_octets: int) -> int:
    """A packet before parsing; takes over a reference to the buffer."""
    context = context_take(switch)
    clear_fields(context)
    context_clear_requests(context)
    u64[context + CTX_BUFFER] = buffer
    u64[context + CTX_DATA] = data
    u64[context + CTX_DATA_LENGTH] = octets
    u64[context + CTX_PAYLOAD] = data
    u64[context + CTX_PAYLOAD_LENGTH] = octets
    u64[context + CTX_INGRESS_PORT] = port
    u64[context + CTX_INGRESS_LENGTH] = ingress_octets
    u64[context + CTX_LENGTH] = octets
    u64[context + CTX_LIMIT] = NONE
    u64[context + CTX_ERROR] = 0
    u64[context + CTX_CHECKSUM_ERROR] = 0
    return context


@inline
def clear_fields(context: int) -> None:
    """All fields zero, nothing valid."""
    clear(context + CTX_FIELDS, field_bytes())


@word
def context_copy(switch: int, source: int) -> int:
    """The packet as it is now, with nothing asked for."""
    context = context_take(switch)
    copy(context, source, context_bytes())
    context_clear_requests(context)
    u64[u64[context + CTX_BUFFER] + BUF_REFERENCES] += 1
    return context


@word
def again(switch: int, context: int) -> None:
    """A packet that has another pass before it."""
    u64[context + CTX_NEXT] = 0
    if u64[switch + SW_AGAIN_TAIL] == 0:
        u64[switch + SW_AGAIN_HEAD] = context
    else:
        u64[u64[switch + SW_AGAIN_TAIL] + CTX_NEXT] = context
    u64[switch + SW_AGAIN_TAIL] = context


@inline
def enqueue_egress(switch: int, context: int, port: int) -> int:
    """Into the queue of a port; 0 if the queue that the packet asks for does not exist."""
    if p4_get_priority(context) != 0:
        return 0
    u64[context + CTX_EGRESS_PORT] = port
    u64[context + CTX_CLONE_SESSION] = NONE
    p4_set_enqueued_at(context, now_us(switch))
    p4_set_enqueued_depth(context, 0)
    return 1


@word
def replicate(switch: int, context: int, replication: int, to_egress: int) -> None:
    """Copies of a packet, each through egress at once, or, for to_egress = 0, as a pass of its own."""
    replicas = u64[replication + P_REPLICAS]
    for i in range(u64[replication + P_COUNT]):
        replica = replicas + REPLICA_BYTES * i
        duplicate = context_copy(switch, context)
        p4_set_replica_id(duplicate, u64[replica + REPLICA_INSTANCE])
        if enqueue_egress(switch, duplicate, u64[replica + REPLICA_PORT]) == 0:
            context_release(switch, duplicate)
        elif to_egress != 0:
            run_egress(switch, duplicate)
        else:
            again(switch, duplicate)


@word
def cut(context: int, octets: int) -> None:
    """Shorten the payload so that headers and payload keep to a clone session's length."""
    if octets == 0:
        return
    headers = p4_header_octets(context)
    room = octets - headers if octets > headers else 0
    u64[context + CTX_PAYLOAD_LENGTH] = min(u64[context + CTX_PAYLOAD_LENGTH], room)
    left = headers + u64[context + CTX_PAYLOAD_LENGTH]
    length = u64[context + CTX_LENGTH]
    if length >> 63 == 0:
        u64[context + CTX_LENGTH] = min(length, left)


@word
def clone_of_ingress(switch: int, context: int, arrived_octets: int) -> int:
    """The packet as it arrived, parsed anew; 0 if there is no such session."""
    session = u64[u64[switch + SW_SESSIONS] + 8 * u64[context + CTX_CLONE_SESSION]]
    if session == 0:
        return 0
    buffer = u64[context + CTX_BUFFER]
    u64[buffer + BUF_REFERENCES] += 1
    data = u64[context + CTX_DATA]
    octets = u64[context + CTX_DATA_LENGTH]
    port = u64[context + CTX_INGRESS_PORT]
    clone = context_fresh(switch, buffer, data, octets, port, u64[context + CTX_INGRESS_LENGTH])
    p4_set_ingress_port(clone, port)
    if p4_parse(switch, clone) != 0:
        context_release(switch, clone)
        return 0
    p4_keep_fields(u64[context + CTX_CLONE_LIST], context, clone)
    p4_set_instance_type(clone, INGRESS_CLONE)
    u64[clone + CTX_LENGTH] = arrived_octets
    cut(clone, u64[session + P_OCTETS])
    u64[clone + CTX_CLONE_SESSION] = session
    return clone


@word
def resubmitted(switch: int, context: int, arrived_octets: int) -> None:
    """The packet as it arrived, once more."""
    buffer = u64[context + CTX_BUFFER]
    u64[buffer + BUF_REFERENCES] += 1
    data = u64[context + CTX_DATA]
    octets = u64[context + CTX_DATA_LENGTH]
    port = u64[context + CTX_INGRESS_PORT]
    duplicate = context_fresh(switch, buffer, data, octets, port, u64[context + CTX_INGRESS_LENGTH])
    p4_keep_fields(u64[context + CTX_RESUBMIT], context, duplicate)
    p4_set_instance_type(duplicate, RESUBMITTED)
    p4_set_packet_length(duplicate, arrived_octets)
    u64[duplicate + CTX_LENGTH] = arrived_octets
    again(switch, duplicate)


@word
def run_ingress(switch: int, context: int) -> None:
    """A pass from the parser on; the context is used up."""
    arrived_octets = u64[context + CTX_LENGTH]
    if p4_parse(switch, context) != 0:
        context_release(switch, context)
        return
    p4_set_parser_error(context, u64[context + CTX_ERROR])
    p4_set_checksum_error(context, u64[context + CTX_CHECKSUM_ERROR])
    if p4_ingress(switch, context) != 0:
        context_release(switch, context)
        return
    u64[context + CTX_EXITED] = 0
    clone = 0
    if u64[context + CTX_CLONE_SESSION] != NONE:
        clone = clone_of_ingress(switch, context, arrived_octets)
    if u64[context + CTX_DIGEST] != 0:
        p4_sample_digest(switch, context, u64[context + CTX_DIGEST])
    if clone != 0:
        session = u64[clone + CTX_CLONE_SESSION]
        replicate(switch, clone, session, 1)
        context_release(switch, clone)
    group = p4_get_group(context)
    if u64[context + CTX_RESUBMIT] != 0:
        resubmitted(switch, context, arrived_octets)
    elif group != 0:
        p4_set_instance_type(context, REPLICATION)
        replication = u64[u64[switch + SW_GROUPS] + 8 * (group & 0xFFFF)]
        if replication != 0 and group <= 0xFFFF:
            replicate(switch, context, replication, 1)
    elif p4_get_egress_spec(context) != u64[switch + SW_DROP_PORT]:
        p4_set_instance_type(context, NORMAL)
        if enqueue_egress(switch, context, p4_get_egress_spec(context)) != 0:
            run_egress(switch, context)
            return
    context_release(switch, context)


@word
def run_egress(switch: int, context: int) -> None:
    """A pass through egress; the context is used up."""
    now = now_us(switch)
    p4_set_egress_timestamp(context, now)
    p4_set_queued_for(context, now - p4_get_enqueued_at(context))
    p4_set_dequeued_depth(context, 0)
    p4_set_queue_id(context, 0)
    p4_set_egress_port(context, u64[context + CTX_EGRESS_PORT])
    p4_set_egress_spec(context, u64[switch + SW_DROP_PORT] + 1)
    p4_set_packet_length(context, u64[context + CTX_LENGTH])
    if p4_egress(switch, context) != 0:
        context_release(switch, context)
        return
    if u64[context + CTX_CLONE_SESSION] != NONE:
        clones_of_egress(switch, context)
    if p4_get_egress_spec(context) == u64[switch + SW_DROP_PORT] or p4_deparse(switch, context) != 0:
        context_release(switch, context)
        return
    leave(switch, context)


@word
def clones_of_egress(switch: int, context: int) -> None:
    """Copies of the packet as it is at the end of egress, which go through egress again."""
    session = u64[u64[switch + SW_SESSIONS] + 8 * u64[context + CTX_CLONE_SESSION]]
    if session == 0:
        return
    clone = context_copy(switch, context)
    p4_keep_fields(u64[context + CTX_CLONE_LIST], context, clone)
    p4_set_instance_type(clone, EGRESS_CLONE)
    cut(clone, u64[session + P_OCTETS])
    replicate(switch, clone, session, 0)
    context_release(switch, clone)


@word
def leave(switch: int, context: int) -> None:
    """Headers and payload become one again, in place if nobody else refers to the buffer; then out, or around."""
    hub = u64[switch + SW_HUB]
    headers = p4_header_octets(context)
    payload = u64[context + CTX_PAYLOAD]
    payload_octets = u64[context + CTX_PAYLOAD_LENGTH]
    buffer = u64[context + CTX_BUFFER]
    if u64[buffer + BUF_REFERENCES] == 1 and headers <= payload - (buffer + BUF_AREA):
        data = payload - headers
    else:
        made = buffer_take(hub, HEADROOM + headers + payload_octets)
        if made == 0:
            context_release(switch, context)
            return
        data = made + BUF_AREA + HEADROOM
        copy(data + headers, payload, payload_octets)
        buffer_release(hub, buffer)
        buffer = made
    u64[buffer + BUF_REFERENCES] += 1
    u64[context + CTX_BUFFER] = buffer
    p4_emit(context, data)
    octets = min(headers + payload_octets, u64[context + CTX_LIMIT])
    if u64[context + CTX_RECIRCULATE] == 0:
        port = u64[context + CTX_EGRESS_PORT]
        context_release(switch, context)
        transmit(switch, port, buffer, data, octets)
        return
    following = context_fresh(switch, buffer, data, octets, u64[context + CTX_INGRESS_PORT], octets)
    p4_keep_fields(u64[context + CTX_RECIRCULATE], context, following)
    p4_set_instance_type(following, RECIRCULATED)
    p4_set_packet_length(following, octets)
    again(switch, following)
    context_release(switch, context)


@word
def carry(switch: int, context: int) -> None:
    """All passes of a packet and its copies: copies that pass again come before whatever waits."""
    pending = context
    passes = 0
    u64[context + CTX_NEXT] = 0
    while pending != 0:
        context = pending
        pending = u64[context + CTX_NEXT]
        if passes == MAX_PASSES:
            u64[switch + SW_ENDLESS] += 1
            context_release(switch, context)
        else:
            passes += 1
            if u64[context + CTX_EGRESS_PORT] == NONE:
                run_ingress(switch, context)
            else:
                run_egress(switch, context)
            if u64[switch + SW_AGAIN_TAIL] != 0:
                u64[u64[switch + SW_AGAIN_TAIL] + CTX_NEXT] = pending
                pending = u64[switch + SW_AGAIN_HEAD]
                u64[switch + SW_AGAIN_HEAD] = 0
                u64[switch + SW_AGAIN_TAIL] = 0


@word
def receive(switch: int, port: int, buffer: int, data: int, octets: int) -> None:
    """A packet from a port, to the end of all its passes."""
    u64[switch + SW_PACKETS] += 1
    context = context_fresh(switch, buffer, data, octets, port, octets)
    p4_set_ingress_port(context, port)
    p4_set_packet_length(context, octets)
    p4_set_ingress_timestamp(context, now_us(switch))
    carry(switch, context)


@word
def process_one(switch: int, port: int, octets: int, length: int) -> int:
    """Carry a packet that Python has through at once. 0 when memory is out."""
    buffer = buffer_take(u64[switch + SW_HUB], HEADROOM + length)
    if buffer == 0:
        return 0
    copy(buffer + BUF_AREA + HEADROOM, octets, length)
    receive(switch, port, buffer, buffer + BUF_AREA + HEADROOM, length)
    return 1


@word
def process_batch(switch: int, budget: int) -> int:
    """Up to budget packets of the switch's ring; how many there were."""
    head = u64[switch + SW_RING_HEAD]
    count = min(u64[switch + SW_RING_TAIL] - head, budget)
    for i in range(count):
        descriptor = u64[switch + SW_RING] + DESCRIPTOR_BYTES * ((head + i) & u64[switch + SW_RING_MASK])
        port = u64[descriptor + DESC_PORT]
        buffer = u64[descriptor + DESC_BUFFER]
        data = u64[descriptor + DESC_DATA]
        octets = u64[descriptor + DESC_LENGTH]
        u64[switch + SW_RING_HEAD] = head + i + 1
        traced = 0
        if u64[switch + SW_TRACE_EVERY] != 0:
            u64[switch + SW_TRACE_COUNT] += 1
            if u64[switch + SW_TRACE_COUNT] >= u64[switch + SW_TRACE_EVERY]:
                u64[switch + SW_TRACE_COUNT] = 0
                traced = event_put(switch, TRACE, port, buffer, data, octets, 0)
        if traced == 0:
            receive(switch, port, buffer, data, octets)
    return count
