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

#define SUM_FIELD(n) bit<4> sum##n;
struct collective_sums_t {
    EACH_VALUE(SUM_FIELD)
}

#define SUM_KEY(n)                                        \
    sums.sum##n                 : ternary @name("sum");   \
    hdr.incc_values.v##n[31:31] : ternary @name("sign");

#define VALUE(n)                                                                                                \
    SALU_REGISTER(collective_value_##n, int<32>, 0)                                                             \
    SALU_PROGRAM(write_##n, collective_value_##n, int<32>, bit<32>,                                             \
        value = (int<32>) hdr.incc_values.v##n;                                                                 \
        rv = 0;)                                                                                                \
    SALU_PROGRAM(add_##n, collective_value_##n, int<32>, bit<4>,                                                \
        rv = SALU_PREDICATE(value < 0, value + (int<32>) hdr.incc_values.v##n < 0);                             \
        value = value |+| (int<32>) hdr.incc_values.v##n;)                                                      \
    SALU_PROGRAM(least_##n, collective_value_##n, int<32>, int<32>,                                             \
        if (selector == SELECT_FIRST) {                                                                \
            value = SALU_MIN(value, (int<32>) hdr.incc_values.v##n);                                                 \
        }                                                                                                       \
        rv = value;)                                                                                            \
    SALU_PROGRAM(bits_##n, collective_value_##n, int<32>, int<32>,                                              \
        if (selector == SELECT_FIRST) {                                                                \
            value = value & (int<32>) hdr.incc_values.v##n;                                                     \
        } else {                                                                                                \
            value = value ^ (int<32>) hdr.incc_values.v##n;                                                     \
        }                                                                                                       \
        rv = 0;)                                                                                                \
    action keep_##n()    { bit<32> none; SALU_RUN(write_##n, none) }                                            \
    action sum_##n()     { SALU_RUN(add_##n, sums.sum##n) }                                                 \
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

#define APPLY_VALUE(n) value_##n.apply();
#define ZERO(n)        hdr.incc_values.v##n = 0;
#define NO_SUM(n)      sums.sum##n = 0;
#define COMPLEMENT(n)  hdr.incc_values.v##n = ~hdr.incc_values.v##n;

// Has one of four sums been saturated? Both terms had the sign that it has not.
#define FOUR_SUMS(a, b, c, d)                               \
    @hidden table check_##a {                               \
        key = {                                             \
            SUM_KEY(a) SUM_KEY(b)                 \
            SUM_KEY(c) SUM_KEY(d)                 \
        }                                                   \
        actions = { raise; NoAction; }                      \
        const default_action = NoAction();                  \
        const entries = {                                   \
            (SUM_FELL, 0, _, _, _, _, _, _)        : raise(); \
            (SUM_ROSE, 1, _, _, _, _, _, _)        : raise(); \
            (_, _, SUM_FELL, 0, _, _, _, _)        : raise(); \
            (_, _, SUM_ROSE, 1, _, _, _, _)        : raise(); \
            (_, _, _, _, SUM_FELL, 0, _, _)        : raise(); \
            (_, _, _, _, SUM_ROSE, 1, _, _)        : raise(); \
            (_, _, _, _, _, _, SUM_FELL, 0)        : raise(); \
            (_, _, _, _, _, _, SUM_ROSE, 1)        : raise(); \
        }                                                   \
        size = 8;                                           \
    }

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
    collective_sums_t sums;

    EACH_VALUE(VALUE)

    action raise() {
        hdr.state.flags = hdr.state.flags | COLLECTIVE_OVERFLOW;
    }

    FOUR_SUMS(0, 1, 2, 3)
    FOUR_SUMS(4, 5, 6, 7)
    FOUR_SUMS(8, 9, 10, 11)
    FOUR_SUMS(12, 13, 14, 15)
    FOUR_SUMS(16, 17, 18, 19)
    FOUR_SUMS(20, 21, 22, 23)
    FOUR_SUMS(24, 25, 26, 27)
    FOUR_SUMS(28, 29, 30, 31)
#if COLLECTIVE_VALUES == 64
    FOUR_SUMS(32, 33, 34, 35)
    FOUR_SUMS(36, 37, 38, 39)
    FOUR_SUMS(40, 41, 42, 43)
    FOUR_SUMS(44, 45, 46, 47)
    FOUR_SUMS(48, 49, 50, 51)
    FOUR_SUMS(52, 53, 54, 55)
    FOUR_SUMS(56, 57, 58, 59)
    FOUR_SUMS(60, 61, 62, 63)
#endif

    action forget_sums() {
        EACH_VALUE(NO_SUM)
    }

    apply {
        forget_sums();
        EACH_VALUE(APPLY_VALUE)
        check_0.apply();
        check_4.apply();
        check_8.apply();
        check_12.apply();
        check_16.apply();
        check_20.apply();
        check_24.apply();
        check_28.apply();
#if COLLECTIVE_VALUES == 64
        check_32.apply();
        check_36.apply();
        check_40.apply();
        check_44.apply();
        check_48.apply();
        check_52.apply();
        check_56.apply();
        check_60.apply();
#endif
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_VALUES_P4_
