// The pipe of collectives alone: what it takes of a chip. The program that a switch is loaded with is full.p4, which has the
// forwarding pipe beside it.
#if __TARGET_TOFINO__ == 1
#define COLLECTIVE_VALUES 32
#else
#define COLLECTIVE_VALUES 64
#define COLLECTIVE_IPV6   0
#endif
#include "../arch.p4"
#include "../../include/sizes.p4"
#include "../../include/types.p4"
#include "../bridge.p4"
#include "../collective_work.p4"
#include "../collective_seam.p4"
#include "../../include/headers.p4"
#include "../../include/metadata.p4"
#include "../collective_pipe.p4"

Switch(collective_pipe) main;
