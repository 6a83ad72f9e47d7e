// The passes of a packet of a collective through the pipe that has the cells (collective_pipe.p4).
//
//  egress   CollectivePass: round, children and values of the cell
//  ingress  CollectiveNext: purpose, scale, flags, and what that means: the packet has been absorbed, or it takes one more
//           pass, to fetch what the cell has or to bring the parent's result, or it leaves, as that of v1model does
//
// In between it goes through a port that loops back. All packets of collectives take that port, so that each pass comes
// behind the pass of the packet before.
#ifndef FABRIC_TNA_COLLECTIVE_PASSES_P4_
#define FABRIC_TNA_COLLECTIVE_PASSES_P4_

#include "salu.p4"
#include "collective_cells.p4"
#include "collective_values.p4"
#include "collective_keeping.p4"

control CollectivePass(inout headers_t hdr) {
    CollectiveComplement()      complement;
    CollectiveSets()            sets;
    CollectiveValues()          values;
    CollectiveComplementAgain() complement_again;

    collective_program_t  program = PROGRAM_NONE;
    collective_selector_t selector = SELECT_FIRST;

    action begin() {
        hdr.state.setValid();
        hdr.state.visit = collective_visit_t.NONE;
        hdr.state.flags = hdr.incc.flags ^ COLLECTIVE_EMPTY;
        hdr.state.result = 0;
        hdr.state.full = 0;
        hdr.state.repeated = 0;
        hdr.state.asks = 0;
        hdr.state.mismatch = 0;
        hdr.state.mismatch_of_operation = 0;
    }

    apply {
        if (!hdr.state.isValid()) {
            begin();
        }
        complement.apply(hdr);
        sets.apply(hdr, program, selector);
        values.apply(hdr, program, selector);
        complement_again.apply(hdr);
    }
}

control CollectiveNext(inout headers_t hdr, inout collective_next_t next) {
    CollectiveKeeping() keeping;

    action repeat(collective_step_t step) {
        next.again = true;
        next.port = COLLECTIVE_PORT;
        hdr.work.step = step;
        hdr.state.visit = collective_visit_t.NONE;
        hdr.state.full = 0;
        hdr.state.repeated = 0;
    }

    // All have contributed: what have they? `asks`: the packet was a repeat, and the answer is its sender's alone.
    action fetch(bit<1> asks) {
        repeat(collective_step_t.HARVEST);
        hdr.state.asks = asks;
        hdr.cell.child = 0;
    }

    action fetch_values() {
        hdr.cell.child = COLLECTIVE_VALUES_BIT;
    }

    // The cell is the result's from now on.
    action replace() {
        repeat(collective_step_t.REPLACE);
        hdr.work.everyone = COLLECTIVE_VALUES_BIT;
    }

    action drop(drop_reason_t why) {
        next.reason = why;
    }

    // Through a tunnel, to the parent.
    action contribute() {
        hdr.result.outcome = collective_outcome_t.CONTRIBUTE;
        hdr.incc.rank = hdr.work.rank;
        next.port = hdr.work.parent_port;
    }

    action release() {
        hdr.result.outcome = collective_outcome_t.RELEASE;
        next.replicas = hdr.work.replicas;
    }

    // Back to where it came from: a member, or a switch.
    action answer(collective_outcome_t whom) {
        hdr.result.outcome = whom;
        next.port = hdr.work.ingress_port;
    }

    @hidden table decide {
        key = {
            hdr.work.step       : ternary;
            hdr.state.visit     : ternary;
            hdr.state.full      : ternary;
            hdr.state.repeated  : ternary;
            hdr.state.asks      : ternary;
            hdr.work.root       : ternary;
            hdr.state.result    : ternary;
            hdr.cell.terminated : ternary;
        }
        actions = { fetch; replace; drop; contribute; release; answer; }
        const default_action = drop(drop_reason_t.STALE_ROUND);
        const entries = {
            (collective_step_t.CLEAR, _, _, _, _, _, _, _)                         : drop(drop_reason_t.SLOT_CLEARED);
            (_, collective_visit_t.NONE, _, 1, _, _, _, _)                         : drop(drop_reason_t.REPEATED);
            (_, collective_visit_t.NONE, _, _, _, _, _, _)                         : drop(drop_reason_t.STALE_ROUND);
            (collective_step_t.VISIT, collective_visit_t.READ, _, _, _, _, _, _)   : fetch(1);
            (collective_step_t.VISIT, _, 1, _, _, _, _, _)                         : fetch(0);
            (collective_step_t.VISIT, _, 0, _, _, _, _, _)                         : drop(drop_reason_t.ABSORBED);
            (collective_step_t.RESULT, _, _, _, _, _, 0, _)                        : replace();
            (collective_step_t.RESULT, _, _, _, _, _, _, _)                        : drop(drop_reason_t.REPEATED);
            (collective_step_t.REPLACE, _, _, _, _, _, 0, _)                       : release();
            (collective_step_t.REPLACE, _, _, _, _, _, _, _)                       : drop(drop_reason_t.REPEATED);
            (collective_step_t.HARVEST, _, _, _, 0, 1, _, _)                       : release();
            (collective_step_t.HARVEST, _, _, _, 1, 1, _, 0)                       : answer(collective_outcome_t.ANSWER);
            (collective_step_t.HARVEST, _, _, _, 1, 1, _, 1)                       : answer(collective_outcome_t.ANSWER_NODE);
            (collective_step_t.HARVEST, _, _, _, 0, _, 1, _)                       : release();
            (collective_step_t.HARVEST, _, _, _, 1, _, 1, 0)                       : answer(collective_outcome_t.ANSWER);
            (collective_step_t.HARVEST, _, _, _, 1, _, 1, 1)                       : answer(collective_outcome_t.ANSWER_NODE);
            (collective_step_t.HARVEST, _, _, _, _, _, _, _)                       : contribute();
        }
        size = 20;
    }

    action tell(bit<8> flags) {
        hdr.incc.flags = flags;
    }

    // EMPTY says whether values follow.
    @hidden table flags {
        key = {
            hdr.state.flags                 : ternary;
            hdr.state.mismatch              : ternary;
            hdr.state.mismatch_of_operation : ternary;
        }
        actions = { tell; }
        const default_action = tell(COLLECTIVE_EMPTY);
        const entries = {
            (1 &&& 7, 0, 0) : tell(0);
            (3 &&& 7, 0, 0) : tell(COLLECTIVE_OVERFLOW);
            (1 &&& 3, _, _) : tell(COLLECTIVE_MISMATCH);
            (3 &&& 3, _, _) : tell(COLLECTIVE_MISMATCH | COLLECTIVE_OVERFLOW);
            (0 &&& 7, 0, 0) : tell(COLLECTIVE_EMPTY);
            (2 &&& 7, 0, 0) : tell(COLLECTIVE_EMPTY | COLLECTIVE_OVERFLOW);
            (0 &&& 3, _, _) : tell(COLLECTIVE_EMPTY | COLLECTIVE_MISMATCH);
            (2 &&& 3, _, _) : tell(COLLECTIVE_EMPTY | COLLECTIVE_MISMATCH | COLLECTIVE_OVERFLOW);
        }
        size = 8;
    }

    apply {
        keeping.apply(hdr);
        decide.apply();
        if (next.again) {
            if (hdr.work.step == collective_step_t.HARVEST && hdr.state.flags & COLLECTIVE_HELD != 0) {
                fetch_values();
            }
        } else {
            flags.apply();
        }
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_PASSES_P4_
