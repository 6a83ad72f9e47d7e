// checks: what v1model's stages membership, frame_check and tunnel_termination decide, in tables of constants, for each of
// their conditions by itself would cost a stage of the chip. The first line that fits decides; the lines are in the order of
// those stages, but for the checksum: the parser sums up the first 20 octets, so that of a header with options is wrong
// whatever it is. Whether a header is sound has been found out before (payload.p4).
#ifndef FABRIC_TNA_CHECKS_P4_
#define FABRIC_TNA_CHECKS_P4_

// What an accelerator sends.
control AccessCheck(inout headers_t hdr, inout metadata_t meta) {
    action fault(fault_t what) {
        meta.fault = what;
    }

    @hidden
    table access_check {
        key = {
            meta.from_cpu           : ternary;
            meta.payload.kind       : ternary;
            meta.payload.protocol   : ternary;
            meta.payload.cast       : ternary;
            hdr.ethernet.isValid()  : ternary;
            meta.checksum_wrong     : ternary;
            hdr.ethernet.ether_type : ternary;
            meta.sound              : ternary;
        }
        actions = { fault; NoAction; }
        const default_action = NoAction();
        const entries = {
            // IGMP; MLD, which comes with a hop-by-hop header.
            (false, payload_kind_t.IPV4, IP_PROTOCOL_IGMP, _, _, _, _, _)      : fault(fault_t.MEMBERSHIP);
            (false, payload_kind_t.IPV6, IP_PROTOCOL_HOP_BY_HOP, cast_t.LINK_LOCAL, _, _, _, _) :
                fault(fault_t.MEMBERSHIP);
            (_, _, _, _, false, _, _, _)                                       : fault(fault_t.MALFORMED);
            (_, payload_kind_t.NONE, _, _, _, _, ETHERTYPE_IPV4, _)            : fault(fault_t.MALFORMED);
            (_, payload_kind_t.NONE, _, _, _, _, ETHERTYPE_IPV6, _)            : fault(fault_t.MALFORMED);
            (_, payload_kind_t.NONE, _, _, _, _, ETHERTYPE_SCALE_UP, _)        : fault(fault_t.MALFORMED);
            (_, payload_kind_t.NONE, _, _, _, _, _, _)                         : fault(fault_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, _, false)                                       : fault(fault_t.MALFORMED);
            (_, _, _, _, _, true, _, _)                                        : fault(fault_t.BAD_CHECKSUM);
        }
        size = 16;
    }

    apply {
        access_check.apply();
    }
}

// What comes from the underlay, and whether a tunnel ends here.
control CoreCheck(inout headers_t hdr, inout metadata_t meta, in bool ours) {
    action fault(fault_t what) {
        meta.fault = what;
    }

    action terminate() {
        meta.terminated = true;
        meta.iid = hdr.tunnel.iid;
        KEEP_PEER(meta)
        TAKE_INNER(meta)
    }

    @hidden
    table core_check {
        key = {
            hdr.ethernet.isValid()  : ternary;
            meta.checksum_wrong     : ternary;
            hdr.ethernet.ether_type : ternary;
            meta.payload.kind       : ternary;
            meta.sound              : ternary;
            ours                    : ternary;
            meta.parsed_whole       : ternary;
            hdr.tunnel.isValid()    : ternary;
            hdr.tunnel.flags        : ternary;
            meta.inner.kind         : ternary;
            meta.inner_sound        : ternary;
        }
        actions = { fault; terminate; NoAction; }
        const default_action = NoAction();
        const entries = {
            (false, _, _, _, _, _, _, _, _, _, _)                              : fault(fault_t.MALFORMED);
            (_, _, ETHERTYPE_IPV4, payload_kind_t.NONE, _, _, _, _, _, _, _)   : fault(fault_t.MALFORMED);
            (_, _, ETHERTYPE_IPV6, payload_kind_t.NONE, _, _, _, _, _, _, _)   : fault(fault_t.MALFORMED);
            (_, _, _, payload_kind_t.NONE, _, _, _, _, _, _, _)                : fault(fault_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, payload_kind_t.SCALE_UP, _, _, _, _, _, _, _)            : fault(fault_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, false, _, _, _, _, _, _)                              : fault(fault_t.MALFORMED);
            (_, true, _, _, _, _, _, _, _, _, _)                               : fault(fault_t.BAD_CHECKSUM);
            (_, _, _, _, _, false, _, _, _, _, _)                              : NoAction();
            (_, _, _, _, _, _, true, false, _, _, _)                           : fault(fault_t.TO_LOCAL_RLOC);
            (_, _, _, _, _, _, _, false, _, _, _)                              : fault(fault_t.MALFORMED);
            (_, _, _, _, _, _, _, _, 0 &&& TUNNEL_FLAG_I, _, _)                : fault(fault_t.NO_INSTANCE_ID);
            (_, _, _, _, _, _, true, _, _, payload_kind_t.NONE, _)             : fault(fault_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, _, _, _, payload_kind_t.NONE, _)                : fault(fault_t.MALFORMED);
            (_, _, _, _, _, _, _, _, _, _, false)                              : fault(fault_t.MALFORMED);
            (_, _, _, _, _, _, _, _, _, _, _)                                  : terminate();
        }
        size = 16;
    }

    apply {
        core_check.apply();
    }
}

#endif  // FABRIC_TNA_CHECKS_P4_
