// tunnel_termination: does a tunnel end here? Only frames from the underlay can end one; an accelerator that
// sends tunnel headers has them carried as the payload they are.
#ifndef FABRIC_TUNNEL_TERMINATION_P4_
#define FABRIC_TUNNEL_TERMINATION_P4_

control TunnelTermination(inout headers_t hdr, inout metadata_t meta) {
    // RFC 6040 section 4.2, for a payload that can carry what the outer header says.
    action take_ecn(bit<2> ecn) {
        meta.payload.ecn = ecn;
    }

    action ecn_not_capable() FABRIC_DROP(meta, ECN_NOT_CAPABLE)

    table ecn_decapsulation {
        key = {
            hdr.inner_ipv4.ecn : exact @name("inner_ecn");
            hdr.ipv4.ecn       : exact @name("outer_ecn");
        }
        actions = { take_ecn; ecn_not_capable; @defaultonly NoAction; }
        const default_action = NoAction();
        const entries = {
            (0, 0) : take_ecn(0);
            (0, 1) : take_ecn(0);
            (0, 2) : take_ecn(0);
            (0, 3) : ecn_not_capable();
            (1, 0) : take_ecn(1);
            (1, 1) : take_ecn(1);
            (1, 2) : take_ecn(1);
            (1, 3) : take_ecn(3);
            (2, 0) : take_ecn(2);
            (2, 1) : take_ecn(1);
            (2, 2) : take_ecn(2);
            (2, 3) : take_ecn(3);
            (3, 0) : take_ecn(3);
            (3, 1) : take_ecn(3);
            (3, 2) : take_ecn(3);
            (3, 3) : take_ecn(3);
        }
    }

    action local() {}

    // The RLOCs of this router; filled at start-up.
    table local_rloc {
        key = { hdr.ipv4.dst : exact @name("rloc"); }
        actions = { local; @defaultonly NoAction; }
        const default_action = NoAction();
        size = LOCAL_RLOC_SIZE;
    }

    apply {
        if (local_rloc.apply().hit) {
            if (!hdr.tunnel.isValid() && meta.parsed_whole) {
                FABRIC_PUNT(meta, TO_LOCAL_RLOC)
            } else if (!hdr.tunnel.isValid()) {
                FABRIC_DROP(meta, MALFORMED)
            } else if (hdr.tunnel.flags & TUNNEL_FLAG_I == 0) {
                FABRIC_DROP(meta, NO_INSTANCE_ID)
            } else if (!hdr.inner_ipv4.isValid() && meta.parsed_whole) {
                FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
            } else if (!hdr.inner_ipv4.isValid()) {
                FABRIC_DROP(meta, MALFORMED)
            } else if (hdr.inner_ipv4.version != 4 || hdr.inner_ipv4.ihl != 5
                       || hdr.inner_ipv4.total_len < IPV4_HEADER_OCTETS) {
                FABRIC_DROP(meta, MALFORMED)
            } else {
                meta.terminated = true;
                meta.iid = hdr.tunnel.iid;
                ecn_decapsulation.apply();
            }
        }
    }
}

#endif  // FABRIC_TUNNEL_TERMINATION_P4_
