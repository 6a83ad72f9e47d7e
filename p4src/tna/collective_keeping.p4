// collective_keeping: what a switch keeps of a slot's round beside children and values, in ingress of the port that all
// packets of collectives pass: behind collective_cells, which has said what the packet did, and in the same order.
#ifndef FABRIC_TNA_COLLECTIVE_KEEPING_P4_
#define FABRIC_TNA_COLLECTIVE_KEEPING_P4_

// Purpose, scale, flags, whether there are values, and whether the parent's result is there. A pass that combines learns the purpose, one that
// harvests the rest: a stateful ALU of Tofino 1 has one result.
control CollectiveKeeping(inout headers_t hdr) {
    // What the slot is for, and beside it the flag that somebody thought otherwise.
    SALU_PAIR_REGISTER(collective_purposes)
    SALU_REGISTER(collective_scales, int<32>, 0)
    SALU_REGISTER(collective_overflows, bit<8>, 0)
    SALU_REGISTER(collective_results, bit<8>, 0)
    SALU_REGISTER(collective_held, bit<8>, 0)

    SALU_PAIR_PROGRAM(set_purpose, collective_purposes, bit<32>,
        value.lo = hdr.work.purpose;
        value.hi = 0;
        rv = hdr.work.purpose;)
    SALU_PAIR_PROGRAM(agree_purpose, collective_purposes, bit<32>,
        rv = value.lo;
        if (value.lo != hdr.work.purpose) {
            value.hi = 4;
        })
    SALU_PAIR_PROGRAM(see_purpose, collective_purposes, bit<32>,
        rv = value.lo;)
    SALU_PAIR_PROGRAM(see_mismatch, collective_purposes, bit<32>,
        rv = value.hi;)

    SALU_PROGRAM(set_scale, collective_scales, int<32>, int<32>,
        value = (int<32>) hdr.incc.scale;
        rv = value;)
    SALU_PROGRAM(raise_scale, collective_scales, int<32>, int<32>,
        value = SALU_MAX(value, (int<32>) hdr.incc.scale);
        rv = value;)
    SALU_PROGRAM(see_scale, collective_scales, int<32>, int<32>,
        rv = value;)

    SALU_PROGRAM(set_overflow, collective_overflows, bit<8>, bit<8>,
        value = hdr.work.overflow;
        rv = value;)
    SALU_PROGRAM(join_overflow, collective_overflows, bit<8>, bit<8>,
        value = value | hdr.work.overflow;
        rv = value;)
    SALU_PROGRAM(see_overflow, collective_overflows, bit<8>, bit<8>,
        rv = value;)

    SALU_PROGRAM(drop_result, collective_results, bit<8>, bit<8>,
        value = 0;
        rv = value;)
    SALU_PROGRAM(keep_result, collective_results, bit<8>, bit<8>,
        rv = value;
        value = 1;)
    SALU_PROGRAM(see_result, collective_results, bit<8>, bit<8>,
        rv = value;)

    SALU_PROGRAM(set_held, collective_held, bit<8>, bit<8>,
        value = hdr.work.held;
        rv = value;)
    SALU_PROGRAM(join_held, collective_held, bit<8>, bit<8>,
        value = value | hdr.work.held;
        rv = value;)
    SALU_PROGRAM(see_held, collective_held, bit<8>, bit<8>,
        rv = value;)

    action purpose_first()   { SALU_RUN(set_purpose, hdr.work.purpose) }
    action purpose_joins()   { SALU_RUN(agree_purpose, hdr.work.purpose) }
    action purpose_read()    { SALU_RUN(see_purpose, hdr.work.purpose) }
    action purpose_differs() { SALU_RUN(see_mismatch, hdr.work.mismatch) }

    @hidden table purposes {
        key = {
            hdr.work.step  : ternary;
            hdr.work.visit : ternary;
        }
        actions = { purpose_first; purpose_joins; purpose_read; purpose_differs; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.RESULT, _)    : NoAction();      // that is not for the packet to have
            (collective_step_t.HARVEST, collective_visit_t.READ) : purpose_differs();
            (_, collective_visit_t.TAKEN)    : purpose_first();
            (_, collective_visit_t.REPLACED) : purpose_first();
            (_, collective_visit_t.ADDED)    : purpose_joins();
            (_, collective_visit_t.READ)     : purpose_read();
        }
        size = 8;
    }

    action scale_first() { int<32> scale; SALU_RUN(set_scale, scale) hdr.incc.scale = (bit<32>) scale; }
    action scale_joins() { int<32> scale; SALU_RUN(raise_scale, scale) hdr.incc.scale = (bit<32>) scale; }
    action scale_read()  { int<32> scale; SALU_RUN(see_scale, scale) hdr.incc.scale = (bit<32>) scale; }

    @hidden table scales {
        key = {
            hdr.work.step  : ternary;
            hdr.work.visit : ternary;
        }
        actions = { scale_first; scale_joins; scale_read; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.RESULT, _)    : NoAction();
            (_, collective_visit_t.TAKEN)    : scale_first();
            (_, collective_visit_t.REPLACED) : scale_first();
            (_, collective_visit_t.ADDED)    : scale_joins();
            (_, collective_visit_t.READ)     : scale_read();
        }
        size = 8;
    }

    action overflow_first()  { SALU_RUN(set_overflow, hdr.work.overflow) }
    action overflow_joins()  { SALU_RUN(join_overflow, hdr.work.overflow) }
    action overflow_read()   { SALU_RUN(see_overflow, hdr.work.overflow) }

    @hidden table overflows {
        key = {
            hdr.work.step  : ternary;
            hdr.work.visit : ternary;
        }
        actions = { overflow_first; overflow_joins; overflow_read; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.RESULT, _)    : NoAction();
            (_, collective_visit_t.TAKEN)    : overflow_first();
            (_, collective_visit_t.REPLACED) : overflow_first();
            (_, collective_visit_t.ADDED)    : overflow_joins();
            (_, collective_visit_t.READ)     : overflow_read();
        }
        size = 8;
    }

    action result_absent()  { SALU_RUN(drop_result, hdr.work.result) }
    action result_present() { SALU_RUN(keep_result, hdr.work.result) }
    action result_read()    { SALU_RUN(see_result, hdr.work.result) }

    @hidden table results {
        key = { hdr.work.visit : exact; }
        actions = { result_absent; result_present; result_read; NoAction; }
        const default_action = NoAction();
        const entries = {
            collective_visit_t.TAKEN    : result_absent();
            collective_visit_t.REPLACED : result_present();
            collective_visit_t.READ     : result_read();
        }
        size = 4;
    }

    action held_first() { SALU_RUN(set_held, hdr.work.held) }
    action held_joins() { SALU_RUN(join_held, hdr.work.held) }
    action held_read()  { SALU_RUN(see_held, hdr.work.held) }

    @hidden table held {
        key = {
            hdr.work.step  : ternary;
            hdr.work.visit : ternary;
        }
        actions = { held_first; held_joins; held_read; NoAction; }
        const default_action = NoAction();
        const entries = {
            (collective_step_t.RESULT, _)    : NoAction();
            (_, collective_visit_t.TAKEN)    : held_first();
            (_, collective_visit_t.REPLACED) : held_first();
            (_, collective_visit_t.ADDED)    : held_joins();
            (_, collective_visit_t.READ)     : held_read();
        }
        size = 8;
    }

    apply {
        held.apply();
        purposes.apply();
        scales.apply();
        overflows.apply();
        results.apply();
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_KEEPING_P4_
