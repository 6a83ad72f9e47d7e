// map_cache: where a unicast EID is (RFC 9300 section 6). Scale-Up: Instance-ID and AccID exactly. IP, in a Scale-Out
// Instance-ID or in a Scale-Up one that is extended at layer 3: Instance-ID exactly, then the longest EID-prefix that
// covers the destination. All tables are filled from the map-cache and the local database of the router's control plane.
#ifndef FABRIC_MAP_CACHE_P4_
#define FABRIC_MAP_CACHE_P4_

control MapCache(inout headers_t hdr, inout metadata_t meta) {
    // Packets and octets for each EID-prefix.
    DIRECT_COUNTER(scale_up_counter)
    DIRECT_COUNTER(scale_out_ipv4_counter)
    DIRECT_COUNTER(scale_out_ipv6_counter)

    // The EID is behind the locators of an RLOC-set.
    action use_rloc_set(rloc_set_id_t rloc_set) {
        meta.rloc_set = rloc_set;
        meta.encapsulate = true;
    }

    // The EID is attached here.
    action deliver(fabric_port_t port, mac_addr_t port_mac, mac_addr_t next_hop_mac) {
        meta.egress_port = port;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        meta.verdict = verdict_t.FORWARD;
    }

    // Negative map-cache entry: the mapping system said that there is nothing to forward to.
    action drop_negative(drop_reason_t reason) {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = reason;
    }

    // Nothing is known: also the entry for a prefix of the own PoD, whose hosts have entries of their own.
    action unknown() {
        FABRIC_DROP(meta, UNKNOWN_DESTINATION)
        if (meta.punt_unknown) {
            FABRIC_PUNT(meta, UNKNOWN_DESTINATION)
        }
    }

    table scale_up {
        key = {
            meta.iid               : exact @name("iid");
            meta.payload.dst[31:0] : exact @name("acc_id");
        }
        actions = { use_rloc_set; deliver; drop_negative; unknown; }
        const default_action = unknown();
        counters = scale_up_counter;
        size = SCALE_UP_SIZE;
    }

    table scale_out_ipv4 {
        key = {
            meta.iid               : exact @name("iid");
            meta.payload.dst[31:0] : lpm   @name("eid");
        }
        actions = { use_rloc_set; deliver; drop_negative; unknown; }
        const default_action = unknown();
        counters = scale_out_ipv4_counter;
        size = SCALE_OUT_IPV4_SIZE;
    }

    table scale_out_ipv6 {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.dst : lpm   @name("eid");
        }
        actions = { use_rloc_set; deliver; drop_negative; unknown; }
        const default_action = unknown();
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
