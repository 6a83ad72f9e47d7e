// collective_values: the values of a cell, each in a register of its own, combined with those of the packet. Each is
// accessed once a packet; afterwards the packet has what the cell has.
//
// An action for each thing that can happen to a cell, not one with a choice in it for each value: a switch that
// interprets the program does only what has to be done.
#ifndef FABRIC_V1MODEL_COLLECTIVE_VALUES_P4_
#define FABRIC_V1MODEL_COLLECTIVE_VALUES_P4_

const bit<32> ALL = 0xFFFFFFFF;

#define VALUE_REGISTER(n) register<bit<32>>(COLLECTIVE_CELLS) collective_value_##n;

#define VALUE_READ(n)    collective_value_##n.read(hdr.incc_values.v##n, meta.collective.cell);
#define VALUE_WRITE(n)   collective_value_##n.write(meta.collective.cell, hdr.incc_values.v##n);

// The sum overflows where, unsaturated, it has another sign than both of its terms.
#define VALUE_ADD(n)                                                                                          \
    collective_value_##n.read(held, meta.collective.cell);                                                    \
    clashes = clashes | ((held ^ (held + hdr.incc_values.v##n)) & (hdr.incc_values.v##n ^ (held + hdr.incc_values.v##n))); \
    hdr.incc_values.v##n = (bit<32>) ((int<32>) held |+| (int<32>) hdr.incc_values.v##n);                     \
    collective_value_##n.write(meta.collective.cell, hdr.incc_values.v##n);

// Every other operation, chosen by masks of all ones or none: a choice in the action would cost a variable each.
// `less` is the mask of held < value, by the sign of their saturated difference.
#define VALUE_COMBINE(n)                                                                                      \
    collective_value_##n.read(held, meta.collective.cell);                                                    \
    less = (bit<32>) (((int<32>) held |-| (int<32>) hdr.incc_values.v##n) >> 31) ^ maximum;                   \
    hdr.incc_values.v##n = (((held & less) | (hdr.incc_values.v##n & ~less)) & compares)                      \
                           | (held & hdr.incc_values.v##n & ands) | ((held ^ hdr.incc_values.v##n) & xors);   \
    collective_value_##n.write(meta.collective.cell, hdr.incc_values.v##n);

control CollectiveValues(inout headers_t hdr, inout metadata_t meta) {
    EACH_VALUE(VALUE_REGISTER)

    bit<32> held = 0;
    bit<32> clashes = 0;
    bit<32> less = 0;
    bit<32> compares = 0;
    bit<32> maximum = 0;
    bit<32> ands = 0;
    bit<32> xors = 0;

    action choose(bit<32> of_comparison, bit<32> of_maximum, bit<32> of_and, bit<32> of_xor) {
        compares = of_comparison;
        maximum = of_maximum;
        ands = of_and;
        xors = of_xor;
    }

    @atomic
    action replace_values() {
        EACH_VALUE(VALUE_WRITE)
    }

    @atomic
    action read_values() {
        EACH_VALUE(VALUE_READ)
    }

    @atomic
    action add_values() {
        EACH_VALUE(VALUE_ADD)
    }

    @atomic
    action combine_values() {
        EACH_VALUE(VALUE_COMBINE)
    }

    apply {
        bool has_packet_values = hdr.incc_values.isValid();
        if (!has_packet_values || meta.collective.visit == collective_visit_t.READ) {
            if (meta.collective.has_values && meta.collective.full) {
                hdr.incc_values.setValid();
                read_values();
            } else {
                hdr.incc_values.setInvalid();
            }
        } else if (meta.collective.visit != collective_visit_t.ADDED || !meta.collective.had_values) {
            replace_values();
        } else if (hdr.incc.operation == collective_operation_t.SUM) {
            add_values();
            meta.collective.overflow = clashes[31:31] == 1;
        } else {
            if (hdr.incc.operation == collective_operation_t.MINIMUM) {
                choose(ALL, 0, 0, 0);
            } else if (hdr.incc.operation == collective_operation_t.MAXIMUM) {
                choose(ALL, ALL, 0, 0);
            } else if (hdr.incc.operation == collective_operation_t.AND) {
                choose(0, 0, ALL, 0);
            } else if (hdr.incc.operation == collective_operation_t.OR) {
                choose(0, 0, ALL, ALL);
            } else {
                choose(0, 0, 0, ALL);
            }
            combine_values();
        }
    }
}

#endif  // FABRIC_V1MODEL_COLLECTIVE_VALUES_P4_
