// What ingress tells egress about a packet, in front of it; and what the stages object to or wish for in between.
#ifndef FABRIC_TNA_BRIDGE_P4_
#define FABRIC_TNA_BRIDGE_P4_

// First octet of whatever comes to egress. What bypasses egress has none. A mirrored copy can begin with zero only.
const bit<8> ORIGIN_SAMPLE  = 0;
const bit<8> ORIGIN_INGRESS = 1;

// Laid out on boundaries of 32 bits, so that each address can have containers of its own.
header bridge_h {
    bit<8>         origin;          // ORIGIN_INGRESS
    verdict_t      verdict;
    punt_reason_t  punt_reason;
    payload_kind_t kind;
    eid_t          rloc;
    eid_t          source_rloc;
    eid_t          source_eid;      // for split horizon
    site_id_t      site;
    site_id_t      own_site;
    mac_addr_t     next_hop_mac;
    mac_addr_t     port_mac;
    fabric_port_t  ingress_port;
    bit<16>        total_len;
    bit<16>        mtu;
    bit<16>        udp_port;        // of the tunnel to be added
    bit<16>        tunnel_octets;
    bit<8>         tunnel_flags;
    bit<8>         next_protocol;
    iid_t          iid;             // of the tunnel to be added; punted: the packet's own
    bit<8>         ttl;
    flow_hash_t    hash;
    bit<6>         dscp;
    bit<2>         ecn;
    bit<1>         terminated;
    bit<1>         payload_found;
    bit<1>         encapsulate;
    bit<1>         rloc_is_ipv6;
    bit<1>         inner_frame;     // a second Ethernet header follows the first
    bit<1>         carries_frame;
    @padding bit<2> pad;
}

// In front of a sampled copy, which is the packet as it came in.
header sample_h {
    bit<8>        origin;           // ORIGIN_SAMPLE
    fabric_port_t ingress_port;
    iid_t         iid;
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
