// Table, counter and register sizes, named once. The scale they are meant for: 1 024 accelerators a PoD, 256 PoDs,
// 64 RLOCs in an RLOC-set, 4 096 Instance-IDs on one switch.
#ifndef FABRIC_SIZES_P4_
#define FABRIC_SIZES_P4_

#ifndef PORT_CONTEXT_SIZE
#define PORT_CONTEXT_SIZE      512
#endif
#ifndef LOCAL_RLOC_SIZE
#define LOCAL_RLOC_SIZE        16
#endif
#ifndef SITE_OF_RLOC_SIZE
#define SITE_OF_RLOC_SIZE      1024    // the RLOCs of the own PoD, or of all
#endif
#ifndef INSTANCE_SIZE
#define INSTANCE_SIZE          4096
#endif
#ifndef SCALE_UP_PREFIX_SIZE
#define SCALE_UP_PREFIX_SIZE   1024    // the own PoD's IP subnets that Scale-Up serves
#endif
#ifndef SCALE_UP_SIZE
#define SCALE_UP_SIZE          16384   // every accelerator of the own PoD in several tenants
#endif
#ifndef SCALE_OUT_IPV4_SIZE
#define SCALE_OUT_IPV4_SIZE    16384   // every host of the own PoD in several tenants, and every PoD's subnets
#endif
#ifndef SCALE_OUT_IPV6_SIZE
#define SCALE_OUT_IPV6_SIZE    16384
#endif
#ifndef RLOC_SET_SIZE
#define RLOC_SET_SIZE          4096
#endif
#ifndef RLOC_SELECTOR_SIZE
#define RLOC_SELECTOR_SIZE     16384   // members, all RLOC-sets together
#endif
#ifndef RLOC_SET_MAX_MEMBERS
#define RLOC_SET_MAX_MEMBERS   64
#endif
#ifndef UNDERLAY_IPV4_SIZE
#define UNDERLAY_IPV4_SIZE     2048    // one route for each RLOC of the fabric
#endif
#ifndef UNDERLAY_IPV6_SIZE
#define UNDERLAY_IPV6_SIZE     2048
#endif
#ifndef UNDERLAY_SELECTOR_SIZE
#define UNDERLAY_SELECTOR_SIZE 2048
#endif
#ifndef UNDERLAY_MAX_PATHS
#define UNDERLAY_MAX_PATHS     64
#endif
#ifndef MULTICAST_SOURCE_SIZE
#define MULTICAST_SOURCE_SIZE  8192
#endif
#ifndef MULTICAST_GROUP_SIZE
#define MULTICAST_GROUP_SIZE   8192
#endif
#ifndef BROADCAST_SIZE
#define BROADCAST_SIZE         4096    // one for each Instance-ID
#endif
#ifndef HOME_EID_SIZE
#define HOME_EID_SIZE          4096    // the own PoD's EID-prefixes in every tenant
#endif
#ifndef REPLICA_SIZE
#define REPLICA_SIZE           8192    // receivers' ports and RLOCs, whatever the number of groups
#endif
#define COLLECTIVE_GROUPS      256     // on one switch
#define COLLECTIVE_SLOTS       1024    // of all its groups together
#define COLLECTIVE_CELLS       2048    // two for each slot
#define COLLECTIVE_CHILDREN    4096    // of all its groups together
#ifndef DROP_COUNTER_SIZE
#define DROP_COUNTER_SIZE      256     // one cell for each value of drop_reason_t
#endif
#ifndef PUNT_FILTER_SIZE
#define PUNT_FILTER_SIZE       4096    // destinations the controller has lately been told of
#endif

// Values of 32 bits in a packet of a collective: 64 or 32, one number for the whole fabric.
#ifndef COLLECTIVE_VALUES
#define COLLECTIVE_VALUES      64
#endif

#endif  // FABRIC_SIZES_P4_
