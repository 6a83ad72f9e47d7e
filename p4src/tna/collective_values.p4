// collective_values: the values of a cell, each in a register of its own, four to a stage. A stateful ALU has four programs,
// and each of them room for two operations that a second operand chooses between. That is enough for six operations,
// for writing and for reading, because maximum and or are minimum and and of complements: a packet of theirs is
// complemented before the registers, and what goes on from here once more behind them.
//
// A sum is not read where it is made: the program tells instead whether it has changed its sign, from which and the
// packet's own sign it follows whether it was saturated.
#ifndef FABRIC_TNA_COLLECTIVE_VALUES_P4_
#define FABRIC_TNA_COLLECTIVE_VALUES_P4_

// Before and after: a negative number that is none any longer, and the reverse.
const bit<4> SUM_ROSE = 2;
const bit<4> SUM_FELL = 4;

// The values of a stage.
#define EACH_FOUR(V)                                                \
    V(0, 1, 2, 3)     V(4, 5, 6, 7)                                 \
    V(8, 9, 10, 11)   V(12, 13, 14, 15)                             \
    V(16, 17, 18, 19) V(20, 21, 22, 23)                             \
    V(24, 25, 26, 27) V(28, 29, 30, 31)                             \
    EACH_FOUR_MORE(V)
#if COLLECTIVE_VALUES == 64
#define EACH_FOUR_MORE(V)                                           \
    V(32, 33, 34, 35) V(36, 37, 38, 39)                             \
    V(40, 41, 42, 43) V(44, 45, 46, 47)                             \
    V(48, 49, 50, 51) V(52, 53, 54, 55)                             \
    V(56, 57, 58, 59) V(60, 61, 62, 63)
#else
#define EACH_FOUR_MORE(V)
#endif

