// What the stages of collectives leave to the architecture, for TNA: what v1model/arch.p4 has for v1model.
#ifndef FABRIC_TNA_COLLECTIVE_SEAM_P4_
#define FABRIC_TNA_COLLECTIVE_SEAM_P4_

// The port that loops back, of the pipe that has the cells; that pipe must not be the one with the port of the CPU. On
// Tofino 1, whose PCIe port belongs to pipe 1 or 2, the recirculation port of pipe 0; on Tofino 2, where it belongs to
// pipe 0, that of pipe 1.
#ifndef COLLECTIVE_PORT
#if __TARGET_TOFINO__ == 2
#define COLLECTIVE_PORT 134
#else
#define COLLECTIVE_PORT 68
#endif
#endif

#define FABRIC_DROP_COLLECTIVE(meta, why) FABRIC_DROP_NEGATIVE(meta, drop_reason_t.why)
#define FABRIC_LOCATOR_CHOSEN(meta) FABRIC_RETRACT(meta, NO_RLOC)

// Ingress does not look at values. A frame that ends before their end is dropped by the parser of egress.
#define VALUES_ARE_CUT_OFF(hdr) false

#undef ARCHITECTURE_HEADERS
#define ARCHITECTURE_HEADERS \
    BRIDGE_HEADERS           \
    sample_h sample;         \
    work_h   work;           \
    state_h  state;          \
    result_h result;

#endif  // FABRIC_TNA_COLLECTIVE_SEAM_P4_
