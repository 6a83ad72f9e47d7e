// collective_order: a packet of a group goes to the pipe that has the cells, taken out of its tunnel, with a work order in
// front. The header of its link goes along, in case there is an answer.
//
// The group is known here alone, and so are routes: whatever may be wanted of both goes along. On a switch that has a
// parent, every packet is routed to it, though most will be absorbed. That the packet is one that the group may have, the
// other pipe finds out (collective_admission.p4), where there is more room.
#ifndef FABRIC_TNA_COLLECTIVE_ORDER_P4_
#define FABRIC_TNA_COLLECTIVE_ORDER_P4_

// In place of the map-cache.
control CollectiveWay(inout headers_t hdr, inout metadata_t meta) {
    action go_up() {
        meta.encapsulate = true;
        FABRIC_RETRACT(meta, NO_RLOC)
    }

    // The root has no further to send it.
    action stay() {
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

// Behind the underlay and the verdict.
control CollectiveOrder(inout headers_t hdr, inout metadata_t meta) {
    action order(collective_step_t step) {
        hdr.work.step = step;
        hdr.work.root = (bit<1>) meta.collective.root;
        hdr.work.parent_port = meta.egress_port[8:0];
        hdr.work.ingress_port = meta.ingress_port[8:0];
        hdr.work.everyone[31:31] = 1;
    }

    apply {
        if (meta.collective.outcome == collective_outcome_t.CLEAR) {
            order(collective_step_t.CHECK_CLEAR);
        } else {
            order(collective_step_t.CHECK);
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_ORDER_P4_
