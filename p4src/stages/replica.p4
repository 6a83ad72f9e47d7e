// replica (egress): makes one copy of a replicated packet what its receiver needs: a frame for an accelerator here, or
// a tunnel to another router. And split horizon (draft section 6.3): no copy goes back to where the packet came from.
#ifndef FABRIC_REPLICA_P4_
#define FABRIC_REPLICA_P4_

control Replica(inout headers_t hdr, inout metadata_t meta, in replica_id_t replica_id) {
    Mtu() fits;

    site_id_t site = 0;       // of the router at the other end
    bit<16>   excess = 0;     // octets that a copy is too big by

    // To the accelerator `receiver`: its EID in the Instance-ID of the list, so that nobody hears himself over another
    // of his links; 0: not compared.
    action deliver_copy(mac_addr_t port_mac, mac_addr_t next_hop_mac, eid_t receiver_eid) {
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
        meta.rloc = receiver_eid;       // a copy that is delivered has no RLOC, and egress no room for both
    }

    // To a router of `remote_site`; 0: of another PoD.
    action tunnel_copy(ipv4_addr_t rloc, ipv4_addr_t source_rloc, bit<16> mtu, site_id_t remote_site,
                       mac_addr_t port_mac, mac_addr_t next_hop_mac) {
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = false;
        meta.rloc = (eid_t) rloc;
        meta.source_rloc = (eid_t) source_rloc;
        meta.mtu = mtu;
        site = remote_site;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
    }

    action tunnel_copy_ipv6(ipv6_addr_t rloc, ipv6_addr_t source_rloc, bit<16> mtu, site_id_t remote_site,
                            mac_addr_t port_mac, mac_addr_t next_hop_mac) {
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = true;
        meta.rloc = rloc;
        meta.source_rloc = source_rloc;
        meta.mtu = mtu;
        site = remote_site;
        meta.port_mac = port_mac;
        meta.next_hop_mac = next_hop_mac;
    }

    action no_receiver() FABRIC_DROP(meta, NO_RLOC)

    // One entry for each receiver, shared by all lists that it is in; filled together with the lists.
    table replica {
        key = { replica_id : exact @name("replica"); }
        actions = { deliver_copy; tunnel_copy; tunnel_copy_ipv6; @defaultonly no_receiver; }
        const default_action = no_receiver();
        size = REPLICA_SIZE;
    }

    SAME_EID(is_sender, meta.payload.src, meta.rloc)

    apply {
        bool back = false;
        if (replica.apply().hit) {
            if (!meta.encapsulate) {
                SAME_EID_GET(is_sender, meta.payload.src, meta.rloc)
                if (meta.egress_port == meta.ingress_port) {
                    back = true;
                }
            } else if (meta.terminated) {
                // The Site it came from has it, and what came from the fabric never goes there again.
                if (site == meta.site) {
                    back = true;
                } else if (meta.site != meta.own_site) {
                    if (site != meta.own_site) {
                        back = true;
                    }
                }
            }
            if (meta.encapsulate) {
                fits.apply(hdr, meta, excess);
            }
            if (back || is_sender_same) {
                FABRIC_DROP(meta, SPLIT_HORIZON)
            } else if (excess != 0) {
                FABRIC_DROP(meta, TOO_BIG)
            }
        }
    }
}

#endif  // FABRIC_REPLICA_P4_
