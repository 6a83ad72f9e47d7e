// collective_result (egress): what has come back from the cells becomes one copy of a result, or a contribution to the
// parent. Its headers come from the group's EID already (collective_renewal.p4), and go to that EID; here they are made to
// go to the receiver's, and as long as the packet is. Link and encapsulation follow, as for everything else.
#ifndef FABRIC_TNA_COLLECTIVE_RESULT_P4_
#define FABRIC_TNA_COLLECTIVE_RESULT_P4_

control CollectiveResult(inout headers_t hdr, inout metadata_t meta, in replica_id_t replica_id) {
    CollectiveCopy() collective_copy;

    bool to_node = false;

    action recall() {
        meta.terminated = false;            // nothing of a tunnel is left to be taken off
        meta.collective.outcome = hdr.result.outcome;
        meta.collective.replica = hdr.result.replica;
        meta.payload.ttl = COLLECTIVE_HOP_LIMIT;
        hdr.result.setInvalid();
    }

    // As a copy of its own, but on the way back that the packet came by, for the way there has not been looked up.
    action answer_node() {
        meta.collective.outcome = collective_outcome_t.ANSWER;
        to_node = true;
    }

    action go_back() {
        meta.port_mac = hdr.ethernet.dst;
        meta.next_hop_mac = hdr.ethernet.src;
    }

    action to_scale_up() {
        hdr.scale_up.dst = meta.rloc[31:0];
    }

    action to_ipv4() {
        hdr.ipv4.dst = meta.rloc[31:0];
    }

#if COLLECTIVE_IPV6
    action to_ipv6() {
        hdr.ipv6.dst = meta.rloc;
    }
#endif

    action measure_scale_up(bit<16> length, bit<16> total) {
        hdr.scale_up.length = length;
        meta.payload.total_len = total;
    }

    action measure_ipv4(bit<16> length, bit<16> total) {
        hdr.udp.length = length;
        hdr.ipv4.total_len = total;
        meta.payload.total_len = total;
    }

#if COLLECTIVE_IPV6
    action measure_ipv6(bit<16> length, bit<16> total) {
        hdr.udp.length = length;
        hdr.ipv6.payload_len = length;
        meta.payload.total_len = total;
    }
#endif

    // Values may have come or gone since.
    @hidden table measure {
        key = {
            meta.payload.kind   : exact;
            hdr.incc.flags[0:0] : exact @name("empty");
        }
        actions = {
            measure_scale_up; measure_ipv4; NoAction;
#if COLLECTIVE_IPV6
            measure_ipv6;
#endif
        }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.SCALE_UP, 1) : measure_scale_up(INCC_OCTETS, SCALE_UP_OCTETS + INCC_OCTETS);
            (payload_kind_t.SCALE_UP, 0)  : measure_scale_up(INCC_OCTETS + INCC_VALUES_OCTETS, SCALE_UP_OCTETS + INCC_OCTETS + INCC_VALUES_OCTETS);
            (payload_kind_t.IPV4, 1)     : measure_ipv4(EMPTY_UDP_OCTETS, IPV4_OCTETS + EMPTY_UDP_OCTETS);
            (payload_kind_t.IPV4, 0)      : measure_ipv4(FULL_UDP_OCTETS, IPV4_OCTETS + FULL_UDP_OCTETS);
#if COLLECTIVE_IPV6
            (payload_kind_t.IPV6, 1)     : measure_ipv6(EMPTY_UDP_OCTETS, IPV6_OCTETS + EMPTY_UDP_OCTETS);
            (payload_kind_t.IPV6, 0)      : measure_ipv6(FULL_UDP_OCTETS, IPV6_OCTETS + FULL_UDP_OCTETS);
#endif
        }
        size = 8;
    }

    // A Scale-Up frame is carried whole.
    action begin_frame() {
        hdr.encap_ethernet.setValid();
        hdr.encap_ethernet.dst = VXLAN_ROUTED_DST;
        hdr.encap_ethernet.src = VXLAN_ROUTED_SRC;
        hdr.encap_ethernet.ether_type = ETHERTYPE_SCALE_UP;
    }

    action end_link() {
        hdr.ethernet.setInvalid();
    }

    apply {
        recall();
        if (meta.collective.outcome == collective_outcome_t.ANSWER_NODE) {
            answer_node();
        }
        collective_copy.apply(hdr, meta, replica_id);
        if (to_node) {
            go_back();
        }
        if (!meta.encapsulate) {
            if (meta.payload.kind == payload_kind_t.SCALE_UP) {
                to_scale_up();
#if COLLECTIVE_IPV6
            } else if (meta.payload.kind == payload_kind_t.IPV6) {
                to_ipv6();
#endif
            } else {
                to_ipv4();
            }
        }
        measure.apply();
        if (meta.encapsulate && meta.payload.kind == payload_kind_t.SCALE_UP) {
            begin_frame();
        }
        end_link();
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_RESULT_P4_
