// Table and counter sizes, named once. The scale they are meant for: 1 024 accelerators a PoD, 256 PoDs,
// 64 RLOCs in an RLOC-set, 4 096 Instance-IDs on one switch.
#ifndef FABRIC_SIZES_P4_
#define FABRIC_SIZES_P4_

#define PORT_CONTEXT_SIZE      512
#define LOCAL_RLOC_SIZE        16
#define INSTANCE_SIZE          4096
#define SCALE_OUT_IPV4_SIZE    16384   // every host of the own PoD in several tenants, and every PoD's subnets
#define RLOC_SET_SIZE          4096
#define RLOC_SELECTOR_SIZE     16384   // members, all RLOC-sets together
#define RLOC_SET_MAX_MEMBERS   64
#define UNDERLAY_IPV4_SIZE     2048    // one route for each RLOC of the fabric
#define UNDERLAY_SELECTOR_SIZE 2048
#define UNDERLAY_MAX_PATHS     64
#define DROP_COUNTER_SIZE      256     // one cell for each value of drop_reason_t

#endif  // FABRIC_SIZES_P4_
