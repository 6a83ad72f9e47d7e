// collective_renewal: a packet that leaves the cells has the headers that it came in, to the group's EID. They are made what
// stages/collective_rewrite.p4 makes of nothing: from the group's EID, and as if they began here. In the pipe that has the
// cells, since the other has no room for it.
#ifndef FABRIC_TNA_COLLECTIVE_RENEWAL_P4_
#define FABRIC_TNA_COLLECTIVE_RENEWAL_P4_

control CollectiveRenewal(inout headers_t hdr, in payload_kind_t kind) {
    action renew_scale_up() {
        hdr.scale_up.src = hdr.scale_up.dst;
        hdr.scale_up.reserved = 0;
        hdr.scale_up.hop_limit = COLLECTIVE_HOP_LIMIT;
        hdr.scale_up.sequence = 0;
        hdr.scale_up.tag = 0;
    }

    // The deparser computes the checksum.
    action renew_ipv4() {
        hdr.ipv4.src = hdr.ipv4.dst;
        hdr.ipv4.identification = 0;
        hdr.ipv4.flags = IPV4_FLAG_DF;
        hdr.ipv4.ttl = COLLECTIVE_HOP_LIMIT;
        hdr.udp.src_port = UDP_PORT_COLLECTIVE;
        hdr.udp.checksum = 0;
    }

#if COLLECTIVE_IPV6
    action renew_ipv6() {
        hdr.ipv6.src = hdr.ipv6.dst;
        hdr.ipv6.flow_label = 0;
        hdr.ipv6.hop_limit = COLLECTIVE_HOP_LIMIT;
        hdr.udp.src_port = UDP_PORT_COLLECTIVE;
        hdr.udp.checksum = 0;
    }
#endif

    @hidden table renew {
        key = { kind : exact; }
        actions = {
            renew_scale_up; renew_ipv4; NoAction;
#if COLLECTIVE_IPV6
            renew_ipv6;
#endif
        }
        const default_action = NoAction();
        const entries = {
            payload_kind_t.SCALE_UP : renew_scale_up();
            payload_kind_t.IPV4     : renew_ipv4();
#if COLLECTIVE_IPV6
            payload_kind_t.IPV6     : renew_ipv6();
#endif
        }
        size = 4;
    }

    action result() {
        hdr.incc.kind = collective_kind_t.RESULT;
    }

    action contribution() {
        hdr.incc.kind = collective_kind_t.CONTRIBUTION;
    }

    apply {
        renew.apply();
        if (hdr.result.outcome == collective_outcome_t.CONTRIBUTE) {
            contribution();
        } else {
            result();
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_RENEWAL_P4_
