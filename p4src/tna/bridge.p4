// What ingress tells egress about a packet, in front of it; and what the stages object to or wish for in between.
#ifndef FABRIC_TNA_BRIDGE_P4_
#define FABRIC_TNA_BRIDGE_P4_

// First octet of whatever comes to egress. What bypasses egress has none. A mirrored copy can begin with zero only.
const bit<8> ORIGIN_SAMPLE  = 0;
const bit<8> ORIGIN_INGRESS = 1;

// The bridge is many short headers, since the fields of one header bind each other to places in containers; all of them
// are there, or none.
header bridge_h {
    bit<8>         origin;          // ORIGIN_INGRESS
    verdict_t      verdict;
    punt_reason_t  punt_reason;
    payload_kind_t kind;
}

header bridge_flags_h {
    bit<1> terminated;
    bit<1> payload_found;
    bit<1> encapsulate;
    bit<1> rloc_is_ipv6;
    bit<1> inner_frame;             // a second Ethernet header follows the first
    bit<1> carries_frame;
    @padding bit<2> pad;
}

header bridge_octet_h {
    bit<8> value;
}

header bridge_short_h {
    bit<16> value;
}

header bridge_word_h {
    bit<32> value;
}

header bridge_iid_h {
    iid_t value;
}

header bridge_mac_h {
    mac_addr_t value;
}

header bridge_eid_h {
    eid_t value;
}

#define BRIDGE_HEADERS                       \
    bridge_h       bridge;                   \
    bridge_flags_h bridge_flags;             \
    BRIDGE_VALUES(BRIDGE_HEADER)
#define BRIDGE_HEADER(kind, name, field) bridge_##kind##_h bridge_##name;
#define BRIDGE_ALIAS(kind, name, field) @pa_alias("ingress", NAME_OF(hdr.bridge_##name.value), NAME_OF(meta.field))

// Kind of header, name, field of metadata. In ingress most metadata lies where the bridge has it, for there is no room for
// both; but not what is read where nothing may have written it, for of headers the compiler does not think that they begin
// as zero. `iid` is that of the tunnel to be added; punted: the packet's own.
#define BRIDGE_VALUES(V)                            \
    V(iid, iid, tunnel.iid)                         \
    V(word, site, site)                             \
    BRIDGE_IN_PLACE(V)
#define BRIDGE_IN_PLACE(V)                          \
    V(octet, ttl, payload.ttl)                      \
    V(octet, tunnel_flags, tunnel.flags)            \
    V(octet, next_protocol, tunnel.next_protocol)   \
    V(short, traffic_class, traffic_class)          \
    V(short, total_len, payload.total_len)          \
    V(short, mtu, mtu)                              \
    V(short, udp_port, tunnel.udp_port)             \
    V(short, tunnel_octets, tunnel.octets)          \
    V(short, ingress_port, ingress_port)            \
    V(short, entropy, entropy)                      \
    V(word, own_site, own_site)                     \
    V(mac, next_hop_mac, next_hop_mac)              \
    V(mac, port_mac, port_mac)                      \
    V(eid, rloc, rloc)                              \
    V(eid, source_rloc, source_rloc)                \
    V(eid, source_eid, payload.src)

#define EXTRACT_BRIDGE(packet, hdr)         \
    packet.extract(hdr.bridge);             \
    packet.extract(hdr.bridge_flags);       \
    BRIDGE_VALUES(EXTRACT_BRIDGE_VALUE)
#define EXTRACT_BRIDGE_VALUE(kind, name, field) packet.extract(hdr.bridge_##name);
#define EMIT_BRIDGE(packet, hdr)            \
    packet.emit(hdr.bridge);                \
    packet.emit(hdr.bridge_flags);          \
    BRIDGE_VALUES(EMIT_BRIDGE_VALUE)
#define EMIT_BRIDGE_VALUE(kind, name, field) packet.emit(hdr.bridge_##name);

// In front of a sampled copy, which is the packet as it came in.
header sample_h {
    bit<8>        origin;           // ORIGIN_SAMPLE
    fabric_port_t ingress_port;
    iid_t         iid;
}

// What is wrong with the frame itself or with its tunnel: checks.p4.
enum bit<8> fault_t {
    NONE                = 0,
    MEMBERSHIP          = 1,        // none: it is for the controller
    MALFORMED           = 2,
    BAD_CHECKSUM        = 3,
    UNSUPPORTED_PAYLOAD = 4,
    TO_LOCAL_RLOC       = 5,
    NO_INSTANCE_ID      = 6
}

// By drop_reason_t; NEGATIVE has its reason in metadata.
struct objections_t {
    bit<1> MALFORMED;
    bit<1> BAD_CHECKSUM;
    bit<1> UNKNOWN_PORT;
    bit<1> UNSUPPORTED_PAYLOAD;
    bit<1> NO_INSTANCE_ID;
    bit<1> FOREIGN_INSTANCE_ID;
    bit<1> ECN_NOT_CAPABLE;
    bit<1> TTL_EXPIRED;
    bit<1> UNKNOWN_DESTINATION;
    bit<1> NEGATIVE;
    bit<1> NO_RLOC;
    bit<1> SPOOFED_SOURCE;
    bit<1> TOO_BIG;
    bit<1> SPLIT_HORIZON;
    bit<1> INSTANCE_LIMITED;
    bit<1> CANNOT_CARRY;            // UNSUPPORTED_PAYLOAD of the encapsulation
}

struct wishes_t {
    bit<1> PUNT_TO_LOCAL_RLOC;
    bit<1> PUNT_TOO_BIG;
    bit<1> PUNT_MEMBERSHIP;
    bit<1> FORWARD;
    bit<1> REPLICATE;
    bit<1> HAS_NO_RLOC;             // a member was chosen: the objection is retracted
    bit<1> HAS_NO_UNDERLAY_ROUTE;
}

#endif  // FABRIC_TNA_BRIDGE_P4_
