// Table, counter and register sizes, named once. The scale they are meant for: 1 024 accelerators a PoD, 256 PoDs,
// 64 RLOCs in an RLOC-set, 4 096 Instance-IDs on one switch.
#ifndef FABRIC_SIZES_P4_
#define FABRIC_SIZES_P4_

#define PORT_CONTEXT_SIZE      512
#define LOCAL_RLOC_SIZE        16
#define SITE_OF_RLOC_SIZE      1024    // the RLOCs of the own PoD, or of all
#define INSTANCE_SIZE          4096
#define SCALE_UP_PREFIX_SIZE   1024    // the own PoD's IP subnets that Scale-Up serves
#define SCALE_UP_SIZE          16384   // every accelerator of the own PoD in several tenants
#define SCALE_OUT_IPV4_SIZE    16384   // every host of the own PoD in several tenants, and every PoD's subnets
#define SCALE_OUT_IPV6_SIZE    16384
#define RLOC_SET_SIZE          4096
#define RLOC_SELECTOR_SIZE     16384   // members, all RLOC-sets together
#define RLOC_SET_MAX_MEMBERS   64
#define UNDERLAY_IPV4_SIZE     2048    // one route for each RLOC of the fabric
#define UNDERLAY_IPV6_SIZE     2048
#define UNDERLAY_SELECTOR_SIZE 2048
#define UNDERLAY_MAX_PATHS     64
#define MULTICAST_SOURCE_SIZE  8192
#define MULTICAST_GROUP_SIZE   8192
#define BROADCAST_SIZE         4096    // one for each Instance-ID
#define HOME_EID_SIZE          4096    // the own PoD's EID-prefixes in every tenant
#define REPLICA_SIZE           8192    // receivers' ports and RLOCs, whatever the number of groups
#define COLLECTIVE_GROUPS      256     // on one switch
#define COLLECTIVE_SLOTS       1024    // of all its groups together
#define COLLECTIVE_CELLS       2048    // two for each slot
#define COLLECTIVE_CHILDREN    4096    // of all its groups together
#define DROP_COUNTER_SIZE      256     // one cell for each value of drop_reason_t
#define PUNT_FILTER_SIZE       4096    // destinations the controller has lately been told of

// Values of 32 bits in a packet of a collective: 64 or 32, one number for the whole fabric.
#ifndef COLLECTIVE_VALUES
#define COLLECTIVE_VALUES      64
#endif

#endif  // FABRIC_SIZES_P4_
