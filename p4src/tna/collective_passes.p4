// The passes of a packet of a collective.
//
//  ingress, any port        collective_check, CollectiveBegin: a work order is put in front of header and values; what the
//                           packet was carried in is left behind
//  egress, COLLECTIVE_PORT  CollectivePass: children and values of the cell
//  ingress, from there      CollectiveRecall, CollectiveResume: purpose, scale, flags, and what that means: the packet has been absorbed, or
//                           it takes one more pass, to fetch what the cell has or to bring the parent's result, or it
//                           leaves, as that of v1model does
//
// COLLECTIVE_PORT is a port that recirculates. Each pipe of a chip has registers of its own, so all packets of collectives
// meet in the one that has this port; and each pass comes behind the pass of the packet before.
#ifndef FABRIC_TNA_COLLECTIVE_PASSES_P4_
#define FABRIC_TNA_COLLECTIVE_PASSES_P4_

#include "salu.p4"
#include "collective_cells.p4"
#include "collective_values.p4"
#include "collective_keeping.p4"

control CollectiveBegin(inout headers_t hdr, inout metadata_t meta) {
    action order(collective_step_t step) {
        hdr.work.setValid();
        hdr.work.origin = ORIGIN_WORK;
        hdr.work.step = step;
        hdr.work.visit = collective_visit_t.NONE;
        hdr.work.outcome = collective_outcome_t.NONE;
        hdr.work.kind = meta.payload.kind;
        hdr.work.overflow = hdr.incc.flags & COLLECTIVE_OVERFLOW;
        hdr.work.result = 0;
        hdr.work.full = 0;
        hdr.work.repeated = 0;
        hdr.work.asks = 0;
        hdr.work.terminated = (bit<1>) meta.terminated;
        hdr.work.rloc_is_ipv6 = (bit<1>) meta.collective.peer_is_ipv6;
        hdr.work.reorder = (bit<1>) meta.payload.reorder;
        hdr.work.cell = meta.collective.cell[15:0];
        hdr.work.replica = meta.collective.replica;
        hdr.work.round = hdr.incc.round ++ 16w0;
        hdr.work.child = (bit<32>) meta.collective.child;
        hdr.work.rest = (bit<32>) meta.collective.everyone;
        hdr.work.selector = SELECT_FIRST;
        hdr.work.purpose = 8w0 ++ hdr.incc.operation ++ hdr.incc.signature;
        hdr.work.mismatch = 0;
        hdr.work.hash = meta.payload.hash;
        hdr.work.ingress_port = meta.ingress_port;
        hdr.work.iid = meta.iid;
        hdr.work.dscp = meta.payload.dscp;
        hdr.work.ecn = meta.payload.ecn;
        hdr.work.entropy = meta.payload.src_port;
        hdr.work.encapsulation = meta.encapsulation;
        hdr.work.eid = meta.payload.dst;
        hdr.work.rloc = meta.source_rloc;
        hdr.work.own_rloc = meta.collective.own_rloc;
    }

    action leave_rest() {
        hdr.work.rest = hdr.work.rest ^ hdr.work.child;
    }

    action with_values() {
        hdr.work.values = 1;
        hdr.work.held = 1;
        hdr.work.child = hdr.work.child | COLLECTIVE_VALUES_BIT;
    }

    action without_values() {
        hdr.work.values = 0;
        hdr.work.held = 0;
        hdr.work.rest = hdr.work.rest | COLLECTIVE_VALUES_BIT;
    }

    action taint() {
        hdr.work.purpose = hdr.work.purpose | COLLECTIVE_TAINT;
    }

    action select_second() {
        hdr.work.selector = SELECT_SECOND;
    }

    action strip() {
        hdr.packet_out.setInvalid();
        hdr.scale_up.setInvalid();
        hdr.ipv4.setInvalid();
        hdr.ipv6.setInvalid();
        hdr.udp.setInvalid();
        hdr.tunnel.setInvalid();
        hdr.inner_scale_up.setInvalid();
        hdr.inner_ipv4.setInvalid();
        hdr.inner_ipv6.setInvalid();
        hdr.inner_udp.setInvalid();
    }

    action strip_frame() {
        hdr.ethernet = hdr.inner_ethernet;
        hdr.inner_ethernet.setInvalid();
    }

    apply {
        if (meta.collective.outcome == collective_outcome_t.CLEAR) {
            order(collective_step_t.CLEAR);
        } else if (hdr.incc.kind == collective_kind_t.RESULT) {
            order(collective_step_t.RESULT);
        } else {
            order(collective_step_t.VISIT);
        }
        leave_rest();
        if (hdr.incc.flags & COLLECTIVE_EMPTY == 0) {
            with_values();
        } else {
            without_values();
        }
        if (hdr.incc.flags & COLLECTIVE_MISMATCH != 0) {
            taint();
        }
        if (hdr.incc.operation == collective_operation_t.XOR) {
            select_second();
        }
        strip();
        if (hdr.inner_ethernet.isValid()) {
            strip_frame();
        }
        meta.egress_port = COLLECTIVE_PORT;
        FABRIC_FORWARD(meta)
    }
}

