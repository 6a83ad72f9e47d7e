// Forwarding and collectives: two pipes (docs/tofino-collectives.md). Containers are what is scarce in the first, and on
// Tofino 1 stages; so its tables are smaller than those of forwarding.p4.
#define WITH_COLLECTIVES
#define DIRECT_COUNTER_BITS    36
#if __TARGET_TOFINO__ == 1
#define COLLECTIVE_VALUES      32
#define SCALE_UP_SIZE          16384
#define SCALE_OUT_IPV4_SIZE    4096
#define SCALE_OUT_IPV6_SIZE    1024
#else
#define COLLECTIVE_VALUES      64
#define COLLECTIVE_IPV6        0
#define SCALE_UP_SIZE          65536
#define SCALE_OUT_IPV4_SIZE    8192
#define SCALE_OUT_IPV6_SIZE    2048
#endif
#define MULTICAST_SOURCE_SIZE  1024
#define MULTICAST_GROUP_SIZE   1024
#define BROADCAST_SIZE         1024
#define INSTANCE_SIZE          1024
#define HOME_EID_SIZE          512
#define SCALE_UP_PREFIX_SIZE   512
#define REPLICA_SIZE           4096
#define RLOC_SET_SIZE          2048
#define RLOC_SELECTOR_SIZE     8192
#define UNDERLAY_IPV4_SIZE     1024
#define UNDERLAY_IPV6_SIZE     512
#define UNDERLAY_SELECTOR_SIZE 1024
#include "../fabric.p4"
