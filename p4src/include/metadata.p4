// What the stages tell each other about one packet. Each group says which stage fills it.
#ifndef FABRIC_METADATA_P4_
#define FABRIC_METADATA_P4_

#include "types.p4"

// Fields that a sampled copy keeps.
#define FIELDS_OF_SAMPLE 1

// The packet being forwarded, wherever in the frame it was found; filled by the payload stage.
struct payload_t {
    payload_kind_t kind;
    cast_t         cast;
    eid_t          src;
    eid_t          dst;
    bit<8>         protocol;
    bit<16>        src_port;    // Scale-Up: the entropy
    bit<16>        dst_port;
    bit<24>        queue_pair;  // RoCEv2
    bit<16>        total_len;   // octets from the IP or Scale-Up header on
    bit<8>         ttl;         // effective TTL on arrival: the smaller of outer and inner after decapsulation
    bit<6>         dscp;
    bit<2>         ecn;
    bool           reorder;     // says that it tolerates reordering
    bool           collective;  // says that it belongs to one
    flow_hash_t    hash;
}

// The outer header of a tunnel that ends here; filled by tunnel_termination.
struct outer_t {
    bit<8> ttl;
    bit<6> dscp;
    bit<2> ecn;
}

// The tunnel header to be added; filled by the tunnel stage. An entry of the map-cache for an extranet has given it another
// Instance-ID than the packet's own before.
struct tunnel_t {
    iid_t   iid;
    bit<16> udp_port;
    bit<8>  flags;
    bit<8>  next_protocol;
    bit<16> octets;             // from the UDP header up to the payload
    bool    carries_frame;
}

// A packet of a collective whose group this switch serves; filled by the collective stages.
struct collective_t {
    collective_outcome_t outcome;

    // classification
    bit<16>     group;
    bit<8>      generation;
    bit<16>     first_slot;
    bit<16>     slots;
    child_set_t everyone;
    bool        root;
    bit<16>     rank;           // of this switch, at its parent
    bool        parent_is_ipv6;
    eid_t       parent;         // RLOC
    eid_t       source_rloc;    // towards it
    eid_t       own_rloc;       // that the packet was sent to, through a tunnel
    bool        peer_is_ipv6;   // that tunnel was one over IPv6

    // membership
    child_set_t  child;         // one bit
    replica_id_t replica;

    // cells
    cell_index_t       cell;
    collective_visit_t visit;
    bool               had_values;   // before this packet came
    bool               has_values;
    bool               has_result;
    bool               full;         // every child has contributed
    bool               repeated;     // visit NONE: nothing new; otherwise too late
    bool               overflow;     // some sum of this packet's was saturated
}

METADATA_ANNOTATIONS
struct metadata_t {
    // Filled by the architecture's main before the first stage.
    @field_list(FIELDS_OF_SAMPLE)
    fabric_port_t ingress_port;
    bool          from_cpu;
    bool          parsed_whole;      // no header ended before its time
    bool          checksum_wrong;    // of the outermost IPv4 header
    tick_t        now;

    // port_context
    port_role_t     role;
    iid_t           scale_out_iid;   // of the access port; 0: none
    iid_t           scale_up_iid;
    acc_id_t        acc_id;
    site_id_t       site;            // where the packet comes from: of the port, or of the tunnel's source; 0: elsewhere
    site_id_t       own_site;        // of this switch
    hash_rotation_t hash_rotation;
    tick_t          punt_window;

    // tunnel_termination
    bool    terminated;              // the received tunnel ends here
    outer_t outer;

    payload_t payload;
    bool      payload_found;         // payload: the packet has come far enough to be rewritten

    // domain, instance; `overlay` is true for a packet that belongs to a tenant, false for underlay transit
    bool            overlay;
    @field_list(FIELDS_OF_SAMPLE)
    iid_t           iid;
    domain_t        domain;
    encapsulation_t encapsulation;
    bool            punt_unknown;
    spray_t         spray;
    bit<16>         sample_share;
    color_t         color;

    // map_cache, replication
    rloc_set_id_t rloc_set;
    bool          encapsulate;
    group_id_t    group;

    collective_t collective;

    // tunnel, then rloc_set or, for each copy, replica
    tunnel_t tunnel;
    bool     rloc_is_ipv6;
    eid_t    rloc;                   // where to on the underlay: outer destination, also of a tunnel in transit
    eid_t    source_rloc;
    bit<16>  mtu;                    // largest outer packet; after the mtu stage, largest payload

    // underlay, or local delivery
    fabric_port_t egress_port;
    mac_addr_t    next_hop_mac;
    mac_addr_t    port_mac;

    verdict_t     verdict;
    drop_reason_t drop_reason;
    punt_reason_t punt_reason;

    ARCHITECTURE_METADATA
}

#endif  // FABRIC_METADATA_P4_
