// underlay: the way to an RLOC, over equal-cost paths.
#ifndef FABRIC_UNDERLAY_P4_
#define FABRIC_UNDERLAY_P4_

// A counter belongs to one table, and so does the action that counts with it.
#define USE_NEXT_HOP(TABLE)                                                                             \
    /* Packets and octets to each RLOC. */                                                              \
    DIRECT_COUNTER(TABLE##_counter)                                                                     \
                                                                                                        \
    @name(NAME_OF(TABLE.use_next_hop))                                                                  \
    action TABLE##_use_next_hop(fabric_port_t port, mac_addr_t port_mac, mac_addr_t next_hop_mac) {     \
        COUNT_DIRECT(TABLE##_counter)                                                                   \
        meta.egress_port = port;                                                                        \
        meta.port_mac = port_mac;                                                                       \
        meta.next_hop_mac = next_hop_mac;                                                               \
        FABRIC_RETRACT(meta, NO_UNDERLAY_ROUTE)                                                         \
        FABRIC_FORWARD(meta)                                                                            \
    }

control Underlay(inout headers_t hdr, inout metadata_t meta) {
    FLOW_SELECTOR(underlay_selector, UNDERLAY_SELECTOR_SIZE, UNDERLAY_MAX_PATHS, UNDERLAY_IPV4_SIZE)
    FLOW_SELECTOR(underlay_selector_ipv6, UNDERLAY_SELECTOR_SIZE, UNDERLAY_MAX_PATHS, UNDERLAY_IPV6_SIZE)
    USE_NEXT_HOP(underlay_ipv4)
    USE_NEXT_HOP(underlay_ipv6)

    // Filled from the topology by the router's control plane: every RLOC of the fabric.
    @noWarn("unsupported")
    table underlay_ipv4 {
        key = {
            meta.rloc[31:0]          : lpm @name("rloc");
            meta.payload.hash[31:16] : selector @name("flow_hash");
        }
        actions = { underlay_ipv4_use_next_hop; }
        implementation = underlay_selector;
        counters = underlay_ipv4_counter;
        size = UNDERLAY_IPV4_SIZE;
    }

    @noWarn("unsupported")
    table underlay_ipv6 {
        key = {
            meta.rloc                : lpm @name("rloc");
            meta.payload.hash[31:16] : selector @name("flow_hash");
        }
        actions = { underlay_ipv6_use_next_hop; }
        implementation = underlay_selector_ipv6;
        counters = underlay_ipv6_counter;
        size = UNDERLAY_IPV6_SIZE;
    }

    apply {
        FABRIC_DROP_UNLESS_RETRACTED(meta, NO_UNDERLAY_ROUTE)
        if (meta.rloc_is_ipv6) {
            underlay_ipv6.apply();
        } else {
            underlay_ipv4.apply();
        }
    }
}

#endif  // FABRIC_UNDERLAY_P4_