control CollectivePass(inout headers_t hdr) {
    CollectiveComplement() complement;
    CollectiveSets()       sets;
    CollectiveValues()     values;

    collective_program_t program = PROGRAM_NONE;

    apply {
        complement.apply(hdr, hdr.work.step, hdr.work.outcome);
        sets.apply(hdr, program);
        values.apply(hdr, program);
    }
}

// What ingress knew of the packet when it first came. collective_group follows, which knows the group again.
control CollectiveRecall(inout headers_t hdr, inout metadata_t meta) {
    CollectiveKeeping() keeping;

    action remember() {
        meta.overlay = true;
        meta.payload_found = true;
        meta.payload.collective = true;
        meta.payload.kind = hdr.work.kind;
        meta.payload.dst = hdr.work.eid;
        meta.payload.src_port = hdr.work.entropy;
        meta.payload.reorder = (bool) hdr.work.reorder;
        meta.payload.dscp = hdr.work.dscp;
        meta.payload.ecn = hdr.work.ecn;
        meta.payload.hash = hdr.work.hash;
        meta.ingress_port = hdr.work.ingress_port;
        meta.terminated = (bool) hdr.work.terminated;
        meta.iid = hdr.work.iid;
        meta.tunnel.iid = hdr.work.iid;
        meta.source_rloc = hdr.work.rloc;
        meta.collective.own_rloc = hdr.work.own_rloc;
        meta.collective.peer_is_ipv6 = (bool) hdr.work.rloc_is_ipv6;
        meta.collective.replica = hdr.work.replica;
        meta.encapsulation = hdr.work.encapsulation;
    }

    apply {
        remember();
        keeping.apply(hdr);
    }
}

