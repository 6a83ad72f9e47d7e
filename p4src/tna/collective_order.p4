// collective_order: a packet of a collective that has passed the check goes to the pipe that has the cells, taken out of
// its tunnel, with a work order in front. The header of its link goes along, in case there is an answer.
//
// The group is known here alone, and so are routes: whatever may be wanted of both goes along. On a switch that has a
// parent, every packet is routed to it, though most will be absorbed.
#ifndef FABRIC_TNA_COLLECTIVE_ORDER_P4_
#define FABRIC_TNA_COLLECTIVE_ORDER_P4_

// Behind the check, which compares where the packet came from; before the underlay.
control CollectiveWay(inout headers_t hdr, inout metadata_t meta) {
    action go_up() {
        meta.encapsulate = true;
        TAKE_WAY(meta)
        FABRIC_LOCATOR_CHOSEN(meta)
    }

    // The root has no further to send it.
    action stay() {
        meta.encapsulate = false;
        FABRIC_FORWARD(meta)
    }

    apply {
        if (meta.collective.root || meta.collective.outcome == collective_outcome_t.CLEAR) {
            stay();
        } else {
            go_up();
        }
    }
}

control CollectiveOrder(inout headers_t hdr, inout metadata_t meta) {
    action order() {
        hdr.work.setValid();
        hdr.work.step = collective_step_t.VISIT;
        hdr.work.root = (bit<1>) meta.collective.root;
        hdr.work.terminated = (bit<1>) meta.terminated;
        hdr.work.round = hdr.incc.round ++ 16w0;
        ORDER_CELL(hdr, meta)
        hdr.work.replicas = meta.group;
        hdr.work.rank = meta.collective.rank;
        hdr.work.parent_port = meta.egress_port[8:0];
        hdr.work.ingress_port = meta.ingress_port[8:0];
        hdr.result.setValid();
        hdr.result.outcome = collective_outcome_t.NONE;
        hdr.result.replica = meta.collective.replica;
    }

    action clear() {
        hdr.work.step = collective_step_t.CLEAR;
    }

    action bring_result() {
        hdr.work.step = collective_step_t.RESULT;
        hdr.work.child[30:0] = 0;
    }

    action without_values() {
        hdr.work.child[31:31] = 0;
    }

    apply {
        order();
        if (meta.collective.outcome == collective_outcome_t.CLEAR) {
            clear();
        } else if (hdr.incc.kind == collective_kind_t.RESULT) {
            bring_result();
        }
        if (hdr.incc.flags & COLLECTIVE_EMPTY != 0) {
            without_values();
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_ORDER_P4_
