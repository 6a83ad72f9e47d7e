// collective_result (egress): what has come back from the cells becomes one copy of a result, or a contribution to the
// parent. Link and encapsulation follow, as for everything else.
#ifndef FABRIC_TNA_COLLECTIVE_RESULT_P4_
#define FABRIC_TNA_COLLECTIVE_RESULT_P4_

control CollectiveResult(inout headers_t hdr, inout metadata_t meta, in replica_id_t replica_id) {
    CollectiveCopy()    collective_copy;
    CollectiveRewrite() collective_rewrite;

    bool to_node = false;

    action recall() {
        meta.terminated = false;            // nothing of a tunnel is left to be taken off
        meta.collective.outcome = hdr.result.outcome;
        meta.collective.replica = hdr.result.replica;
        meta.payload.src_port = hdr.result.entropy;
        meta.payload.reorder = (bool) hdr.result.reorder;
        meta.payload.dst = meta.payload.src;
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
        collective_rewrite.apply(hdr, meta, meta.payload.src);
        if (meta.encapsulate && meta.payload.kind == payload_kind_t.SCALE_UP) {
            begin_frame();
        }
        end_link();
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_RESULT_P4_