control CollectiveResume(inout headers_t hdr, inout metadata_t meta) {
    CollectiveOutcome() outcome;

    bool again = false;

    action repeat(collective_step_t step) {
        again = true;
        hdr.work.step = step;
        hdr.work.visit = collective_visit_t.NONE;
        hdr.work.full = 0;
        hdr.work.repeated = 0;
        meta.egress_port = COLLECTIVE_PORT;
    }

    // All have contributed: what have they? `asks`: the packet was a repeat, and the answer is its sender's alone.
    action fetch(bit<1> asks) {
        repeat(collective_step_t.HARVEST);
        hdr.work.selector = SELECT_READ;
        hdr.work.asks = asks;
        hdr.work.child = 0;
    }

    // The cell is the result's from now on.
    action replace() {
        repeat(collective_step_t.REPLACE);
        hdr.work.rest = 0;
    }

    action fetch_values() {
        hdr.work.child = COLLECTIVE_VALUES_BIT;
    }

    action replace_by_nothing() {
        hdr.work.rest = COLLECTIVE_VALUES_BIT;
    }

    action done(collective_visit_t visit, bit<1> full, bit<1> has_result) {
        meta.collective.visit = visit;
        meta.collective.full = (bool) full;
        meta.collective.has_result = (bool) has_result;
    }

    action too_late() {
        meta.collective.visit = collective_visit_t.NONE;
        meta.collective.repeated = (bool) hdr.work.repeated;
    }

    action came_twice() {
        meta.collective.visit = collective_visit_t.NONE;
        meta.collective.repeated = true;
    }

    @hidden table next {
        key = {
            hdr.work.step        : ternary;
            hdr.work.visit       : ternary;
            hdr.work.full        : ternary;
            hdr.work.asks        : ternary;
            meta.collective.root : ternary;
            hdr.work.result      : ternary;
        }
        actions = { fetch; replace; done; too_late; came_twice; }
        const default_action = too_late();
        const entries = {
            (collective_step_t.CLEAR, _, _, _, _, _)                                    : done(collective_visit_t.CLEARED, 0, 0);
            (_, collective_visit_t.NONE, _, _, _, _)                                    : too_late();
            (collective_step_t.VISIT, collective_visit_t.READ, _, _, _, _)              : fetch(1);
            (collective_step_t.VISIT, _, 1, _, _, _)                                    : fetch(0);
            (collective_step_t.VISIT, _, 0, _, _, _)                                    : done(collective_visit_t.ADDED, 0, 0);
            (collective_step_t.RESULT, _, _, _, _, 0)                                   : replace();
            (collective_step_t.RESULT, _, _, _, _, _)                                   : came_twice();
            (collective_step_t.REPLACE, _, _, _, _, 0)                                  : done(collective_visit_t.REPLACED, 1, 1);
            (collective_step_t.REPLACE, _, _, _, _, _)                                  : came_twice();
            (collective_step_t.HARVEST, _, _, 0, true, _)                               : done(collective_visit_t.ADDED, 1, 1);
            (collective_step_t.HARVEST, _, _, 1, true, _)                               : done(collective_visit_t.READ, 1, 1);
            (collective_step_t.HARVEST, _, _, 0, _, 1)                                  : done(collective_visit_t.ADDED, 1, 1);
            (collective_step_t.HARVEST, _, _, 1, _, 1)                                  : done(collective_visit_t.READ, 1, 1);
            (collective_step_t.HARVEST, _, _, _, _, _)                                  : done(collective_visit_t.ADDED, 1, 0);
        }
        size = 16;
    }

    action tell() {
        hdr.incc.operation = (collective_operation_t) hdr.work.purpose[23:16];
        hdr.incc.signature = hdr.work.purpose[15:0];
        hdr.incc.flags = hdr.work.overflow;
    }

    action tell_mismatch() {
        hdr.incc.flags = hdr.incc.flags | COLLECTIVE_MISMATCH;
    }

    apply {
        next.apply();
        if (meta.collective.outcome == collective_outcome_t.NONE && hdr.work.step != collective_step_t.CLEAR) {
            FABRIC_DROP_COLLECTIVE(meta, NOT_A_MEMBER)      // the group has ended in the meantime
        } else if (again) {
            if (hdr.work.step == collective_step_t.HARVEST && hdr.work.held == 1) {
                fetch_values();
            }
            if (hdr.work.step == collective_step_t.REPLACE && hdr.work.values == 0) {
                replace_by_nothing();
            }
            FABRIC_FORWARD(meta)
        } else {
            tell();
            if (hdr.work.mismatch != 0 || hdr.work.purpose & COLLECTIVE_TAINT != 0) {
                tell_mismatch();
            }
            WORK_IS_DONE(hdr)
            outcome.apply(hdr, meta);
            meta.terminated = false;        // nothing of a tunnel is left to be taken off
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_PASSES_P4_
