// rloc_set: one locator out of an RLOC-set, by flow, in proportion to the weights. Entries that share an RLOC-set share
// its group, so that a failed locator leaves all of them by one write.
#ifndef FABRIC_RLOC_SET_P4_
#define FABRIC_RLOC_SET_P4_

control RlocSet(inout headers_t hdr, inout metadata_t meta) {
    FLOW_SELECTOR(rloc_selector, RLOC_SELECTOR_SIZE, RLOC_SET_MAX_MEMBERS, RLOC_SET_SIZE)

    // `mtu`: the largest packet, outer header included, that goes to this locator (RFC 9300 section 7.1: L).
    action use_rloc(ipv4_addr_t rloc, ipv4_addr_t source_rloc, bit<16> mtu) {
        meta.rloc_is_ipv6 = false;
        meta.rloc = (eid_t) rloc;
        meta.source_rloc = (eid_t) source_rloc;
        meta.mtu = mtu;
        FABRIC_RETRACT(meta, NO_RLOC)
    }

    action use_rloc_ipv6(ipv6_addr_t rloc, ipv6_addr_t source_rloc, bit<16> mtu) {
        meta.rloc_is_ipv6 = true;
        meta.rloc = rloc;
        meta.source_rloc = source_rloc;
        meta.mtu = mtu;
        FABRIC_RETRACT(meta, NO_RLOC)
    }

    // One entry for each distinct RLOC-set of the map-cache; its group holds the usable locators of the best priority.
    @noWarn("unsupported")
    table rloc_set {
        key = {
            meta.rloc_set            : exact @name("rloc_set");
            meta.payload.hash[15:0]  : selector @name("flow_hash");
        }
        actions = { use_rloc; use_rloc_ipv6; }
        implementation = rloc_selector;
        size = RLOC_SET_SIZE;
    }

    apply {
        // A table with a selector has no default action on bmv2, and an empty group no action at all: drop first, and
        // let the member that is chosen decide otherwise.
        FABRIC_DROP_UNLESS_RETRACTED(meta, NO_RLOC)
        rloc_set.apply();
    }
}

#endif  // FABRIC_RLOC_SET_P4_
