// collective_cells: what a switch keeps of a slot's round but for the values. Egress of the one port that all packets of
// collectives pass, so that whatever port they came from they meet in one pipe, whose registers are its own.
//
// The round comes first, then the set of children that are still missing: each is a register of one access, and the
// second one's program follows from what the first one found. A cell that has been cleared has the round -1 below all
// rounds, whose low half is zero, so that whatever comes first takes it over.
#ifndef FABRIC_TNA_COLLECTIVE_CELLS_P4_
#define FABRIC_TNA_COLLECTIVE_CELLS_P4_

const bit<32> CHILDREN = 0x7FFFFFFF;

// A child that is not missing has contributed; a child that alone is missing makes the set complete.
#define CHILD_IS_KNOWN(n) \
    (collective_step_t.VISIT, TURN_SAME, 0 &&& (32w1 << n), (32w1 << n) &&& (32w1 << n), _) : visit_repeated();
#define CHILD_IS_LAST(n) \
    (collective_step_t.VISIT, TURN_SAME, (32w1 << n) &&& CHILDREN, (32w1 << n) &&& (32w1 << n), _) : visit_full(collective_visit_t.ADDED);
#define KNOWN_CHANGES_NOTHING(n) \
    (collective_step_t.VISIT, TURN_SAME, 0 &&& (32w1 << n), (32w1 << n) &&& (32w1 << n), _) : run(PROGRAM_NONE);
#define BRINGS_VALUES COLLECTIVE_VALUES_BIT &&& COLLECTIVE_VALUES_BIT
#define EACH_CHILD(V)                                                                               \
    V(0)  V(1)  V(2)  V(3)  V(4)  V(5)  V(6)  V(7)  V(8)  V(9)  V(10) V(11) V(12) V(13) V(14) V(15) \
    V(16) V(17) V(18) V(19) V(20) V(21) V(22) V(23) V(24) V(25) V(26) V(27) V(28) V(29) V(30)

