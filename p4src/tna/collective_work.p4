// The work order of a packet of a collective, in front of it between the passes that it takes (collective_passes.p4).
#ifndef FABRIC_TNA_COLLECTIVE_WORK_P4_
#define FABRIC_TNA_COLLECTIVE_WORK_P4_

// First octet, as in bridge.p4: between passes; before the copies of a result.
const bit<8> ORIGIN_WORK   = 2;
const bit<8> ORIGIN_RESULT = 3;

typedef bit<16> cell_t;             // index of a cell

// What a pass shall do with the cell.
enum bit<8> collective_step_t {
    NONE    = 0,
    VISIT   = 1,    // a contribution
    RESULT  = 2,    // the parent's result: is it wanted?
    REPLACE = 3,    // it was: it replaces what was contributed
    HARVEST = 4,    // all have contributed: the packet gets what the cell has
    CLEAR   = 5
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
const bit<32> SELECT_FIRST  = 0;    // minimum; and
const bit<32> SELECT_SECOND = 1;    // exclusive or
const bit<32> SELECT_READ   = 2;    // none, only read

// In the purpose: whoever contributes has been told already that not all have the same.
const bit<32> COLLECTIVE_TAINT = 0x04000000;

header work_h {
    bit<8>             origin;
    collective_step_t  step;
    collective_visit_t visit;           // what the pass has done
    collective_outcome_t outcome;       // ORIGIN_RESULT
    payload_kind_t     kind;
    bit<8>             overflow;        // flags of the packet, then of the cell
    bit<8>             held;            // 1: the packet brings values; then: the cell has some
    bit<8>             result;          // 1: the cell has the parent's
    // Each flag in an octet of its own: what shares one has to be made by one action alone.
    @padding bit<7>    pad0;
    bit<1>             full;
    @padding bit<7>    pad1;
    bit<1>             repeated;
    @padding bit<7>    pad2;
    bit<1>             asks;            // the packet was a repeat: only its sender gets an answer
    @padding bit<7>    pad3;
    bit<1>             values;          // they follow
    @padding bit<7>    pad4;
    bit<1>             terminated;
    @padding bit<7>    pad5;
    bit<1>             rloc_is_ipv6;
    @padding bit<7>    pad6;
    bit<1>             reorder;
    cell_t             cell;
    replica_id_t       replica;
    bit<32>            round;           // in the high half
    bit<32>            child;
    bit<32>            rest;            // everyone else
    bit<32>            selector;
    bit<32>            purpose;         // COLLECTIVE_TAINT, operation, signature; of the packet, then of the cell
    bit<32>            mismatch;        // flag, of the cell
    flow_hash_t        hash;
    fabric_port_t      ingress_port;
    iid_t              iid;
    bit<6>             dscp;
    bit<2>             ecn;
    bit<16>            entropy;
    encapsulation_t    encapsulation;   // of the Instance-ID
    eid_t              eid;             // of the group
    eid_t              rloc;            // it came from there
    eid_t              own_rloc;        // to there
}

#endif  // FABRIC_TNA_COLLECTIVE_WORK_P4_
