// What the stages of collectives leave to the architecture, for TNA: what v1model/arch.p4 has for v1model.
#ifndef FABRIC_TNA_COLLECTIVE_SEAM_P4_
#define FABRIC_TNA_COLLECTIVE_SEAM_P4_

// The port that recirculates: of pipe 0, 68 on Tofino 1, 6 on Tofino 2. All collectives of the switch pass it.
#ifndef COLLECTIVE_PORT
#if __TARGET_TOFINO__ == 2
#define COLLECTIVE_PORT 6
#else
#define COLLECTIVE_PORT 68
#endif
#endif

#define FABRIC_DROP_COLLECTIVE(meta, why) FABRIC_DROP_NEGATIVE(meta, drop_reason_t.why)
#define FABRIC_LOCATOR_CHOSEN(meta) FABRIC_RETRACT(meta, NO_RLOC)

// Ingress does not look at values. A frame that ends before their end is dropped by the parser of egress.
#define VALUES_ARE_CUT_OFF(hdr) false

// Egress needs the work order still.
#define WORK_IS_DONE(hdr)

#undef ARCHITECTURE_HEADERS
#define ARCHITECTURE_HEADERS work_h work;

#endif  // FABRIC_TNA_COLLECTIVE_SEAM_P4_
