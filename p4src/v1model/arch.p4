// The seam between the shared stages and v1model: what a stage writes as a macro, another architecture defines
// differently, and nothing else differs.
#ifndef FABRIC_V1MODEL_ARCH_P4_
#define FABRIC_V1MODEL_ARCH_P4_

#include <core.p4>
#include <v1model.p4>

#define CPU_PORT 510

// Clone session of the sampled copies; the router's control plane points it to the CPU port.
#define SAMPLE_SESSION 1

// standard_metadata.instance_type of a clone made in ingress.
#define INSTANCE_INGRESS_CLONE 1

// Colour of a packet above the committed and the excess rate.
#define METER_RED 2

// A direct counter or meter counts by itself on every hit or miss here; elsewhere the action must say so.
#define DIRECT_COUNTER(name) direct_counter(CounterType.packets_and_bytes) name;
#define COUNT_DIRECT(name)
#define DIRECT_METER(name) direct_meter<color_t>(MeterType.bytes) name;
#define READ_METER(name, result) name.read(result);

#define RANDOM(result, most) random(result, 0, most);

// The hash that spreads flows. The rotation comes from the control plane.
#define FLOW_HASH(name)
#define FLOW_HASH_GET(name, result, flow)                                                               \
    hash(result, HashAlgorithm.crc32, 32w0,                                                             \
         { flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port, flow.queue_pair }, 33w0x100000000);
#define FLOW_HASH_ROTATE(value, rotation)                                                               \
    value = (value << (bit<8>) rotation) | (value >> (8w32 - (bit<8>) rotation));

#define FLOW_SELECTOR(name, members, max_group) \
    @max_group_size(max_group) action_selector(HashAlgorithm.crc16, members, 16) name;

#endif  // FABRIC_V1MODEL_ARCH_P4_
