// collective_admission: a packet that comes to the pipe that has the cells is checked before it is let to one. In ingress of
// the port that loops back, on the packet's first time there; it has passed by egress.
#ifndef FABRIC_TNA_COLLECTIVE_ADMISSION_P4_
#define FABRIC_TNA_COLLECTIVE_ADMISSION_P4_

control CollectiveAdmission(inout headers_t hdr, inout metadata_t meta, inout collective_next_t next) {
    CollectiveCheck() collective_check;

    action refuse() {
        next.reason = meta.drop_reason;
    }

    action admit() {
        next.again = true;
        next.port = COLLECTIVE_PORT;
        hdr.cell.round = hdr.incc.round ++ 16w0;
        hdr.cell.child[31:31] = 1;
        hdr.cell.terminated = hdr.bridge_flags.terminated;
        hdr.bridge_source_rloc.value = hdr.bridge_source_eid.value;     // the way to the parent
        hdr.result.setValid();
        hdr.result.outcome = collective_outcome_t.NONE;
        hdr.result.replica = meta.collective.replica;
        hdr.unchecked.setInvalid();
    }

    action visit() {
        hdr.work.step = collective_step_t.VISIT;
    }

    action clear() {
        hdr.work.step = collective_step_t.CLEAR;
    }

    action bring_result() {
        hdr.work.step = collective_step_t.RESULT;
        hdr.cell.child[30:0] = 0;
    }

    action without_values() {
        hdr.cell.child[31:31] = 0;
    }

    apply {
        hdr.cell.setValid();
        collective_check.apply(hdr, meta);
        if (meta.drop_reason != drop_reason_t.NONE) {
            refuse();
        } else {
            admit();
            if (IS_CLEAR(hdr, meta)) {
                clear();
            } else if (hdr.incc.kind == collective_kind_t.RESULT) {
                bring_result();
            } else {
                visit();
            }
            if (hdr.incc.flags & COLLECTIVE_EMPTY != 0) {
                without_values();
            }
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_ADMISSION_P4_
