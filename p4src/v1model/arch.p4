// The seam between the shared stages and v1model: what a stage writes as a macro, another architecture defines
// differently, and nothing else differs.
#ifndef FABRIC_V1MODEL_ARCH_P4_
#define FABRIC_V1MODEL_ARCH_P4_

#include <core.p4>
#include <v1model.p4>

#define CPU_PORT 510

// Clone session of the sampled copies; the router's control plane points it to the CPU port.
#define SAMPLE_SESSION 1

// standard_metadata.instance_type of a clone made in ingress.
#define INSTANCE_INGRESS_CLONE 1

// The children of a switch in a collective group, one bit each.
typedef bit<64> child_set_t;

// Colour of a packet above the committed and the excess rate.
#define METER_RED 2

// A direct counter or meter counts by itself on every hit or miss here; elsewhere the action must say so.
#define DIRECT_COUNTER(name) direct_counter(CounterType.packets_and_bytes) name;
#define COUNT_DIRECT(name)
#define DIRECT_METER(name) direct_meter<color_t>(MeterType.bytes) name;
#define READ_METER(name, result) name.read(result);

#define RANDOM_SOURCE(name, bits)
#define RANDOM(name, result, most) random(result, 0, most);

// The smaller of both numbers.
#define SMALLER(number, other) if (other < number) { number = other; }

// The hash that spreads flows. The rotation comes from the control plane.
#define FLOW_HASH(name)
#define FLOW_HASH_GET(name, result, flow)                                                               \
    hash(result, HashAlgorithm.crc32, 32w0,                                                             \
         { flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port, flow.queue_pair }, 33w0x100000000);
#define FLOW_HASH_ROTATE(value, rotation)                                                               \
    value = (value << (bit<8>) rotation) | (value >> (8w32 - (bit<8>) rotation));

// One function is enough where the hash can be rotated.
#define OTHER_FLOW_HASHES(name)
#define FLOW_HASH_CHOOSE(name)

// What the outer headers tell of the flow.
#define ENTROPY_PORT(meta)  ENTROPY_PORT_HIGH ++ meta.payload.hash[13:0]
#define ENTROPY_LABEL(meta) meta.payload.hash[19:0]

// Are two EIDs the same? `name`_same says it; `b` is of no use afterwards.
#define SAME_EID(name, a, b) bool name##_same = false;
#define SAME_EID_GET(name, a, b) name##_same = a == b;

#define FLOW_SELECTOR(name, members, max_group, groups) \
    @max_group_size(max_group) action_selector(HashAlgorithm.crc16, members, 16) name;

// Checksums are verified, computed and adjusted in controls of their own here: checksums.p4.
#define IPV4_CHECKSUMS(verified, remembered)
#define VERIFY_IPV4(name, header, meta)
#define REMEMBER_IPV4(name, header, meta)

#define ARCHITECTURE_HEADERS

// Header fields are copied to metadata by the stage that wants them, not by the parser.
#define TAKE_PACKET_OUT(hdr, meta)          \
    meta.role = port_role_t.ACCESS;         \
    meta.site = meta.own_site;              \
    meta.iid = hdr.packet_out.iid;
#define SEE_FIRST_WORD(packet, word)
#define SEE_IPV4(view, ip)
#define SEE_IPV6(view, ip)
#define SEE_SCALE_UP(view, su)
#define SEE_PORTS(view, transport)
#define SEE_BTH(view, bth)
#define TAKE_OUTER_HEADER                           \
    action take_outer_ipv4() {                      \
        meta.source_rloc = (eid_t) hdr.ipv4.src;    \
        meta.outer.ttl = hdr.ipv4.ttl;              \
        meta.outer.dscp = hdr.ipv4.dscp;            \
        meta.outer.ecn = hdr.ipv4.ecn;              \
    }                                               \
                                                    \
    action take_outer_ipv6() {                      \
        meta.source_rloc = hdr.ipv6.src;            \
        meta.outer.ttl = hdr.ipv6.hop_limit;        \
        meta.outer.dscp = hdr.ipv6.dscp;            \
        meta.outer.ecn = hdr.ipv6.ecn;              \
    }
