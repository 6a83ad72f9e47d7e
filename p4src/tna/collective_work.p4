// The work order of a packet of a collective, in front of it between the passes that it takes (collective_passes.p4), and
// what comes of them.
#ifndef FABRIC_TNA_COLLECTIVE_WORK_P4_
#define FABRIC_TNA_COLLECTIVE_WORK_P4_

// First octet of the bridge header, as in bridge.p4, of what comes back from the cells.
const bit<8> ORIGIN_RESULT = 2;

const bit<8> COLLECTIVE_HOP_LIMIT = 64;

// 1: groups with IPv6 EIDs too.
#ifndef COLLECTIVE_IPV6
#define COLLECTIVE_IPV6 1
#endif

typedef bit<16> cell_t;             // index of a cell

// What a pass shall do with the cell.
enum bit<8> collective_step_t {
    NONE    = 0,
    VISIT   = 1,    // a contribution
    RESULT  = 2,    // the parent's result: is it wanted?
    REPLACE = 3,    // it was: it replaces what was contributed
    HARVEST = 4,    // all have contributed: the packet gets what the cell has
    CLEAR   = 5,

    // Not for a cell yet: the packet has to be checked; it is one of the controller, that clears.
    CHECK       = 6,
    CHECK_CLEAR = 7
}

// The round of a packet compared with that of its cell, as the predicate of a stateful ALU has it.
typedef bit<4> collective_turn_t;
const collective_turn_t TURN_EARLIER = 1;
const collective_turn_t TURN_LATER   = 2;
const collective_turn_t TURN_SAME    = 4;

// In sets of children bit 31 speaks of values: in `child` that the packet has some, in `rest`, and in a cell, that there
// are none yet.
const bit<32> COLLECTIVE_VALUES_BIT = 0x80000000;

// What is done to each value of a cell.
typedef bit<3> collective_program_t;
const collective_program_t PROGRAM_NONE    = 0;
const collective_program_t PROGRAM_WRITE   = 1;
const collective_program_t PROGRAM_ADD     = 2;
const collective_program_t PROGRAM_LEAST   = 3;     // of itself and the packet's
const collective_program_t PROGRAM_BITS    = 4;     // and, exclusive or
const collective_program_t PROGRAM_HARVEST = 5;

// Second operand of these programs.
typedef bit<32> collective_selector_t;
const collective_selector_t SELECT_FIRST = 0;  // minimum; and
const collective_selector_t SELECT_XOR   = 1;
const collective_selector_t SELECT_READ  = 2;  // no minimum, only the cell

// In the place of EMPTY, its contrary, so that all flags of a cell are joined by or.
const bit<8> COLLECTIVE_HELD = 1;

// What the pipe with the groups' tables tells the one with the cells about a packet; that one knows no group by itself.
header work_h {
    collective_step_t step;
    @padding bit<7>   pad;
    bit<1>            root;
    bit<32>           everyone;         // bit 31 is set for a cell: with that of `child` it says that there are no values
    group_id_t        replicas;
    bit<16>           rank;             // of this switch, at its parent
    @padding bit<7>   pad1;
    bit<9>            parent_port;
    @padding bit<7>   pad2;
    bit<9>            ingress_port;
}

// Behind the work order of a packet that has not been checked yet: what else its group's entry says.
header unchecked_h {
    bit<16> group;
    bit<16> first_slot;
    bit<16> slots;
    bit<8>  generation;
}

// Behind the work order of one that has been: which cell it is for, and whose it is.
header cell_h {
    cell_t  index;
    bit<32> round;                      // in the high half
    bit<32> child;
    @padding bit<7> pad;
    bit<1>  terminated;                 // the packet came through a tunnel
}

// What the passes tell each other. Behind the cell from the first of them on.
header state_h {
    collective_visit_t visit;           // what the pass has done
    bit<8>             flags;           // those of the packet, then of the cell; with values where they say EMPTY
    bit<8>             result;          // 1: the cell has the parent's
    // Each flag in an octet of its own: what shares one has to be made by one action alone.
    @padding bit<7>    pad0;
    bit<1>             full;
    @padding bit<7>    pad1;
    bit<1>             repeated;
    @padding bit<7>    pad2;
    bit<1>             asks;            // the packet was a repeat: only its sender gets an answer
    bit<16>            mismatch;        // of the cell: somebody has another signature
    bit<8>             mismatch_of_operation;
    @padding bit<8>    pad3;
}

// What egress is to make of a packet that comes back from the cells, behind what ingress told it when the packet came in.
header result_h {
    collective_outcome_t outcome;
    replica_id_t         replica;       // the child that asked, or completed the round
}

// What becomes of a packet behind a pass.
struct collective_next_t {
    drop_reason_t        reason;        // NONE: it is not dropped
    bit<9>               port;
    group_id_t           replicas;      // 0: one packet, to the port
    bool                 again;
}

#endif  // FABRIC_TNA_COLLECTIVE_WORK_P4_
