// Forwarding only: every stage but the collectives, with the largest tables that have been made to fit. What bounds them,
// docs/tofino.md says.
#if __TARGET_TOFINO__ == 2
#define SCALE_UP_SIZE          65536
#define SCALE_OUT_IPV4_SIZE    12288
#define SCALE_OUT_IPV6_SIZE    4096
#define MULTICAST_SOURCE_SIZE  4096
#define MULTICAST_GROUP_SIZE   4096
#define HOME_EID_SIZE          1024
#define SCALE_UP_PREFIX_SIZE   1024
#define REPLICA_SIZE           8192
#define RLOC_SET_SIZE          2048
#define RLOC_SELECTOR_SIZE     8192
#define UNDERLAY_IPV6_SIZE     2048
#else
#define SCALE_UP_SIZE          32768
#define SCALE_OUT_IPV4_SIZE    6144
#define SCALE_OUT_IPV6_SIZE    2048
#define MULTICAST_SOURCE_SIZE  2048
#define MULTICAST_GROUP_SIZE   2048
#define HOME_EID_SIZE          512
#define SCALE_UP_PREFIX_SIZE   512
#define REPLICA_SIZE           4096
#define RLOC_SET_SIZE          4096
#define RLOC_SELECTOR_SIZE     16384
#define UNDERLAY_IPV6_SIZE     1024
#endif
#define BROADCAST_SIZE         4096
#define INSTANCE_SIZE          4096
#define UNDERLAY_IPV4_SIZE     4096
#define UNDERLAY_SELECTOR_SIZE 4096
#include "../fabric.p4"
