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

// What the entries of a group give stands where nothing else of its packets does, and at once in the work order: containers
// are scarce. The way to the parent is what the underlay is asked for, since the map-cache is not asked; the source RLOC
// waits where the packet's source EID was, since its own place has the outer source until it has been checked.
#define SET_EVERYONE(hdr, meta, set) hdr.work.everyone[30:0] = set;
#define SET_CHILD(hdr, meta, set)    hdr.work.child[30:0] = set;
#define SET_CELL(hdr, meta, number)  hdr.work.cell = number;
#define ORDER_CELL(hdr, meta)           \
    hdr.work.child[31:31] = 1;          \
    hdr.work.everyone[31:31] = 1;
#define PARENT_RLOC(meta)      meta.rloc
#define PARENT_IS_IPV6(meta)   meta.rloc_is_ipv6
#define SOURCE_TO_PARENT(meta) meta.payload.src
#define TAKE_WAY(meta)         meta.source_rloc = meta.payload.src;
#define PEER_VARIABLE
#define PEER                   meta.source_rloc
#define NO_PEER
#define TAKE_PEER(hdr, meta)
#undef KEEP_PEER
#define KEEP_PEER(meta)        meta.source_rloc = meta.payload.src;

// Egress does not look at values either. Where they are not wanted, they stay behind the packet as padding of the frame,
// unless the chip cuts it off.
#define LEAVE_VALUES(hdr) hdr.incc.flags = hdr.incc.flags | COLLECTIVE_EMPTY;

// Whose packet it is: where the RLOC of a copy for a switch would be, until collective_result knows which header to put it in.
#define COLLECTIVE_RECEIVER(hdr, meta, eid) meta.rloc = eid;

// Ingress does not look at values. A frame that ends before their end is dropped by the parser of egress.
#define VALUES_ARE_CUT_OFF(hdr) false

// No containers are left in egress for IPv6 headers of results: groups have Scale-Up and IPv4 addresses, and whatever else is
// sent to one is forwarded like any other packet.
//
// The innermost packet that this switch looks into has the header of a collective; the packet is one of a group here; it
// has become a work order.
#define IS_COLLECTIVE(hdr, meta) \
    (hdr.incc.isValid() && meta.payload.kind != payload_kind_t.IPV6 && (meta.terminated || !hdr.tunnel.isValid()))
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