control CollectiveSets(inout headers_t hdr, out collective_program_t program, out collective_selector_t selector) {
    SALU_REGISTER(collective_rounds, int<32>, -1)
    SALU_REGISTER(collective_missing, bit<32>, 0)

    collective_turn_t turn = 0;
    bit<32> missing = 0;         // before this packet came
    bit<32> rest = 0;            // everyone but its sender; bit 31: it brings no values

    // Rounds are serial numbers (RFC 1982): their difference as a signed number, of the high half alone.
    SALU_PROGRAM(take_turn, collective_rounds, int<32>, collective_turn_t,
        rv = SALU_PREDICATE((int<32>) hdr.cell.round - value > 0, value == (int<32>) hdr.cell.round);
        if ((int<32>) hdr.cell.round - value > 0) {
            value = (int<32>) hdr.cell.round;
        })
    SALU_PROGRAM(see_turn, collective_rounds, int<32>, collective_turn_t,
        rv = SALU_PREDICATE((int<32>) hdr.cell.round - value > 0, value == (int<32>) hdr.cell.round);)
    SALU_PROGRAM(forget_turn, collective_rounds, int<32>, collective_turn_t,
        value = -1;
        rv = 0;)

    SALU_PROGRAM(begin_set, collective_missing, bit<32>, bit<32>,
        value = rest;
        rv = value;)
    SALU_PROGRAM(leave_set, collective_missing, bit<32>, bit<32>,
        rv = value;
        value = value & ~hdr.cell.child;)
    SALU_PROGRAM(see_set, collective_missing, bit<32>, bit<32>,
        rv = value;)

    action visit_round()  { SALU_RUN(take_turn, turn) }
    action look_at_round() { SALU_RUN(see_turn, turn) }
    action forget_round() { SALU_RUN(forget_turn, turn) }

    @hidden table rounds {
        key = { hdr.work.step : exact; }
        actions = { visit_round; look_at_round; forget_round; NoAction; }
        const default_action = NoAction();
        const entries = {
            collective_step_t.VISIT   : visit_round();
            collective_step_t.RESULT  : look_at_round();
            collective_step_t.REPLACE : look_at_round();
            collective_step_t.HARVEST : look_at_round();
            collective_step_t.CLEAR   : forget_round();
        }
        size = 8;
    }

    action begin_round()   { SALU_RUN(begin_set, missing) }
    action join_round()    { SALU_RUN(leave_set, missing) }
    action look_at_set()   { SALU_RUN(see_set, missing) }

    @hidden table sets {
        key = {
            hdr.work.step : exact;
            turn          : exact;
        }
        actions = { begin_round; join_round; look_at_set; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.VISIT, TURN_LATER)  : begin_round();
            (collective_step_t.VISIT, TURN_SAME)   : join_round();
            (collective_step_t.RESULT, TURN_SAME)  : look_at_set();
            (collective_step_t.HARVEST, TURN_SAME) : look_at_set();
            (collective_step_t.REPLACE, TURN_SAME) : begin_round();
        }
        size = 8;
    }

    action visit(collective_visit_t done) {
        hdr.state.visit = done;
    }

    action visit_full(collective_visit_t done) {
        hdr.state.visit = done;
        hdr.state.full = 1;
    }

    action visit_repeated() {
        hdr.state.repeated = 1;
    }

    action harvest_values() {
        hdr.state.visit = collective_visit_t.READ;
        hdr.state.full = 1;
        hdr.incc.flags = 0;
        hdr.incc_values.setValid();
    }

    action harvest_nothing() {
        hdr.state.visit = collective_visit_t.READ;
        hdr.state.full = 1;
        hdr.incc.flags = COLLECTIVE_EMPTY;
        hdr.incc_values.setInvalid();
    }

    // What a packet has done. Without a line it did nothing: it is too late.
    @hidden table decide {
        key = {
            hdr.work.step  : ternary;
            turn           : ternary;
            missing        : ternary;
            hdr.cell.child : ternary;
            rest  : ternary;
        }
        actions = { visit; visit_full; visit_repeated; harvest_values; harvest_nothing; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.CLEAR, _, _, _, _)                                  : visit(collective_visit_t.CLEARED);
            (collective_step_t.VISIT, TURN_LATER, _, _, 0 &&& CHILDREN)            : visit_full(collective_visit_t.TAKEN);
            (collective_step_t.VISIT, TURN_LATER, _, _, _)                         : visit(collective_visit_t.TAKEN);
            (collective_step_t.VISIT, TURN_SAME, 0 &&& CHILDREN, _, _)             : visit_full(collective_visit_t.READ);
            EACH_CHILD(CHILD_IS_KNOWN)
            EACH_CHILD(CHILD_IS_LAST)
            (collective_step_t.VISIT, TURN_SAME, _, _, _)                          : visit(collective_visit_t.ADDED);
            (collective_step_t.RESULT, TURN_SAME, 0 &&& CHILDREN, _, _)            : visit_full(collective_visit_t.READ);
            (collective_step_t.REPLACE, TURN_SAME, _, _, _)                        : visit_full(collective_visit_t.REPLACED);
            (collective_step_t.HARVEST, TURN_SAME, 0 &&& CHILDREN, BRINGS_VALUES, _) : harvest_values();
            (collective_step_t.HARVEST, TURN_SAME, 0 &&& CHILDREN, _, _)           : harvest_nothing();
        }
        size = 80;
    }

    action run(collective_program_t chosen) {
        program = chosen;
    }

    // What that means for each value.
    @hidden table choose {
        key = {
            hdr.work.step      : ternary;
            turn               : ternary;
            missing            : ternary;
            hdr.cell.child     : ternary;
            hdr.incc.operation : ternary;
        }
        actions = { run; }
        const default_action = run(PROGRAM_NONE);
        const entries = {
            (collective_step_t.VISIT, TURN_LATER, _, BRINGS_VALUES, _)                 : run(PROGRAM_WRITE);
            (collective_step_t.REPLACE, TURN_SAME, _, BRINGS_VALUES, _)                : run(PROGRAM_WRITE);
            (collective_step_t.HARVEST, TURN_SAME, 0 &&& CHILDREN, BRINGS_VALUES, _)   : run(PROGRAM_HARVEST);
            (collective_step_t.CLEAR, _, _, _, _)                                      : run(PROGRAM_WRITE);
            (collective_step_t.VISIT, TURN_SAME, 0 &&& CHILDREN, _, _)                 : run(PROGRAM_NONE);
            EACH_CHILD(KNOWN_CHANGES_NOTHING)
            (collective_step_t.VISIT, TURN_SAME, BRINGS_VALUES, BRINGS_VALUES, _)      : run(PROGRAM_WRITE);
            (collective_step_t.VISIT, TURN_SAME, _, BRINGS_VALUES, collective_operation_t.SUM)     : run(PROGRAM_ADD);
            (collective_step_t.VISIT, TURN_SAME, _, BRINGS_VALUES, collective_operation_t.MINIMUM) : run(PROGRAM_LEAST);
            (collective_step_t.VISIT, TURN_SAME, _, BRINGS_VALUES, collective_operation_t.MAXIMUM) : run(PROGRAM_LEAST);
            (collective_step_t.VISIT, TURN_SAME, _, BRINGS_VALUES, _)                  : run(PROGRAM_BITS);
        }
        size = 48;
    }

    action operand(collective_selector_t chosen) {
        selector = chosen;
    }

    @hidden table operands {
        key = {
            hdr.work.step      : ternary;
            hdr.incc.operation : ternary;
        }
        actions = { operand; }
        const default_action = operand(SELECT_FIRST);
        const entries = {
            (collective_step_t.HARVEST, _)                              : operand(SELECT_READ);
            (collective_step_t.VISIT, collective_operation_t.XOR)       : operand(SELECT_XOR);
        }
        size = 4;
    }

    apply {
        rest = hdr.work.everyone ^ hdr.cell.child;
        operands.apply();
        rounds.apply();
        sets.apply();
        decide.apply();
        choose.apply();
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_CELLS_P4_
