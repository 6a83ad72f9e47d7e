// collective_copy (egress): who gets this copy of a collective's result, and as what.
#ifndef FABRIC_COLLECTIVE_COPY_P4_
#define FABRIC_COLLECTIVE_COPY_P4_

control CollectiveCopy(inout headers_t hdr, inout metadata_t meta, in replica_id_t replica_id) {
    DIRECT_COUNTER(collective_copy_counter)

    replica_id_t copy = replica_id;

    // A member on a port. Unless it is the one that wants the values it is only told that there is a result.
    action to_member(mac_addr_t port_mac, mac_addr_t next_hop_mac, eid_t eid, bit<16> rank) {
        COUNT_DIRECT(collective_copy_counter)
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        COLLECTIVE_RECEIVER(hdr, meta, eid)
        hdr.incc.rank = rank;
    }

    // A switch further down, whose members may want the values.
    action to_node(ipv4_addr_t rloc, ipv4_addr_t source_rloc, mac_addr_t port_mac, mac_addr_t next_hop_mac,
                   bit<16> rank) {
        COUNT_DIRECT(collective_copy_counter)
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = false;
        meta.rloc = (eid_t) rloc;
        meta.source_rloc = (eid_t) source_rloc;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        hdr.incc.rank = rank;
    }

    action to_node_ipv6(ipv6_addr_t rloc, ipv6_addr_t source_rloc, mac_addr_t port_mac, mac_addr_t next_hop_mac,
                        bit<16> rank) {
        COUNT_DIRECT(collective_copy_counter)
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = true;
        meta.rloc = rloc;
        meta.source_rloc = source_rloc;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        hdr.incc.rank = rank;
    }

    action no_child() {
        COUNT_DIRECT(collective_copy_counter)
        FABRIC_DROP(meta, NO_RLOC)
    }

    // One entry for each child of each group.
    table collective_copy {
        key = { copy : exact @name("replica"); }
        actions = { to_member; to_node; to_node_ipv6; @defaultonly no_child; }
        const default_action = no_child();
        counters = collective_copy_counter;
        size = COLLECTIVE_CHILDREN;
    }

    apply {
        if (meta.collective.outcome == collective_outcome_t.ANSWER) {
            copy = meta.collective.replica;
        }
        if (meta.collective.outcome == collective_outcome_t.RELEASE
            || meta.collective.outcome == collective_outcome_t.ANSWER) {
            collective_copy.apply();
            if (!meta.encapsulate && hdr.incc.target != hdr.incc.rank && hdr.incc.target != COLLECTIVE_EVERYBODY) {
                LEAVE_VALUES(hdr)
            }
        }
    }
}

#endif  // FABRIC_COLLECTIVE_COPY_P4_