// Value `n`, the `place`th of its stage.
#define VALUE(n, place)                                                                                                \
    SALU_REGISTER(collective_value_##n, int<32>, 0)                                                             \
    SALU_PROGRAM(write_##n, collective_value_##n, int<32>, bit<32>,                                             \
        value = (int<32>) hdr.incc_values.v##n;                                                                 \
        rv = 0;)                                                                                                \
    SALU_PROGRAM(add_##n, collective_value_##n, int<32>, bit<4>,                                                \
        rv = SALU_PREDICATE(value < 0, value + (int<32>) hdr.incc_values.v##n < 0);                             \
        value = value |+| (int<32>) hdr.incc_values.v##n;)                                                      \
    SALU_PROGRAM(least_##n, collective_value_##n, int<32>, int<32>,                                             \
        if (selector == SELECT_FIRST) {                                                                        \
            value = SALU_MIN(value, (int<32>) hdr.incc_values.v##n);                                                 \
        }                                                                                                       \
        rv = value;)                                                                                            \
    SALU_PROGRAM(bits_##n, collective_value_##n, int<32>, int<32>,                                              \
        if (selector == SELECT_FIRST) {                                                                        \
            value = value & (int<32>) hdr.incc_values.v##n;                                                     \
        } else {                                                                                                \
            value = value ^ (int<32>) hdr.incc_values.v##n;                                                     \
        }                                                                                                       \
        rv = 0;)                                                                                                \
    action keep_##n()    { bit<32> none; SALU_RUN(write_##n, none) }                                            \
    action sum_##n()     { SALU_RUN(add_##n, sign_##place) }                                                   \
    action compare_##n() { int<32> held; SALU_RUN(least_##n, held) }                                            \
    action harvest_##n() { int<32> held; SALU_RUN(least_##n, held) hdr.incc_values.v##n = (bit<32>) held; }     \
    action combine_##n() { int<32> none; SALU_RUN(bits_##n, none) }                                             \
    @hidden table value_##n {                                                                                   \
        key = { program : exact; }                                                                              \
        actions = { keep_##n; sum_##n; compare_##n; combine_##n; harvest_##n; NoAction; }                       \
        const default_action = NoAction();                                                                      \
        const entries = {                                                                                       \
            PROGRAM_WRITE   : keep_##n();                                                                       \
            PROGRAM_ADD     : sum_##n();                                                                        \
            PROGRAM_LEAST   : compare_##n();                                                                    \
            PROGRAM_BITS    : combine_##n();                                                                    \
            PROGRAM_HARVEST : harvest_##n();                                                                    \
        }                                                                                                       \
        size = 8;                                                                                               \
    }

#define ZERO(n)        hdr.incc_values.v##n = 0;
#define COMPLEMENT(n)  hdr.incc_values.v##n = ~hdr.incc_values.v##n;

// Has one of four sums been saturated? Both terms had the sign that it has not. Only a program that adds has made any; and
// it is asked in the next stage, where the next four are made, so that four fields are enough for all.
#define FOUR_VALUES(a, b, c, d)                                         \
    VALUE(a, 0) VALUE(b, 1) VALUE(c, 2) VALUE(d, 3)                     \
    @hidden table check_##a {                                           \
        key = {                                                         \
            program                     : ternary;                      \
            sign_0                       : ternary;                      \
            hdr.incc_values.v##a[31:31] : ternary @name("sign");        \
            sign_1                       : ternary;                      \
            hdr.incc_values.v##b[31:31] : ternary @name("sign");        \
            sign_2                       : ternary;                      \
            hdr.incc_values.v##c[31:31] : ternary @name("sign");        \
            sign_3                       : ternary;                      \
            hdr.incc_values.v##d[31:31] : ternary @name("sign");        \
        }                                                               \
        actions = { raise; NoAction; }                                  \
        const default_action = NoAction();                              \
        const entries = {                                               \
            (PROGRAM_ADD, SUM_FELL, 0, _, _, _, _, _, _) : raise();     \
            (PROGRAM_ADD, SUM_ROSE, 1, _, _, _, _, _, _) : raise();     \
            (PROGRAM_ADD, _, _, SUM_FELL, 0, _, _, _, _) : raise();     \
            (PROGRAM_ADD, _, _, SUM_ROSE, 1, _, _, _, _) : raise();     \
            (PROGRAM_ADD, _, _, _, _, SUM_FELL, 0, _, _) : raise();     \
            (PROGRAM_ADD, _, _, _, _, SUM_ROSE, 1, _, _) : raise();     \
            (PROGRAM_ADD, _, _, _, _, _, _, SUM_FELL, 0) : raise();     \
            (PROGRAM_ADD, _, _, _, _, _, _, SUM_ROSE, 1) : raise();     \
        }                                                               \
        size = 8;                                                       \
    }
#define APPLY_FOUR(a, b, c, d)                                          \
    value_##a.apply();                                                  \
    value_##b.apply();                                                  \
    value_##c.apply();                                                  \
    value_##d.apply();                                                  \
    check_##a.apply();

control CollectiveComplement(inout headers_t hdr) {
    action complement() {
        EACH_VALUE(COMPLEMENT)
    }

    // For a cell that is cleared: no group finds values of the one before.
    action zero() {
        hdr.incc_values.setValid();
        EACH_VALUE(ZERO)
    }

    @hidden table turn_over {
        key = {
            hdr.work.step      : ternary;
            hdr.incc.operation : ternary;
        }
        actions = { complement; zero; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.VISIT, collective_operation_t.MAXIMUM)   : complement();
            (collective_step_t.VISIT, collective_operation_t.OR)        : complement();
            (collective_step_t.REPLACE, collective_operation_t.MAXIMUM) : complement();
            (collective_step_t.REPLACE, collective_operation_t.OR)      : complement();
            (collective_step_t.CLEAR, _)                                : zero();
        }
        size = 8;
    }

    apply {
        turn_over.apply();
    }
}

control CollectiveComplementAgain(inout headers_t hdr) {
    action complement() {
        EACH_VALUE(COMPLEMENT)
    }

    @hidden table turn_back {
        key = {
            hdr.work.step      : ternary;
            hdr.incc.operation : ternary;
        }
        actions = { complement; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.HARVEST, collective_operation_t.MAXIMUM) : complement();
            (collective_step_t.HARVEST, collective_operation_t.OR)      : complement();
            (collective_step_t.REPLACE, collective_operation_t.MAXIMUM) : complement();
            (collective_step_t.REPLACE, collective_operation_t.OR)      : complement();
        }
        size = 4;
    }

    apply {
        turn_back.apply();
    }
}

control CollectiveValues(inout headers_t hdr, in collective_program_t program, in collective_selector_t selector) {
    bit<4> sign_0;
    bit<4> sign_1;
    bit<4> sign_2;
    bit<4> sign_3;

    action raise() {
        hdr.state.flags = hdr.state.flags | COLLECTIVE_OVERFLOW;
    }

    EACH_FOUR(FOUR_VALUES)

    apply {
        EACH_FOUR(APPLY_FOUR)
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_VALUES_P4_
