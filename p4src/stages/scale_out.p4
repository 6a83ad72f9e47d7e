// scale_out: the map-cache of the Scale-Out Instance-IDs (RFC 9300 section 6): Instance-ID exactly, then the longest
// EID-prefix that covers the destination.
#ifndef FABRIC_SCALE_OUT_P4_
#define FABRIC_SCALE_OUT_P4_

control ScaleOut(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(scale_out_ipv4_counter)

    // The EID is behind the locators of an RLOC-set.
    action use_rloc_set(rloc_set_id_t rloc_set) {
        COUNT_DIRECT(scale_out_ipv4_counter)
        meta.rloc_set = rloc_set;
        meta.encapsulate = true;
    }

    // The EID is attached here.
    action deliver(fabric_port_t port, mac_addr_t port_mac, mac_addr_t next_hop_mac) {
        COUNT_DIRECT(scale_out_ipv4_counter)
        meta.egress_port = port;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        meta.verdict = verdict_t.FORWARD;
    }

    // Negative map-cache entry: the mapping system said that there is nothing to forward to.
    action drop_negative(drop_reason_t reason) {
        COUNT_DIRECT(scale_out_ipv4_counter)
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = reason;
    }

    // Nothing is known: also the entry for a prefix of the own PoD, whose hosts have entries of their own.
    action unknown() {
        COUNT_DIRECT(scale_out_ipv4_counter)
        FABRIC_DROP(meta, UNKNOWN_DESTINATION)
        if (meta.punt_unknown) {
            FABRIC_PUNT(meta, UNKNOWN_DESTINATION)
        }
    }

    // Filled from the map-cache and the local database of the router's control plane.
    table scale_out_ipv4 {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.dst : lpm   @name("eid");
        }
        actions = { use_rloc_set; deliver; drop_negative; unknown; }
        const default_action = unknown();
        counters = scale_out_ipv4_counter;
        size = SCALE_OUT_IPV4_SIZE;
    }

    apply {
        scale_out_ipv4.apply();
    }
}

#endif  // FABRIC_SCALE_OUT_P4_
