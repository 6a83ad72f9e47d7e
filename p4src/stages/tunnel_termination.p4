// own_rloc, tunnel_termination: does a tunnel end here? Only frames from the underlay can end one; an accelerator that
// sends tunnel headers has them carried as the payload they are.
#ifndef FABRIC_TUNNEL_TERMINATION_P4_
#define FABRIC_TUNNEL_TERMINATION_P4_

// Is the packet addressed to this router?
control OwnRloc(inout headers_t hdr, inout metadata_t meta, inout bool ours) {
    action local() {
        ours = true;
    }

    // The RLOCs of this router; filled at start-up.
    table local_rloc {
        key = { hdr.ipv4.dst : exact @name("rloc"); }
        actions = { local; @defaultonly NoAction; }
        const default_action = NoAction();
        size = LOCAL_RLOC_SIZE;
    }

    table local_rloc_ipv6 {
        key = { hdr.ipv6.dst : exact @name("rloc"); }
        actions = { local; @defaultonly NoAction; }
        const default_action = NoAction();
        size = LOCAL_RLOC_SIZE;
    }

    TAKE_OUTER_HEADER

    apply {
        if (hdr.ipv4.isValid()) {
            TAKE_OUTER(ipv4)
            local_rloc.apply();
        } else {
            TAKE_OUTER(ipv6)
            local_rloc_ipv6.apply();
        }
    }
}

control SiteOfRloc(inout headers_t hdr, inout metadata_t meta) {
    action set_site(site_id_t site) {
        meta.site = site;
    }

    // Which Site a tunnel comes from, for split horizon; filled with the RLOCs of the own PoD. All others are the
    // fabric, Site 0.
    table site_of_rloc {
        key = { OUTER_SOURCE(meta) : exact @name("rloc"); }
        actions = { set_site; @defaultonly NoAction; }
        const default_action = NoAction();
        size = SITE_OF_RLOC_SIZE;
    }

    apply {
        site_of_rloc.apply();
    }
}

control TunnelTermination(inout headers_t hdr, inout metadata_t meta, in bool ours) {
    SiteOfRloc() site_of_rloc;

    action unsound() FABRIC_DROP(meta, MALFORMED)

    // Version 4 without options, and long enough for its own header. Constant.
    table inner_ipv4_header {
        key = {
            hdr.inner_ipv4.version   : ternary @name("version");
            hdr.inner_ipv4.ihl       : ternary @name("ihl");
            hdr.inner_ipv4.total_len : ternary @name("total_len");
        }
        actions = { NoAction; unsound; }
        const default_action = unsound();
        const entries = {
            (4, 5, 0 &&& 0xFFF0)  : unsound();
            (4, 5, 16 &&& 0xFFFC) : unsound();
            (4, 5, _)             : NoAction();
        }
        size = 4;
    }

    apply {
        if (ours) {
            bool payload_valid = hdr.inner_ipv4.isValid() || hdr.inner_ipv6.isValid() || hdr.inner_scale_up.isValid();
            if (!hdr.tunnel.isValid() && meta.parsed_whole) {
                FABRIC_PUNT(meta, TO_LOCAL_RLOC)
            } else if (!hdr.tunnel.isValid()) {
                FABRIC_DROP(meta, MALFORMED)
            } else if (hdr.tunnel.flags & TUNNEL_FLAG_I == 0) {
                FABRIC_DROP(meta, NO_INSTANCE_ID)
            } else if (!payload_valid && meta.parsed_whole) {
                FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
            } else if (!payload_valid) {
                FABRIC_DROP(meta, MALFORMED)
            } else {
                // What the tunnel carries is sound as far as it will be used. What is cut off further inside is its owner's
                // business.
                if (hdr.inner_ipv4.isValid()) {
                    inner_ipv4_header.apply();
                } else if (hdr.inner_ipv6.isValid()) {
                    if (hdr.inner_ipv6.version != 6) {
                        FABRIC_DROP(meta, MALFORMED)
                    }
                } else if (hdr.inner_scale_up.version != SCALE_UP_VERSION) {
                    FABRIC_DROP(meta, MALFORMED)
                }
                meta.terminated = true;
                meta.iid = hdr.tunnel.iid;
                site_of_rloc.apply(hdr, meta);
            }
        }
    }
}

#endif  // FABRIC_TUNNEL_TERMINATION_P4_
