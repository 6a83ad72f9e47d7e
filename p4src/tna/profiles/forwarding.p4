// Forwarding only: every stage but the collectives, with the largest tables that have been made to fit. What bounds them,
// and how they were found, docs/tofino.md says.
#define DIRECT_COUNTER_BITS    36
#if __TARGET_TOFINO__ == 2
// Alone in its container the port is written without a mask, and 128 bits hold the parameters of any route.
#define PROFILE_ANNOTATIONS    @pa_container_size("ingress", "meta.egress_port", 16)
#define SCALE_UP_SIZE          262144
#define SCALE_OUT_IPV4_SIZE    32768
#define SCALE_OUT_IPV6_SIZE    8192
#define MULTICAST_SOURCE_SIZE  4096
#define MULTICAST_GROUP_SIZE   4096
#define HOME_EID_SIZE          1024
#define SCALE_UP_PREFIX_SIZE   1024
#define REPLICA_SIZE           16384
#define RLOC_SET_SIZE          4096
#define RLOC_SELECTOR_SIZE     10240
#define UNDERLAY_IPV4_SIZE     5120
#define UNDERLAY_IPV6_SIZE     2048
#else
// The first stage with EIDs is not filled with accelerators, so that it has SRAM for what counts IP prefixes in its TCAM.
#define SCALE_UP_PLACEMENT     @stage(2, 28672)
#define SCALE_UP_SIZE          81920
#define SCALE_OUT_IPV4_SIZE    12288
#define SCALE_OUT_IPV6_SIZE    3072
#define MULTICAST_SOURCE_SIZE  4096
#define MULTICAST_GROUP_SIZE   4096
#define HOME_EID_SIZE          512
#define SCALE_UP_PREFIX_SIZE   512
#define REPLICA_SIZE           16384
#define RLOC_SET_SIZE          8192
#define RLOC_SELECTOR_SIZE     20480
#define UNDERLAY_IPV4_SIZE     5120
#define UNDERLAY_IPV6_SIZE     2048
#endif
#define BROADCAST_SIZE         4096
#define INSTANCE_SIZE          4096
#define UNDERLAY_SELECTOR_SIZE 4096
#include "../fabric.p4"
