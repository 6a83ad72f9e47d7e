// The TNA program of the profile `full` on v1model, and what that has no room for on the chip: collectives of IPv6 groups.
#define WITH_COLLECTIVES
#define COLLECTIVES_OF_IPV6
#define COLLECTIVE_PORT 508
#include "on_v1model/switch.p4"
