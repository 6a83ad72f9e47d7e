// map_cache: where a unicast EID is (RFC 9300 section 6). Scale-Up: Instance-ID and AccID exactly. IP, in a Scale-Out
// Instance-ID or in a Scale-Up one that is extended at layer 3: Instance-ID exactly, then the longest EID-prefix that
// covers the destination. All tables are filled from the map-cache and the local database of the router's control plane.
// Nothing of another Instance-ID is reached from here, unless a policy of the mapping system makes an extranet of the
// two: then an IP entry names the Instance-ID of the tunnel.
#ifndef FABRIC_MAP_CACHE_P4_
#define FABRIC_MAP_CACHE_P4_

// The same four actions for each table; a counter belongs to one table, and so do the actions that count with it.
#define MAP_CACHE_ACTIONS(TABLE)                                                                              \
    /* Packets and octets for each EID-prefix. */                                                             \
    DIRECT_COUNTER(TABLE##_counter)                                                                           \
                                                                                                              \
    /* The EID is behind the locators of an RLOC-set. */                                                      \
    @name(NAME_OF(TABLE.use_rloc_set))                                                                        \
    action TABLE##_use_rloc_set(rloc_set_id_t rloc_set) {                                                     \
        COUNT_DIRECT(TABLE##_counter)                                                                         \
        meta.rloc_set = rloc_set;                                                                             \
        meta.encapsulate = true;                                                                              \
    }                                                                                                         \
                                                                                                              \
    /* The EID is attached here. */                                                                           \
    @name(NAME_OF(TABLE.deliver))                                                                             \
    action TABLE##_deliver(fabric_port_t port, mac_addr_t port_mac, mac_addr_t next_hop_mac) {                \
        COUNT_DIRECT(TABLE##_counter)                                                                         \
        meta.egress_port = port;                                                                              \
        meta.port_mac = port_mac;                                                                             \
        meta.next_hop_mac = next_hop_mac;                                                                     \
        FABRIC_FORWARD(meta)                                                                                  \
    }                                                                                                         \
                                                                                                              \
    /* Negative map-cache entry: the mapping system said that there is nothing to forward to. */              \
    @name(NAME_OF(TABLE.drop_negative))                                                                       \
    action TABLE##_drop_negative(drop_reason_t reason) {                                                      \
        COUNT_DIRECT(TABLE##_counter)                                                                         \
        FABRIC_DROP_NEGATIVE(meta, reason)                                                                    \
    }                                                                                                         \
                                                                                                              \
    /* Nothing is known: also the entry for a prefix of the own PoD, whose hosts have entries of their own. */\
    @name(NAME_OF(TABLE.unknown))                                                                             \
    action TABLE##_unknown() {                                                                                \
        COUNT_DIRECT(TABLE##_counter)                                                                         \
        FABRIC_UNKNOWN_DESTINATION(meta)                                                                      \
    }

// A fifth one for IP.
#define MAP_CACHE_EXTRANET(TABLE)                                                                             \
    /* The EID is behind the locators of an RLOC-set, in Instance-ID `iid`, to which the tunnel goes. */      \
    @name(NAME_OF(TABLE.use_extranet))                                                                        \
    action TABLE##_use_extranet(rloc_set_id_t rloc_set, iid_t iid) {                                          \
        COUNT_DIRECT(TABLE##_counter)                                                                         \
        meta.rloc_set = rloc_set;                                                                             \
        meta.tunnel.iid = iid;                                                                                \
        meta.encapsulate = true;                                                                              \
    }

// Where the chip begins the largest table, and with how much of it: a profile may say.
#ifndef SCALE_UP_PLACEMENT
#define SCALE_UP_PLACEMENT
#endif

control MapCache(inout headers_t hdr, inout metadata_t meta) {
    MAP_CACHE_ACTIONS(scale_up)
    MAP_CACHE_ACTIONS(scale_out_ipv4)
    MAP_CACHE_EXTRANET(scale_out_ipv4)
    MAP_CACHE_ACTIONS(scale_out_ipv6)
    MAP_CACHE_EXTRANET(scale_out_ipv6)

    SCALE_UP_PLACEMENT
    table scale_up {
        key = {
            meta.iid               : exact @name("iid");
            meta.payload.dst[31:0] : exact @name("acc_id");
        }
        actions = { scale_up_use_rloc_set; scale_up_deliver; scale_up_drop_negative; scale_up_unknown; }
        const default_action = scale_up_unknown();
        counters = scale_up_counter;
        size = SCALE_UP_SIZE;
    }

    table scale_out_ipv4 {
        key = {
            meta.iid               : exact @name("iid");
            meta.payload.dst[31:0] : lpm   @name("eid");
        }
        actions = {
            scale_out_ipv4_use_rloc_set; scale_out_ipv4_use_extranet; scale_out_ipv4_deliver; scale_out_ipv4_drop_negative; scale_out_ipv4_unknown;
        }
        const default_action = scale_out_ipv4_unknown();
        counters = scale_out_ipv4_counter;
        size = SCALE_OUT_IPV4_SIZE;
    }

    table scale_out_ipv6 {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.dst : lpm   @name("eid");
        }
        actions = {
            scale_out_ipv6_use_rloc_set; scale_out_ipv6_use_extranet; scale_out_ipv6_deliver; scale_out_ipv6_drop_negative; scale_out_ipv6_unknown;
        }
        const default_action = scale_out_ipv6_unknown();
        counters = scale_out_ipv6_counter;
        size = SCALE_OUT_IPV6_SIZE;
    }

    apply {
        if (meta.payload.kind == payload_kind_t.SCALE_UP) {
            scale_up.apply();
        } else if (meta.payload.kind == payload_kind_t.IPV4) {
            scale_out_ipv4.apply();
        } else {
            scale_out_ipv6.apply();
        }
    }
}

#endif  // FABRIC_MAP_CACHE_P4_
