// What the stages of collectives leave to the architecture, for TNA: what v1model/arch.p4 has for v1model.
#ifndef FABRIC_TNA_COLLECTIVE_SEAM_P4_
#define FABRIC_TNA_COLLECTIVE_SEAM_P4_

// The port that loops back, of the pipe that has the cells; that pipe must not be the one with the port of the CPU. On
// Tofino 1, whose PCIe port belongs to pipe 1 or 2, the recirculation port of pipe 0; on Tofino 2, where it belongs to
// pipe 0, that of pipe 1.
#ifndef COLLECTIVE_PORT
#if __TARGET_TOFINO__ == 2
#define COLLECTIVE_PORT 134
#else
#define COLLECTIVE_PORT 68
#endif
#endif

#define FABRIC_DROP_COLLECTIVE(meta, why) FABRIC_DROP_NEGATIVE(meta, drop_reason_t.why)
#define FABRIC_LOCATOR_CHOSEN(meta) FABRIC_RETRACT(meta, NO_RLOC)

// The way to the parent is what the underlay is asked for, since the map-cache is not asked for a group. Its entries give
// what stands in the tunnel's own place, so where a packet came from is read in its header, and kept where its source EID
// was, of which a group has no use.
#define PARENT_RLOC(meta)      meta.rloc
#define PARENT_IS_IPV6(meta)   meta.rloc_is_ipv6
#define SOURCE_TO_PARENT(meta) meta.source_rloc
#define TAKE_WAY(meta)
#define PEER_VARIABLE
#define PEER meta.payload.src
#define TAKE_PEER(hdr, meta)                        \
    if (hdr.ipv4.isValid()) {                       \
        meta.payload.src = (eid_t) hdr.ipv4.src;    \
    } else {                                        \
        meta.payload.src = hdr.ipv6.src;            \
    }

// Egress does not look at values either. Where they are not wanted, they stay behind the packet as padding of the frame,
// unless the chip cuts it off.
#define LEAVE_VALUES(hdr) hdr.incc.flags = hdr.incc.flags | COLLECTIVE_EMPTY;

// Whose packet it is: in the header that it came in, whichever that is.
#define COLLECTIVE_RECEIVER(hdr, meta, eid)     \
    hdr.scale_up.dst = eid[31:0];               \
    hdr.ipv4.dst = eid[31:0];                   \
    hdr.ipv6.dst = eid;

// Ingress does not look at values. A frame that ends before their end is dropped by the parser of egress.
#define VALUES_ARE_CUT_OFF(hdr) false

// The innermost packet that this switch looks into has the header of a collective; the packet is one of a group here; it
// has become a work order.
#define IS_COLLECTIVE(hdr, meta) (hdr.incc.isValid() && (meta.terminated || !hdr.tunnel.isValid()))
#define IS_OF_GROUP(meta) (meta.collective.outcome != collective_outcome_t.NONE)
#define IS_ORDERED(hdr) hdr.work.isValid()

// What the controller clears is no tenant's. Map-cache and replication lists have nothing to do with a group.
#undef UNLESS_CLEAR
#undef UNLESS_OF_GROUP
#define UNLESS_CLEAR(hdr, meta, ...)                                                                    \
    if (!(meta.from_cpu && hdr.incc.isValid() && hdr.incc.kind == collective_kind_t.CLEAR)) {           \
        __VA_ARGS__                                                                                     \
    }
#define UNLESS_OF_GROUP(meta) if (IS_OF_GROUP(meta)) {} else

// What the deparsers add: in front of what ingress gives to egress, behind the bridge header, and at the end; and behind
// what egress puts in front.
#undef EMIT_ORDER
#undef EMIT_ORDERED
#undef EMIT_COLLECTIVE
#undef EMIT_RESULT
#define EMIT_ORDER(packet, hdr) packet.emit(hdr.work);
#define EMIT_ORDERED(packet, hdr) packet.emit(hdr.result);
#define EMIT_COLLECTIVE(packet, hdr) packet.emit(hdr.incc);
#define EMIT_RESULT(packet, hdr)        \
    packet.emit(hdr.scale_up);          \
    packet.emit(hdr.ipv4);              \
    packet.emit(hdr.ipv6);              \
    packet.emit(hdr.udp);               \
    packet.emit(hdr.incc);

#undef ARCHITECTURE_HEADERS
#define ARCHITECTURE_HEADERS \
    BRIDGE_HEADERS           \
    sample_h sample;         \
    work_h   work;           \
    state_h  state;          \
    result_h result;

#endif  // FABRIC_TNA_COLLECTIVE_SEAM_P4_