#define TAKE_OUTER(version) take_outer_##version();
#define OUTER_SOURCE(meta) meta.source_rloc

#define PORT_KEY(meta) meta.ingress_port

#define METADATA_ANNOTATIONS
#define ARCHITECTURE_METADATA

// What a stage wants to become of the packet. The stages are applied one after the other, each only while nothing is
// decided.
#define FABRIC_DROP(meta, why) { meta.verdict = verdict_t.DROP; meta.drop_reason = drop_reason_t.why; }
#define FABRIC_DROP_NEGATIVE(meta, reason) { meta.verdict = verdict_t.DROP; meta.drop_reason = reason; }
#define FABRIC_PUNT(meta, why) { meta.verdict = verdict_t.PUNT; meta.punt_reason = punt_reason_t.why; }
#define FABRIC_CANNOT_CARRY(meta) FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
#define FABRIC_FORWARD(meta) { meta.verdict = verdict_t.FORWARD; }
#define FABRIC_REPLICATE(meta, list) { meta.group = list; meta.verdict = verdict_t.REPLICATE; }
#define FABRIC_UNKNOWN_DESTINATION(meta)        \
    FABRIC_DROP(meta, UNKNOWN_DESTINATION)      \
    if (meta.punt_unknown) {                    \
        FABRIC_PUNT(meta, UNKNOWN_DESTINATION)  \
    }

// Around a table with a selector, whose chosen member retracts the drop. Such a table has no default action on bmv2, and
// an empty group no action at all.
#define FABRIC_DROP_UNLESS_RETRACTED(meta, why) FABRIC_DROP(meta, why)
#define FABRIC_RETRACT(meta, why) { meta.verdict = verdict_t.UNDECIDED; }

// Collectives.
#define COLLECTIVE_IPV6 1
#define FABRIC_DROP_COLLECTIVE(meta, why) FABRIC_DROP(meta, why)
#define BEGIN_ORDER(hdr)
#define GROUP_ENTRY(hdr, meta)          meta.collective
#define SET_EVERYONE(hdr, meta, set)    meta.collective.everyone = set;
#define SET_REPLICAS(hdr, meta, list)   meta.group = list;
#define SET_RANK(hdr, meta, number)     meta.collective.rank = number;
#define PARENT_RLOC(meta)               meta.collective.parent
#define PARENT_IS_IPV6(meta)            meta.collective.parent_is_ipv6
#define SOURCE_TO_PARENT(meta)          meta.collective.source_rloc
#define IS_CLEAR(hdr, meta)             (meta.collective.outcome == collective_outcome_t.CLEAR)
#define IS_ROOT(hdr, meta)              meta.collective.root
#define CAME_BY_TUNNEL(hdr, meta)       meta.terminated
#define PORT_OF_ARRIVAL(hdr, meta)      meta.ingress_port
#define PARENT_OF_PACKET(hdr, meta)     meta.collective.parent
#define UDP_OF_TUNNEL(hdr)              hdr.inner_udp
#define PEER_VARIABLE                   eid_t peer = 0;
#define PEER                            peer
#define NO_PEER                         peer = 0;
#define TAKE_PEER(hdr, meta)                                    \
    peer = meta.source_rloc;                                    \
    if (hdr.ipv6.isValid()) {                                   \
        meta.collective.peer_is_ipv6 = true;                    \
        meta.collective.own_rloc = hdr.ipv6.dst;                \
    } else {                                                    \
        meta.collective.own_rloc = (eid_t) hdr.ipv4.dst;        \
    }
#define SET_CHILD(hdr, meta, set)       meta.collective.child = set;
#define SET_CELL(hdr, meta, number)     meta.collective.cell = (cell_index_t) (number);
#define COLLECTIVE_RECEIVER(hdr, meta, eid) meta.payload.dst = eid;
#define LEAVE_VALUES(hdr) hdr.incc_values.setInvalid();
#define VALUES_ARE_CUT_OFF(hdr) ((hdr.incc.flags & COLLECTIVE_EMPTY) == 0 && !hdr.incc_values.isValid())

#endif  // FABRIC_V1MODEL_ARCH_P4_
