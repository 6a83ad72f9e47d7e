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

#define FABRIC_DROP_COLLECTIVE(meta, why) { meta.drop_reason = drop_reason_t.why; }

// In the pipe that forwards. What the entry of a group gives is written at once in the work order, or where nothing else of
// the group's packets stands: containers are scarce. The way to the parent is what the underlay is asked for, since the
// map-cache is not asked; the source RLOC waits where the packet's source EID was, since its own place has the outer source
// until that has been checked.
#define BEGIN_ORDER(hdr)                hdr.work.setValid(); hdr.unchecked.setValid();
#define GROUP_ENTRY(hdr, meta)          hdr.unchecked
#define SET_EVERYONE(hdr, meta, set)    hdr.work.everyone[30:0] = set;
#define SET_REPLICAS(hdr, meta, list)   hdr.work.replicas = list;
#define SET_RANK(hdr, meta, number)     hdr.work.rank = number;
#define PARENT_RLOC(meta)               meta.rloc
#define PARENT_IS_IPV6(meta)            meta.rloc_is_ipv6
#define SOURCE_TO_PARENT(meta)          meta.payload.src
#undef KEEP_PEER
#define KEEP_PEER(meta)                 meta.source_rloc = meta.payload.src;

// In the pipe that has the cells, where packets of groups are checked: what the other has ordered, and its bridge header,
// are all that is known of a packet. It has been taken out of its tunnel.
#define IS_CLEAR(hdr, meta)             (hdr.work.step == collective_step_t.CHECK_CLEAR)
#define IS_ROOT(hdr, meta)              (hdr.work.root == 1)
#define CAME_BY_TUNNEL(hdr, meta)       ((bool) hdr.bridge_flags.terminated)
#define PORT_OF_ARRIVAL(hdr, meta)      7w0 ++ hdr.work.ingress_port
#define UDP_OF_TUNNEL(hdr)              hdr.udp
#define PARENT_OF_PACKET(hdr, meta)     hdr.bridge_rloc.value
#define PEER_VARIABLE
#define PEER                            hdr.bridge_source_rloc.value
#define NO_PEER                         PEER = 0;
#define TAKE_PEER(hdr, meta)
#define SET_CHILD(hdr, meta, set)       hdr.cell.child[30:0] = set;
#define SET_CELL(hdr, meta, number)     hdr.cell.index = number;

// Egress does not look at values either. Where they are not wanted, they stay behind the packet as padding of the frame,
// unless the chip cuts it off.
#define LEAVE_VALUES(hdr) hdr.incc.flags = hdr.incc.flags | COLLECTIVE_EMPTY;

// Whose packet it is: where the RLOC of a copy for a switch would be, until collective_result knows which header to put it in.
#define COLLECTIVE_RECEIVER(hdr, meta, eid) meta.rloc = eid;

// Ingress does not look at values. A frame that ends before their end is dropped by the parser of egress.
#define VALUES_ARE_CUT_OFF(hdr) false

// Where values take the containers that IPv6 headers would need (profiles/full.p4), groups have Scale-Up and IPv4 addresses,
// and whatever else is sent to one is forwarded like any other packet.
#if COLLECTIVE_IPV6
#define IS_SERVED(meta) true
#else
#define IS_SERVED(meta) (meta.payload.kind != payload_kind_t.IPV6)
#endif

// The innermost packet that this switch looks into has the header of a collective; the packet is one of a group here; its
// work order is carried out.
#define IS_COLLECTIVE(hdr, meta) \
    (hdr.incc.isValid() && IS_SERVED(meta) && (meta.terminated || !hdr.tunnel.isValid()))
#undef IS_OF_GROUP
#define IS_OF_GROUP(meta) (meta.collective.outcome != collective_outcome_t.NONE)
#define IS_ORDERED(meta) (IS_OF_GROUP(meta) && meta.verdict == verdict_t.FORWARD)

// What the controller gets has no order in front.
#undef DISCARD_ORDER
#define DISCARD_ORDER(hdr) hdr.work.setInvalid(); hdr.unchecked.setInvalid();

// What the controller clears is no tenant's.
#undef UNLESS_CLEAR
#define UNLESS_CLEAR(hdr, meta, ...)                                                                    \
    if (!(meta.from_cpu && hdr.incc.isValid() && hdr.incc.kind == collective_kind_t.CLEAR)) {           \
        __VA_ARGS__                                                                                     \
    }

// What the deparsers add: in front of what ingress gives to egress, and at the end; and behind what egress puts in front.
#undef EMIT_ORDER
#undef EMIT_COLLECTIVE
#undef EMIT_RESULT
#define EMIT_ORDER(packet, hdr) packet.emit(hdr.work); packet.emit(hdr.unchecked);
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
    sample_h    sample;      \
    work_h      work;        \
    unchecked_h unchecked;   \
    cell_h      cell;        \
    state_h     state;       \
    result_h    result;

#endif  // FABRIC_TNA_COLLECTIVE_SEAM_P4_
