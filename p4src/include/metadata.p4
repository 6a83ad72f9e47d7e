// What the stages tell each other about one packet. Each group says which stage fills it.
#ifndef FABRIC_METADATA_P4_
#define FABRIC_METADATA_P4_

#include "types.p4"

// The IP packet being forwarded, wherever in the frame it was found; filled by the payload stage.
struct payload_t {
    ipv4_addr_t src;
    ipv4_addr_t dst;
    bit<8>      protocol;
    bit<16>     src_port;
    bit<16>     dst_port;
    bit<16>     total_len;
    bit<8>      ttl;         // effective TTL on arrival: the smaller of outer and inner after decapsulation
    bit<6>      dscp;
    bit<2>      ecn;
    flow_hash_t hash;        // flow_hash
}

struct metadata_t {
    // Filled by the architecture's main before the first stage.
    fabric_port_t ingress_port;
    bool          from_cpu;
    bool          parsed_whole;      // no header ended before its time
    bool          checksum_ok;

    // port_context
    port_role_t     role;
    iid_t           scale_out_iid;   // of the access port
    site_id_t       site;
    hash_rotation_t hash_rotation;   // of this switch

    // tunnel_termination
    bool terminated;                 // the received tunnel ends here

    // instance; `overlay` is true for a packet that belongs to a tenant, false for underlay transit
    bool            overlay;
    iid_t           iid;
    encapsulation_t encapsulation;
    bool            punt_unknown;

    payload_t payload;
    bool      payload_found;         // payload: the packet has come far enough to be rewritten

    // scale_out, rloc_set
    rloc_set_id_t rloc_set;
    bool          encapsulate;
    ipv4_addr_t   rloc;              // outer destination
    ipv4_addr_t   source_rloc;

    // underlay, or local delivery
    ipv4_addr_t   underlay_dst;
    fabric_port_t egress_port;
    mac_addr_t    next_hop_mac;
    mac_addr_t    port_mac;

    verdict_t     verdict;
    drop_reason_t drop_reason;
    punt_reason_t punt_reason;
}

// Short hands for the two ends a stage can put a packet to.
#define FABRIC_DROP(meta, why) { meta.verdict = verdict_t.DROP; meta.drop_reason = drop_reason_t.why; }
#define FABRIC_PUNT(meta, why) { meta.verdict = verdict_t.PUNT; meta.punt_reason = punt_reason_t.why; }

#endif  // FABRIC_METADATA_P4_
