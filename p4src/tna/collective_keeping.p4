// collective_keeping: what a switch keeps of a slot's round beside children and values, in ingress of the port that all
// packets of collectives pass: behind collective_cells, which has said what the packet did, and in the same order.
#ifndef FABRIC_TNA_COLLECTIVE_KEEPING_P4_
#define FABRIC_TNA_COLLECTIVE_KEEPING_P4_

// Operation, signature, scale, flags (among them whether there are values), and whether the parent's result is there. A
// pass that combines learns what was there first, one that harvests whether all agreed: a stateful ALU of Tofino 1 has one
// result.
control CollectiveKeeping(inout headers_t hdr) {
    // What the slot is for, and beside it the flag that somebody thought otherwise.
    SALU_PAIR_REGISTER(collective_operations, 8)
    SALU_PAIR_REGISTER(collective_signatures, 16)
    SALU_REGISTER(collective_scales, int<32>, 0)
    SALU_REGISTER(collective_flags, bit<8>, 0)
    SALU_REGISTER(collective_results, bit<8>, 0)

#define PURPOSE(name, register, width, field)                       \
    SALU_PAIR_PROGRAM(set_##name, register, width,                  \
        value.lo = (bit<width>) field;                              \
        value.hi = 0;                                               \
        rv = value.lo;)                                             \
    SALU_PAIR_PROGRAM(agree_##name, register, width,                \
        rv = value.lo;                                              \
        if (value.lo != (bit<width>) field) {                       \
            value.hi = 1;                                           \
        })                                                          \
    SALU_PAIR_PROGRAM(see_##name, register, width,                  \
        rv = value.lo;)                                             \
    SALU_PAIR_PROGRAM(see_mismatch_of_##name, register, width,      \
        rv = value.hi;)
    PURPOSE(operation, collective_operations, 8, hdr.incc.operation)
    PURPOSE(signature, collective_signatures, 16, hdr.incc.signature)

    SALU_PROGRAM(set_scale, collective_scales, int<32>, int<32>,
        value = (int<32>) hdr.incc.scale;
        rv = value;)
    SALU_PROGRAM(raise_scale, collective_scales, int<32>, int<32>,
        value = SALU_MAX(value, (int<32>) hdr.incc.scale);
        rv = value;)
    SALU_PROGRAM(see_scale, collective_scales, int<32>, int<32>,
        rv = value;)

    SALU_PROGRAM(set_flags, collective_flags, bit<8>, bit<8>,
        value = hdr.state.flags;
        rv = value;)
    SALU_PROGRAM(join_flags, collective_flags, bit<8>, bit<8>,
        value = value | hdr.state.flags;
        rv = value;)
    SALU_PROGRAM(see_flags, collective_flags, bit<8>, bit<8>,
        rv = value;)

    SALU_PROGRAM(drop_result, collective_results, bit<8>, bit<8>,
        value = 0;
        rv = value;)
    SALU_PROGRAM(keep_result, collective_results, bit<8>, bit<8>,
        rv = value;
        value = 1;)
    SALU_PROGRAM(see_result, collective_results, bit<8>, bit<8>,
        rv = value;)

    // RESULT: that is not for the packet to have.
#define KEEPING_ENTRIES(name)                                                    \
        const entries = {                                                        \
            (collective_step_t.RESULT, _)    : NoAction();                       \
            (_, collective_visit_t.TAKEN)    : name##_first();                   \
            (_, collective_visit_t.REPLACED) : name##_first();                   \
            (_, collective_visit_t.ADDED)    : name##_joins();                   \
            (_, collective_visit_t.READ)     : name##_read();                    \
        }
#define PURPOSE_ENTRIES(name)                                                    \
        const entries = {                                                        \
            (collective_step_t.RESULT, _)    : NoAction();                       \
            (collective_step_t.HARVEST, collective_visit_t.READ) : name##_differs(); \
            (_, collective_visit_t.TAKEN)    : name##_first();                   \
            (_, collective_visit_t.REPLACED) : name##_first();                   \
            (_, collective_visit_t.ADDED)    : name##_joins();                   \
            (_, collective_visit_t.READ)     : name##_read();                    \
        }

    action operation_first()   { bit<8> kept; SALU_RUN(set_operation, kept) hdr.incc.operation = (collective_operation_t) kept; }
    action operation_joins()   { bit<8> kept; SALU_RUN(agree_operation, kept) hdr.incc.operation = (collective_operation_t) kept; }
    action operation_read()    { bit<8> kept; SALU_RUN(see_operation, kept) hdr.incc.operation = (collective_operation_t) kept; }
    action operation_differs() { SALU_RUN(see_mismatch_of_operation, hdr.state.mismatch_of_operation) }

    @hidden table operations {
        key = {
            hdr.work.step   : ternary;
            hdr.state.visit : ternary;
        }
        actions = { operation_first; operation_joins; operation_read; operation_differs; NoAction; }
        const default_action = NoAction();
        PURPOSE_ENTRIES(operation)
        size = 8;
    }

    action signature_first()   { SALU_RUN(set_signature, hdr.incc.signature) }
    action signature_joins()   { SALU_RUN(agree_signature, hdr.incc.signature) }
    action signature_read()    { SALU_RUN(see_signature, hdr.incc.signature) }
    action signature_differs() { SALU_RUN(see_mismatch_of_signature, hdr.state.mismatch) }

    @hidden table signatures {
        key = {
            hdr.work.step   : ternary;
            hdr.state.visit : ternary;
        }
        actions = { signature_first; signature_joins; signature_read; signature_differs; NoAction; }
        const default_action = NoAction();
        PURPOSE_ENTRIES(signature)
        size = 8;
    }

    action scale_first() { int<32> scale; SALU_RUN(set_scale, scale) hdr.incc.scale = (bit<32>) scale; }
    action scale_joins() { int<32> scale; SALU_RUN(raise_scale, scale) hdr.incc.scale = (bit<32>) scale; }
    action scale_read()  { int<32> scale; SALU_RUN(see_scale, scale) hdr.incc.scale = (bit<32>) scale; }

    @hidden table scales {
        key = {
            hdr.work.step   : ternary;
            hdr.state.visit : ternary;
        }
        actions = { scale_first; scale_joins; scale_read; NoAction; }
        const default_action = NoAction();
        KEEPING_ENTRIES(scale)
        size = 8;
    }

    action flags_first()  { SALU_RUN(set_flags, hdr.state.flags) }
    action flags_joins()  { SALU_RUN(join_flags, hdr.state.flags) }
    action flags_read()   { SALU_RUN(see_flags, hdr.state.flags) }

    @hidden table flags {
        key = {
            hdr.work.step   : ternary;
            hdr.state.visit : ternary;
        }
        actions = { flags_first; flags_joins; flags_read; NoAction; }
        const default_action = NoAction();
        KEEPING_ENTRIES(flags)
        size = 8;
    }

    action result_absent()  { SALU_RUN(drop_result, hdr.state.result) }
    action result_present() { SALU_RUN(keep_result, hdr.state.result) }
    action result_read()    { SALU_RUN(see_result, hdr.state.result) }

    @hidden table results {
        key = { hdr.state.visit : exact; }
        actions = { result_absent; result_present; result_read; NoAction; }
        const default_action = NoAction();
        const entries = {
            collective_visit_t.TAKEN    : result_absent();
            collective_visit_t.REPLACED : result_present();
            collective_visit_t.READ     : result_read();
        }
        size = 4;
    }

    apply {
        operations.apply();
        signatures.apply();
        scales.apply();
        flags.apply();
        results.apply();
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_KEEPING_P4_
