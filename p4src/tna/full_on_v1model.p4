// The TNA program of the profile `full` on v1model.
#define WITH_COLLECTIVES
#define COLLECTIVE_PORT 508
#include "on_v1model/switch.p4"
