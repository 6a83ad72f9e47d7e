// collective: combines a packet with the cell of its slot and round, and decides where what comes of it goes.
#ifndef FABRIC_COLLECTIVE_P4_
#define FABRIC_COLLECTIVE_P4_

control Collective(inout headers_t hdr, inout metadata_t meta) {
    CollectiveCheck()  check;
    CollectiveCells()  cells;
    CollectiveValues() values;
    CollectiveFlags()  gathered;

    // Through a tunnel, to the parent.
    action contribute() {
        meta.collective.outcome = collective_outcome_t.CONTRIBUTE;
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = meta.collective.parent_is_ipv6;
        meta.rloc = meta.collective.parent;
        meta.source_rloc = meta.collective.source_rloc;
        meta.underlay_dst = meta.collective.parent;
    }

    // Back to where it came from.
    action answer_member() {
        meta.collective.outcome = collective_outcome_t.ANSWER;
        meta.egress_port = meta.ingress_port;
        meta.verdict = verdict_t.FORWARD;
    }

    action answer_node() {
        meta.collective.outcome = collective_outcome_t.ANSWER_NODE;
        meta.encapsulate = true;
        meta.rloc_is_ipv6 = hdr.ipv6.isValid();
        meta.rloc = meta.source_rloc;
        meta.underlay_dst = meta.source_rloc;
        meta.source_rloc = hdr.ipv6.isValid() ? hdr.ipv6.dst : (eid_t) hdr.ipv4.dst;
    }

    apply {
        check.apply(hdr, meta);
        if (meta.verdict == verdict_t.UNDECIDED) {
            cells.apply(hdr, meta);
            if (meta.collective.visit == collective_visit_t.CLEARED) {
                FABRIC_DROP(meta, SLOT_CLEARED)
            } else if (meta.collective.visit == collective_visit_t.NONE && meta.collective.repeated) {
                FABRIC_DROP(meta, REPEATED)
            } else if (meta.collective.visit == collective_visit_t.NONE) {
                FABRIC_DROP(meta, STALE_ROUND)
            } else {
                values.apply(hdr, meta);
                gathered.apply(hdr, meta);
                if (!meta.collective.full) {
                    FABRIC_DROP(meta, ABSORBED)
                } else if (!meta.collective.has_result) {
                    contribute();
                } else if (meta.collective.visit != collective_visit_t.READ) {
                    meta.collective.outcome = collective_outcome_t.RELEASE;
                    meta.verdict = verdict_t.REPLICATE;
                } else if (meta.terminated) {
                    answer_node();
                } else {
                    answer_member();
                }
            }
        }
    }
}

#endif  // FABRIC_COLLECTIVE_P4_
