// The seam of the stateful ALUs: a register, and the programs (at most four) that a packet may run on one cell of it. A
// program is a body over `value`, the cell, and `rv`, what it tells the packet. On TNA that is a RegisterAction; under
// FABRIC_ON_V1MODEL the same body is an action that reads and writes a v1model register, so that what stateful ALUs are
// made to do here runs on bmv2 and softswitch (on_v1model/).
#ifndef FABRIC_TNA_SALU_P4_
#define FABRIC_TNA_SALU_P4_

#ifdef FABRIC_ON_V1MODEL

#define SALU_REGISTER(name, type, initial) register<bit<32>>(COLLECTIVE_CELLS) name;
#define SALU_PROGRAM(name, reg, type, result, ...)                          \
    @atomic action name(out result rv) {                                    \
        bit<32> raw;                                                        \
        reg.read(raw, (bit<32>) hdr.cell.index);                             \
        type value = (type) raw;                                            \
        __VA_ARGS__                                                         \
        reg.write((bit<32>) hdr.cell.index, (bit<32>) value);                \
    }
// Two cells side by side that one program has at once: `value.lo` and `value.hi`.
#define SALU_PAIR_REGISTER(name, width) register<bit<(2 * width)>>(COLLECTIVE_CELLS) name;
#define SALU_PAIR_PROGRAM(name, reg, width, ...)                            \
    @atomic action name(out bit<width> rv) {                                \
        bit<(2 * width)> raw;                                               \
        reg.read(raw, (bit<32>) hdr.cell.index);                             \
        salu_pair_##width##_t value = { raw[width - 1:0], raw[2 * width - 1:width] }; \
        __VA_ARGS__                                                         \
        reg.write((bit<32>) hdr.cell.index, value.hi ++ value.lo);           \
    }
#define SALU_RUN(name, result) name(result);
#define SALU_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SALU_MAX(a, b) ((a) > (b) ? (a) : (b))
// Which of two conditions hold, one bit of four: neither, the first, the second, both.
#define SALU_PREDICATE(first, second)                                       \
    ((first) ? ((second) ? 4w8 : 4w2) : ((second) ? 4w4 : 4w1))

#else

#define SALU_REGISTER(name, type, initial) Register<type, cell_t>(COLLECTIVE_CELLS, initial) name;
#define SALU_PROGRAM(name, reg, type, result, ...)                          \
    RegisterAction<type, cell_t, result>(reg) name = {                      \
        void apply(inout type value, out result rv) { __VA_ARGS__ }         \
    };
#define SALU_PAIR_REGISTER(name, width) \
    Register<salu_pair_##width##_t, cell_t>(COLLECTIVE_CELLS, { 0, 0 }) name;
#define SALU_PAIR_PROGRAM(name, reg, width, ...)                                           \
    RegisterAction<salu_pair_##width##_t, cell_t, bit<width>>(reg) name = {                \
        void apply(inout salu_pair_##width##_t value, out bit<width> rv) { __VA_ARGS__ }   \
    };
#define SALU_RUN(name, result) result = name.execute(hdr.cell.index);
#define SALU_MIN(a, b) min(a, b)
#define SALU_MAX(a, b) max(a, b)
#define SALU_PREDICATE(first, second) this.predicate(first, second)

#endif

struct salu_pair_8_t {
    bit<8> lo;
    bit<8> hi;
}

struct salu_pair_16_t {
    bit<16> lo;
    bit<16> hi;
}

#endif  // FABRIC_TNA_SALU_P4_
