// collective_outcome: where what comes of a packet of a collective goes, once it is known what it did to its cell.
#ifndef FABRIC_COLLECTIVE_OUTCOME_P4_
#define FABRIC_COLLECTIVE_OUTCOME_P4_

control CollectiveOutcome(inout headers_t hdr, inout metadata_t meta) {
    // Through a tunnel, to the parent.
    action contribute() {
        meta.collective.outcome = collective_outcome_t.CONTRIBUTE;
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = meta.collective.parent_is_ipv6;
        meta.rloc = meta.collective.parent;
        meta.source_rloc = meta.collective.source_rloc;
        hdr.incc.rank = meta.collective.rank;
    }

    action release() {
        meta.collective.outcome = collective_outcome_t.RELEASE;
        FABRIC_REPLICATE(meta, meta.group)
    }

    // Back to where it came from.
    action answer_member() {
        meta.collective.outcome = collective_outcome_t.ANSWER;
        meta.egress_port = meta.ingress_port;
        FABRIC_FORWARD(meta)
    }

    action answer_node() {
        meta.collective.outcome = collective_outcome_t.ANSWER_NODE;
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = meta.collective.peer_is_ipv6;
        meta.rloc = meta.source_rloc;
        meta.source_rloc = meta.collective.own_rloc;
    }

    apply {
        if (meta.collective.visit == collective_visit_t.CLEARED) {
            FABRIC_DROP_COLLECTIVE(meta, SLOT_CLEARED)
        } else if (meta.collective.visit == collective_visit_t.NONE && meta.collective.repeated) {
            FABRIC_DROP_COLLECTIVE(meta, REPEATED)
        } else if (meta.collective.visit == collective_visit_t.NONE) {
            FABRIC_DROP_COLLECTIVE(meta, STALE_ROUND)
        } else if (!meta.collective.full) {
            FABRIC_DROP_COLLECTIVE(meta, ABSORBED)
        } else if (!meta.collective.has_result) {
            contribute();
        } else if (meta.collective.visit != collective_visit_t.READ) {
            release();
        } else if (meta.terminated) {
            answer_node();
        } else {
            answer_member();
        }
    }
}

#endif  // FABRIC_COLLECTIVE_OUTCOME_P4_
